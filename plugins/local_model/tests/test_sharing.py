"""Work for many is done once, goes on while anybody wants it, and is undone when nobody does."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from modelhub.errors import ServerError
from modelhub_local_model.loading_steps import LoadProgress, Report, Stopped
from modelhub_local_model.sharing import Share, SharedWork


def ignore(_: LoadProgress) -> None:
    """Take no notice of progress."""


class Bench:
    """A `SharedWork` whose one task waits to be told what to do, and what became of it."""

    def __init__(self) -> None:
        self.work: SharedWork[str] = SharedWork(self.undo)
        self.go = threading.Event()
        self.started: list[str] = []
        self.undone: list[str] = []
        self.stopped = threading.Event()

    def undo(self, result: str) -> None:
        """Note what is undone."""
        self.undone.append(result)

    def task(self, stop: threading.Event, report: Report) -> str:
        """Return a result when told to; end when stopped."""
        self.started.append(f"result {len(self.started)}")
        result = self.started[-1]
        report(LoadProgress("loading", 1, 4))
        while not self.go.wait(0.01):
            if stop.is_set():
                self.stopped.set()
                raise Stopped
        return result

    def get(self, *, stop: threading.Event | None = None, report: Report = ignore) -> Share[str]:
        """Ask for the one result."""
        return self.work.get("key", self.task, stop=stop or threading.Event(), report=report)


class Asker(threading.Thread):
    """A thread that asks, and keeps what it got."""

    def __init__(self, ask: Callable[[], Share[str]]) -> None:
        super().__init__()
        self.ask = ask
        self.share: Share[str] | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Ask."""
        try:
            self.share = self.ask()
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.error = error


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Make a bench, and leave no thread of it."""
    bench = Bench()
    yield bench
    bench.work.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds, two seconds at most."""
    patience = threading.Event()
    for _ in range(200):
        if condition():
            return
        patience.wait(0.01)
    pytest.fail("it never came to hold")


def test_is_done_once_for_all(bench: Bench) -> None:
    """Many who ask at once get one result; it is undone when the last has left, and not before."""
    askers = [Asker(bench.get) for _ in range(8)]
    wait_for(lambda: bool(bench.started))
    bench.go.set()
    shares = [asker.share for asker in askers if asker.join() is None and asker.share is not None]
    assert {share.value for share in shares} == {"result 0"}
    with ExitStack() as stack:
        for share in shares:
            stack.enter_context(share)
        shares[0].release()
        shares[0].release()
        assert not bench.undone
    assert bench.started == bench.undone == ["result 0"]
    assert repr(shares[0]) == "<Share released: 'result 0'>"


def test_begins_anew_after_it_was_undone(bench: Bench) -> None:
    """The next to ask after the last has left has the work done again."""
    bench.go.set()
    for number in range(2):
        with bench.get() as share:
            assert share.value == f"result {number}"
            assert repr(bench.work) == f"<SharedWork 0 under way, ready: ['result {number}']>"
    assert bench.undone == ["result 0", "result 1"]


def test_one_who_leaves_does_not_disturb_the_others(bench: Bench) -> None:
    """A stopped wait ends at once; the work goes on for who is left."""
    stop = threading.Event()
    first, second = Asker(lambda: bench.get(stop=stop)), Asker(bench.get)
    wait_for(lambda: bool(bench.started))
    stop.set()
    first.join()
    assert isinstance(first.error, Stopped)
    assert not bench.stopped.is_set()
    bench.go.set()
    second.join()
    assert second.share is not None
    second.share.release()
    assert bench.started == bench.undone == ["result 0"]


def test_is_stopped_when_all_have_left(bench: Bench) -> None:
    """Work that nobody waits for is stopped, and whoever asks next has it begun anew."""
    stop = threading.Event()
    asker = Asker(lambda: bench.get(stop=stop))
    wait_for(lambda: bool(bench.started))
    stop.set()
    asker.join()
    assert bench.stopped.wait(2)
    bench.go.set()
    with bench.get() as share:
        assert share.value == "result 1"


def test_a_result_that_comes_too_late_is_undone(bench: Bench) -> None:
    """Work that cannot be stopped any more ends with nobody there: its result is undone."""
    stop, entered, go = threading.Event(), threading.Event(), threading.Event()

    def stubborn(_: threading.Event, __: Report) -> str:
        entered.set()
        go.wait(2)
        return "late"

    asker = Asker(lambda: bench.work.get("other", stubborn, stop=stop, report=ignore))
    assert entered.wait(2)
    stop.set()
    asker.join()
    assert isinstance(asker.error, Stopped)
    go.set()
    wait_for(lambda: bench.undone == ["late"])


def test_a_failure_reaches_all_and_is_tried_again(bench: Bench) -> None:
    """Each who waits gets an error of their own; the next to ask starts the work anew."""

    def failing(_: threading.Event, __: Report) -> str:
        bench.go.wait(2)
        raise ServerError("no", code="engine_load_failed") from ValueError("why")

    def ask() -> Share[str]:
        return bench.work.get("other", failing, stop=threading.Event(), report=ignore)

    askers = [Asker(ask) for _ in range(3)]
    wait_for(lambda: "1 under way" in repr(bench.work))
    threading.Event().wait(0.1)  # all three are waiting
    bench.go.set()
    for asker in askers:
        asker.join()
    errors = [asker.error for asker in askers]
    assert all(isinstance(error, ServerError) and error.code == "engine_load_failed" for error in errors)
    assert all(error is not None and isinstance(error.__cause__, ValueError) for error in errors)
    assert len({id(error) for error in errors}) == 3
    with bench.work.get("other", bench.task, stop=threading.Event(), report=ignore) as share:
        assert share.value == "result 0"


def test_tells_each_who_waits_of_the_progress(bench: Bench) -> None:
    """Progress is told in the thread of who waits, also of who came later."""
    told: list[tuple[str, float | None]] = []
    askers = []
    for _ in range(2):
        askers.append(
            Asker(lambda: bench.get(report=lambda one: told.append((threading.current_thread().name, one.fraction))))
        )
        wait_for(lambda: len(told) == len(askers))
    bench.go.set()
    for asker in askers:
        asker.join()
    assert told == [(asker.name, 0.25) for asker in askers]


def test_closing_ends_everything(bench: Bench) -> None:
    """Closing undoes what is used, stops what is under way and frees who waits; leaving after it is harmless."""
    bench.go.set()
    share = bench.get()
    bench.go.clear()
    asker = Asker(lambda: bench.work.get("other", bench.task, stop=threading.Event(), report=ignore))
    wait_for(lambda: len(bench.started) == 2)
    bench.work.close()
    asker.join()
    assert isinstance(asker.error, Stopped)
    assert bench.stopped.is_set()
    share.release()
    assert bench.undone == ["result 0"]
    assert repr(bench.work) == "<SharedWork 0 under way, ready: []>"
