"""When lists of nodes are looked up, in virtual time: trio has a clock that jumps to whatever happens next."""

import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

import anyio
import pytest
import trio
from trio.testing import MockClock

from modelhub.errors import ConfigurationError, ConnectFailed, ModelHubError
from modelhub.runtime.background import Background
from modelhub.runtime.node_lists import NodeList, NodeLists
from modelhub.types.credential import Credential


class Source:
    """What is looked up.

    Attributes:
        answer: What is found, or raised.
        seconds: How long that takes.
        times: When it was looked up.
    """

    refresh = 30.0

    def __init__(self, *nodes: str) -> None:
        self.answer: Mapping[str, str] | ModelHubError = {node: node for node in nodes}
        self.seconds = 0.0
        self.times: list[float] = []
        self.at_once = 0

    async def __call__(self) -> Mapping[str, str]:
        """Look it up."""
        self.times.append(trio.current_time())
        self.at_once += 1
        assert self.at_once == 1
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if isinstance(self.answer, ModelHubError):
            raise self.answer
        return self.answer

    def failure(self, why: str) -> ModelHubError:
        """Say why it cannot be found."""
        return ConnectFailed(f"no nodes: {why}")


def in_virtual_time(body: Callable[[NodeLists], Awaitable[None]]) -> None:
    """Run with the lists of a hub."""

    async def main() -> None:
        background = Background()
        try:
            await body(NodeLists(background, clock=trio.current_time, random=Random(1)))
        finally:
            await background.aclose()

    trio.run(main, clock=MockClock(autojump_threshold=0.0))


def gaps(times: list[float]) -> list[float]:
    """Return the seconds between one and the next."""
    return [after - before for before, after in itertools.pairwise(times)]


def test_a_list_is_looked_up_again_and_again_while_it_is_used() -> None:
    """About every so many seconds, one look-up at a time, and no more once nobody has used it for long."""
    source = Source("a")

    async def body(lists: NodeLists) -> None:
        nodes = await lists.find("k", source)
        for _ in range(3600):
            await anyio.sleep(1.0)
            lists.use(nodes)
        assert await lists.find("k", Source("other")) is nodes
        looked_up = len(source.times)
        await anyio.sleep(7200.0)
        assert len(source.times) - looked_up <= 600 / 24 + 1
        looked_up = len(source.times)
        lists.use(nodes)  # it is long due
        await anyio.sleep(0.1)
        assert len(source.times) == looked_up + 1
        await anyio.sleep(50.0)
        assert len(source.times) > looked_up + 1

    in_virtual_time(body)
    between = gaps(source.times[:100])
    assert all(24.0 <= each <= 36.1 for each in between)
    assert len({round(each, 3) for each in between}) > 90


def test_a_change_is_told_and_nothing_else_is() -> None:
    """The edition of a list and that of all lists are others then; another order is no change."""
    source = Source("a", "b")
    told: list[int] = []

    async def body(lists: NodeLists) -> None:
        async def changed(nodes: NodeList[Any]) -> None:
            told.append(nodes.edition)

        lists.changed = changed
        nodes = await lists.find("k", source)
        for answer in ({"b": "b", "a": "a"}, {"a": "a", "b": "B"}, {"a": "a", "b": "B"}, {"a": "a"}):
            source.answer = answer
            await anyio.sleep(36.1)
            lists.use(nodes)
        assert (nodes.edition, lists.edition) == (3, 3)
        await lists.find("other", Source("x"))
        assert (nodes.edition, lists.edition) == (3, 4)

    in_virtual_time(body)
    assert told[:2] == [1, 1]
    assert sorted(set(told)) == [1, 2, 3]


