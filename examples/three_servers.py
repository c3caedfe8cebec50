"""Three Ollama servers share the calls; where none of them answers, the model inside the process does.

Give their addresses: ``python three_servers.py http://192.168.1.20:11434 http://192.168.1.21:11434 …``; without any,
three ports of this machine are asked. Stop one of them while it runs: the calls go to the others.
"""

import asyncio
import sys
from collections import Counter

from modelhub import ModelHub

SERVERS = sys.argv[1:] or [f"http://127.0.0.1:{port}" for port in (11434, 11435, 11436)]
SETTINGS = {
    "credentials": {"ollama_local": SERVERS},
    "deployments": {"big": {"target": "ollama_local/llama3", "concurrency": 4}},
    "routes": {"main": {"groups": [["big"], ["local_model/smollm2-135m-instruct"]]}},
}
ROUNDS, AT_ONCE = 3, 4


async def main() -> None:
    """Ask some questions at once, and show who answered and what failed on the way."""
    async with ModelHub(SETTINGS) as hub:
        for number in range(1, ROUNDS + 1):
            calls = [hub.chat("main", "Why is the sky blue?", max_tokens=20, timeout=60) for _ in range(AT_ONCE)]
            replies = await asyncio.gather(*calls)
            print(f"round {number}")
            tries = Counter((each.deployment, each.error) for reply in replies for each in reply.attempts)
            for (deployment, error), count in sorted(tries.items(), key=str):
                print(f"  {deployment}: {count} {error or 'answered'}")


asyncio.run(main())
