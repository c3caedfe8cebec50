"""What a caller should know of a conversation before it is answered: what Ollama will do other than was asked.

Owns the warnings that the request alone gives rise to. Those that only the answer shows are in ``answer``.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelhub.provider import vendor_parameters
from modelhub.types.messages import AssistantMessage, UserMessage
from modelhub.types.records import Warning
from modelhub.types.requests import ChatRequest
from modelhub_ollama_local.tools import lost_keywords

__all__ = ["warnings_for"]


def warnings_for(request: ChatRequest[None]) -> Iterator[Warning]:
    """Yield what the caller should know of a request. Pure."""
    yield from _about_messages(request)
    yield from _about_context(request)
    yield from _about_reasoning(request)
    if request.tools and request.tool_choice != "none":
        yield from _about_tools(request)


def _about_messages(request: ChatRequest[None]) -> Iterator[Warning]:
    if request.messages and isinstance(request.messages[-1], AssistantMessage):
        text = "the last message is the assistant's: Ollama does not continue it, and most models answer nothing"
        yield Warning("assistant_last", text, "messages")
    if any(isinstance(message, UserMessage) and message.name for message in request.messages):
        yield Warning("name_dropped", "Ollama has no place for the name of who is speaking", "messages")


def _about_context(request: ChatRequest[None]) -> Iterator[Warning]:
    asked = request.options.get("num_ctx")
    properties = request.schema.model_properties if request.schema else {}
    trained = properties.get("trained_context_size")
    if isinstance(asked, int) and isinstance(trained, int) and asked > trained:
        text = f"num_ctx is {asked}, and the model was trained for {trained}: Ollama takes {trained} without a word"
        yield Warning("num_ctx_clamped", text, "num_ctx")


def _about_reasoning(request: ChatRequest[None]) -> Iterator[Warning]:
    asked = request.parameters.get("reasoning")
    if asked is None or "think" in request.options:
        return
    if isinstance(asked, str) and vendor_parameters(request).get("think") is True:
        text = f"this model can only reason or not: {asked!r} turned it on"
        yield Warning("reasoning_adjusted", text, "reasoning")


def _about_tools(request: ChatRequest[None]) -> Iterator[Warning]:
    lost = {tool.name: words for tool in request.tools if (words := lost_keywords(tool))}
    if lost:
        listed = "; ".join(f"{', '.join(words)} of {name}" for name, words in lost.items())
        text = f"the model will not see everything in the tools' schemas: {listed}. Say it in their descriptions"
        yield Warning("tool_schema_reduced", text, "tools")
