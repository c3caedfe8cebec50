"""Streams that break off after their first content, and what becomes of them as their callers want it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import anyio
import pytest
from tests.routing.completions import CompletionsProvider
from tests.routing.sick_nodes import Ears
from tests.routing.speaking import SENTENCE, WORDS, speaking

from modelhub import Finish, FinishReason, ModelHub, SpeechRequest, Tool, UserMessage
from modelhub.errors import ConnectionLost, ModelHubError, Retry, Scope, StreamInterrupted, StreamNotFinished
from modelhub.rules.fold import ChatFold
from modelhub.testing.dialects import completions_dialect
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault, by_call
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.events import AudioDelta
from modelhub.types.requests import ChatRequest

MODEL = "acme/story"
CUT = 5


@asynccontextmanager
async def vendors(*faults: Fault, **tables: Any) -> AsyncGenerator[tuple[ModelHub, list[FaultServer], Ears]]:
    """Enter a hub with a node for each fault, asked in this order."""
    ears = Ears()
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(FaultServer(completions_dialect(), fault=fault)) for fault in faults]
        rows = [{"id": f"n{number}", "values": {"base_url": node.url}} for number, node in enumerate(nodes)]
        tables.setdefault("routing", {"pick": "priority"})
        config = {"credentials": {"acme": rows}, **tables}
        hub = ModelHub(config, providers=[CompletionsProvider()], sinks=[ears], random=Random(1))
        yield await stack.enter_async_context(hub), nodes, ears


async def read(hub: ModelHub, model: str = MODEL, **options: Any) -> tuple[list[Any], Any]:
    """Read a stream to its end; return its events and its result."""
    async with hub.stream(model, "Tell me.", **options) as stream:
        events = [event async for event in stream]
    return events, stream.result


def text_of(events: list[Any]) -> str:
    """Return what is on the screen of somebody who shows text as it comes."""
    shown = ""
    for event in events:
        shown = "" if event.type == "reset" else shown + event.text if event.type == "text" else shown
    return shown


@pytest.mark.anyio
async def test_by_itself_nothing_is_asked_again() -> None:
    """What came is in the error with the attempts; nobody else was asked; it counts against the node."""
    async with vendors(speaking(CUT), speaking()) as (hub, nodes, ears):
        with pytest.raises(StreamInterrupted) as raised:
            await read(hub)
        error = raised.value
        assert error.partial.text == "".join(WORDS[:CUT])
        assert isinstance(error.__cause__, ConnectionLost)
        assert (error.scope, error.retry) == (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT)
        assert [(each.deployment, each.error) for each in error.attempts] == [("acme/story#n0", "ConnectionLost")]
        assert [node.calls for node in nodes] == [1, 0]
        for _ in range(2):
            with pytest.raises(StreamInterrupted):
                await read(hub)
        assert (await read(hub))[1].text == SENTENCE
    assert [each.deployment for each in ears.ejections] == ["acme/story#n0"]


@pytest.mark.anyio
@pytest.mark.parametrize("keyword", [True, False], ids=["keyword", "request"])
async def test_restarted_it_comes_anew_after_a_reset(*, keyword: bool) -> None:
    """A Reset says that what came is void; the rest is one whole answer, and so is the result."""
    async with vendors(speaking(CUT), speaking()) as (hub, nodes, _):
        if keyword:
            events, result = await read(hub, on_interrupt="restart")
        else:
            request = ChatRequest(model=MODEL, messages=(UserMessage("Tell me."),), on_interrupt="restart")
            async with hub.stream(request) as stream:
                events = [event async for event in stream]
            result = stream.result
        kinds = [event.type for event in events]
        assert kinds.count("reset") == 1
        assert kinds[CUT] == "reset"
        assert text_of(events) == result.text == SENTENCE
        assert not result.resumed
        assert result.usage.output_tokens == len(WORDS)
        assert [each.error for each in result.attempts] == ["ConnectionLost", None]
        assert [node.calls for node in nodes] == [1, 1]
        fold = ChatFold("x")
        for event in events:
            fold.add(event)
        assert fold.result().text == SENTENCE


@pytest.mark.anyio
async def test_restarted_it_goes_elsewhere() -> None:
    """Whatever picks the deployments, the one that broke off is not asked again while there is another."""
    async with vendors(speaking(CUT), speaking(CUT), speaking()) as (hub, nodes, _):
        for _ in range(3):
            _, result = await read(hub, on_interrupt="restart")
            assert result.text == SENTENCE
        assert nodes[2].calls == 3


@pytest.mark.anyio
async def test_it_is_restarted_twice_at_most() -> None:
    """After that the caller hears of it, with what came last and every attempt."""
    async with vendors(*[speaking(cut) for cut in (2, 3, 4, 5)]) as (hub, nodes, _):
        with pytest.raises(StreamInterrupted) as raised:
            await read(hub, on_interrupt="restart")
        assert len(raised.value.attempts) == 3
        assert sum(node.calls for node in nodes) == 3


@pytest.mark.anyio
async def test_continued_it_goes_on_where_it_broke_off() -> None:
    """Another key or node of the model is given what came; callers see one text, and both parts' figures."""
    async with vendors(speaking(CUT), speaking()) as (hub, nodes, _):
        events, result = await read(hub, on_interrupt="continue", max_tokens=40)
        assert text_of(events) == result.text == SENTENCE
        assert result.resumed
        assert [event.type for event in events].count("reset") == 0
        assert [event.type for event in events].count("finish") == 1
        assert [each.error for each in result.attempts] == ["ConnectionLost", None]
        (asked,) = (request.json for request in nodes[1].requests)
        assert asked["messages"][-1] == {"role": "assistant", "content": "".join(WORDS[:CUT])}
        assert 0 < asked["max_tokens"] < 40
        first, second = result.usage.raw["parts"]
        assert first is None
        assert second["output_tokens"] == len(WORDS) - CUT
        assert result.usage.output_tokens is None


