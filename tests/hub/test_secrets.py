"""Whatever fails on the way of a call, nothing that an application then has in its hands shows the key."""

import base64
import html
import io
import json
import logging
import pickle
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from rich.console import Console
from tests.canary import CANARY, found_in

from modelhub import ModelHub, ModelSchema
from modelhub.errors import AuthenticationFailed, ModelHubError, StreamInterrupted
from modelhub.provider import (
    Credential,
    DecodeState,
    HttpCall,
    HttpLargeLanguageModel,
    HttpTextEmbeddingModel,
    ModelProvider,
    ProviderContext,
)
from modelhub.testing.replies import Reply, json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.records import Progress
from modelhub.types.requests import ChatRequest, EmbedRequest
from modelhub.types.results import EmbedResult
from modelhub.types.schema import ModelType, Operation, ProviderSchema
from modelhub.types.usage import TokenCount

pytestmark = pytest.mark.anyio

BASIC = base64.b64encode(f"user:{CANARY}".encode()).decode()


class TalkativeLLM(HttpLargeLanguageModel):
    """Repeats its key wherever the model's name says so, with the key in a variable."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        key = credential.secret("api_key").reveal()
        if request.name == "encode":
            raise ZeroDivisionError(f"the key is {key}")
        return HttpCall("/chat", json={"key": key}, headers={"X-Key": key}, query={"key": key}, framing="ndjson")

    def decode(self, document: Any, state: DecodeState) -> list[ChatEvent]:
        """Read the answer."""
        if "error" in document:
            raise state.error(document)
        if document["text"] == "decode":
            raise LookupError(document)
        return [TextDelta(state.part("text"), document["text"]), *([Finish(FinishReason.STOP)] * ("end" in document))]

    async def count_tokens(self, request: ChatRequest[None], context: ProviderContext) -> TokenCount:
        """Fail, sooner or later."""
        key = context.credential.secret("api_key").reveal()
        if request.name == "later":
            await anyio.sleep(len(key))
        await fail(context)
        return TokenCount(0)


class TalkativeEmbedding(HttpTextEmbeddingModel):
    """Fails in several batches at once."""

    async def invoke(self, request: EmbedRequest, context: ProviderContext) -> EmbedResult:
        """Fail."""
        await fail(context)
        return EmbedResult(vectors=[])


async def fail(context: ProviderContext) -> None:
    """Fail behind another failure, with the key in both and in a variable."""
    key = context.credential.secret("api_key").reveal()
    await anyio.lowlevel.checkpoint()
    try:
        raise KeyError({"authorization": f"Bearer {key}"})
    except KeyError as error:
        raise OSError(5, f"no {key}", f"/tmp/{key.encode().hex()}") from error


class Talkative(ModelProvider):
    """A provider each of whose hooks fails and says its key."""

    llm = TalkativeLLM
    text_embedding = TalkativeEmbedding
    auth = {"Authorization": "Bearer {api_key}", "X-Basic": "{basic}"}  # noqa: RUF012  as an author writes it

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (
            FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),
            FormField("api_key", "secret-input"),
            FormField("basic", "secret-input"),
            FormField("headers", "key-value", role="headers", required=False),
        )
        return ProviderSchema(
            "talkative",
            supported_model_types=(ModelType.LLM, ModelType.TEXT_EMBEDDING),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
            operations={"pull": Operation()},
        )

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Fail."""
        await fail(context)

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """Fail."""
        await fail(context)
        return ()

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Fail for one."""
        if model == "describe":
            await fail(context)
        return ModelSchema(model, model_properties={"max_chunks": 1})

    async def operate(self, name: str, context: ProviderContext) -> AsyncGenerator[Progress, None]:
        """Begin, and fail."""
        yield Progress("begun")
        await fail(context)

    @asynccontextmanager
    async def open(self, context: ProviderContext) -> AsyncIterator[object]:
        """Fail at the end."""
        yield None
        await fail(context)


@asynccontextmanager
async def hub_of() -> AsyncIterator[ModelHub]:
    """Enter a hub with the provider."""
    config = {"routing": {"retries": 0}}  # each try shows what the first does, and is waited for
    async with ModelHub(config, providers=[Talkative]) as hub:
        yield hub


def given(url: str, **more: Any) -> Any:
    """Return what a call brings. A test keeps it in no variable, because its own frame is in the traceback too."""
    return {"base_url": url, "api_key": CANARY, "basic": BASIC, "headers": {"X-Team": f"t {CANARY}"}, **more}


def shown(error: BaseException) -> str:
    """Return all that tools show of an error: of the functions that it came through, but the test's own."""
    assert error.__traceback__ is not None
    error = error.with_traceback(error.__traceback__.tb_next)
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = f"{''.join(trace.format())} {error!r} {vars(error)}"
    each: BaseException | None = error
    while each is not None:
        text += f" {each!r} {vars(each)} {each.args}"
        each = each.__cause__ or each.__context__
    return text + pickle.dumps(error).decode("latin-1") if isinstance(error, ModelHubError) else text


