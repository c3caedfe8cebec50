"""Every verb of the hub over real sockets: what the vendor is asked, and what the application gets."""

import gzip
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from modelhub import ModelHub, UserMessage
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConfigurationError,
    MalformedResponse,
    ModelHubError,
    ServerError,
    StreamInterrupted,
    UnsupportedFeature,
)
from modelhub.testing.replies import Reply, json_reply, sse_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.events import FinishReason
from modelhub.types.requests import ChatRequest, EmbedRequest, ModerationRequest, SpeechRequest
from modelhub.types.usage import Usage

pytestmark = pytest.mark.anyio


async def test_chat(acme: Any, vendor: Any) -> None:
    """One request, one document, one result."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        options: dict[str, Any] = {"credentials": {"base_url": server.url, "api_key": "k-1"}}
        reply = await hub.chat("acme/large", "Halo dunia", system="Be brief.", temperature=0.5, **options)
    assert (reply.text, reply.finish_reason, reply.usage) == ("Halo dunia", FinishReason.STOP, Usage(3, 2))
    assert (reply.model, reply.warnings, reply.output) == ("acme/large", (), None)
    assert server.requests[0].headers["authorization"] == "Bearer k-1"
    assert server.requests[0].json == {
        "model": "large",
        "messages": [{"role": "system", "text": "Be brief."}, {"role": "user", "text": "Halo dunia"}],
        "stream": False,
        "temperature": 0.5,
    }


async def test_stream(acme: Any, vendor: Any) -> None:
    """The same conversation in events, to the same result."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        async with hub.stream("acme/m", [UserMessage("a b c")], credentials={"base_url": server.url}) as stream:
            texts = [event.text async for event in stream if event.type == "text"]
        assert texts == ["a", "b", "c"]
        assert (stream.result.text, stream.result.usage) == ("abc", Usage(3, 2))
        assert stream.result.timing is not None
        assert stream.result.timing.first_content is not None
        assert server.requests[0].json["stream"] is True  # type: ignore[index,call-overload]


async def test_a_request_of_the_applications_own(acme: Any, vendor: Any) -> None:
    """`invoke` answers any of them, `stream` those that come in pieces."""
    async with WireServer(vendor) as server:
        config = {"credentials": {"acme": {"base_url": server.url}}}
        async with ModelHub(config, providers=[acme]) as hub:
            request = ChatRequest[None](model="acme/m", messages=(UserMessage("Hi"),), timeout=5)
            assert (await hub.invoke(request)).text == "Hi"
            assert (await hub.invoke(EmbedRequest(model="acme/m", texts=("x",)))).dimensions == 2
            assert (await hub.invoke(ModerationRequest(model="acme/m", text="x"))).flagged
            async with hub.stream(request) as stream:
                assert [text async for text in stream.text()] == ["Hi"]
            with pytest.raises(BadRequest):
                await hub.invoke(ChatRequest[None](model="acme/m", messages=()))
            with pytest.raises(BadRequest, match="dict is no request"):
                await hub.invoke({"model": "acme/m"})  # type: ignore[arg-type]
            with pytest.raises(UnsupportedFeature, match="do not come as a stream"):
                async with hub.stream(EmbedRequest(model="acme/m", texts=("x",))):  # type: ignore[call-overload]
                    pytest.fail("entered")


async def test_embed(acme: Any) -> None:
    """In the vendor's batches, answered in any order, back in order, and not all at once."""
    running, most = 0, 0

    async def slow_at_first(request: Any) -> Reply:
        nonlocal running, most
        running += 1
        most = max(most, running)
        texts = request.json["texts"]
        await anyio.sleep(0.03 if "0" in texts else 0.005)
        running -= 1
        return json_reply({"vectors": [[float(text)] for text in texts], "in": len(texts)})

    async with WireServer(slow_at_first) as server, ModelHub(providers=[acme]) as hub:
        texts = [str(number) for number in range(50)]
        result = await hub.embed(
            "acme/m", texts, input_type="document", dimensions=1, credentials={"base_url": server.url}
        )
    assert result.vectors == [[float(number)] for number in range(50)]
    assert result.usage is not None
    assert result.usage.input_tokens == 50
    assert result.usage.requests > 1
    assert len(server.requests) == 13
    assert most == 4
    assert server.connections == 4
    assert server.requests[0].json["type"] == "document"  # type: ignore[index,call-overload]
    assert server.requests[0].json["dimensions"] == 1  # type: ignore[index,call-overload]


async def test_embed_fails_as_a_whole(acme: Any, vendor: Any) -> None:
    """With the vendor's own error, bare, however many batches it refuses; nothing is left open."""
    calls = 0

    def refuses_from_the_third(request: Any) -> Reply:
        nonlocal calls
        calls += 1
        return vendor(request) if calls < 3 else json_reply({"error": "out of memory"}, 500)

    async with WireServer(refuses_from_the_third) as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(ServerError, match="out of memory"):
            await hub.embed("acme/m", ["x"] * 100, credentials={"base_url": server.url})
    assert len(server.requests) < 25


