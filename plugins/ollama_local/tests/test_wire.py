"""Conversations through the hub over real sockets, on asyncio and trio: cuts, breaks, cancels, encodings, limits."""

import base64
import gzip
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest
from tests.canary import CANARY

from modelhub import ModelHub, StreamInterrupted, UserMessage
from modelhub.errors import (
    BadRequest,
    ConnectFailed,
    ConnectionLost,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    Timeout,
    UnsupportedFeature,
)
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, json_reply, ndjson_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.messages import MediaPart, TextPart, ToolMessage
from modelhub.types.results import ChatResult
from modelhub.types.tools import Tool
from modelhub.wire.decoder import TruncatedResponse

pytestmark = pytest.mark.anyio

Recordings = Mapping[str, Any]
Routes = Callable[..., dict[tuple[str, str], Any]]

MODEL = "ollama_local/smollm2:135m"
TEXTS = ["Halo é", " 日本", " 🙂‍↕️", " a\u2028b\u2029c\u0085d"]
NDJSON = {"content-type": "application/x-ndjson"}
SECRET = CANARY
ONCE: dict[str, Any] = {"routing": {"retries": 0}}  # what one request ends with is what is told
IN_ORDER: dict[str, Any] = {"routing": {"pick": "priority"}}


def piece(text: str, **fields: Any) -> dict[str, Any]:
    """Return a document that is not the last."""
    return {"model": "smollm2:135m", "message": {"role": "assistant", "content": text}, "done": False, **fields}


DONE = {**piece(""), "done": True, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 4}


def lines(*documents: Any) -> bytes:
    """Return documents as the server writes them, with nothing escaped that need not be."""
    return b"".join(json.dumps(document, ensure_ascii=False).encode() + b"\n" for document in documents)


WHOLE = lines(*map(piece, TEXTS), DONE)


async def read(url: str, model: str = MODEL, **options: Any) -> tuple[str, ChatResult[Any]]:
    """Read a stream to its end; return the text as it came, and the result."""
    async with ModelHub(ONCE) as hub, hub.stream(model, "Hi", credentials={"base_url": url}, **options) as stream:
        texts = [event.text async for event in stream if event.type == "text"]
        return "".join(texts), stream.result


async def chat(url: str, model: str = MODEL, messages: Any = "Hi", **options: Any) -> ChatResult[Any]:
    """Ask for a whole answer."""
    async with ModelHub(ONCE) as hub:
        reply: ChatResult[Any] = await hub.chat(model, messages, credentials={"base_url": url}, **options)
        return reply


def asked(server: WireServer, path: str = "/api/chat") -> list[Any]:
    """Return the bodies that came to a path."""
    return [request.json for request in server.requests if request.path == path]


# -- framing


