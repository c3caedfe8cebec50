"""How fast a deployment is beside others."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.latency import Latency

SAMPLES = st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=60)


def of(*samples: float) -> Latency:
    """Return one with samples."""
    latency = Latency()
    for sample in samples:
        latency.add(sample)
    return latency


@given(SAMPLES)
def test_the_mean_is_among_the_samples(samples: list[float]) -> None:
    """It is their mean as long as there are few, and never beyond them."""
    latency = of(*samples)
    assert min(samples) * 0.999 <= latency.mean <= max(samples) * 1.001
    if len(samples) <= 50:
        assert latency.mean == pytest.approx(sum(samples) / len(samples))


def test_old_samples_are_forgotten() -> None:
    """A server that became slow is slow, after some time."""
    latency = of(*[1.0] * 1000, *[3.0] * 150)
    assert latency.mean > 2.8


@given(SAMPLES, st.floats(0.01, 100.0))
def test_it_is_shrunk_towards_the_others(samples: list[float], mean: float) -> None:
    """Between as slow as all are and what its own samples say."""
    latency = of(*samples)
    own = latency.mean / mean
    assert min(1.0, own) * 0.999 <= latency.relative(math.log(mean)) <= max(1.0, own) * 1.001


@pytest.mark.parametrize(("samples", "share"), [(1, 1 / 11), (10, 1 / 2), (50, 5 / 6), (5000, 5 / 6)])
@pytest.mark.parametrize("slower", [0.2, 3.0, 60.0])
def test_few_samples_say_little(samples: int, share: float, slower: float) -> None:
    """After ten of them a ratio is believed by half, and one that is sixty times as slow is less than half slower."""
    assert of(*[slower] * samples).relative(0.0) == pytest.approx(slower**share)


def test_of_nothing_nothing_is_said() -> None:
    """Without samples it is as fast as the others; a sample of no time at all is the shortest."""
    assert Latency().relative(5.0) == 1.0
    assert of(0.0).relative(0.0) == pytest.approx(1e-6 ** (1 / 11))
    assert repr(of(3.0, 1.0)) == "<Latency: 2 s over 2>"
