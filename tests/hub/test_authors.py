"""What an author left out or wrote wrongly is told by name, at the call that needs it, and breaks nothing else."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, ClassVar

import pytest

from modelhub import ModelHub, ModelType, ProviderSchema
from modelhub.errors import ModelHubError, PluginError, QuotaExhausted
from modelhub.provider import (
    Credential,
    HttpCall,
    HttpLargeLanguageModel,
    HttpModerationModel,
    HttpRerankModel,
    HttpSpeech2TextModel,
    HttpTextEmbeddingModel,
    HttpTTSModel,
    LargeLanguageModel,
    ModelProvider,
    ModerationModel,
    ProviderContext,
    RerankModel,
    Speech2TextModel,
    TextEmbeddingModel,
    TTSModel,
)
from modelhub.testing.replies import json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.events import AudioDelta, Finish, FinishReason
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.messages import AssistantMessage
from modelhub.types.requests import ChatRequest, SpeechRequest
from modelhub.types.results import ChatResult, EmbedResult, SpeechResult

pytestmark = pytest.mark.anyio


class Base(ModelProvider):
    """A provider with an endpoint."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (FormField("base_url", default="http://127.0.0.1:9", role="endpoint", endpoint=EndpointRule("http")),)
        return ProviderSchema(
            "base",
            supported_model_types=tuple(ModelType),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
        )


class Bare(Base):
    """Six classes in which nothing is written."""

    llm = LargeLanguageModel
    text_embedding = TextEmbeddingModel
    rerank = RerankModel
    speech2text = Speech2TextModel
    tts = TTSModel
    moderation = ModerationModel


class BareHttp(Base):
    """The same over HTTP."""

    llm = HttpLargeLanguageModel
    text_embedding = HttpTextEmbeddingModel
    rerank = HttpRerankModel
    speech2text = HttpSpeech2TextModel
    tts = HttpTTSModel
    moderation = HttpModerationModel


CALLS: list[tuple[str, Any]] = [
    ("LargeLanguageModel", lambda hub: hub.chat("base/m", "Hi")),
    ("LargeLanguageModel", lambda hub: hub.stream("base/m", "Hi").__aenter__()),
    ("TextEmbeddingModel", lambda hub: hub.embed("base/m", "x")),
    ("RerankModel", lambda hub: hub.rerank("base/m", "?", ["x"])),
    ("Speech2TextModel", lambda hub: hub.transcribe("base/m", b"x")),
    ("TTSModel", lambda hub: hub.speak("base/m", "x")),
    ("TTSModel", lambda hub: hub.stream(SpeechRequest(model="base/m", text="x")).__aenter__()),
    ("ModerationModel", lambda hub: hub.moderate("base/m", "x")),
]


@pytest.mark.parametrize(("name", "call"), CALLS)
async def test_a_class_in_which_nothing_is_written(name: str, call: Any) -> None:
    """The class and the method that is missing."""
    async with ModelHub({}, providers=[Bare]) as hub:
        with pytest.raises(PluginError, match=f"{name} has no ") as caught:
            await call(hub)
    assert "author must write" in (caught.value.remedy or "")


@pytest.mark.parametrize(("name", "call"), CALLS)
async def test_an_http_class_in_which_nothing_is_written(name: str, call: Any) -> None:
    """It is `encode` that is called first."""
    async with ModelHub({}, providers=[BareHttp]) as hub:
        with pytest.raises(PluginError, match=f"Http{name} has no encode"):
            await call(hub)