@pytest.mark.parametrize(
    "answer",
    [{"vectors": [[1.0]], "in": 1}, {"vectors": [[1.0], ["x"]], "in": 1}, {"vectors": [[1.0], [1.0, 2.0]], "in": 1}],
)
async def test_vectors_that_do_not_fit(acme: Any, answer: Any) -> None:
    """The vendor's mistake is not handed on as numbers."""
    async with WireServer(json_reply(answer)) as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(MalformedResponse):
            await hub.embed("acme/m", ["a", "b"], credentials={"base_url": server.url})


async def test_rerank(acme: Any, vendor: Any) -> None:
    """Best first, cut here, with the caller's own documents."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        ranking = await hub.rerank("acme/m", "?", ["a", "ccc", "bb"], top_n=2, credentials={"base_url": server.url})
    assert [(each.index, each.document) for each in ranking.documents] == [(1, "ccc"), (2, "bb")]


async def test_transcribe(acme: Any, vendor: Any, tmp_path: Path) -> None:
    """From bytes or from a file, whose name tells the format."""
    recording = tmp_path / "é.flac"
    recording.write_bytes(b"fLaC" + bytes(100))
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        model = hub.bind({"provider": "acme", "credentials": {"base_url": server.url}})
        for audio in (recording, str(recording)):
            assert "bytes" in (await model.transcribe(audio, language="id", prompt="é")).text
        for data in (b"RIFF....", b"OggS", b"ID3", b"....ftyp", b"fLaC", b"\x1aE\xdf\xa3", b"unknown"):
            await model.transcribe(data)
    assert 'filename="é.flac"'.encode() in server.requests[0].body
    assert b"\r\n\r\nid\r\n" in server.requests[0].body
    names = [request.body.split(b'filename="')[1].split(b'"')[0].decode() for request in server.requests[2:]]
    assert [name.partition(".")[2] for name in names] == ["wav", "ogg", "mp3", "m4a", "flac", "webm", "mp3"]


@pytest.mark.parametrize("audio", ["missing.wav", ".", "\0", 7, None])
async def test_a_recording_that_cannot_be_read(acme: Any, audio: Any, tmp_path: Path) -> None:
    """Is the caller's mistake, and nothing is sent."""
    given = tmp_path / audio if audio == "missing.wav" else audio
    async with WireServer() as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(BadRequest) as caught:
            await hub.transcribe("acme/m", given, credentials={"base_url": server.url})
    assert caught.value.parameter == "audio"
    assert server.requests == []


async def test_speak(acme: Any, vendor: Any) -> None:
    """Whole, or in the pieces that it comes in."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        model = hub.bind({"provider": "acme", "credentials": {"base_url": server.url}})
        sound = await model.speak("Halo", voice="a", format="mp3", speed=1.5)
    assert (sound.audio, sound.mime) == (b"RIFF", "audio/mp3")
    assert server.requests[0].json == {"text": "Halo", "voice": "a", "speed": 1.5}
    async with WireServer(vendor) as server:
        config = {"credentials": {"acme": {"base_url": server.url}}}
        async with ModelHub(config, providers=[acme]) as hub:
            async with hub.stream(SpeechRequest(model="acme/m", text="x")) as stream:
                pieces = [event.data async for event in stream if event.type == "audio"]
            assert pieces == [b"RI", b"FF"]
            assert stream.result.audio == b"RIFF"


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"error": "no voice"}, 400),
        json_reply({"error": "no voice"}),
        Reply(200, {"content-type": "text/html"}, b"<html>"),
        Reply(200, {}, gzip.compress(b"x"), cut_after=5),
    ],
)
async def test_speech_that_fails(acme: Any, reply: Reply) -> None:
    """JSON, a web page or half an answer is no sound."""
    async with WireServer(reply) as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(ModelHubError):
            await hub.speak("acme/m", "x", credentials={"base_url": server.url})


async def test_moderate(acme: Any, vendor: Any) -> None:
    """The vendor's own categories, whatever their names."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        verdict = await hub.moderate("acme/m", "x", credentials={"base_url": server.url})
    assert verdict.flagged
    assert verdict.categories == {"hate/threatening": True}


