"""What a hook is given: the credential, time, a log, a folder, threads, and nothing that shows a secret."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from tests.canary import CANARY

from modelhub.errors import ConfigurationError
from modelhub.http.seam import ReadLimits
from modelhub.provider import Credential, ProviderContext
from modelhub.types.records import Progress

pytestmark = pytest.mark.anyio

SECRET = CANARY


def context_of(reported: list[Progress] | None = None, *, deadline: float | None = None) -> ProviderContext:
    """Make the context of a provider without an endpoint."""
    credential = Credential({"api_key": SECRET, "team": "t"}, secret_names=frozenset({"api_key"}))
    return ProviderContext(
        provider="acme",
        credential=credential,
        limits=ReadLimits(lambda: 100.0, deadline=deadline),
        clock=lambda: 100.0,
        cache_dir=Path("cache/acme"),
        progress=[].append if reported is None else reported.append,
    )


def test_a_context_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Neither by itself nor in the plugin's log."""
    context = context_of()
    with caplog.at_level(logging.DEBUG, logger="modelhub.providers.acme"):
        context.log.info("using %s with %r and %s", context, context, context.credential)
    assert SECRET not in caplog.text + repr(context) + str(context)
    assert "team='t'" in caplog.text


def test_a_context_knows_the_callers_deadline() -> None:
    """By its own clock; None where the caller set none."""
    assert context_of(deadline=105.0).deadline == 105.0
    assert context_of().deadline is None
    assert context_of().clock() == 100.0


def test_http_without_an_endpoint_says_what_is_missing() -> None:
    """The form has no field with the role, or the field has no value."""
    context = context_of()
    assert context.open_http is None
    with pytest.raises(ConfigurationError, match="provider 'acme' has no endpoint") as caught:
        _ = context.http
    assert "role: endpoint" in str(caught.value)


async def test_blocking_takes_arguments_and_gives_the_result() -> None:
    """The thread is named after the provider."""

    def power(base: int, *, exponent: int) -> tuple[int, str]:
        return base**exponent, threading.current_thread().name

    assert await context_of().blocking(power, 2, exponent=5) == (32, "acme blocking")


async def test_cancellable_ends_the_function() -> None:
    """What is told to end is waited for."""
    told, left = threading.Event(), threading.Event()

    def work() -> None:
        told.wait(5)
        left.set()

    with anyio.move_on_after(0.02):
        await context_of().cancellable(work, told.set)
    assert left.is_set()


async def test_iterate_gives_a_generators_items() -> None:
    """It runs in a thread named after the provider."""

    def names() -> Iterator[str]:
        for _ in range(3):
            yield threading.current_thread().name

    assert [name async for name in context_of().iterate(names())] == ["acme generator"] * 3


async def test_progress_is_reported_from_any_thread() -> None:
    """A plugin need not know which thread it is in."""
    reported: list[Progress] = []
    context = context_of(reported)
    context.progress(Progress("one"))
    await context.blocking(context.progress, Progress("two", 1, 2))
    assert [each.message for each in reported] == ["one", "two"]
    assert reported[1].fraction == 0.5


async def test_reports_gives_what_a_function_reports() -> None:
    """Until the function returns."""

    def work(report: Callable[[int], None]) -> None:
        for number in range(3):
            report(number)

    assert [number async for number in context_of().reports(work, on_cancel=lambda: None)] == [0, 1, 2]
