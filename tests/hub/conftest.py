"""A provider of all six model types over HTTP, as its author would write it, and a server that answers it."""

import dataclasses
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

import anyio.lowlevel
import pytest
from tests.canary import CANARY

from modelhub import ModelSchema, ModelType, Progress, ProviderSchema, Usage
from modelhub.errors import AuthenticationFailed, CredentialsInvalid
from modelhub.provider import (
    Credential,
    DecodeState,
    FilePart,
    HttpCall,
    HttpLargeLanguageModel,
    HttpModerationModel,
    HttpRerankModel,
    HttpResponse,
    HttpSpeech2TextModel,
    HttpTextEmbeddingModel,
    HttpTTSModel,
    ModelProvider,
    ProviderContext,
)
from modelhub.testing.replies import Reply, Request, json_reply, sse_reply
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta, ToolCallDelta
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.messages import AssistantMessage, Message, ToolMessage
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import EmbedResult, ModerationResult, RankedDocument, RerankResult, TranscriptionResult
from modelhub.types.schema import Operation, TypeDefaults
from modelhub.types.usage import TokenCount


def plain(message: Message) -> dict[str, Any]:
    """Return a message as the vendor takes it."""
    sent: dict[str, Any] = {"role": message.role, "text": ""}
    if isinstance(message.content, str):
        sent["text"] = message.content
    if isinstance(message, AssistantMessage):
        sent["text"] = message.text
        sent["calls"] = [[call.id, call.name, dict(call.arguments or {})] for call in message.tool_calls]
    if isinstance(message, ToolMessage):
        sent["answers"] = message.tool_call_id
    return sent


@pytest.fixture(autouse=True)
def this_machine_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let base URLs that come with calls lead to the servers of the tests, as an operator would allow it."""
    monkeypatch.setenv("MODELHUB_EGRESS_ALLOW", "127.0.0.0/8")


class AcmeLLM(HttpLargeLanguageModel):
    """Chat by events; one document where no stream was asked for."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        body: dict[str, Any] = {"model": request.name, "messages": [plain(message) for message in request.messages]}
        body |= {"stream": request.stream, **request.parameters, **request.options}
        if request.tools:
            body |= {"tools": [dataclasses.asdict(tool) for tool in request.tools], "choice": request.tool_choice}
        if request.response_format is not None:
            body["schema"] = request.response_format.schema
        return HttpCall("/chat", json=body, framing="sse")

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a document."""
        if "error" in document:
            raise state.error(document)
        if text := document.get("text"):
            yield TextDelta(state.part("text"), text)
        if call := document.get("call"):
            yield ToolCallDelta(state.part("call", call["id"]), call["id"], call["name"], call["arguments"])
        if "end" in document:
            yield Finish(FinishReason(document["end"]), document["end"], Usage(document["in"], document["out"]))

    async def count_tokens(self, request: ChatRequest[None], context: ProviderContext) -> TokenCount:
        """Ask the vendor."""
        counted = await context.http.json(HttpCall("/count", json=[plain(message) for message in request.messages]))
        return TokenCount(counted["tokens"])


class AcmeEmbedding(HttpTextEmbeddingModel):
    """Vectors, four texts at a time."""

    max_batch = 4

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        body = {"texts": request.texts, "type": request.input_type, "dimensions": request.dimensions, **request.options}
        return HttpCall("/embed", json=body)

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Read the answer."""
        return EmbedResult(vectors=document["vectors"], usage=Usage(document["in"], 0))