def test_credentials_of_nodes_are_gone_for_two_look_ups_unless_they_come_back() -> None:
    """Calls that had chosen a node just before may open a connection just after."""
    source = Source("a", "b")
    credentials = {name: Credential({"name": name}) for name in ("a", "b")}
    gone: list[set[Any]] = []

    async def body(lists: NodeLists) -> None:
        async def changed(nodes: NodeList[Any]) -> None:
            for name in nodes.items:
                nodes.made(name, [credentials[name]])
            gone.append(nodes.gone())

        lists.changed = changed
        nodes = await lists.find("k", source)
        for answer in (["a"], ["a"], ["a"], ["a", "b"], ["a"], ["a", "b"]):
            source.answer = {name: name for name in answer}
            lists.use(nodes)
            await nodes_looked_up(source)

    in_virtual_time(body)
    left = {credentials["b"].key}
    assert gone == [set(), left, left, set(), set(), left, set()]


async def nodes_looked_up(source: Source) -> None:
    """Wait until something is looked up once more."""
    wanted = len(source.times) + 1
    while len(source.times) < wanted:  # noqa: ASYNC110  what is waited for has no event
        await anyio.sleep(0.5)


def test_what_fails_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """The nodes stay, and it is tried as often as ever."""
    source = Source("a", "b")

    async def body(lists: NodeLists) -> None:
        nodes = await lists.find("k", source)
        good = source.answer
        for answer in (ConnectFailed("down"), good, ConfigurationError("down")):
            source.answer = answer
            for _ in range(30):
                await anyio.sleep(10.0)
                lists.use(nodes)
            assert nodes.items == good
            assert (nodes.error is None) == (answer is good)

    with caplog.at_level(logging.INFO, "modelhub"):
        in_virtual_time(body)
    assert [record.message for record in caplog.records] == [
        "down; the nodes that were found last stay: a, b",
        "nodes are found again: a, b",
        "down; the nodes that were found last stay: a, b",
    ]
    assert all(24.0 <= each <= 36.1 for each in gaps(source.times))


def test_where_there_is_no_list_yet_it_is_tried_sooner() -> None:
    """In a second, then twice as long each time up to five; those who want it meanwhile are told what happened."""
    source = Source()
    source.answer = ConnectFailed("down")

    async def body(lists: NodeLists) -> None:
        for _ in range(200):
            nodes = await lists.find("k", source)
            error = lists.failure(nodes)
            assert error is not source.answer
            assert error.message == "down"
            assert error.retry_after is not None
            assert 0.0 <= error.retry_after <= 6.0
            await anyio.sleep(0.1)
        source.answer = {"a": "a"}
        await anyio.sleep(6.1)
        assert (await lists.find("k", source)).items == {"a": "a"}

    in_virtual_time(body)
    between = gaps(source.times)
    assert all(0.8 * usual <= each <= 1.2 * usual + 0.1 for each, usual in zip(between, (1, 2, 4, 5, 5), strict=False))
    assert len(between) >= 5


def test_what_takes_too_long_is_given_up() -> None:
    """After half a minute: it is a failure like others."""
    source = Source("a")
    source.seconds = 1000.0

    async def body(lists: NodeLists) -> None:
        before = trio.current_time()
        nodes = await lists.find("k", source)
        assert trio.current_time() - before == pytest.approx(30.0)
        assert lists.failure(nodes).message == "no nodes: it took longer than 30 seconds"

    in_virtual_time(body)


def test_those_who_come_first_wait_for_one_look_up() -> None:
    """Whose own time is over goes; the others get what was looked up for him."""
    source = Source("a")
    source.seconds = 10.0
    found: list[object] = []

    async def body(lists: NodeLists) -> None:
        async def find(seconds: float) -> None:
            with anyio.move_on_after(seconds):
                found.append((await lists.find("k", source)).items)

        async with anyio.create_task_group() as group:
            for seconds in (1.0, 5.0, 20.0, 20.0):
                group.start_soon(find, seconds)

    in_virtual_time(body)
    assert found == [{"a": "a"}] * 2
    assert len(source.times) == 1


