"""When a deployment is left alone, for how long, and how it comes back."""

import math
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelhub.rules.routing.health import Breaker, Ejection


def fails(breaker: Breaker, now: float, *, fault: float = 1.0, begun: float | None = None, probe: bool = False) -> bool:
    """Have a call fail."""
    return breaker.failed(now, fault, Random(1), begun=now if begun is None else begun, probe=probe)


def succeeds(breaker: Breaker, now: float, *, begun: float | None = None, probe: bool = False) -> bool:
    """Have a call succeed."""
    return breaker.succeeded(now, begun=now if begun is None else begun, probe=probe)


def ejected(now: float = 0.0, ejection: Ejection | None = None) -> Breaker:
    """Return one that was ejected at a time."""
    breaker = Breaker(ejection)
    for _ in range(breaker_after(ejection)):
        fails(breaker, now)
    return breaker


def breaker_after(ejection: Ejection | None) -> int:
    """Return how many faults eject."""
    return (ejection or Ejection()).after


def probed_well(breaker: Breaker, now: float) -> None:
    """Have two probes succeed."""
    for _ in range(2):
        assert breaker.begin(now)
        succeeds(breaker, now, probe=True)


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin and end in any order, checks and hints between them."""

    @initialize(seed=st.integers(0, 99))
    def begin_well(self, seed: int) -> None:
        """Nothing has happened yet."""
        self.now = 1000.0
        self.random = Random(seed)
        self.breaker = Breaker()
        self.calls: list[tuple[float, bool]] = []
        self.opened_at = -math.inf
        self.ended_early = False

    @rule(seconds=st.sampled_from([0.001, 0.5, 3.0, 11.0, 61.0, 400.0]))
    def tick(self, seconds: float) -> None:
        """Time goes on."""
        self.now += seconds

    @rule(calls=st.integers(1, 4))
    def begin(self, calls: int) -> None:
        """Calls begin where they may; at most one of them finds out how it is."""
        for _ in range(calls):
            if self.breaker.ready(self.now):
                assert self.breaker.closed or self.now >= self.breaker.until
                self.calls.append((self.now, self.breaker.begin(self.now)))

    @rule()
    def begin_in_panic(self) -> None:
        """A call begins although it may not."""
        if not self.breaker.ready(self.now):
            assert not self.breaker.begin(self.now)
            self.calls.append((self.now, False))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 9))
    def succeed(self, which: int) -> None:
        """A call succeeds."""
        begun, probe = self.calls.pop(which % len(self.calls))
        was, until = self.breaker.closed, self.breaker.until
        recovered = self.breaker.succeeded(self.now, begun=begun, probe=probe)
        assert recovered == (not was and self.breaker.closed)
        if begun < self.opened_at:
            assert (self.breaker.closed, self.breaker.until) == (was, until)

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 9), fault=st.sampled_from([1.0, 2.0]))
    def fail(self, which: int, fault: float) -> None:
        """A call fails: what is ejected stays so for no shorter."""
        begun, probe = self.calls.pop(which % len(self.calls))
        was, until = self.breaker.closed, self.breaker.until
        opened = self.breaker.failed(self.now, fault, self.random, begun=begun, probe=probe)
        assert self.breaker.until >= until
        if begun < self.opened_at:
            assert not opened
            assert self.breaker.closed == was
        if opened:
            self.opened_at = self.now
            assert not self.breaker.closed
            assert self.breaker.until - self.now >= 2.5 or self.breaker.until == until
            assert self.breaker.until - self.now <= 300.0 or self.breaker.until == until

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 9))
    def leave(self, which: int) -> None:
        """A caller goes."""
        _, probe = self.calls.pop(which % len(self.calls))
        self.breaker.left(probe=probe)

    @rule(seconds=st.sampled_from([1.0, 30.0]))
    def hint(self, seconds: float) -> None:
        """Another process has ejected it."""
        until = self.breaker.until
        if self.breaker.closed:
            self.opened_at = -math.inf
        self.breaker.hint(self.now + seconds)
        assert self.breaker.until >= until

    @rule(well=st.booleans())
    def check(self, *, well: bool) -> None:
        """A cheap check is answered, or not."""
        until, closed = self.breaker.until, self.breaker.closed
        if well:
            self.breaker.answered(self.now)
            assert closed or self.breaker.until <= self.now
        else:
            self.breaker.silent(self.now, 10.0)
            assert self.breaker.until >= until
        assert self.breaker.closed == closed

    @invariant()
    def one_probe(self) -> None:
        """There is never more than one probe, and no call but one in panic before the time."""
        probes = sum(probe for _, probe in self.calls)
        assert probes <= 1
        if self.breaker.closed:
            assert self.breaker.ready(self.now)
        else:
            assert self.breaker.ready(self.now) == (self.now >= self.breaker.until and not probes)
            assert self.breaker.ramp(self.now) == 0.1
        assert 0.1 <= self.breaker.ramp(self.now) <= 1.0


BreakerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestBreaker = BreakerMachine.TestCase


def test_three_faults_in_a_row_eject() -> None:
    """Two do not, and a success between them begins the count anew."""
    breaker = Breaker()
    assert [fails(breaker, 0.0), fails(breaker, 0.1)] == [False, False]
    succeeds(breaker, 0.2)
    assert [fails(breaker, 0.3), fails(breaker, 0.4), fails(breaker, 0.5)] == [False, False, True]
    assert not breaker.ready(0.5)


def test_a_connection_that_is_refused_counts_as_two() -> None:
    """Two of them eject."""
    breaker = Breaker()
    assert [fails(breaker, 0.0, fault=2.0), fails(breaker, 0.1, fault=2.0)] == [False, True]


def test_more_failures_than_successes_eject() -> None:
    """Below half of ten calls in 30 seconds, though never three in a row fail."""
    breaker, opened = Breaker(), []
    for call in range(12):
        now = float(call)
        if call % 3 == 0:
            succeeds(breaker, now)
        else:
            opened.append(fails(breaker, now))
    assert opened.index(True) == 6  # the tenth call


def mixed(breaker: Breaker, now: float, outcomes: str) -> list[bool]:
    """Have calls succeed and fail, as ``+`` and ``-`` say; return whether each failure ejected."""
    ejected = []
    for outcome in outcomes:
        if outcome == "+":
            assert not succeeds(breaker, now)
        else:
            ejected.append(fails(breaker, now))
    return ejected


def test_nine_calls_are_too_few_to_judge_and_half_of_ten_is_enough() -> None:
    """The tenth call can eject, and does where fewer than five of them succeeded."""
    assert mixed(Breaker(), 0.0, "--+--+--+-") == [False] * 6 + [True]
    assert mixed(Breaker(), 0.0, "--+--+-++-") == [False] * 5 + [True]
    assert mixed(Breaker(), 0.0, "--+--++++-") == [False] * 5


@pytest.mark.parametrize(("now", "counts"), [(29.9, True), (30.1, False)])
def test_calls_count_for_thirty_seconds(now: float, *, counts: bool) -> None:
    """In steps of three seconds; the time of a process need not begin at nought."""
    for start in (0.0, 3e5):
        breaker = Breaker()
        assert not any(mixed(breaker, start, "--+--+--+"))
        assert fails(breaker, start + now) is counts


def test_failures_of_long_ago_do_not_count() -> None:
    """After 30 seconds the share begins anew."""
    breaker = Breaker()
    for call in range(9):
        now = float(call)
        assert not (succeeds(breaker, now) if call % 3 == 0 else fails(breaker, now))
    succeeds(breaker, 39.0)
    assert not fails(breaker, 40.0)
    assert breaker.closed


@pytest.mark.parametrize(("level", "longest"), [(0, 5.0), (1, 10.0), (2, 20.0), (5, 160.0), (6, 300.0), (40, 300.0)])
def test_each_ejection_is_twice_as_long(level: int, longest: float) -> None:
    """Between half of that and all of it, five minutes at most."""
    breaker = ejected()
    for _ in range(level):
        assert breaker.begin(breaker.until)
        now = breaker.until + 1.0
        fails(breaker, now, begun=breaker.until, probe=True)
    now = 0.0 if level == 0 else now
    assert longest / 2 <= breaker.until - now <= longest


@pytest.mark.parametrize(("level", "longest"), [(0, 5.0), (9, 300.0)])
def test_ejections_are_spread_over_half_of_their_time(level: int, longest: float) -> None:
    """So that not all clients come back at once: the first of many, and those of a long outage."""
    seconds, now = [], 0.0
    for seed in range(200):
        random, breaker = Random(seed), Breaker()
        for _ in range(3):
            breaker.failed(0.0, 1.0, random, begun=0.0, probe=False)
        for _ in range(level):
            now = breaker.until
            breaker.begin(now)
            breaker.failed(now, 1.0, random, begun=now, probe=True)
        seconds.append(breaker.until - now)
    assert 0.5 * longest <= min(seconds) < 0.52 * longest
    assert 0.98 * longest < max(seconds) <= longest


def test_a_long_outage_is_forgotten_in_minutes() -> None:
    """However often it was ejected, after some minutes without faults the next ejection is a short one."""
    breaker = ejected()
    for _ in range(500):
        assert breaker.begin(breaker.until)
        fails(breaker, breaker.until + 1.0, begun=breaker.until, probe=True)
    probed_well(breaker, breaker.until)
    later = breaker_closed_for(breaker, 7 * 60.0)
    for _ in range(3):
        fails(breaker, later)
    assert breaker.until - later <= 5.0


def breaker_closed_for(breaker: Breaker, seconds: float) -> float:
    """Return a time so long after it has become well."""
    now = 1e6
    while breaker.ramp(now) == 1.0:
        now -= 1.0
    return now + seconds


def test_an_ejection_that_is_soon_repeated_is_longer() -> None:
    """Being well for a moment makes nothing forgotten."""
    breaker = ejected()
    now = breaker.until
    probed_well(breaker, now)
    for _ in range(3):
        fails(breaker, now + 1.0)
    assert 5.0 <= breaker.until - (now + 1.0) <= 10.0


@pytest.mark.parametrize(("well", "longest"), [(59.9, 10.0), (60.0, 5.0)])
def test_a_minute_of_being_well_takes_one_doubling_back(well: float, longest: float) -> None:
    """It counts from the answer that closed it."""
    breaker = ejected()
    now = breaker.until
    probed_well(breaker, now)
    for _ in range(3):
        fails(breaker, now + well)
    assert longest / 2 <= breaker.until - (now + well) <= longest


def test_an_answer_in_panic_proves_as_much_as_that_of_a_probe() -> None:
    """The next call may go at once; with it the deployment is well, or ejected again."""
    for succeeded in (True, False):
        breaker = ejected()
        assert not breaker.ready(0.5)
        assert not succeeds(breaker, 1.0, begun=0.5)
        assert breaker.ready(1.0)
        assert breaker.state(1.0) == "half_open"
        if succeeded:
            assert succeeds(breaker, 2.0, begun=1.5)
        else:
            assert fails(breaker, 2.0, begun=1.5)
            assert not breaker.ready(2.0)


def test_failures_in_panic_make_no_ejection_longer() -> None:
    """What goes there although it is ejected is expected to fail; the next ejection is as long as without it."""
    breaker = ejected()
    until = breaker.until
    assert not any(fails(breaker, 0.1 * number) for number in range(1, 20))
    assert breaker.until == until
    assert breaker.begin(until)
    assert fails(breaker, until + 1.0, begun=until, probe=True)
    assert 5.0 <= breaker.until - (until + 1.0) <= 10.0


def test_two_answers_close() -> None:
    """One is not enough, and the second may come at once."""
    breaker = ejected()
    now = breaker.until
    assert breaker.begin(now)
    assert not breaker.begin(now)
    assert not succeeds(breaker, now, probe=True)
    assert not breaker.closed
    assert breaker.begin(now)
    assert succeeds(breaker, now, probe=True)
    assert breaker.closed


def test_a_failure_after_the_first_answer_makes_two_answers_needed_again() -> None:
    """What it proved before it failed again proves nothing."""
    breaker = ejected()
    now = breaker.until
    assert breaker.begin(now)
    assert not succeeds(breaker, now, probe=True)
    assert breaker.begin(now)
    assert fails(breaker, now + 1.0, begun=now, probe=True)
    now = breaker.until
    assert breaker.begin(now)
    assert not succeeds(breaker, now, probe=True)
    assert breaker.begin(now)
    assert succeeds(breaker, now, probe=True)


def test_what_was_before_an_ejection_counts_no_more_after_it() -> None:
    """Neither its failures, which were answered for, nor its successes, which would hide new ones."""
    breaker = Breaker()
    assert mixed(breaker, 0.0, "--+--+--+-")[-1]
    probed_well(breaker, breaker.until)
    assert mixed(breaker, 6.0, "-+--+--+-") == [False] * 6
    breaker = Breaker()
    assert mixed(breaker, 0.0, "+" * 100 + "---")[-1]
    probed_well(breaker, breaker.until)
    assert mixed(breaker, 6.0, "--+--+--+-") == [False] * 6 + [True]


def test_it_starts_slowly() -> None:
    """A tenth of its share while it is tried and at first, all of it ten seconds later."""
    breaker = ejected()
    now = breaker.until
    assert breaker.ramp(now) == 0.1
    probed_well(breaker, now)
    assert [round(breaker.ramp(now + after), 2) for after in (0.0, 0.5, 2.5, 5.0, 10.0, 99.0)] == [
        *(0.1, 0.1, 0.25, 0.5, 1.0, 1.0)
    ]


def test_one_that_was_never_ejected_has_all_of_its_share() -> None:
    """Nothing starts slowly that has not failed."""
    assert Breaker().ramp(0.0) == 1.0


def test_a_call_from_before_the_ejection_says_nothing() -> None:
    """Neither that it is well, nor, once it is, that it is not."""
    breaker = ejected(10.0)
    assert not succeeds(breaker, 11.0, begun=9.0)
    assert breaker.until > 12.0
    now = breaker.until
    probed_well(breaker, now)
    for _ in range(20):  # what hung for 20 seconds fails at last
        assert not fails(breaker, now + 5.0, begun=9.5)
    assert breaker.closed


def test_failing_again_never_shortens() -> None:
    """What others have ejected for long is not let in sooner for failing here (as happened to others)."""
    breaker = Breaker()
    breaker.hint(500.0)
    fails(breaker, 1.0, begun=0.5)
    assert breaker.until == 500.0
    breaker.silent(2.0, 10.0)
    assert breaker.until == 500.0


def test_a_hint_is_proven_or_refuted_by_one_call() -> None:
    """One answer makes it well again, one failure ejects it."""
    well, ill = Breaker(), Breaker()
    for breaker in (well, ill):
        breaker.hint(5.0)
        assert not breaker.ready(4.9)
        assert breaker.begin(5.0)
    assert succeeds(well, 6.0, begun=5.0, probe=True)
    assert fails(ill, 6.0, begun=5.0, probe=True)
    assert ill.state(6.0) == "open"


def test_a_check_that_is_answered_lets_the_probe_come_at_once() -> None:
    """It makes nothing well by itself; a check that is not answered keeps the probe away."""
    breaker = ejected()
    breaker.answered(0.5)
    assert breaker.ready(0.5)
    assert not breaker.closed
    breaker.silent(1.0, 10.0)
    assert not breaker.ready(10.9)
    assert breaker.state(11.0) == "half_open"


def test_it_says_where_it_stands() -> None:
    """As a status line."""
    breaker = Breaker()
    succeeds(breaker, 0.0)
    assert repr(breaker) == "<Breaker closed: 1 good, 0 bad of late>"
    breaker = ejected(0.0, Ejection(after=1, seconds=8.0, longest=8.0))
    assert repr(breaker) == f"<Breaker open until {breaker.until:.1f}>"
    breaker.begin(breaker.until)
    assert repr(breaker) == f"<Breaker half_open until {breaker.until:.1f}, probing>"