class AcmeRerank(HttpRerankModel):
    """A ranking, in whatever order."""

    def encode(self, request: RerankRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/rerank", json={"query": request.query, "documents": request.documents})

    def decode(self, document: Any, request: RerankRequest) -> RerankResult:
        """Read the answer."""
        return RerankResult(documents=tuple(RankedDocument(index, score) for index, score in document))


class AcmeSpeech2Text(HttpSpeech2TextModel):
    """Recordings in a form."""

    def encode(self, request: TranscriptionRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        form = {"language": request.language or "", "prompt": request.prompt or ""}
        return HttpCall("/transcribe", form=form, files=[FilePart("file", request.filename, request.audio)])

    def decode(self, response: HttpResponse, request: TranscriptionRequest) -> TranscriptionResult:
        """Read the answer."""
        return TranscriptionResult(text=response.body.decode())


class AcmeTTS(HttpTTSModel):
    """Sound."""

    def encode(self, request: SpeechRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/speak", json={"text": request.text, "voice": request.voice, "speed": request.speed})


class AcmeModeration(HttpModerationModel):
    """A verdict."""

    def encode(self, request: ModerationRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/moderate", json={"text": request.text})

    def decode(self, document: Any, request: ModerationRequest) -> ModerationResult:
        """Read the answer."""
        return ModerationResult(flagged=document["flagged"], categories=document["categories"])


class AcmeProvider(ModelProvider):
    """All of it, with a key that the vendor can be asked about."""

    llm = AcmeLLM
    text_embedding = AcmeEmbedding
    rerank = AcmeRerank
    speech2text = AcmeSpeech2Text
    tts = AcmeTTS
    moderation = AcmeModeration
    auth: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (
            FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),
            FormField("api_key", "secret-input", required=False, default=CANARY),  # the key of every call
        )
        rules = (
            ParameterRule("temperature", max=2),
            ParameterRule("max_tokens"),
            ParameterRule("top_a", type="float"),
            ParameterRule("num_ctx", type="int"),
        )
        return ProviderSchema(
            "acme",
            supported_model_types=tuple(ModelType),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
            default_model="small",
            defaults={"llm": TypeDefaults(parameter_rules=rules)},
            operations={"pull": Operation(arguments=("model",))},
        )

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Ask the vendor who we are."""
        context.progress(Progress("reachable"))
        try:
            await context.http.json(HttpCall("/me", method="GET"))
        except AuthenticationFailed as error:
            raise CredentialsInvalid("the key is refused", fields={"api_key": "it is refused"}) from error
        context.progress(Progress("authenticated"))

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """List."""
        names = await context.http.json(HttpCall("/models", method="GET"))
        return [ModelSchema(name) for name in names]

    async def operate(
        self, name: str, arguments: Mapping[str, Any], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Pull a model in three steps."""
        for step in range(3):
            await anyio.lowlevel.checkpoint()
            yield Progress(f"{name} {arguments['model']}", step, 2)


FIXED = {
    "/speak": Reply(200, {"content-type": "audio/wav"}, chunks=[b"RI", b"FF"], chunked=True),
    "/moderate": json_reply({"flagged": True, "categories": {"hate/threatening": True}}),
    "/count": json_reply({"tokens": 7}),
    "/models": json_reply(["small", "large"]),
    "/me": json_reply({}),
}


def answer(request: Request) -> Reply:
    """Answer as the vendor would: chat echoes the last message, a vector is the length of its text."""
    if request.headers.get("authorization") == "Bearer wrong-key":
        return json_reply({"error": {"message": "who is wrong-key?"}}, 401)
    asked = cast("Any", request.json) if request.headers.get("content-type") == "application/json" else {}
    if request.path in FIXED:
        return FIXED[request.path]
    match request.path:
        case "/chat":
            text = asked["messages"][-1]["text"]
            end = {"end": "stop", "in": 3, "out": 2}
            if asked["stream"]:
                return sse_reply([{"text": piece} for piece in text.split(" ")] + [end], done=False)
            return json_reply({"text": text, **end})
        case "/embed":
            return json_reply({"vectors": [[float(len(text)), 1.0] for text in asked["texts"]], "in": 5})
        case "/rerank":
            return json_reply([[number, len(text) / 10] for number, text in enumerate(asked["documents"])])
        case _:
            return Reply(body=f"{len(request.body)} bytes")


@pytest.fixture
def acme() -> type[AcmeProvider]:
    """Give the provider class."""
    return AcmeProvider


@pytest.fixture
def vendor() -> Callable[[Request], Reply]:
    """Give the vendor's answers."""
    return answer