def assert_hidden(error: BaseException) -> None:
    """Fail where an error shows a key."""
    assert found_in(shown(error)) is None


def printed(error: BaseException) -> str:
    """Return what rich prints of an error, with the variables."""
    stream = io.StringIO()
    try:
        raise error
    except type(error):
        Console(file=stream, width=300).print_exception(show_locals=True)
    return stream.getvalue()


ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in JSON": lambda key: json.dumps({"key": key})[1:-1],
    "escaped": lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    "in a URL": lambda key: f"https://vendor/?key={quote(key, safe='')}",
    "in a URL in small letters": lambda key: quote(key, safe="").lower(),
    "in hex": lambda key: key.encode().hex(),
    "in HEX": lambda key: key.encode().hex().upper(),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in base64 behind one letter": lambda key: base64.b64encode(b"x" + key.encode()).decode(),
    "in base64 behind two letters": lambda key: base64.b64encode(b"xy" + key.encode() + b"z").decode(),
    "in base64 for URLs": lambda key: base64.urlsafe_b64encode(b">>?" + key.encode()).decode(),
    "over two lines": lambda key: f"{key[:20]}\n    {key[20:]}",
    "over two lines, escaped": lambda key: f"{key[:20]}\\n{key[20:]}",
    "in HTML": html.escape,
    "where the excerpt ends": lambda key: "x" * 2010 + key,
    "cut short": lambda key: f"keys look like {key[:-3]}",
    "several times": lambda key: f"{key}{key} {key.encode().hex()}",
}


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_vendor_that_repeats_the_key_is_not_repeated(echo: str) -> None:
    """In whatever form: neither in the message nor in the excerpt, nor in what is kept of the headers."""
    said = ECHOES[echo](CANARY)
    head = {"x-request-id": said.replace("\n", ""), "www-authenticate": f"Bearer {said.replace(chr(10), '')}"}
    for body in (f"no such key: {said}", json.dumps({"error": {"message": said, "code": said, "param": said}})):
        async with WireServer(Reply(401, head, body=body)) as server, hub_of() as hub:
            for call in (hub.chat, hub.bind("talkative/m").chat):
                with pytest.raises(AuthenticationFailed) as caught:
                    await call(*(["talkative/m"] if call == hub.chat else []), "Hi", credentials=given(server.url))
                assert_hidden(caught.value)


async def test_masked_keys_are_left_as_vendors_write_them() -> None:
    """The first letters and the last tell whoever owns it which key it is."""
    masked = f"{CANARY[:9]}***{CANARY[-4:]}"
    async with WireServer(json_reply({"error": masked}, 401)) as server, hub_of() as hub:
        with pytest.raises(AuthenticationFailed) as caught:
            await hub.chat("talkative/m", "Hi", credentials=given(server.url))
    assert masked in caught.value.message


REPLIES: dict[str, Reply] = {
    "cut off": Reply(cut_after=10, body=f'{{"text": "{CANARY}'),
    "no JSON": Reply(body=f'{{"text": "{CANARY}'),
    "a web page": Reply(headers={"content-type": f"text/html; a={CANARY}"}, body="<p>"),
    "an error inside an answer": json_reply({"error": f"bad key {CANARY}"}),
    "a bug in decode": json_reply({"text": "decode", "key": CANARY}),
    "no object": json_reply([CANARY]),
    "a redirect": Reply(302, {"location": f"http://127.0.0.1:1/{CANARY}"}),
    "no HTTP": Reply(raw=f"HTTP/1.1 {CANARY}\r\n\r\n".encode()),
}