@pytest.mark.parametrize("split", [None, "bytes"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_one_byte_a_write_gives_what_one_write_gives(ollama: Routes, split: Any, chunked: bool) -> None:  # noqa: FBT001
    """Characters of several bytes and what Unicode calls line ends arrive whole, however they are cut."""
    async with WireServer(ollama(chat=Reply(200, NDJSON, WHOLE, split=split, chunked=chunked))) as server:
        text, result = await read(server.url)
    assert text == result.text == "".join(TEXTS)
    assert "\ufffd" not in text
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (12, 4)


@pytest.mark.parametrize("name", ["chat-stream", "chat-think-stream", "chat-tools-stream", "chat-schema-stream"])
async def test_a_recording_replayed_byte_by_byte_is_the_same_answer(
    ollama: Routes, recordings: Recordings, name: str
) -> None:
    """In its own parts and in single bytes: the same parts, counts and reason."""
    reply = recorded(recordings[name])
    bytewise = Reply(200, NDJSON, recordings[name]["response"]["body"], split="bytes", chunked=True)
    results = []
    async with WireServer(ollama(chat=iter([reply, bytewise]))) as server:
        results = [(await read(server.url))[1] for _ in range(2)]
    first, second = results
    assert first.message.parts == second.message.parts
    assert (first.usage, first.finish_reason) == (second.usage, second.finish_reason)
    assert first.message.parts


async def test_blank_lines_spaces_and_a_missing_last_newline_are_accepted(ollama: Routes) -> None:
    """The last document is whole without its line end."""
    body = b"\n\r\n  " + lines(piece("a")).rstrip() + b"  \r\n\n" + lines(DONE).rstrip()
    async with WireServer(ollama(chat=Reply(200, NDJSON, body))) as server:
        assert (await read(server.url))[0] == "a"


async def test_a_line_of_a_megabyte_is_read(ollama: Routes) -> None:
    """Tool arguments may be long."""
    call = {"function": {"name": "write", "arguments": {"text": "x" * 1_000_000}}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    async with WireServer(ollama(chat=ndjson_reply([{**piece(""), "message": message}, DONE]))) as server:
        _, result = await read(server.url)
    assert len(result.tool_calls[0].arguments["text"]) == 1_000_000  # type: ignore[index, arg-type]


async def test_a_line_without_an_end_is_given_up(ollama: Routes) -> None:
    """Memory is bounded: after 8 MiB the connection is closed."""
    endless = Reply(200, NDJSON, chunks=[b'{"message": "' + b"x" * 65536] + [b"x" * 65536] * 200, chunked=True)
    async with WireServer(ollama(chat=endless)) as server:
        with pytest.raises(MalformedResponse, match="longer than"):
            await read(server.url)
        await server.all_closed()


@pytest.mark.parametrize("bad", [b'{"message": nope}\n', b'{"message": "\xff"}\n', b"[1]\n", b'"text"\n'])
async def test_a_malformed_line_is_never_skipped(ollama: Routes, bad: bytes) -> None:
    """Before the first content the error itself, after it the interruption with what came."""
    before = Reply(200, NDJSON, bad + lines(piece("lost"), DONE))
    after = Reply(200, NDJSON, lines(piece("kept")) + bad + lines(piece("lost"), DONE))
    async with WireServer(ollama(chat=iter([before, after]))) as server:
        with pytest.raises(MalformedResponse):
            await read(server.url)
        with pytest.raises(StreamInterrupted) as caught:
            await read(server.url)
    assert isinstance(caught.value.__cause__, MalformedResponse)
    assert caught.value.partial.text == "kept"  # type: ignore[union-attr]


@pytest.mark.parametrize("ask", [read, chat])
async def test_a_web_page_in_place_of_an_answer_names_the_url(ollama: Routes, ask: Any) -> None:
    """A captive portal answers 200."""
    page = Reply(200, {"content-type": "text/html; charset=utf-8"}, "<html>Sign in</html>")
    async with WireServer(ollama(chat=page)) as server:
        with pytest.raises(MalformedResponse, match=r"127\.0\.0\.1:\d+/api/chat") as caught:
            await ask(server.url)
    assert not isinstance(caught.value, StreamInterrupted)


async def test_a_compressed_stream_is_read_as_it_comes(ollama: Routes) -> None:
    """A proxy may compress; the first text is there before the last is sent."""
    data = gzip.compress(WHOLE)
    reply = Reply(200, {**NDJSON, "content-encoding": "gzip"}, data, split="bytes", chunked=True)
    async with WireServer(ollama(chat=reply)) as server:
        assert (await read(server.url))[0] == "".join(TEXTS)


async def test_a_whole_answer_in_place_of_a_stream_is_understood(ollama: Routes, recordings: Recordings) -> None:
    """Proxies that do not know `stream` answer with one document."""
    async with WireServer(ollama(chat=recorded(recordings["chat"]))) as server:
        text, result = await read(server.url)
    assert text.startswith("I'm so glad")
    assert result.finish_reason == "length"


async def test_white_space_before_a_whole_answer_is_no_matter(ollama: Routes) -> None:
    """Keep-alive newlines of a proxy."""
    body = b"\n\n  " + lines({**DONE, "message": {"role": "assistant", "content": "a"}})
    async with WireServer(ollama(chat=Reply(200, {"content-type": "application/json"}, body))) as server:
        assert (await chat(server.url)).text == "a"


# -- ends


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what is left of a line is the same on both
async def test_a_recorded_stream_cut_after_every_byte(ollama: Routes, recordings: Recordings) -> None:
    """Never a silent truncation: an error before the first content, an interruption after it, success when whole."""
    body = recordings["chat-stream-default"]["response"]["body"].encode()
    first = len(body.splitlines(keepends=True)[0])
    text = "".join(json.loads(line)["message"]["content"] for line in body.splitlines())
    replies = [Reply(200, NDJSON, body, length=False, cut_after=cut) for cut in range(len(body) + 1)]
    async with WireServer(ollama(chat=replies)) as server, ModelHub(ONCE) as hub:
        bound = hub.bind({"provider": "ollama_local", "model": "smollm2:135m", "credentials": {"base_url": server.url}})
        for cut in range(len(body) + 1):
            came = ""
            try:
                async with bound.stream("Hi") as stream:
                    came = "".join([event.text async for event in stream if event.type == "text"])
            except ModelHubError as error:
                failed: ModelHubError | None = error
            else:
                failed = None
            if cut >= len(body) - 1:  # whole without its last newline
                assert (failed, came) == (None, text)
            elif cut < first - 1:
                assert type(failed) in (ConnectionLost, MalformedResponse, TruncatedResponse), cut
            else:
                assert isinstance(failed, StreamInterrupted), cut
                partial: Any = failed.partial
                assert partial.text, cut
                assert text.startswith(partial.text)
    assert len(asked(server)) == len(body) + 1


@pytest.mark.parametrize("cut", ["fin", "rst"])
async def test_a_server_that_is_killed_is_an_interruption(ollama: Routes, cut: Any) -> None:
    """A chunked body without its last chunk, by an end or a reset of the connection."""
    reply = Reply(200, NDJSON, chunks=[lines(piece(text)) for text in TEXTS], chunked=True, cut_after=300, cut=cut)
    async with WireServer(ollama(chat=reply)) as server:
        with pytest.raises(StreamInterrupted) as caught:
            await read(server.url)
    assert caught.value.partial.text.startswith(TEXTS[0])  # type: ignore[union-attr]
    assert isinstance(caught.value.__cause__, ConnectionLost)


async def test_an_end_without_done_is_an_interruption(ollama: Routes) -> None:
    """The server ends a stream of thirty equal tokens so, under status 200, properly closed."""
    async with WireServer(ollama(chat=ndjson_reply([piece("a"), piece("a")]))) as server:
        with pytest.raises(StreamInterrupted) as caught:
            await read(server.url)
    assert caught.value.partial.text == "aa"  # type: ignore[union-attr]


async def test_a_whole_answer_that_is_not_done_is_none(ollama: Routes) -> None:
    """The same, without a stream: `done` is false."""
    async with WireServer(ollama(chat=json_reply(piece("aaa")))) as server:
        with pytest.raises(StreamInterrupted) as caught:
            await chat(server.url)
    assert caught.value.partial.text == "aaa"  # type: ignore[union-attr]


async def test_a_runner_that_dies_is_an_interruption_with_its_words(ollama: Routes, recordings: Recordings) -> None:
    """As it was recorded: six texts, then the error line."""
    async with WireServer(ollama(chat=recorded(recordings["runner-killed"]))) as server:
        with pytest.raises(StreamInterrupted, match="an error was encountered while running the model") as caught:
            await read(server.url)
    assert caught.value.partial.text == "The river was a life-"  # type: ignore[union-attr]
    assert isinstance(caught.value.__cause__, ServerError)
    assert len(asked(server)) == 1


async def test_an_error_line_before_any_content_is_the_error_itself(ollama: Routes) -> None:
    """Nothing had been delivered, so another server may be tried."""
    broken = ndjson_reply([piece(""), {"error": "model runner has unexpectedly stopped"}])
    async with WireServer(ollama(chat=broken)) as bad, WireServer(ollama()) as good, ModelHub(IN_ORDER) as hub:
        with pytest.raises(ServerError, match="unexpectedly stopped") as caught:
            await read(bad.url)
        assert caught.value.status == 200
        bound = hub.bind(
            {
                "provider": "ollama_local",
                "model": "smollm2:135m",
                "credentials": [{"base_url": bad.url}, {"base_url": good.url}],
            }
        )
        async with bound.stream("Hi") as stream:
            text = "".join([event.text async for event in stream if event.type == "text"])
        assert text.startswith("The two most popular colours")
        assert [attempt.error for attempt in stream.result.attempts] == ["ServerError", None]


async def test_leaving_a_stream_is_seen_by_the_server_at_once(ollama: Routes) -> None:
    """Ollama stops generating when the connection closes, and not before."""
    slow = Reply(
        200, NDJSON, chunks=[lines(piece(str(number))) for number in range(100)], chunked=True, pause=[0, *[30.0] * 99]
    )
    async with WireServer(ollama(chat=slow)) as server, ModelHub() as hub:
        async with hub.stream(MODEL, "Hi", credentials={"base_url": server.url}) as stream:
            async for event in stream:
                if event.type == "text":
                    break
            left = time.monotonic()
        gone = await server.disconnected(timeout=1)
        assert gone.at - left < 0.25
        await server.all_closed(timeout=1)


@pytest.mark.parametrize("ask", [read, chat])
async def test_a_cancelled_call_is_seen_by_the_server_at_once(ollama: Routes, ask: Any) -> None:
    """Whole or streamed, while the model has not said a word yet."""
    async with WireServer(ollama(chat=Reply(200, NDJSON, WHOLE, delay=30))) as server:
        with anyio.move_on_after(0.5) as scope:
            await ask(server.url)
        left = time.monotonic()
        assert scope.cancelled_caught
        gone = await server.disconnected(timeout=1)
        assert gone.at - left < 0.25


async def test_a_slow_first_token_is_waited_for_and_a_silent_stream_is_not(ollama: Routes) -> None:
    """The limit to the first content is another than that between two pieces."""
    slow = Reply(200, NDJSON, WHOLE, delay=0.4)
    silent = Reply(
        200, NDJSON, chunks=[lines(piece("a")), lines(piece("b")), lines(DONE)], chunked=True, pause=[0, 5, 0]
    )
    limits = {"timeouts": {"first_token": 5, "idle": 0.2}}
    async with WireServer(ollama(chat=iter([slow, silent]))) as server, ModelHub(limits) as hub:
        async with hub.stream(MODEL, "Hi", credentials={"base_url": server.url}) as stream:
            assert "".join([text async for text in stream.text()]) == "".join(TEXTS)
        async with hub.stream(MODEL, "Hi", credentials={"base_url": server.url}) as stream:
            with pytest.raises(StreamInterrupted) as caught:
                [event async for event in stream]
    assert isinstance(caught.value.__cause__, Timeout)
    assert caught.value.__cause__.phase == "idle"


async def test_nothing_that_listens_is_a_failed_connection() -> None:
    """The message has the host and no credentials."""
    async with ModelHub() as hub:
        with pytest.raises(ConnectFailed) as caught:
            await hub.chat(MODEL, "Hi", credentials={"base_url": "http://127.0.0.1:9", "api_key": SECRET})
    assert "127.0.0.1" in str(caught.value)
    assert SECRET not in repr(caught.value)


# -- errors


@pytest.mark.parametrize("ask", [read, chat])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chat-missing-model", (ModelNotFound, "ollama pull nosuch:1b")),
        ("busy", (Overloaded, "server busy")),
        ("bad-origin", (PermissionDenied, "OLLAMA_HOST")),
        ("chat-embedding-model", (UnsupportedFeature, "does not support chat")),
        ("chat-image-unsupported", (UnsupportedFeature, "multimodal")),
        ("chat-bad-schema", (BadRequest, "invalid format")),
        ("chat-stop-string", (BadRequest, "must be of type array")),
        ("not-found", (MalformedResponse, "not Ollama's API")),
    ],
)
async def test_a_recorded_refusal_reaches_the_caller_with_its_words(
    ollama: Routes, recordings: Recordings, name: str, expected: tuple[type[ModelHubError], str], ask: Any
) -> None:
    """The same error of a stream and of a whole answer, with provider, model and status, and asked once."""
    cls, words = expected
    async with WireServer(ollama(chat=recorded(recordings[name]))) as server:
        with pytest.raises(cls) as caught:
            await ask(server.url)
    assert type(caught.value) is cls
    assert words in str(caught.value)
    assert (caught.value.provider, caught.value.model) == ("ollama_local", "smollm2:135m")
    assert caught.value.status == recordings[name]["response"]["status"]
    assert len(asked(server)) == 1


async def test_a_prompt_that_is_too_long_has_both_numbers(ollama: Routes) -> None:
    """As the inner server gives them."""
    inner = {
        "code": 400,
        "message": "too long",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 3010,
        "n_ctx": 2048,
    }
    async with WireServer(ollama(chat=json_reply({"error": json.dumps({"error": inner})}, 400))) as server:
        with pytest.raises(ContextLengthExceeded) as caught:
            await chat(server.url)
    assert (caught.value.input_tokens, caught.value.context_size) == (3010, 2048)


async def test_a_key_is_sent_and_never_shown(ollama: Routes) -> None:
    """Neither where the server echoes it nor in what is printed; further headers go along."""
    echo = json_reply({"error": f"unknown key {SECRET}"}, 401)
    form: dict[str, Any] = {"api_key": SECRET, "headers": {"X-Team": "research"}}
    async with WireServer(ollama(chat=echo)) as server, ModelHub() as hub:
        with pytest.raises(ModelHubError) as caught:
            await hub.chat(MODEL, "Hi", credentials={"base_url": server.url, **form})
    assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.excerpt}"
    assert server.requests[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert server.requests[-1].headers["x-team"] == "research"
    assert "origin" not in server.requests[-1].headers


async def test_a_redirect_is_not_followed(ollama: Routes) -> None:
    """A key must not go where a server points."""
    moved = Reply(307, {"location": "http://127.0.0.1:9/api/chat"})
    async with WireServer(ollama(chat=moved)) as server:
        with pytest.raises(MalformedResponse, match="redirects"):
            await chat(server.url)


# -- requests


async def test_each_question_reaches_the_server_once(ollama: Routes) -> None:
    """The model is described before the first and remembered; nothing is sent twice."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        bound = hub.bind({"provider": "ollama_local", "model": "smollm2:135m", "credentials": {"base_url": server.url}})
        for number in range(3):
            await bound.chat(f"Question {number}", temperature=0.5, max_tokens=24)
            async with bound.stream("Hi") as stream:
                async for _ in stream:
                    pass
    paths = [request.path for request in server.requests]
    assert paths == ["/api/show", "/api/ps", *["/api/chat"] * 6]
    assert asked(server)[0] == {
        "model": "smollm2:135m",
        "messages": [{"role": "user", "content": "Question 0"}],
        "stream": False,
        "options": {"temperature": 0.5, "num_predict": 24},
    }
    assert asked(server)[1] == {
        "model": "smollm2:135m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


async def test_a_whole_answer_has_everything(ollama: Routes, recordings: Recordings) -> None:
    """Text, counts, reason, times in seconds, the server's own document, and no cost without a price."""
    async with WireServer(ollama()) as server:
        reply = await chat(server.url)
    assert reply.text.startswith("I'm so glad")
    assert reply.usage is not None
    assert reply.usage.total_tokens == 36
    assert reply.timing is not None
    assert reply.timing.output == pytest.approx(0.254112)
    assert reply.raw == json.loads(recordings["chat"]["response"]["body"])
    assert (reply.model, reply.warnings, reply.cost) == (MODEL, (), None)


async def test_an_image_of_20_megabytes_arrives_whole(ollama: Routes, recordings: Recordings) -> None:
    """Byte for byte, as base64 beside the text."""
    image = bytes(range(256)) * (20 * 4096)
    shown = {**json.loads(recordings["show-chat"]["response"]["body"]), "capabilities": ["completion", "vision"]}
    async with WireServer(ollama(show=json_reply(shown))) as server:
        await chat(server.url, messages=[UserMessage([TextPart("Look"), MediaPart("image/png", image)])])
    (message,) = asked(server)[0]["messages"]
    assert message["content"] == "Look"
    assert base64.b64decode(message["images"][0]) == image


async def test_a_tool_is_called_and_its_result_goes_back(ollama: Routes, recordings: Recordings) -> None:
    """The loop of an agent: the call, the tool's answer by the call's id, the model's last word."""
    weather = Tool("get_weather", "Weather", {"type": "object", "properties": {"city": {"type": "string"}}})
    answers = iter([recorded(recordings["chat-tools"]), recorded(recordings["chat"])])
    async with WireServer(ollama(chat=answers)) as server, ModelHub() as hub:
        bound = hub.bind({"provider": "ollama_local", "model": "smollm2:135m", "credentials": {"base_url": server.url}})
        history: list[Any] = [UserMessage("weather in Paris")]
        reply = await bound.chat(history, tools=[weather])
        (call,) = reply.tool_calls
        history += [reply.message, ToolMessage("21C", call.id)]
        await bound.chat(history, tools=[weather])
    assert asked(server)[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": call.id, "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}],
        },
        {"role": "tool", "content": "21C", "tool_name": "get_weather", "tool_call_id": call.id},
    ]