def test_what_was_not_used_for_longest_makes_room() -> None:
    """Bound models come and go; who still holds a list has it looked up again when it is used."""
    source, others = Source("a"), [Source("x") for _ in range(600)]

    async def body(lists: NodeLists) -> None:
        nodes = await lists.find("k", source)
        for number, other in enumerate(others):
            await anyio.sleep(0.01)
            await lists.find(number, other)
        assert repr(lists) == "<NodeLists: 217>"
        await anyio.sleep(400.0)
        assert len(source.times) == 1
        assert sum(len(other.times) > 1 for other in others) == 217
        assert await lists.find("k", Source("b")) is not nodes
        lists.use(nodes)
        await anyio.sleep(1.0)
        assert len(source.times) == 2

    in_virtual_time(body)


def test_what_makes_room_is_looked_up_for_those_who_wait_for_it() -> None:
    """Where there are more first calls at once than lists are remembered."""
    sources = [Source(str(number)) for number in range(600)]

    async def body(lists: NodeLists) -> None:
        async def find(source: Source) -> None:
            found.append((await lists.find(source, source)).items)

        async with anyio.create_task_group() as group:
            for source in sources:
                source.seconds = 1.0
                group.start_soon(find, source)
        await anyio.sleep(60.0)

    found: list[object] = []
    in_virtual_time(body)
    assert len(found) == 600
    assert all(found)
    looked_up = [len(source.times) for source in sources]
    assert min(looked_up) == 1
    assert sum(times > 1 for times in looked_up) <= 256


def test_what_a_lookup_raises_is_a_failure_like_others(caplog: pytest.LogCaptureFixture) -> None:
    """Where it is a mistake of the look-up's own: it is logged once, and tried again."""

    class Broken(Source):
        async def __call__(self) -> Mapping[str, str]:
            found = await super().__call__()
            if len(self.times) < 3:
                raise ZeroDivisionError
            return found

    source = Broken("a")

    async def body(lists: NodeLists) -> None:
        nodes = await lists.find("k", source)
        assert lists.failure(nodes).message == "no nodes: it raised ZeroDivisionError"
        await anyio.sleep(6.0)
        assert (await lists.find("k", source)).items == {"a": "a"}

    in_virtual_time(body)
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_what_is_remembered_of_a_node_has_an_end() -> None:
    """Any number of tenants may have credentials of theirs for it."""
    nodes = NodeList(Source("a"))
    for number in range(2000):
        nodes.made("a", [Credential({"number": number})])
    assert len(nodes.keys["a"]) == 1024


def test_when_the_hub_is_left_nobody_waits_any_more() -> None:
    """Neither for a first list nor for a newer one."""
    source, slow = Source("a"), Source("b")
    slow.seconds = 20.0

    async def main() -> None:
        background = Background()
        lists = NodeLists(background, clock=trio.current_time)
        nodes = await lists.find("k", source)
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                late = await lists.find("slow", slow)
                assert lists.failure(late).message == "no nodes: the hub was left"

            group.start_soon(wait)
            await anyio.sleep(1.0)
            await background.aclose()
        await anyio.sleep(1000.0)
        lists.use(nodes)
        assert (await lists.find("k", source)).items == {"a": "a"}
        assert repr(nodes) == "<NodeList: a>"
        assert not (await lists.find("none", slow)).items

    trio.run(main, clock=MockClock(autojump_threshold=0.0))
    assert len(source.times) < 30


@pytest.mark.anyio
async def test_without_anything_beside_calls_each_is_found_once() -> None:
    """By who wants it."""
    lists, source = NodeLists(), Timeless("a")
    for _ in range(3):
        assert (await lists.find("k", source)).items == {"a": "a"}


class Timeless(Source):
    """One that does not ask trio for the time."""

    async def __call__(self) -> Mapping[str, str]:
        """Look it up, once."""
        assert not self.times
        self.times.append(0.0)
        return {"a": "a"}
