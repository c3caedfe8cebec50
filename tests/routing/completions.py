"""A second provider, of the many that speak the protocol of chat completions."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from modelhub import ModelType, ProviderSchema, Usage
from modelhub.provider import Credential, DecodeState, HttpCall, HttpLargeLanguageModel, ModelProvider
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.requests import ChatRequest


class Chat(HttpLargeLanguageModel):
    """Any model."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        messages = [{"role": each.role, "content": str(each.content)} for each in request.messages]
        body = {"model": request.name, "messages": messages, "stream": request.stream, **request.parameters}
        return HttpCall("/v1/chat/completions", body, framing="sse")

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a document of a stream, or the one of a whole answer."""
        if "error" in document:
            raise state.error(document)
        for choice in document["choices"]:
            text = (choice.get("delta") or choice.get("message") or {}).get("content")
            if text:
                yield TextDelta(state.part("text"), text)
            if choice["finish_reason"]:
                state.values["reason"] = choice["finish_reason"]
        if document.get("usage"):
            state.values["usage"] = document["usage"]

    def end(self, state: DecodeState) -> Iterable[ChatEvent]:
        """Say how it ended."""
        if "reason" in state.values:
            usage = state.values.get("usage", {})
            counted = Usage(usage.get("prompt_tokens"), usage.get("completion_tokens"))
            yield Finish(FinishReason(state.values["reason"]), state.values["reason"], counted)


class CompletionsProvider(ModelProvider):
    """A vendor whose base URL and key are asked for."""

    llm = Chat
    auth: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (
            FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),
            FormField("api_key", "secret-input", required=False),
        )
        return ProviderSchema(
            "acme",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
        )
