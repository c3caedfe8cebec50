"""Files that are there whole: what becomes of them on file systems that cannot do everything."""

import errno
import os
from pathlib import Path

import pytest

from modelhub.credentials.whole_file import leftovers, read, replace, sync_folder


@pytest.mark.skipif(os.name != "posix", reason="other systems have no way to write a folder to the disk")
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_folders_is_no_failure(tmp_path: Path, code: int) -> None:
    """The file has its name already: whoever is told that it failed would believe that the old one is there."""

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    sync_folder(tmp_path, sync=refuse)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no way to write a folder to the disk")
def test_a_disk_that_fails_is_a_failure(tmp_path: Path) -> None:
    """What cannot be written must not be believed to be safe."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync_folder(tmp_path, sync=fail)


def test_a_file_is_replaced_and_nothing_is_left(tmp_path: Path) -> None:
    """Nor of a writer that was killed."""
    path = tmp_path / "file"
    (tmp_path / ".file.dead.tmp").write_bytes(b"half")
    for content in (b"one", b"two"):
        replace(path, content)
        assert read(path, most=10) == content
    assert leftovers(path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_seen_for_what_it_is(tmp_path: Path) -> None:
    """Opening one that nobody writes to would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="regular file"):
        read(tmp_path / "pipe", most=10)