@pytest.mark.parametrize("name", ["embed", "rerank", "transcribe", "moderate", "chat"])
async def test_a_class_that_cannot_read_the_answer(name: str) -> None:
    """The request is sent, and what fails is the author's `decode`."""

    def encode(*_: object) -> HttpCall:
        return HttpCall("/x", json={})

    classes: dict[str, Any] = {
        kind: type(f"Half{kind}", (getattr(BareHttp, kind),), {"encode": encode})
        for kind in ("llm", "text_embedding", "rerank", "speech2text", "moderation")
    }
    provider = type("Half", (Base,), classes)
    arguments: dict[str, tuple[Any, ...]] = {"rerank": ("?", ["x"]), "transcribe": (b"x",)}
    async with WireServer(json_reply({})) as server, ModelHub({}, providers=[provider]) as hub:
        verb = getattr(hub.bind({"provider": "base", "model": "m", "credentials": {"base_url": server.url}}), name)
        with pytest.raises(PluginError, match=r"Half\w+ has no decode"):
            await verb(*arguments.get(name, ("x",)))
        assert len(server.requests) == 1


class WholeLLM(LargeLanguageModel):
    """A model that only knows whole answers."""

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Answer."""
        return ChatResult(message=AssistantMessage("Halo"), finish_reason=FinishReason.STOP, output=None)


class WholeTTS(TTSModel):
    """A voice that only knows whole answers."""

    async def invoke(self, request: SpeechRequest, context: ProviderContext) -> SpeechResult:
        """Speak."""
        return SpeechResult(audio=b"RIFF", mime=self.mime(request))


class StreamedTTS(TTSModel):
    """A voice that only knows streams."""

    async def stream(self, request: SpeechRequest, context: ProviderContext) -> AsyncGenerator[Any, None]:
        """Speak."""
        yield AudioDelta(b"RI")
        yield AudioDelta(b"FF")
        yield Finish(FinishReason.STOP)


@pytest.mark.parametrize("voice", [WholeTTS, StreamedTTS])
async def test_each_way_gives_the_other(voice: type[TTSModel]) -> None:
    """Whoever writes `invoke` is streamed as one piece, whoever writes `stream` is folded."""
    provider = type("Whole", (Base,), {"llm": WholeLLM, "tts": voice})
    async with ModelHub({}, providers=[provider]) as hub:
        async with hub.stream("base/m", "Hi") as stream:
            assert [text async for text in stream.text()] == ["Halo"]
        sound = await hub.speak("base/m", "x", format="mp3")
        assert (sound.audio, sound.mime) == (b"RIFF", "audio/mp3")
        async with hub.stream(SpeechRequest(model="base/m", text="x")) as speech:
            assert b"".join([event.data async for event in speech if event.type == "audio"]) == b"RIFF"


async def test_a_class_that_returns_something_else() -> None:
    """Is named."""

    class Wrong(LargeLanguageModel):
        async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> Any:
            return EmbedResult(vectors=[]) if request.messages[0].content == "vectors" else "text"

    provider = type("Provider", (Base,), {"llm": Wrong})
    async with ModelHub({}, providers=[provider]) as hub:
        for word, said in (("text", "returned a str"), ("vectors", "EmbedResult")):
            with pytest.raises(PluginError, match=said):
                await hub.chat("base/m", word)


async def test_a_vendors_own_words_for_its_errors() -> None:
    """By `error_codes`, or by a `classify` of the author's."""

    class Chat(HttpLargeLanguageModel):
        def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
            return HttpCall("/chat", json={})

    class Coded(Base):
        llm = Chat
        error_codes: ClassVar[Mapping[str, type[ModelHubError]]] = {"no_credit": QuotaExhausted}

    class Classified(Base):
        llm = Chat

        def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
            return QuotaExhausted("pay first") if b"no_credit" in body else super().classify(status, headers, body)

    for provider in (Coded, Classified):
        replies = [json_reply({}, 503), json_reply({"error": {"message": "x", "code": "no_credit"}}, 400)]
        async with WireServer(replies) as server, ModelHub({"routing": {"retries": 0}}, providers=[provider]) as hub:
            credentials = {"base_url": server.url}
            with pytest.raises(ModelHubError, match="503"):
                await hub.chat("base/m", "Hi", credentials=credentials)
            with pytest.raises(QuotaExhausted):
                await hub.chat("base/m", "Hi", credentials=credentials)
