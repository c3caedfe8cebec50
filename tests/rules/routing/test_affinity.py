"""Conversations go where their beginning has been read before."""

from random import Random

import pytest
from benchmarks.simulation import Place, World, option
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.affinity import PrefixIndex, blocks
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Option, Route
from modelhub.rules.routing.pool import Pool

TEXTS = st.lists(st.text(max_size=200), max_size=4)


@given(TEXTS, TEXTS)
def test_equal_beginnings_have_equal_blocks(texts: list[str], more: list[str]) -> None:
    """As many as there are whole blocks of 64 characters, whatever comes behind them."""
    text, longer = "\n".join(texts), "\n".join([*texts, *more])
    found, others = blocks(texts), blocks([*texts, *more])
    assert len(found) == min(len(text) // 64, 256)
    assert others[: len(found)] == found or not longer.startswith(text)


@given(TEXTS, st.integers(0, 500))
def test_blocks_differ_from_where_texts_do(texts: list[str], at: int) -> None:
    """A digest stands for all that comes before it too."""
    text = "\n".join(texts) + "x" * 600
    other = text[:at] + ("y" if text[at] != "y" else "z") + text[at + 1 :]
    same = sum(one == another for one, another in zip(blocks([text]), blocks([other]), strict=True))
    assert same == at // 64


def test_what_is_not_unicode_has_blocks_too() -> None:
    """Half of a surrogate pair is a text in Python."""
    assert len(blocks(["\ud800" * 64])) == 1


def test_the_index_knows_how_much_of_a_prompt_was_seen() -> None:
    """From its first block on, without gaps."""
    index, prompt = PrefixIndex(), blocks(["a" * 64 * 10])
    assert index.depth(prompt) == 0
    index.add(prompt[:4])
    assert index.depth(prompt) == 4
    index.add(prompt)
    assert index.depth(prompt) == 10
    assert index.depth(blocks(["b" + "a" * 64 * 9])) == 0
    assert repr(index) == "<PrefixIndex: 10 blocks>"


def test_the_index_forgets_the_oldest_and_beginnings_last() -> None:
    """It holds 32,768 blocks at most."""
    index = PrefixIndex()
    prompts = [[f"{prompt}/{block}".encode() for block in range(256)] for prompt in range(129)]
    for prompt in prompts:
        index.add(prompt)
    assert len(index) == 32_768
    assert index.depth(prompts[0]) == 0
    assert index.depth(prompts[1]) == 256
    index.add(prompts[0][:128])
    assert index.depth(prompts[1]) == 128


class Conversations:
    """Users who each say one thing after another, some of them much more often than others."""

    def __init__(self, seed: int, number: int, shared: str) -> None:
        self.random = Random(seed)
        self.texts = [f"{shared}user {user:4} " * 1 + f"{self.random.random()} " * 20 for user in range(number)]
        self.weights = [1.0 / (user + 1) for user in range(number)]

    def next(self) -> list[bytes]:
        """Return the blocks of somebody's next prompt."""
        (user,) = self.random.choices(range(len(self.texts)), self.weights)
        self.texts[user] += f"and then {self.random.random()} " * 12
        return blocks([self.texts[user]])


def hits(options: tuple[Option[Place], ...], conversations: Conversations, calls: int) -> tuple[float, float, float]:
    """Return the share of blocks that were known where calls went, the most there could be, and the unevenness."""
    world = World(3)
    pool = Pool(Random(1))
    route = Route("r", (Group(options, "sticky"),), RetryBudget())
    caches = {option.id: PrefixIndex() for option in options}
    everything = PrefixIndex()
    known = possible = total = 0
    loads: dict[str, float] = dict.fromkeys(caches, 0.0)

    def call() -> None:
        nonlocal known, possible, total
        prompt = conversations.next()
        lease = pool.choose(Course(route, blocks=prompt), world.now)
        assert lease is not None
        cache = caches[lease.option.id]
        total += len(prompt)
        known += cache.depth(prompt)
        possible += everything.depth(prompt)
        cache.add(prompt)
        everything.add(prompt)
        loads[lease.option.id] += 1
        world.at(world.now + world.random.lognormvariate(-0.5, 1.0), lambda: pool.succeeded(lease, world.now, 1.0))

    when = 0.0
    for _ in range(calls):
        when += world.random.expovariate(16.0 * len(options))
        world.at(when, call)
    world.run()
    return known / total, possible / total, max(loads.values()) / (sum(loads.values()) / len(loads))


@pytest.mark.parametrize("shared", ["", "You are helpful, and know all of this: " * 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_conversations_find_their_beginnings(seed: int, shared: str) -> None:
    """At least four fifths of what one server for all would find, the load being even, however they begin."""
    options = tuple(option(f"e{number}") for number in range(4))
    known, possible, uneven = hits(options, Conversations(seed, 300, shared), 2500)
    assert known >= 0.8 * possible
    assert uneven <= 1.3


def test_sessions_stay_where_they_are() -> None:
    """Each is always at the same deployment, in every process; when one goes, only its sessions move."""
    options = tuple(option(f"e{number}") for number in range(5))

    def of(seed: int, members: tuple[Option[Place], ...]) -> list[str]:
        pool, route = Pool(Random(seed)), Route("r", (Group(members, "sticky"),), RetryBudget())
        places = []
        for user in range(200):
            lease = pool.choose(Course(route, session=f"user {user}"), 0.0)
            assert lease is not None
            places.append(lease.option.id)
            pool.succeeded(lease, 1.0)
        return places

    before = of(1, options)
    assert before == of(2, options[::-1])
    after = of(3, options[1:])
    moved = [now for was, now in zip(before, after, strict=True) if was != now]
    assert len(moved) == before.count("e0")
    assert len(moved) == pytest.approx(40, abs=20)
