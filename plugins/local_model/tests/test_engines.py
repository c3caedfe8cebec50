"""A model is loaded once for all who ask, and gone when they have left."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelhub.errors import ConfigurationError, ModelNotFound
from modelhub_local_model.engines import Engines, EngineShare
from modelhub_local_model.loading_steps import LoadProgress, Report, Stopped
from modelhub_local_model.model_files import ModelFiles
from modelhub_local_model.settings import EngineSettings

SETTINGS = EngineSettings(parallel=1, threads=1)
HI = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    """Make an empty set of engines."""
    return Engines(ModelFiles(tmp_path / "cache", environ={}))


def opened(
    engines: Engines, model: object, settings: EngineSettings = SETTINGS, report: Report = lambda _: None
) -> EngineShare:
    """Open a model and wait for it."""
    return engines.open(str(model), settings, stop=threading.Event(), report=report)


def test_loads_once_for_all_who_ask(engines: Engines, tiny_model: Path) -> None:
    """Ten threads that ask at once share one engine, which lives as long as one of them uses it."""
    with ThreadPoolExecutor(10) as pool:
        shares = list(pool.map(lambda _: opened(engines, tiny_model), range(10)))
    assert len({id(share.value) for share in shares}) == 1
    for share in shares[:-1]:
        share.release()
    assert list(shares[-1].value.generate(HI))
    shares[-1].release()
    assert repr(shares[-1].value).endswith(": closed>")


def test_one_file_under_two_names_is_one_engine(engines: Engines, tiny_model: Path, tmp_path: Path) -> None:
    """The file counts, not how it is named; other settings are another engine."""
    (tmp_path / "link.gguf").symlink_to(tiny_model)
    with (
        opened(engines, tiny_model) as one,
        opened(engines, tmp_path / "link.gguf") as same,
        opened(engines, tiny_model, EngineSettings(parallel=2)) as other,
    ):
        assert one.value is same.value is not other.value


def test_tells_the_phases(engines: Engines, tiny_model: Path) -> None:
    """Loading is told in bytes up to the whole file."""
    told: list[LoadProgress] = []
    size = tiny_model.stat().st_size
    opened(engines, tiny_model, report=told.append).release()
    assert told[0] == LoadProgress("locating")
    assert told[-1] == LoadProgress("loading", size, size)
    assert told[-1].fraction == 1.0


def test_a_failed_load_can_be_tried_again(engines: Engines, tiny_model: Path, tmp_path: Path) -> None:
    """A damaged file is refused; once it is mended it is loaded."""
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_model.read_bytes()[:5000])
    for _ in range(2):
        with pytest.raises(ModelNotFound, match="cut short"):
            opened(engines, path)
    shutil.copy(tiny_model, path)
    with opened(engines, path) as share:
        assert list(share.value.generate(HI))


def test_refuses_settings_before_reading_the_file(engines: Engines, tiny_model: Path) -> None:
    """Settings that do not fit the model are refused before its weights are read."""
    told: list[LoadProgress] = []
    with pytest.raises(ConfigurationError):
        opened(engines, tiny_model, EngineSettings(context_size=10_000), told.append)
    assert {one.phase for one in told} == {"locating"}


def test_a_stopped_wait_loads_nothing(engines: Engines, tiny_model: Path) -> None:
    """Who is stopped before the engine is there gets none, and none is left."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        engines.open(str(tiny_model), SETTINGS, stop=stop, report=lambda _: None)
    engines.close()
    assert "ready: []" in repr(engines)


def test_closing_closes_what_is_used(engines: Engines, tiny_model: Path) -> None:
    """Closing the set closes its engines; leaving afterwards is harmless, and the set can be used again."""
    share = opened(engines, tiny_model)
    engines.close()
    assert repr(share.value).endswith(": closed>")
    share.release()
    opened(engines, tiny_model).release()
