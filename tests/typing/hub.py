"""What both type checkers must infer of the hub's verbs, and what they must refuse. Read by them, never run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_type

from modelhub import (
    AssistantMessage,
    AudioEvent,
    BoundModel,
    ChatEvent,
    ChatRequest,
    ChatResult,
    EmbedRequest,
    EmbedResult,
    Message,
    ModelHub,
    ModelSchema,
    ModerationRequest,
    ModerationResult,
    Progress,
    ProviderInfo,
    RerankRequest,
    RerankResult,
    SpeechRequest,
    SpeechResult,
    Stream,
    TokenCount,
    TranscriptionRequest,
    TranscriptionResult,
    UserMessage,
    ValidationReport,
    tool,
)
from modelhub.types.json import JSON


@dataclass
class Invoice:
    """A shape that an answer may be asked to have."""

    total: float


@tool
def weather(city: str, days: int = 1) -> str:
    """Forecast the weather."""
    return f"{city}: sun for {days} days"


async def a_chat_is_typed_by_its_response_format(hub: ModelHub, model: BoundModel) -> None:
    """Without one there is no output; with a type it is of that type; with a schema it is JSON."""
    assert_type(await hub.chat("a/m", "Hi"), ChatResult[None])
    assert_type((await hub.chat("a/m", "Hi", response_format=Invoice)).output, Invoice)
    assert_type((await hub.chat(["a/m", "b/m"], "Hi", response_format={"type": "object"})).output, JSON)
    assert_type((await hub.chat("a/m", "Hi", response_format="json")).output, JSON)
    assert_type((await hub.chat("a/m", "Hi", response_format=list[Invoice])).output, list[Invoice])
    assert_type(await model.chat("Hi"), ChatResult[None])
    assert_type((await model.chat("Hi", response_format=Invoice)).output, Invoice)
    assert_type((await model.chat("Hi", response_format="json")).output, JSON)


async def a_stream_is_typed_by_what_is_asked(hub: ModelHub, model: BoundModel) -> None:
    """Its events and its result; a speech stream has sound."""
    assert_type(hub.stream("a/m", "Hi"), Stream[ChatEvent, ChatResult[None]])
    assert_type(hub.stream("a/m", "Hi", response_format=Invoice), Stream[ChatEvent, ChatResult[Invoice]])
    assert_type(hub.stream(SpeechRequest(text="x")), Stream[AudioEvent, SpeechResult])
    assert_type(model.stream("Hi", response_format=Invoice), Stream[ChatEvent, ChatResult[Invoice]])
    async with hub.stream("a/m", "Hi", response_format=Invoice) as stream:
        async for event in stream:
            if event.type == "text":
                assert_type(event.text, str)
            elif event.type == "tool_call":
                assert_type(event.arguments, str)
        assert_type(stream.result.output, Invoice)
        assert_type(stream.partial.text, str)
    async with hub.stream(SpeechRequest(text="x")) as sound:
        async for piece in sound:
            if piece.type == "audio":
                assert_type(piece.data, bytes)


async def a_request_names_its_result(hub: ModelHub, plain: ChatRequest[None], shaped: ChatRequest[Invoice]) -> None:
    """`invoke` gives the result of the request's own type."""
    assert_type(await hub.invoke(plain), ChatResult[None])
    assert_type((await hub.invoke(shaped)).output, Invoice)
    assert_type(await hub.invoke(EmbedRequest(texts=["x"])), EmbedResult)
    assert_type(await hub.invoke(RerankRequest(query="?", documents=["x"])), RerankResult)
    assert_type(await hub.invoke(TranscriptionRequest(audio=b"x")), TranscriptionResult)
    assert_type(await hub.invoke(SpeechRequest(text="x")), SpeechResult)
    assert_type(await hub.invoke(ModerationRequest(text="x")), ModerationResult)
    assert_type(hub.stream(shaped), Stream[ChatEvent, ChatResult[Invoice]])


async def the_other_verbs(hub: ModelHub, model: BoundModel) -> None:
    """Each with a result of its own, on the hub and on a bound model."""
    assert_type(await hub.embed("a/m", ["x"], input_type="document", timeout=5), EmbedResult)
    assert_type(await hub.rerank("a/m", "?", ["x"], top_n=1), RerankResult)
    assert_type(await hub.transcribe("a/m", Path("x.wav"), language="id"), TranscriptionResult)
    assert_type(await hub.speak("a/m", "x", voice="a"), SpeechResult)
    assert_type(await hub.moderate("a/m", "x"), ModerationResult)
    assert_type(await hub.count_tokens("a/m", "x", tools=[weather]), TokenCount)
    assert_type(await hub.providers(), list[ProviderInfo])
    assert_type(await hub.models("a"), Sequence[ModelSchema])
    assert_type(await hub.info("a/m"), ModelSchema)
    assert_type(await hub.validate("a", {"api_key": "k"}), ValidationReport)
    async for progress in hub.operate("a", "pull", model="m"):
        assert_type(progress, Progress)
    assert_type(await model.embed("x"), EmbedResult)
    assert_type(await model.info(), ModelSchema)
    assert_type(hub.bind({"provider": "a", "credentials": [{"base_url": "http://a"}]}), BoundModel)
    assert_type(hub.bind({"provider": "a", "credentials": ["http://a", "http://b"]}), BoundModel)
    assert_type(hub.bind(["a/m", "b/m"]), BoundModel)
    await hub.embed("a/m", "x", credentials=["https://a", {"base_url": "https://b"}])


async def a_conversation_goes_on(hub: ModelHub) -> None:
    """What was said goes back as it is, and a tool is still the function that it was."""
    history: list[Message] = [UserMessage("Hi")]
    reply = await hub.chat("a/m", history, tools=[weather], tool_choice="auto", temperature=0.2, reasoning="low")
    assert_type(reply.message, AssistantMessage)
    history.append(reply.message)
    await hub.chat("a/m", [*history, {"role": "user", "content": "And?"}])
    assert_type(weather("Bandung", days=2), str)


async def what_is_wrong_is_refused(hub: ModelHub, model: BoundModel) -> None:
    """A misspelt or mistyped keyword fails the type check, before anything runs."""
    await hub.chat("a/m", "Hi", temprature=0.2)  # type: ignore[call-overload]
    await hub.chat("a/m", "Hi", temperature="hot")  # type: ignore[call-overload]
    await hub.chat("a/m", "Hi", reasoning="very")  # type: ignore[call-overload]
    await model.chat("Hi", max_token=5)  # type: ignore[call-overload]
    await model.chat("Hi", tools=[print])  # type: ignore[list-item]
    await hub.embed("a/m", "x", credentials=[5])  # type: ignore[list-item]
    await hub.embed("a/m", ["x"], temperature=0.2)  # type: ignore[call-arg]
    await hub.embed("a/m", ["x"], input_type="documents")  # type: ignore[arg-type]
    await hub.rerank("a/m", ["x"])  # type: ignore[call-arg,arg-type]
    hub.stream(EmbedRequest(texts=["x"]))  # type: ignore[call-overload]
    weather(town="Bandung")  # type: ignore[call-arg]
    ModelHub(policy="lax")  # type: ignore[arg-type]
