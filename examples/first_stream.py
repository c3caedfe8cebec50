"""An answer as it comes, on trio instead of asyncio: ``python first_stream.py``."""

import anyio

from modelhub import ModelHub


async def main() -> None:
    """Print the pieces, then what only the end tells."""
    async with ModelHub() as hub, hub.stream("local_model", "Tell me about rivers.", max_tokens=40) as stream:
        async for event in stream:
            if event.type == "text":
                print(event.text, end="", flush=True)
        print()
        print(stream.result.usage)


anyio.run(main, backend="trio")
