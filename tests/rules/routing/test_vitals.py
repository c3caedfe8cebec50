"""What is known of deployments and keys keeps calls away for as long as it should."""

import math

import pytest
from benchmarks.simulation import option

from modelhub.rules.routing.vitals import KeyHealth, Vitals


def vitals() -> Vitals:
    """Return those of a deployment of which nothing is known."""
    return option("a", limit=2, most=2).vitals


def test_what_is_gravest_is_said() -> None:
    """Each state hides those that matter less."""
    known = vitals()
    assert known.block(0.0, 0.0) is None
    known.slots.in_flight = 2
    said = []
    for change in (
        lambda: None,
        lambda: known.rest(0.0, 5.0, 0.0),
        lambda: known.lacks(0.0),
        lambda: known.key.refused(0.0, "AuthenticationFailed"),
        lambda: known.breaker.hint(9.0),
        lambda: setattr(known.key, "broke_until", 70.0),
    ):
        change()
        block = known.block(0.0, 0.0)
        assert block is not None
        assert not known.ready(0.0, 0.0)
        said.append((block.reason, block.until))
    assert said == [
        ("busy", math.inf),
        ("resting", 5.0),
        ("no such model", 60.0),
        ("refused key", 60.0),
        ("ejected", 9.0),
        ("budget", 70.0),
    ]


def test_an_answer_says_that_model_and_key_are_there() -> None:
    """But not that a pause that was asked for is over."""
    known = vitals()
    known.lacks(0.0)
    known.key.refused(0.0, "AuthenticationFailed")
    known.rest(0.0, 30.0, 0.0)
    known.answered(0.0)
    block = known.block(1.0, 0.0)
    assert block is not None
    assert (block.reason, block.until) == ("resting", 30.0)
    assert known.ready(30.0, 0.0)


def test_no_pause_is_longer_than_an_hour() -> None:
    """Whatever a server asks for; what it does not say grows from half a second on, to eight."""
    known = vitals()
    known.rest(0.0, 1e308, 0.5)
    assert known.rests_until == 3600.0
    known = vitals()
    pauses = []
    for number in range(7):
        known.rest(100.0 * number, None, 1.0)
        pauses.append(known.rests_until - 100.0 * number)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("asked", [-5.0, math.nan])
def test_a_pause_of_nonsense_is_one_that_was_not_said(asked: float) -> None:
    """A plugin may set what no header can."""
    known = vitals()
    known.rest(0.0, asked, 1.0)
    assert known.rests_until == 0.5


def test_a_refused_key_is_left_alone_for_longer_each_time() -> None:
    """A minute, then two, an hour at most; until it is accepted."""
    key, now, waits = KeyHealth(), 0.0, []
    for _ in range(8):
        key.refused(now, "AuthenticationFailed")
        waits.append(key.refused_until - now)
        now = key.refused_until
    assert waits == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert repr(key) == f"<KeyHealth: AuthenticationFailed until {now:.1f}>"
    key.accepted()
    assert key.refused_until == -math.inf
    assert repr(key) == "<KeyHealth: sound>"


def test_spent_money_is_left_alone_for_a_quarter_of_an_hour() -> None:
    """Or for as long as the vendor says."""
    key = KeyHealth()
    key.refused(0.0, "QuotaExhausted", quota=True)
    assert key.refused_until == 900.0
    key.refused(0.0, "QuotaExhausted", quota=True, asked=1800.0)
    assert key.refused_until == 1800.0


def test_one_call_at_a_time_finds_out_whether_a_key_is_good_again() -> None:
    """The others wait five seconds for what becomes of it; a sound key is not touched."""
    key = KeyHealth()
    key.tried(0.0)
    assert key.refused_until == -math.inf
    key.refused(0.0, "AuthenticationFailed")
    key.tried(60.0)
    assert key.refused_until == 65.0


def test_what_nothing_is_known_of_may_be_forgotten() -> None:
    """Not what is in use, is waited for, or is ejected."""
    known = vitals()
    assert known.idle
    known.slots.begin()
    assert not known.idle
    known.slots.end()
    known.breaker.hint(5.0)
    assert not known.idle
    assert repr(known) == "<Vitals a: <Breaker half_open until 5.0> <Slots: 0 of 2.0 in use>, 0 waiting>"
