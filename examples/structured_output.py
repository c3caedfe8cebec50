"""An answer as a value: the local model cannot write anything but this shape. ``python structured_output.py``."""

import asyncio
from dataclasses import dataclass

from modelhub import ModelHub


@dataclass
class Weather:
    """What is wanted."""

    city: str
    celsius: int


async def main() -> None:
    """Ask for a `Weather`."""
    text = "The weather in Paris is 21 degrees Celsius. Report it as JSON."
    async with ModelHub() as hub:
        reply = await hub.chat("local_model", text, response_format=Weather, max_tokens=60, temperature=0)
    print(reply.output.city, reply.output.celsius)


asyncio.run(main())
