"""Model names that begin with ``hf:``: files in repositories of the Hugging Face hub.

Owns how such a name is read and how its file is fetched into the hub library's own cache, by that library in
a child process (`hub_download`). The library is optional; its configuration (endpoint, token, cache, offline
mode) applies unchanged.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, final

from modelhub.errors import ConfigurationError, ModelNotFound
from modelhub_local_model.installer import FetchFailed, NoRoom, hub_command, last_words, own_python, run
from modelhub_local_model.loading_steps import LoadProgress, Report

__all__ = ["fetch", "is_reference"]

_REFERENCE: Final = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+(?:@[\w.-]+)?)/(?P<file>[^@]+\.gguf)")


def is_reference(model: str) -> bool:
    """Whether the name is ``hf:owner/repository[@revision]/path/to/file.gguf``."""
    return _REFERENCE.fullmatch(model) is not None


def fetch(model: str, *, environ: Mapping[str, str], stop: threading.Event, report: Report) -> Path:
    """The file that a reference names, downloaded first where the hub library's cache does not have it.

    Args:
        model: A name for which `is_reference` holds.
        environ: The environment for the child process.
        stop: Ends the download; what has come so far stays in the library's cache, which goes on from there.
        report: Told of the bytes, where the library says them.

    Raises:
        ConfigurationError: huggingface_hub is not installed.
        ModelNotFound: The file cannot be fetched (code ``download_failed`` or ``no_disk_space``).
        Stopped: ``stop`` was set.
    """
    match, python = _REFERENCE.fullmatch(model), own_python()
    if match is None or python is None or find_spec("huggingface_hub") is None:
        raise ConfigurationError(
            f"The model {model} is in the Hugging Face hub, and huggingface_hub is not installed here",
            remedy="run `pip install huggingface_hub`, or name a GGUF file on this machine",
        )
    folder = Path(tempfile.mkdtemp(prefix="modelhub-hub-"))
    try:
        said = run(
            "huggingface_hub",
            hub_command(python, match["repository"], match["file"]),
            folder=folder,
            environ=environ,
            stop=stop,
            on_poll=_Teller(folder, report),
        )
    except NoRoom as error:
        remedy = "make room on the disk that holds the hub's cache"
        raise ModelNotFound(
            f"The model {model} could not be downloaded: no space left", remedy=remedy, code="no_disk_space"
        ) from error
    except FetchFailed as error:
        remedy = "check the name and the network, or name a GGUF file on this machine"
        raise ModelNotFound(
            f"The model {model} could not be downloaded: {error}", remedy=remedy, code="download_failed"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Path(_facts(said)["path"])


def _facts(said: str) -> dict[str, Any]:
    """The last whole line of JSON; other lines are the library's warnings."""
    for line in reversed(said.splitlines()):
        if line.startswith("{") and line.endswith("}"):
            facts: dict[str, Any] = json.loads(line)
            return facts
    return {}


@final
class _Teller:
    """Passes each new number of bytes on that the library says."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._told: dict[str, Any] = {}

    def __call__(self) -> None:
        facts = _facts(last_words(self._folder))
        if "total" in facts and facts != self._told:
            self._told = facts
            self._report(LoadProgress("downloading", facts["done"], facts["total"]))
