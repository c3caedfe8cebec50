"""One question, one answer, by the model inside the process: ``python first_call.py``."""

import asyncio

from modelhub import ModelHub


async def main() -> None:
    """Ask, and show what came back."""
    async with ModelHub() as hub:
        reply = await hub.chat("local_model", "Name three rivers of Java.", max_tokens=40, temperature=0)
    print(reply.text)
    print(reply.model, reply.finish_reason, reply.usage)


asyncio.run(main())
