"""Ollama where it answers, the model inside the process where it does not: ``python fallback.py``."""

import asyncio

from modelhub import ModelHub


async def main() -> None:
    """Ask both in order, and show what was tried."""
    async with ModelHub() as hub:
        reply = await hub.chat(["ollama_local/llama3", "local_model"], "Why is the sky blue?", max_tokens=40)
    print(reply.text)
    for attempt in reply.attempts:
        print(f"{attempt.deployment}: {attempt.error or 'answered'} after {attempt.seconds:.2f} s")


asyncio.run(main())