@pytest.mark.anyio
@pytest.mark.parametrize("again", [3, CUT])
async def test_what_a_continuation_repeats_is_left_out(again: int) -> None:
    """Models begin again some words before where they were cut, or with the whole: no word comes twice."""
    async with vendors(speaking(CUT), speaking(again=again)) as (hub, _, _):
        events, result = await read(hub, on_interrupt="continue")
        assert text_of(events) == result.text == SENTENCE


@pytest.mark.anyio
async def test_a_continuation_that_breaks_off_is_not_continued() -> None:
    """The error holds both parts, and both attempts."""
    async with vendors(speaking(CUT), speaking(3), speaking()) as (hub, nodes, _):
        with pytest.raises(StreamInterrupted) as raised:
            await read(hub, on_interrupt="continue")
        assert raised.value.partial.text == "".join(WORDS[: CUT + 3])
        assert [each.error for each in raised.value.attempts] == ["ConnectionLost"] * 2
        assert nodes[2].calls == 0


@pytest.mark.anyio
async def test_a_continuation_that_fails_before_its_first_word_is_tried_elsewhere() -> None:
    """Until something of it is delivered a continuation is a call like any other."""
    async with vendors(speaking(CUT), Fault.status(500), speaking()) as (hub, _, _):
        _, result = await read(hub, on_interrupt="continue")
        assert result.text == SENTENCE
        assert [each.error for each in result.attempts] == ["ConnectionLost", "ServerError", None]


@pytest.mark.anyio
async def test_where_nobody_can_go_on_the_first_error_is_raised() -> None:
    """The interruption is what the caller hears, with the attempts that were made to mend it."""
    for how in ("restart", "continue"):
        async with vendors(speaking(CUT), Fault.status(500), Fault.refused()) as (hub, nodes, _):
            nodes[0].fault = by_call((1, speaking(CUT)), (2, Fault.status(500)))
            with pytest.raises(StreamInterrupted) as raised:
                await read(hub, on_interrupt=how)
            assert raised.value.partial.text == "".join(WORDS[:CUT])
            assert {each.error for each in raised.value.attempts} >= {"ConnectionLost", "ServerError", "ConnectFailed"}


REASONS = {
    "shape": ({"response_format": "json"}, "the answer must have a shape"),
    "forced tool": ({"tools": [Tool("look")], "tool_choice": "required"}, "a tool must be called"),
    "length": ({"max_tokens": 3}, "max_tokens are used up"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("reason", REASONS)
async def test_what_cannot_be_continued_says_why(reason: str) -> None:
    """The error's remedy is the reason, and nobody else was asked."""
    options, text = REASONS[reason]
    async with vendors(speaking(CUT), speaking()) as (hub, nodes, _):
        with pytest.raises(StreamInterrupted) as raised:
            await read(hub, on_interrupt="continue", **options)
        assert raised.value.remedy == f"it was not continued: {text}"
        assert nodes[1].calls == 0


@pytest.mark.anyio
async def test_a_model_of_another_family_does_not_continue() -> None:
    """Only the same model goes on with an answer; a family that the settings name makes models the same."""
    for family, continued in ((None, False), ("tales", True)):
        properties = {} if family is None else {"model_properties": {"family": family}}
        tables = {
            "routing": {"pick": "priority", "retries": 0},
            "routes": {"two": {"groups": [["acme/story#n0"], ["acme/other#n1"]]}},
            "models": {"acme/story": properties, "acme/other": properties},
        }
        async with vendors(speaking(CUT), speaking(), **tables) as (hub, nodes, _):
            if continued:
                assert (await read(hub, model="two", on_interrupt="continue"))[1].text == SENTENCE
            else:
                with pytest.raises(StreamInterrupted):
                    await read(hub, model="two", on_interrupt="continue")
            assert nodes[1].calls == (1 if continued else 0)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["restart", "continue"])
async def test_going_on_is_paid_from_the_budget_of_retries(how: str) -> None:
    """Where it is used up, the interruption is raised at once: an outage is not made worse."""
    routing = {"pick": "priority", "retry_floor": 0, "retry_budget": 0.0}
    async with vendors(speaking(CUT), speaking(), routing=routing) as (hub, nodes, _):
        with pytest.raises(StreamInterrupted):
            await read(hub, on_interrupt=how)
        assert nodes[1].calls == 0


@pytest.mark.anyio
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "cancelled"])
@pytest.mark.parametrize("how", ["restart", "continue"])
async def test_it_can_be_left_while_it_goes_on(how: str, *, closed: bool) -> None:
    """Cancelled or closed while another deployment is asked, it ends at once and leaves nothing open."""
    ended: list[ModelHubError] = []
    async with vendors(speaking(CUT), Fault.hang()) as (hub, nodes, _):
        async with hub.stream(MODEL, "Tell me.", on_interrupt=how) as stream, anyio.create_task_group() as tasks:

            async def reader() -> None:
                try:
                    async for _ in stream:
                        pass
                except ModelHubError as error:
                    ended.append(error)

            tasks.start_soon(reader)
            await nodes[1].until(lambda node: node.answering == 1)
            if closed:
                await stream.aclose()
            else:
                tasks.cancel_scope.cancel()
        await nodes[1].until(lambda node: bool(node.disconnects), timeout=0.25)
        assert [type(error) for error in ended] == ([StreamNotFinished] if closed else [])
        assert stream.partial.text == "".join(WORDS[:CUT])


