"""Conversations: one request to ``/api/chat``, or to ``/api/generate`` where one text is to be continued.

Owns which of the two is asked and what the request's body holds. What comes back is ``answer``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, final

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.provider import Credential, DecodeState, HttpCall, HttpLargeLanguageModel, ProviderContext
from modelhub.types.events import ChatEvent
from modelhub.types.json import JSON
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.usage import TokenCount
from modelhub_ollama_local.answer import events_in
from modelhub_ollama_local.messages import encoded_messages, is_one_text, prompt_of
from modelhub_ollama_local.names import parse
from modelhub_ollama_local.settings import GENERATE_FIELDS, Settings, chat_settings
from modelhub_ollama_local.tokens import estimated_prompt
from modelhub_ollama_local.tools import encoded_tools

__all__ = ["OllamaLLM"]

_ONE_TEXT_ONLY = GENERATE_FIELDS - {"system"}


@final
class OllamaLLM(HttpLargeLanguageModel):
    """Ollama's language models."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request. Only what the caller set is sent.

        Raises:
            BadRequest: A name, an option or a message that the server would refuse or misread.
            UnsupportedFeature: Something that Ollama would leave out in silence.
        """
        parse(request.name)
        settings = chat_settings(request)
        if _continues_one_text(request, settings):
            return HttpCall("/api/generate", _generate_body(request, settings))
        return HttpCall("/api/chat", _chat_body(request, settings))

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Return the events in a document of the answer."""
        return events_in(document, state)

    async def count_tokens(self, request: ChatRequest[None], context: ProviderContext) -> TokenCount:
        """Estimate the tokens of a prompt, in a thread; no request is sent: Ollama has none for it."""
        return TokenCount(await context.blocking(estimated_prompt, request), estimated=True)


def _continues_one_text(request: ChatRequest[None], settings: Settings) -> bool:
    """Whether ``/api/generate`` is to be asked: by the options that only it has, or by the model's own mode."""
    if _ONE_TEXT_ONLY & settings.fields.keys():
        return True
    properties = request.schema.model_properties if request.schema else {}
    return properties.get("mode") == "completion" and not _tools(request) and is_one_text(request.messages)


def _chat_body(request: ChatRequest[None], settings: Settings) -> dict[str, JSON]:
    if "system" in settings.fields:
        message = "the option system goes with raw, suffix or template only"
        raise BadRequest(message, parameter="system", remedy="give a SystemMessage")
    body: dict[str, JSON] = {
        "model": request.name,
        "messages": encoded_messages(request.messages),
        "stream": request.stream,
    }
    if tools := _tools(request):
        body["tools"] = tools
    return _with_settings(body, request.response_format, settings)


def _generate_body(request: ChatRequest[None], settings: Settings) -> dict[str, JSON]:
    if _tools(request):
        message = "tools go with a conversation, not with the options raw, suffix and template"
        raise UnsupportedFeature(message, parameter="tools", remedy="leave one or the other out")
    prompt = prompt_of(request.messages)
    body: dict[str, JSON] = {"model": request.name, "prompt": prompt.text, "stream": request.stream}
    if prompt.system:
        if settings.fields.get("raw"):
            message = "raw sends the text as it is: there is no place for a system message"
            raise BadRequest(message, parameter="messages", remedy="write it into the text")
        body["system"] = prompt.system
    if prompt.images:
        body["images"] = prompt.images
    return _with_settings(body, request.response_format, settings)


def _tools(request: ChatRequest[None]) -> list[JSON]:
    choice = request.tool_choice
    if not request.tools or choice == "none":
        return []
    if choice not in (None, "auto"):
        message = f"Ollama leaves the choice of a tool to the model: tool_choice={choice!r} would have no effect"
        remedy = "leave it out; to force one tool, offer that one alone and say so in a message"
        raise UnsupportedFeature(message, parameter="tool_choice", remedy=remedy)
    return encoded_tools(request.tools)


def _with_settings(body: dict[str, JSON], wanted: ResponseFormat | None, settings: Settings) -> dict[str, JSON]:
    if wanted is not None:
        body["format"] = "json" if wanted.schema is None else wanted.schema
    body.update(settings.fields)
    if settings.options:
        body["options"] = settings.options
    return body
