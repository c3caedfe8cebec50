"""What succeeds pays for what is tried again."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modelhub.rules.routing.budget import RetryBudget

STEPS = st.lists(
    st.tuples(st.sampled_from(["earn", "spend", "spend"]), st.floats(0.0, 30.0), st.sampled_from([1.0, 2.0])),
    max_size=200,
)


@given(st.floats(0.0, 1.0), st.floats(0.0, 50.0), STEPS)
def test_no_more_is_spent_than_was_earned(share: float, floor: float, steps: list[tuple[str, float, float]]) -> None:
    """The floor at once and again each minute, and a share of each success: never more, in whatever order."""
    budget = RetryBudget(share, floor)
    now = spent = 0.0
    successes = 0
    for what, seconds, cost in steps:
        now += seconds
        if what == "earn":
            budget.earn()
            successes += 1
        else:
            spent += cost * budget.spend(cost, now)
        assert 0.0 <= budget.tokens <= max(100.0, floor)
        assert spent <= floor + floor * now / 60.0 + share * successes + 1e-6


def test_an_outage_is_not_made_worse() -> None:
    """A thousand calls a second that all fail for a minute are 1.2 times as many at the most, and the floor."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    retries = sum(budget.spend(1.0, call / 1000) for call in range(60_000))
    assert retries <= 100 + 10 + 10


def test_a_route_with_few_calls_can_retry() -> None:
    """What is missing of the floor is there again within a minute."""
    budget = RetryBudget()
    assert sum(budget.spend(1.0, 0.0) for _ in range(20)) == 10
    assert not budget.spend(1.0, 5.9)
    assert budget.spend(1.0, 6.1)
    assert sum(budget.spend(1.0, 70.0) for _ in range(20)) == 10


def test_a_hundred_are_saved_up_or_the_floor_where_that_is_more() -> None:
    """However much succeeds; and no success takes anything away."""
    for floor, most in ((10.0, 100.0), (100.0, 100.0), (150.0, 150.0)):
        budget = RetryBudget(floor=floor)
        for _ in range(1000):
            budget.earn()
        assert budget.tokens == most


def test_a_clock_that_goes_back_takes_nothing() -> None:
    """What is there stays, and comes back by the time that passes from then on."""
    budget = RetryBudget()
    assert all(budget.spend(1.0, 60.0) for _ in range(5))
    assert budget.spend(1.0, 0.0)
    assert budget.tokens == 4.0
    assert budget.spend(1.0, 6.0)
    assert budget.tokens == 4.0


def test_five_successes_pay_for_one_retry() -> None:
    """With the share that is usual."""
    budget = RetryBudget(floor=0.0)
    for _ in range(5):
        assert not budget.spend(1.0, 0.0)
        budget.earn()
    assert budget.spend(1.0, 0.0)


def test_it_says_what_there_is() -> None:
    """As a status line."""
    assert repr(RetryBudget()) == "<RetryBudget: 10.0 tokens, 0.2 per success>"


class BudgetMachine(RuleBasedStateMachine):
    """Calls that succeed and fail in any order and at any time, beside the plainest account of them."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget(0.2, 10.0)
        self.now = 0.0
        self.allowed = 10.0
        self.refused_at: float | None = None

    @rule(seconds=st.floats(0.0, 90.0))
    def time_passes(self, seconds: float) -> None:
        """The floor comes back within a minute."""
        self.now += seconds
        self.allowed += 10.0 * seconds / 60.0

    @rule(calls=st.integers(1, 200))
    def calls_succeed(self, calls: int) -> None:
        """Each pays for a fifth of a retry."""
        for _ in range(calls):
            self.budget.earn()
        self.allowed += 0.2 * calls

    @rule(cost=st.sampled_from([1.0, 2.0]), tries=st.integers(1, 150))
    def calls_fail(self, cost: float, tries: int) -> None:
        """As many are tried again as there is budget for, and no more than was ever allowed."""
        for _ in range(tries):
            before = self.budget.tokens
            if self.budget.spend(cost, self.now):
                self.allowed -= cost
            else:
                assert before < cost
                self.refused_at = self.now

    @rule()
    def a_minute_after_a_refusal(self) -> None:
        """A call can be tried again, whatever happened before."""
        if self.refused_at is not None:
            self.time_passes(max(0.0, self.refused_at + 60.0 - self.now))
            assert self.budget.spend(1.0, self.now)
            self.allowed -= 1.0
            self.refused_at = None

    @invariant()
    def no_more_is_spent_than_allowed(self) -> None:
        """And what can be saved up is bounded."""
        assert self.allowed >= -1e-6
        assert 0.0 <= self.budget.tokens <= 100.0


TestBudget = BudgetMachine.TestCase