@pytest.mark.parametrize("reply", REPLIES)
async def test_an_answer_that_cannot_be_used_is_not_repeated(reply: str) -> None:
    """Asked for whole and as a stream."""
    async with WireServer(REPLIES[reply]) as server, hub_of() as hub:
        with pytest.raises(ModelHubError) as caught:
            await hub.chat("talkative/m", "Hi", credentials=given(server.url))
        assert_hidden(caught.value)
        with pytest.raises(ModelHubError) as caught:
            async with hub.stream("talkative/m", "Hi", credentials=given(server.url)):
                pass
        assert_hidden(caught.value)


async def test_an_answer_that_breaks_off_is_not_repeated() -> None:
    """Nor is what had come of it by then, where it was the key."""
    reply = Reply(body=f'{{"text": "{CANARY}"}}\n{{"error": "{CANARY}"}}\n')
    async with WireServer(reply) as server, hub_of() as hub:
        with pytest.raises(StreamInterrupted) as caught:  # noqa: PT012  what is read is several steps
            async with hub.stream("talkative/m", "Hi", credentials=given(server.url)) as stream:
                async for _ in stream:
                    pass
    assert_hidden(caught.value)


async def operated(hub: ModelHub, url: str) -> None:
    """Run an operation."""
    async for _ in hub.operate("talkative", "pull", credentials=given(url)):
        pass


async def validated(hub: ModelHub, url: str) -> None:
    """Check a credential."""
    report = await hub.validate("talkative", given(url))
    assert found_in(repr(report)) is None
    report.raise_for_errors()


