"""The provider and its one model."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from modelhub import Finish, FinishReason, TextDelta, Usage
from modelhub.provider import (
    Credential,
    DecodeState,
    HttpCall,
    HttpLargeLanguageModel,
    ModelProvider,
    vendor_parameters,
)
from modelhub.types.events import ChatEvent
from modelhub.types.requests import ChatRequest


class AcmeEventsLLM(HttpLargeLanguageModel):
    """Speaks ``data: {"delta"}`` events; what ended it is only known at the end of the stream."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        body = {"model": request.name, "stream": request.stream, **vendor_parameters(request)}
        return HttpCall("/events", json=body, framing="sse")

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read an event."""
        if "error" in document:
            raise state.error(document)
        state.values.update({key: document[key] for key in ("reason", "tokens") if key in document})
        if document.get("delta"):
            yield TextDelta(state.part("text"), document["delta"])

    def end(self, state: DecodeState) -> Iterable[ChatEvent]:
        """Finish, if the vendor said why."""
        if "reason" in state.values:
            yield Finish(FinishReason.STOP, state.values["reason"], Usage(None, state.values.get("tokens")))


class AcmeEventsProvider(ModelProvider):
    """Serves language models alone."""

    llm = AcmeEventsLLM
    auth: ClassVar = {"X-Api-Key": "{api_key}"}
