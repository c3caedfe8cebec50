"""Tools in a loop: the model asks for them, the program runs them, until there is an answer.

Needs Ollama with llama3.1, or another model as an argument: ``python tools_loop.py ollama_local/qwen3``.
The hub runs no tool by itself: what may be run, and how often, is the program's decision.
"""

import asyncio
import sys
from typing import Any

from modelhub import ChatResult, Message, ModelHub, ToolCall, ToolMessage, UserMessage, tool
from modelhub.types.tools import ToolFunction

MODEL = sys.argv[1] if len(sys.argv) > 1 else "ollama_local/llama3.1"
ROUNDS = 5


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"{city}: 21 degrees, sunny"


TOOLS: dict[str, ToolFunction[..., Any]] = {"get_weather": get_weather}


def answered(call: ToolCall) -> ToolMessage:
    """Run what a model asks for; whatever is wrong with it, the model is told."""
    wanted = TOOLS.get(call.name)
    if wanted is None:
        return ToolMessage(f"there is no tool {call.name}", call.id, is_error=True)
    if call.arguments is None:
        return ToolMessage(f"these are no JSON arguments: {call.raw_arguments}", call.id, is_error=True)
    try:
        return ToolMessage(wanted(**call.arguments), call.id)
    except TypeError as error:
        return ToolMessage(f"these arguments do not fit: {error}", call.id, is_error=True)


async def converse(hub: ModelHub, question: str) -> ChatResult[None]:
    """Ask until the model answers without asking for a tool."""
    messages: list[Message] = [UserMessage(question)]
    for _ in range(ROUNDS):
        reply = await hub.chat(MODEL, messages, tools=list(TOOLS.values()))
        if not reply.tool_calls:
            return reply
        messages += [reply.message, *map(answered, reply.tool_calls)]
    raise SystemExit(f"no answer after {ROUNDS} rounds")


async def main() -> None:
    """Ask something that needs the tool."""
    async with ModelHub() as hub:
        reply = await converse(hub, "What is the weather in Paris?")
    print(reply.text)


asyncio.run(main())