FAILURES: dict[str, Callable[[ModelHub, str], Awaitable[object]]] = {
    "encode": lambda hub, url: hub.chat("talkative/encode", "Hi", credentials=given(url)),
    "describe": lambda hub, url: hub.chat("talkative/describe", "Hi", credentials=given(url)),
    "embed": lambda hub, url: hub.embed("talkative/m", "one", credentials=given(url)),
    "batches": lambda hub, url: hub.embed("talkative/m", ["one", "two", "three"], credentials=given(url)),
    "count_tokens": lambda hub, url: hub.count_tokens("talkative/m", "Hi", credentials=given(url)),
    "models": lambda hub, url: hub.models("talkative", credentials=given(url)),
    "bind": lambda hub, url: hub.bind({"provider": "talkative", "model": "encode", "credentials": given(url)}).chat(
        "Hi"
    ),
    "nothing listens": lambda hub, url: hub.chat("talkative/m", "Hi", credentials=given(url)),
    "no such field": lambda hub, url: hub.chat("talkative/m", "Hi", credentials=given(url, api_kee=CANARY)),
    "no such keyword": lambda hub, url: hub.chat("talkative/m", "Hi", credentials=given(url), temprature=1),
    "no credentials": lambda hub, _: hub.chat("talkative/m", "Hi", credentials=CANARY),
    "no header": lambda hub, url: hub.chat("talkative/m", "Hi", credentials=given(url, api_key=f"{CANARY}\u2028")),
    "operate": operated,
    "validate": validated,
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_what_a_plugin_says_and_holds_is_not_shown(failure: str) -> None:
    """Its exceptions come out without the key, and the functions that they came through without their variables."""
    with pytest.raises((ModelHubError, TypeError)) as caught:
        async with hub_of() as hub:
            await FAILURES[failure](hub, "http://127.0.0.1:9")
    assert isinstance(caught.value, ModelHubError)
    assert_hidden(caught.value)
    if failure in {"encode", "batches"}:
        assert found_in(printed(caught.value)) is None


async def test_a_plugin_that_is_cancelled_does_not_show_it() -> None:
    """Its functions end with the key in a variable, and the exception of the limit of time comes through them."""
    async with hub_of() as hub:
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(0.1):
            await hub.count_tokens("talkative/later", "Hi", credentials=given("http://127.0.0.1:9"))
    assert_hidden(caught.value)


@pytest.mark.parametrize("when", ["headers", "body", "stream"])
async def test_a_call_that_is_cancelled_does_not_show_it(when: str) -> None:
    """The exception of the limit of time comes through the HTTP library, which holds what was sent."""
    answer = Reply(body='{"text": "x"}\n' + " " * 100, split="bytes", pause=[0.0] * 14 + [0.1] * 99)
    if when == "headers":
        answer = Reply(delay=5)
    async with WireServer(answer) as server, hub_of() as hub:
        with pytest.raises(TimeoutError) as caught:  # noqa: PT012  what is cancelled is several steps
            with anyio.fail_after(0.3):
                if when == "stream":
                    async with hub.stream("talkative/m", "Hi", credentials=given(server.url)) as stream:
                        async for _ in stream:
                            pass
                await hub.chat("talkative/m", "Hi", credentials=given(server.url))
    assert_hidden(caught.value)


async def test_a_session_that_fails_at_its_end_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    """Handlers of logs show variables too."""
    async with WireServer(json_reply({"text": "x", "end": 1})) as server, hub_of() as hub:
        await hub.chat("talkative/m", "Hi", credentials=given(server.url))
    records = [record for record in caplog.records if record.exc_info and record.name.startswith("modelhub")]
    assert len(records) == 1
    assert records[0].exc_info is not None
    error = records[0].exc_info[1]
    assert isinstance(error, OSError)
    assert_hidden(error)


async def test_the_http_library_logs_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """Not even where it is asked for everything."""
    caplog.set_level(logging.DEBUG)
    async with WireServer(json_reply({"text": "x", "end": 1})) as server, hub_of() as hub:
        await hub.chat("talkative/m", "Hi", credentials=given(server.url))
        assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert found_in(caplog.text) is None


async def test_results_and_events_do_not_hold_it() -> None:
    """Nor do the objects that an application keeps: a hub, a bound model, a stream."""
    reply = json_reply({"text": "x", "end": 1})
    async with WireServer(reply) as server, hub_of() as hub:
        result = await hub.chat("talkative/m", "Hi", credentials=given(server.url))
        stream = hub.stream("talkative/m", "Hi", credentials=given(server.url))
        async with stream:
            events = [event async for event in stream]
        bound = hub.bind({"provider": "talkative", "model": "m", "credentials": given(server.url)})
        await bound.chat("Hi")
        for kept in (result, events, stream, stream.result, stream.partial, bound, hub):
            assert found_in(repr(kept)) is None
        assert found_in(pickle.dumps([result, events, stream.result])) is None


HOSTILE = (
    "line one\r\n2026-01-01 ERROR forged\x1b[2J\x1b]0;title\x07 \u2028\u2029\x85\x9b31m\u202egnp.exe\x00\x7f\u200b end"
)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, body=HOSTILE),
        json_reply({"error": {"message": HOSTILE, "code": HOSTILE, "param": HOSTILE}}, 400),
        json_reply({"error": HOSTILE}),
        Reply(500, {"content-type": "text/html"}, body=f"<h1>{HOSTILE}</h1>"),
        Reply(200, {"content-type": "text/html;\x1b[2J\x9b31m"}, body="<p>"),
        Reply(302, {"location": "http://127.0.0.1:1/\x1b[2J\x9b31m"}),
        Reply(429, {"x-request-id": "\x1b[2J\x9b31m", "retry-after": "\x1b[2J"}, body="{}"),
        Reply(body=HOSTILE),
        Reply(raw=b"HTTP/1.1 2\x1b[2J0 OK\r\n\r\n"),
        json_reply({"text": "decode", "said": HOSTILE}),
        json_reply([HOSTILE]),
    ],
    ids=[
        "a body",
        "an error",
        "an error inside an answer",
        "a page",
        "a media type",
        "a redirect",
        "headers",
        "no JSON",
        "no HTTP",
        "a bug in decode",
        "no object",
    ],
)
async def test_what_a_server_says_cannot_forge_a_line_of_a_log(reply: Reply) -> None:
    """Control characters, terminal sequences and separators of lines come out escaped, on one line."""
    async with WireServer(reply) as server, hub_of() as hub:
        with pytest.raises(ModelHubError) as caught:
            await hub.chat("talkative/m", "Hi", credentials=given(server.url))
    error = caught.value
    for text in (f"{error}", error.message, error.excerpt or "", error.code or "", error.request_id or ""):
        assert text.isprintable(), ascii(text)


async def test_what_a_plugin_says_cannot_forge_a_line_of_a_log() -> None:
    """Its exceptions repeat what its server, or its user, said."""

    class Forging(Talkative):
        async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
            raise LookupError(HOSTILE)

    async with ModelHub({}, providers=[Forging]) as hub:
        with pytest.raises(ModelHubError) as caught:
            await hub.models("talkative", credentials=given("http://127.0.0.1:9"))
    assert f"{caught.value}".isprintable(), ascii(f"{caught.value}")