@pytest.mark.anyio
async def test_it_can_be_closed_while_it_waits_to_go_on() -> None:
    """Another call has its place by then: closed, it does not wait for that one to end."""
    ended: list[ModelHubError] = []
    async with FaultServer(completions_dialect(), fault=speaking(CUT)) as node, anyio.create_task_group() as tasks:
        rows = {"acme": [{"id": "one", "values": {"base_url": node.url}, "concurrency": 1}]}
        async with ModelHub({"credentials": rows}, providers=[CompletionsProvider()]) as hub:

            def waiting() -> int:
                (info,) = hub._calls.deployment_infos()  # noqa: SLF001  what is polled must not wait
                return info.waiting

            async def reader(stream: Any) -> None:
                try:
                    async for _ in stream:
                        pass
                except ModelHubError as error:
                    ended.append(error)

            async with hub.stream(MODEL, "Tell me.", on_interrupt="restart") as stream:
                tasks.start_soon(read, hub)
                await node.until(lambda _: waiting() == 1)
                node.fault = Fault.hang()
                tasks.start_soon(reader, stream)
                await node.until(lambda node: node.calls == 2 and waiting() == 1)
                await stream.aclose()
                await node.until(lambda _: bool(ended))
            assert isinstance(ended[0], StreamNotFinished)
            assert waiting() == 0
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_stream_that_waits_for_the_head_of_an_answer_can_be_closed() -> None:
    """Whoever enters it hears of that at once, and so does the server."""
    async with vendors(Fault.hang()) as (hub, nodes, _):
        stream = hub.stream(MODEL, "Tell me.")

        async def enter() -> None:
            with pytest.raises(StreamNotFinished):
                await stream.__aenter__()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
            await nodes[0].until(lambda node: node.answering == 1)
            await stream.aclose()
            await nodes[0].until(lambda node: bool(node.disconnects), timeout=0.25)


@pytest.mark.anyio
async def test_speech_is_restarted_too() -> None:
    """Sound that broke off comes anew after a Reset; it is never continued."""
    pieces = [AudioDelta(b"one"), AudioDelta(b"two")]
    whole = [*pieces, Finish(FinishReason.STOP)]
    async with ModelHub(providers=[ScriptedProvider(pieces, whole, pieces, whole)]) as hub:
        asked = SpeechRequest(model="scripted/any", text="Hi", format="pcm", on_interrupt="restart")
        async with hub.stream(asked) as stream:
            kinds = [event.type async for event in stream]
        assert kinds == ["audio", "audio", "reset", "audio", "audio", "finish"]
        assert stream.result.audio == b"onetwo"
        async with hub.stream(replace(asked, on_interrupt="continue")) as stream:
            assert [(await anext(stream)).type for _ in pieces] == ["audio", "audio"]
            with pytest.raises(StreamInterrupted) as raised:
                await anext(stream)
        assert raised.value.remedy == "it was not continued: only conversations can be continued"


@pytest.mark.anyio
async def test_a_deadline_ends_it_whatever_is_tried() -> None:
    """The time of the call is the time of all its parts together."""
    async with vendors(speaking(CUT), Fault.hang()) as (hub, _, _):
        begun = anyio.current_time()
        with pytest.raises(ModelHubError):
            await read(hub, on_interrupt="restart", timeout=0.3)
        assert anyio.current_time() - begun < 1.0
