"""The engines of this process: a file is loaded once per settings, and closed when its last user has left.

Owns what the steps to an engine are. It does not own how they are shared (`sharing`), how a file is found
(`model_files`) nor how an engine works (`engine`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, final

from modelhub.errors import ModelNotFound
from modelhub_local_model.engine import Engine
from modelhub_local_model.gguf import read_header
from modelhub_local_model.loading_steps import LoadProgress, Report, Stopped
from modelhub_local_model.model_files import ModelFiles
from modelhub_local_model.settings import EngineSettings
from modelhub_local_model.sharing import Share, SharedWork

__all__ = ["EngineShare", "Engines"]

EngineShare: TypeAlias = Share[Engine]
"""One user's hold on an engine: ``.value``, ``.release()``."""

_READ_BYTES: Final = 4 << 20


@final
class Engines:
    """Opens engines and shares them.

    Args:
        files: Where models are found.
    """

    def __init__(self, files: ModelFiles) -> None:
        self.files = files
        self._paths: SharedWork[Path] = SharedWork(lambda _: None)
        self._engines: SharedWork[Engine] = SharedWork(Engine.close)

    def __repr__(self) -> str:
        return f"<Engines of {self.files!r}: {self._engines!r}>"

    def open(self, model: str, settings: EngineSettings, *, stop: threading.Event, report: Report) -> EngineShare:
        """Return a share of a model's engine, loading it first where nobody has; blocks until it is there.

        All who ask for one file with equal settings wait for one load. Each may leave; the work is stopped
        when nobody is left. A failure reaches all who wait, and the next to ask tries again.

        Args:
            model: The model's name, see `model_files`.
            settings: How to load it.
            stop: Ends this caller's wait.
            report: Told of the progress, from the caller's thread; it must not block.

        Raises:
            ModelHubError: The file cannot be had, is damaged, or cannot be loaded: see `ModelFiles.locate`,
                `gguf.read_header` and `Engine`.
            Stopped: ``stop`` was set.
        """
        with self._paths.get(model, partial(_locate, self.files, model), stop=stop, report=report) as located:
            path = located.value
        return self._engines.get((path.resolve(), settings), partial(_load, path, settings), stop=stop, report=report)

    def close(self) -> None:
        """Stop what is being found or loaded and close every engine; runs by itself when Python ends."""
        self._paths.close()
        self._engines.close()


def _locate(files: ModelFiles, model: str, stop: threading.Event, report: Report) -> Path:
    return files.locate(model, stop=stop, report=report)


def _load(path: Path, settings: EngineSettings, stop: threading.Event, report: Report) -> Engine:
    header = read_header(path)
    settings.context_for(header)  # before minutes of reading
    try:
        _read_ahead(header.parts, header.size, stop=stop, report=report)
    except OSError as error:
        raise ModelNotFound(
            f"The model file {path} cannot be read: {error.strerror or error}",
            remedy="check the disk that it is on",
            code="model_file_unreadable",
        ) from error
    return Engine(header, settings)


def _read_ahead(parts: Sequence[Path], size: int, *, stop: threading.Event, report: Report) -> None:
    """Bring the files into the page cache while other threads run; the engine's own loading lets none run."""
    buffer = memoryview(bytearray(_READ_BYTES))
    done = 0
    for part in parts:
        with part.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                if stop.is_set():
                    raise Stopped
                done += count
                report(LoadProgress("loading", done, size))