async def test_reasoning_goes_round(ollama: Routes, recordings: Recordings) -> None:
    """What the model thought is apart from what it said, and goes back with the history."""
    answers = iter([recorded(recordings["chat-think"]), recorded(recordings["chat-think"])])
    async with WireServer(ollama(chat=answers)) as server, ModelHub() as hub:
        bound = hub.bind(
            {"provider": "ollama_local", "model": "smollm2-think:135m", "credentials": {"base_url": server.url}}
        )
        reply = await bound.chat("What is 3+4?", reasoning=True)
        await bound.chat([UserMessage("What is 3+4?"), reply.message, UserMessage("Sure?")])
    assert (reply.text, reply.reasoning) == ("7", "I add 3 and 4. The sum is 7.")
    first, second = asked(server)
    assert first["think"] is True
    assert "think" not in second
    assert second["messages"][1] == {"role": "assistant", "content": "7", "thinking": "I add 3 and 4. The sum is 7."}


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"reasoning": "high"}, "reasoning"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"user": "u1"}, "user"),
        ({"vendor": {"ollama_local": {"num_cxt": 8192}}}, "num_cxt"),
        ({"vendor": {"ollama_local": {"num_predict": 0}}}, "num_predict"),
        ({"vendor": {"ollama_local": {"num_ctx": 1.5}}}, "num_ctx"),
        ({"vendor": {"ollama_local": {"keep_alive": "soon"}}}, "keep_alive"),
        ({"tool_choice": "required", "tools": [Tool("f")]}, "tool_choice"),
        ({"messages": [UserMessage([MediaPart("image/png", b"x")])]}, "messages[0]"),
    ],
)
async def test_what_the_server_would_ignore_or_misread_never_reaches_it(
    ollama: Routes, options: dict[str, Any], parameter: str
) -> None:
    """The complaint names the parameter; no question was asked."""
    async with WireServer(ollama()) as server:
        with pytest.raises(BadRequest) as caught:
            await chat(server.url, **options)
    assert caught.value.parameter == parameter
    assert asked(server) == []


