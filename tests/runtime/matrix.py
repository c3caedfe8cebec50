"""A provider of five kinds of models over HTTP, all ways to call it, and what every error of a call must be.

Owns no case: those are in `test_error_matrix` and `test_error_matrix_bodies`.
"""

import ssl
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.canary import CANARY, found_in

from modelhub import (
    EmbedResult,
    ModelHub,
    ModelHubError,
    ModelType,
    ProviderSchema,
    RankedDocument,
    RerankResult,
    SpeechRequest,
    TranscriptionResult,
)
from modelhub.errors import Phase, Retry, Scope, StreamInterrupted, Timeout
from modelhub.provider import (
    Credential,
    DecodeState,
    HttpCall,
    HttpLargeLanguageModel,
    HttpRerankModel,
    HttpResponse,
    HttpSpeech2TextModel,
    HttpTextEmbeddingModel,
    HttpTTSModel,
    ModelProvider,
)
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.requests import ChatRequest, EmbedRequest, RerankRequest, TranscriptionRequest
from modelhub.wire.json import loads

ON_ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what an answer says, once it has come: it is read by the same code, which knows no event loop.

How connections, encryption, breaks and limits of time come out is a matter of the loop, and is shown on both.
"""

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "tls" / "localhost.pem"


class Chat(HttpLargeLanguageModel):
    """Speaks ``{"text"}``, ``{"error"}`` and at last ``{"end"}``."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/chat", json={"stream": request.stream})

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a line."""
        if "error" in document:
            raise state.error(document)
        if document.get("text"):
            yield TextDelta(state.part("text"), document["text"])
        if "end" in document:
            yield Finish(FinishReason.STOP, document["end"])


class Embedding(HttpTextEmbeddingModel):
    """Gives vectors."""

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/embed", json=list(request.texts))

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Read the vectors."""
        return EmbedResult(vectors=document["vectors"])


