"""Conversations, through Ollama's ``/api/chat``."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelhub.errors import UnsupportedFeature
from modelhub.provider import (
    Credential,
    DecodeState,
    HttpCall,
    HttpLargeLanguageModel,
    ProviderContext,
    vendor_parameters,
)
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.json import JSON
from modelhub.types.messages import Message, TextPart
from modelhub.types.requests import ChatRequest
from modelhub.types.usage import TokenCount, Usage

REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


class MyOllamaLLM(HttpLargeLanguageModel):
    """Ollama's language models."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        if request.tools:
            raise UnsupportedFeature("this provider sends no tools", parameter="tools")
        body: dict[str, JSON] = {
            "model": request.name,
            "messages": [{"role": message.role, "content": text_of(message)} for message in request.messages],
            "stream": request.stream,
            "options": vendor_parameters(request),
        }
        if request.response_format is not None:
            body["format"] = request.response_format.schema or "json"
        return HttpCall("/api/chat", body)

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Return the events in one line of a stream, or in a whole answer: the two have the same shape."""
        if "error" in document:
            raise state.error(document)
        text = document["message"]["content"]
        if text:
            yield TextDelta(state.part("text"), text)
        if document["done"]:
            reason = document.get("done_reason")
            usage = Usage(document.get("prompt_eval_count"), document.get("eval_count"))
            yield Finish(REASONS.get(str(reason), FinishReason.UNKNOWN), reason, usage)

    async def count_tokens(self, request: ChatRequest[None], context: ProviderContext) -> TokenCount:
        """Estimate: about four characters are a token."""
        characters = sum(len(text_of(message)) for message in request.messages)
        return TokenCount(max(1, characters // 4), estimated=True)


def text_of(message: Message) -> str:
    """Return the text of a message; its content is a text or a list of parts."""
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content if isinstance(part, TextPart))