@pytest.mark.parametrize(
    ("reasoning", "nearest"), [(False, "low"), ("none", "low"), ("minimal", "low"), ("max", "high")]
)
async def test_gpt_oss_is_told_the_nearest_level_or_the_caller_is(
    ollama: Routes, recordings: Recordings, reasoning: Any, nearest: str
) -> None:
    """It cannot but think, in three levels: strict says so before the question is asked, clamp takes the nearest."""
    shown = json.loads(recordings["show-thinking"]["response"]["body"])
    shown["details"]["family"] = "gptoss"
    async with WireServer(ollama(show=json_reply(shown))) as server:
        options: dict[str, Any] = {"credentials": {"base_url": server.url}, "reasoning": reasoning}
        async with ModelHub() as hub:
            with pytest.raises(BadRequest) as caught:
                await hub.chat(MODEL, "Hello", **options)
        assert caught.value.parameter == "reasoning"
        assert asked(server) == []
        async with ModelHub(policy="clamp") as hub:
            reply = await hub.chat(MODEL, "Hello", **options)
    (body,) = asked(server)
    assert body["think"] == nearest
    assert [(each.code, each.given, each.sent) for each in reply.warnings] == [
        ("parameter_clamped", reasoning, nearest)
    ]


async def test_vendor_options_reach_the_server(ollama: Routes) -> None:
    """All of them, through the rules of the manifest."""
    vendor = {"num_ctx": 8192, "num_predict": -1, "keep_alive": "-1", "think": "low", "truncate": False}
    async with WireServer(ollama()) as server:
        await chat(server.url, vendor={"ollama_local": vendor})
    (body,) = asked(server)
    assert body["options"] == {"num_ctx": 8192, "num_predict": -1}
    assert (body["keep_alive"], body["think"], body["truncate"]) == (-1, "low", False)


async def test_a_context_beyond_what_the_model_was_trained_for_is_noticed(ollama: Routes) -> None:
    """The server takes the trained length without a word."""
    async with WireServer(ollama()) as server:
        reply = await chat(server.url, vendor={"ollama_local": {"num_ctx": 16384}})
    assert [warning.code for warning in reply.warnings] == ["num_ctx_clamped"]


async def test_tokens_are_estimated_without_a_request(ollama: Routes) -> None:
    """And said to be an estimate; what describes the model is all that is asked."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        count = await hub.count_tokens(MODEL, "Hello world", credentials={"base_url": server.url})
    assert count.estimated
    assert 5 < count.tokens < 20
    assert asked(server) == []


async def test_raw_text_is_continued(ollama: Routes, recordings: Recordings) -> None:
    """Over /api/generate, with the same events."""
    async with WireServer(ollama(generate=recorded(recordings["generate-raw-stream"]))) as server:
        text, result = await read(server.url, vendor={"ollama_local": {"raw": True}})
    assert text == " Paris.\n\nThe United States has"
    assert result.finish_reason == "length"
    (body,) = asked(server, "/api/generate")
    assert body == {"model": "smollm2:135m", "prompt": "Hi", "raw": True, "stream": True}