class Rerank(HttpRerankModel):
    """Gives scores."""

    def encode(self, request: RerankRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/rerank", json=list(request.documents))

    def decode(self, document: Any, request: RerankRequest) -> RerankResult:
        """Read the scores."""
        return RerankResult(documents=tuple(RankedDocument(*pair) for pair in document["ranked"]))


class Speech(HttpTTSModel):
    """Speaks."""

    def encode(self, request: SpeechRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/speak", json=request.text)


class Transcription(HttpSpeech2TextModel):
    """Listens."""

    def encode(self, request: TranscriptionRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/hear", content=request.audio)

    def decode(self, response: HttpResponse, request: TranscriptionRequest) -> TranscriptionResult:
        """Read the text, as most vendors give it."""
        document: Any = loads(response.body)
        return TranscriptionResult(text=document["text"])


class MatrixProvider(ModelProvider):
    """A vendor with a base URL, a key and a model of each kind under any name."""

    llm = Chat
    text_embedding = Embedding
    rerank = Rerank
    tts = Speech
    speech2text = Transcription
    auth: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (FormField("base_url", role="endpoint", endpoint=EndpointRule()), FormField("api_key", "secret-input"))
        return ProviderSchema(
            "matrix",
            supported_model_types=tuple(ModelType),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
        )


async def stream_chat(hub: ModelHub) -> None:
    """Read a chat to its end."""
    async with hub.stream("matrix/m", "Hello") as stream:
        async for _ in stream:
            pass


async def stream_speech(hub: ModelHub) -> None:
    """Read a speech to its end."""
    async with hub.stream(SpeechRequest(model="matrix/m", text="Hello")) as stream:
        async for _ in stream:
            pass


CALLS: Mapping[str, Callable[[ModelHub], Awaitable[object]]] = {
    "chat": lambda hub: hub.chat("matrix/m", "Hello"),
    "chat-stream": stream_chat,
    "embed": lambda hub: hub.embed("matrix/m", ["one", "two"]),
    "rerank": lambda hub: hub.rerank("matrix/m", "which?", ["one", "two"]),
    "speak": lambda hub: hub.speak("matrix/m", "Hello"),
    "speech-stream": stream_speech,
    "transcribe": lambda hub: hub.transcribe("matrix/m", b"RIFF"),
}
"""Every way to call a model."""

GOOD: Mapping[str, tuple[str, bytes]] = {
    "chat": ("application/json", b'{"text": "Hello", "end": "stop"}'),
    "chat-stream": ("application/x-ndjson", b'{"text": "Hello"}\n{"text": " there"}\n{"end": "stop"}\n'),
    "embed": ("application/json", b'{"vectors": [[1.0], [2.0]]}'),
    "rerank": ("application/json", b'{"ranked": [[0, 0.5], [1, 0.25]]}'),
    "speak": ("audio/wav", b"RIFF" + bytes(96)),
    "speech-stream": ("audio/wav", b"RIFF" + bytes(96)),
    "transcribe": ("application/json", b'{"text": "Hello"}'),
}
"""What is answered to each of them, where nothing goes wrong."""


ON_BOTH_LOOPS = ("chat", "chat-stream")
EACH_CALL = pytest.mark.parametrize(
    ("anyio_backend", "call"), [*(("asyncio", call) for call in CALLS), *(("trio", call) for call in ON_BOTH_LOOPS)]
)
"""What calls differ in knows no event loop; that connecting and waiting on both end alike, two of them show."""


@dataclass(frozen=True)
class Expected:
    """What an error must be.

    Attributes:
        error: Its class, exactly.
        scope, retry: What decides.
        sent: Whether the request left.
        status: The HTTP status, where an answer came.
        phase: Of a limit of time.
        cause: What an interruption was raised from, if anything.
    """

    error: type[ModelHubError]
    scope: Scope
    retry: Retry
    sent: bool | None = True
    status: int | None = None
    phase: Phase | None = None
    cause: type[ModelHubError] | None = None


def short(expected: Expected, *names: str) -> dict[str, float]:
    """Return short limits of time for what waits for them: on a busy machine nothing else is sure to come before."""
    return dict.fromkeys(names, 0.15) if expected.error is Timeout else {}


@asynccontextmanager
async def hub_at(url: str, **seconds: float) -> AsyncGenerator[ModelHub, None]:
    """Give a hub that knows one deployment, and tries it once."""
    config = {
        "credentials": {"matrix": {"base_url": url, "api_key": CANARY}},
        "timeouts": {"connect": 2, "first_token": 2, "idle": 2, **seconds},
        "routing": {"retries": 0},
    }
    async with ModelHub(config, providers=[MatrixProvider()]) as hub:
        yield hub


async def failure(call: str, url: str, **seconds: float) -> ModelHubError:
    """Return what a call fails with; anything but an error of ours fails the test."""
    async with hub_at(url, **seconds) as hub:
        with pytest.raises(ModelHubError) as caught:
            await CALLS[call](hub)
    return caught.value


def check(error: ModelHubError, expected: Expected) -> None:
    """Check everything that is promised of an error."""
    found = (type(error), error.scope, error.retry, error.sent, error.status)
    assert found == (expected.error, expected.scope, expected.retry, expected.sent, expected.status), repr(error)
    assert (error.phase if isinstance(error, Timeout) else None) == expected.phase
    assert (error.provider, error.model) == ("matrix", "m")
    assert error.attempts[-1].deployment == error.deployment == "matrix/m"
    if isinstance(error, StreamInterrupted):
        assert error.partial is not None
        assert type(error.__cause__) is (expected.cause or type(None))
    chain: BaseException | None = error
    while chain is not None:
        assert not isinstance(chain, BaseExceptionGroup)
        chain = chain.__cause__ or chain.__context__
    for text in (str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))):
        assert found_in(text) is None


def server_tls() -> ssl.SSLContext:
    """Encrypt with a certificate for this machine that only its owner vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
