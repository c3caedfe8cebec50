"""The language model, over lines of JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelhub import Finish, FinishReason, ReasoningDelta, Started, TextDelta, TokenCount, ToolCallDelta, Usage
from modelhub.errors import UnsupportedFeature
from modelhub.provider import (
    Credential,
    DecodeState,
    HttpCall,
    HttpLargeLanguageModel,
    ProviderContext,
    vendor_parameters,
)
from modelhub.types.events import ChatEvent
from modelhub.types.requests import ChatRequest

REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "tools": FinishReason.TOOL_CALLS}


class AcmeLLM(HttpLargeLanguageModel):
    """Speaks ``{"text"}``, ``{"thought"}``, ``{"call"}``, ``{"error"}`` and at last ``{"done"}``."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        if request.response_format is not None:
            raise UnsupportedFeature("acme models write as they like", parameter="response_format")
        body = {
            "model": request.name,
            "texts": [str(message.content) for message in request.messages],
            "tools": [tool.name for tool in request.tools],
            "stream": request.stream,
            "region": credential.text("region"),
            **vendor_parameters(request),
        }
        return HttpCall("/v1/chat", json=body, query={"id": request.id}, headers={"X-Acme": "1"})

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a line, or a whole answer."""
        if "error" in document:
            raise state.error(document, status=429)
        if "begun" in document:
            yield Started(document["begun"])
        if document.get("thought"):
            yield ReasoningDelta(state.part("thought"), document["thought"])
        if document.get("text"):
            state.values["words"] = state.values.get("words", 0) + len(document["text"].split())
            yield TextDelta(state.part("text"), document["text"])
        for call in document.get("calls", ()):
            yield ToolCallDelta(state.part("call", call["id"]), call["id"], call["name"], call["arguments"])
        if "done" in document:
            usage = Usage(document.get("prompt_tokens"), document.get("tokens", state.values.get("words")))
            yield Finish(REASONS.get(document["done"], FinishReason.UNKNOWN), document["done"], usage)

    async def count_tokens(self, request: ChatRequest[None], context: ProviderContext) -> TokenCount:
        """Count words in a thread: counting blocks."""
        texts = [str(message.content) for message in request.messages]
        return TokenCount(await context.blocking(_words, texts, tools=len(request.tools)), estimated=True)


def _words(texts: list[str], *, tools: int) -> int:
    return sum(len(text.split()) for text in texts) + 10 * tools