async def test_count_tokens(acme: Any, vendor: Any) -> None:
    """By the vendor's own count."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        count = await hub.count_tokens("acme/m", "Hi", system="x", credentials={"base_url": server.url})
    assert (count.tokens, count.estimated) == (7, False)
    assert len(server.requests[0].json) == 2  # type: ignore[arg-type]


async def test_a_model_type_that_the_provider_lacks(acme: Any) -> None:
    """Says which types it has."""

    class OnlyChat(acme):  # type: ignore[misc]
        text_embedding = None

    async with WireServer() as server, ModelHub(providers=[OnlyChat]) as hub:
        with pytest.raises(UnsupportedFeature, match=r"text-embedding .*llm"):
            await hub.embed("acme/m", ["x"], credentials={"base_url": server.url})


async def test_a_keyword_without_meaning(acme: Any) -> None:
    """Is refused by name, with the nearest, before anything is looked up."""
    async with ModelHub(providers=[acme]) as hub:
        with pytest.raises(BadRequest, match="timout") as caught:
            await hub.embed("acme/m", ["x"], timout=5)  # type: ignore[call-arg]
        assert "'timeout'" in (caught.value.remedy or "")
        with pytest.raises(BadRequest, match="temperature"):
            await hub.moderate("acme/m", "x", temperature=1)  # type: ignore[call-arg]
        for timeout in (0, -1, float("nan"), True, "5"):
            with pytest.raises(BadRequest) as caught:
                await hub.chat("acme/m", "Hi", timeout=timeout)  # type: ignore[arg-type]
            assert caught.value.parameter == "timeout"


async def test_a_limit_of_time_for_the_whole_call(acme: Any) -> None:
    """Ends it wherever it is, and no second request is sent."""
    async with WireServer(Reply(delay=5)) as server, ModelHub(providers=[acme]) as hub:
        start = time.monotonic()
        with pytest.raises(ModelHubError, match=r"0\.1 s") as caught:
            await hub.chat("acme/m", "Hi", timeout=0.1, credentials=[{"base_url": server.url}] * 2)
        assert time.monotonic() - start < 1
        assert caught.value.scope == "caller"
        await server.disconnected()
    assert len(server.requests) == 1


async def test_an_error_inside_an_answer(acme: Any) -> None:
    """Before content it is the error itself, after it an interruption, and the key is in neither."""
    errors = [{"error": {"message": f"bad k-secret-{number}", "code": 401}} for number in (1, 2, 3)]
    replies = [json_reply(errors[0]), sse_reply([errors[1]]), sse_reply([{"text": "half"}, errors[2]])]
    async with WireServer(replies) as server, ModelHub(providers=[acme]) as hub:

        def key(number: int) -> dict[str, Any]:
            return {"credentials": {"base_url": server.url, "api_key": f"k-secret-{number}"}}

        with pytest.raises(AuthenticationFailed) as first:
            await hub.chat("acme/m", "Hi", **key(1))
        with pytest.raises(AuthenticationFailed) as second:
            async with hub.stream("acme/m", "Hi", **key(2)):
                pytest.fail("entered")
        with pytest.raises(StreamInterrupted) as third:
            async with hub.stream("acme/m", "Hi", **key(3)) as stream:
                _ = [event async for event in stream]
    assert isinstance(third.value.__cause__, AuthenticationFailed)
    for caught in (first.value, second.value, third.value, third.value.__cause__):
        assert "k-secret-" not in f"{caught} {caught!r}"


async def test_many_streams_at_once(acme: Any) -> None:
    """Fifty, each with its own answer, and afterwards their connections serve again."""
    reply = lambda request: sse_reply(  # noqa: E731  an answer that knows what was asked
        [{"text": request.json["messages"][0]["text"]}] * 20 + [{"end": "stop", "in": 1, "out": 1}], done=False
    )
    texts: dict[int, str] = {}
    async with WireServer(reply) as server, ModelHub(providers=[acme]) as hub:
        model = hub.bind({"provider": "acme", "credentials": {"base_url": server.url}})

        async def ask(number: int) -> None:
            async with model.stream(f"{number},") as stream:
                texts[number] = "".join([text async for text in stream.text()])

        for _ in range(2):
            async with anyio.create_task_group() as group:
                for number in range(50):
                    group.start_soon(ask, number)
            assert texts == {number: f"{number}," * 20 for number in range(50)}
        assert server.connections <= 50


async def test_settings_that_name_nobody(acme: Any) -> None:
    """A model is named by its provider first."""
    async with ModelHub(providers=[acme]) as hub:
        for model in ("", "/m", [], None, 7, ["acme/m", 7]):
            with pytest.raises(ConfigurationError):
                await hub.chat(model, "Hi")  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", ["hang", "fin", "rst"])
@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b""])
async def test_an_answer_ends_where_the_vendor_says(acme: Any, cut: Any, done: bytes) -> None:
    """A server that keeps the connection open behind it, or breaks it, has answered: at once, and whole."""
    events = b'data: {"text": "x"}\n\ndata: {"end": "stop", "in": 1, "out": 1}\n\n'
    body = events + done
    chunks = [body, b'data: {"text": "more"}\n\n']
    head = len(f"{len(body):x}\r\n")
    reply = Reply(200, chunks=chunks, chunked=True, cut_after=head + len(body) + 2, cut=cut)
    async with WireServer(reply) as server, ModelHub({}, providers=[acme]) as hub:
        start = time.monotonic()
        async with hub.stream("acme/m", "Hi", credentials={"base_url": server.url}) as stream:
            assert [event.type async for event in stream] == ["text", "finish"]
        assert time.monotonic() - start < 0.5
        assert (stream.result.text, stream.result.usage) == ("x", Usage(1, 1))
        await server.all_closed()


async def test_a_connection_serves_again_after_a_stream(acme: Any, vendor: Any) -> None:
    """What follows the last event is read, so that the next request need not connect anew."""
    async with WireServer(vendor) as server, ModelHub({}, providers=[acme]) as hub:
        for _ in range(3):
            async with hub.stream("acme/m", "Hi", credentials={"base_url": server.url}) as stream:
                _ = [event async for event in stream]
            await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})
    assert server.connections == 1
