"""Fetch one file with huggingface_hub, as a child process: ``python -m modelhub_local_model.hub_download``.

Owns the call of that library. It runs apart because the library's download cannot be cancelled from outside,
and so that its import costs the application nothing. Progress goes to the standard output as JSON lines with
``done`` and ``total`` bytes, then one line with ``path``. Where the files come from and with which token is
the library's own configuration.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, final

__all__ = ["main"]


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


@final
class _JsonProgress:
    """The part of tqdm's interface that the library drives; each update becomes a line."""

    def __init__(self, *_: object, total: float | None = None, initial: float = 0, **__: object) -> None:
        self.n = initial
        self.total = total

    def update(self, amount: float | None = 1) -> None:
        self.n += amount or 0
        if self.total:
            _say(done=int(self.n), total=int(self.total))

    def __enter__(self) -> _JsonProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        """Whatever else is called on a progress bar does nothing."""
        return lambda *_, **__: None


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch ``repository[@revision] file [folder]``; without a folder, into the library's own cache."""
    parser = argparse.ArgumentParser(prog="modelhub_local_model.hub_download")
    parser.add_argument("repository")
    parser.add_argument("file")
    parser.add_argument("folder", nargs="?")
    given = parser.parse_args(arguments)
    repository, _, revision = given.repository.partition("@")
    hf_hub_download = import_module("huggingface_hub").hf_hub_download
    extra: dict[str, Any] = {}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:  # older releases draw their own bar
        extra["tqdm_class"] = _JsonProgress
    path = hf_hub_download(repository, given.file, revision=revision or None, local_dir=given.folder, **extra)
    _say(path=str(path))


if __name__ == "__main__":
    main()
