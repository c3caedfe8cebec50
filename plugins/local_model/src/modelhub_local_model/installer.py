"""The user's own installer as a child process: it fetches the published model into a folder.

Owns which installers there are (pip, uv, huggingface_hub), how each is told to put one file's distribution
into a folder and install nothing, and what its failure means in one line. Indexes, proxies and certificates
are the user's own configuration, which applies unchanged. It does not own what happens to the fetched files
(`download`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, final

from modelhub_local_model.loading_steps import Stopped

__all__ = [
    "FetchFailed",
    "Installer",
    "NoRoom",
    "available_installers",
    "hub_command",
    "last_words",
    "own_python",
    "run",
]

_POLL_SECONDS: Final = 0.1
_TERMINATE_SECONDS: Final = 5.0
_LOG_BYTES: Final = 16384
LOG_NAME: Final = "installer.log"
_REASONS: Final[Mapping[str, str]] = {
    "its source could not be reached": (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|Connection refused|Name or service not known|"
        r"Temporary failure in name resolution|Network is unreachable|No route to host|dns error|"
        r"tcp connect error|client error \(Connect\)|ConnectError|LocalEntryNotFoundError|getaddrinfo failed|"
        r"network was disabled"
    ),
    "the proxy refused": r"ProxyError|407 Proxy",
    "the server's certificate was not accepted": r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SSLError",
    "not found there": (
        r"No matching distribution found|No solution found|not found in the package registry|no versions? of|"
        r"because there are no|NotFoundError|404 Client Error"
    ),
    "access was refused": r"\b40[13] (?:Client Error|Unauthorized|Forbidden)",
}
"""What a failure means, by what installers write then; the first that is found counts."""
_FULL: Final = re.compile(r"No space left on device|Disk quota exceeded|File too large|os error 28\b")
_ADDRESS: Final = re.compile(r"\S+://\S+")


@final
class FetchFailed(Exception):
    """One installer could not fetch the file; the text is one line, without addresses: they may hold secrets."""


@final
class NoRoom(Exception):
    """The disk filled up while an installer ran."""


@final
@dataclass(frozen=True, slots=True)
class Installer:
    """One way to fetch: the program's name, and its command up to the folder that the result goes to."""

    name: str
    command: tuple[str, ...]

    def into(self, folder: Path) -> tuple[str, ...]:
        """The whole command."""
        return (*self.command, str(folder))


def available_installers(*, requirement: str, repository: str, repository_file: str) -> Iterator[Installer]:
    """The installers of this environment that can fetch, the usual one first.

    Args:
        requirement: The distribution, pinned: ``name==version``.
        repository: Where huggingface_hub finds the same file, with its revision: ``owner/name@revision``.
        repository_file: The file's name in that repository.
    """
    python = own_python()
    if python is not None and find_spec("pip") is not None:
        options = ("--no-deps", "--only-binary", ":all:", "--no-input", "--quiet", "--progress-bar", "off")
        yield Installer("pip", (python, "-P", "-m", "pip", "download", *options, requirement, "--dest"))
    if (uv := _uv(python)) is not None:
        # uv has no command that only downloads: it installs into a folder that is nobody's environment.
        target = ("--python", python) if python else ()
        options = ("--no-deps", "--only-binary", ":all:", "--quiet", "--no-progress", "--link-mode", "copy")
        yield Installer("uv", (*uv, "pip", "install", *options, *target, requirement, "--target"))
    if python is not None and find_spec("huggingface_hub") is not None:
        yield Installer("huggingface_hub", hub_command(python, repository, repository_file))


def _uv(python: str | None) -> tuple[str, ...] | None:
    if (program := shutil.which("uv")) is not None:
        return (program,)
    if python is not None and find_spec("uv") is not None:
        return (python, "-P", "-m", "uv")
    return None


def hub_command(python: str, repository: str, file: str) -> tuple[str, ...]:
    """The command that fetches one file with huggingface_hub into its own cache."""
    return (python, "-P", "-m", "modelhub_local_model.hub_download", repository, file)


def own_python() -> str | None:
    """The interpreter that can run modules of this environment; none inside a frozen application."""
    return None if getattr(sys, "frozen", False) else sys.executable or None


def run(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    stop: threading.Event,
    on_poll: Callable[[], object],
) -> str:
    """Run an installer to its end and return what it said last.

    Args:
        name: The program's name, for messages.
        command: What to run.
        folder: A folder of this run's own; the installer's temporary files go there too, so that they are
            seen and removed. What it says goes to the file `LOG_NAME` there.
        environ: The child's environment.
        stop: Ends the child.
        on_poll: Called about ten times a second while the child runs.

    Raises:
        FetchFailed: The installer could not be started, or failed.
        NoRoom: It ran out of disk space.
        Stopped: ``stop`` was set.
    """
    temporary = folder / "tmp"
    temporary.mkdir()
    with (folder / LOG_NAME).open("wb") as log:
        try:
            child = subprocess.Popen(  # noqa: S603  our own list of arguments, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise FetchFailed(f"{name} could not be started: {error.strerror or error}") from error
        try:
            status = _wait(child, stop=stop, on_poll=on_poll)
        except BaseException:
            _end(child)
            raise
    said = last_words(folder)
    if status == 0:
        return said
    if _FULL.search(said):
        raise NoRoom
    raise FetchFailed(f"{name}: {_reason(said, status)}")


def _wait(child: subprocess.Popen[bytes], *, stop: threading.Event, on_poll: Callable[[], object]) -> int:
    while True:
        try:
            return child.wait(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                raise Stopped from None
            on_poll()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(timeout=_TERMINATE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def last_words(folder: Path) -> str:
    """The end of what a program run in ``folder`` has said so far."""
    with (folder / LOG_NAME).open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - _LOG_BYTES))
        return log.read().decode("utf-8", "replace")


def _reason(text: str, status: int) -> str:
    """One line on why an installer failed: a known cause, else its own line of error."""
    for reason, pattern in _REASONS.items():
        if re.search(pattern, text):
            return reason
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return f"it ended with status {status}"
    said = next((line for line in lines if line.lower().startswith("error")), lines[-1])
    return _ADDRESS.sub("(address)", said)[:300]
