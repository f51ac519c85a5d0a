"""Bytes that survive a crash: a folder of blobs, a journal of lines, and a lock on a home.

What is written is either wholly there after a crash or not at all (write, fsync, rename, fsync of
the folder). Everything is made with mode 0600, folders with 0700.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from mesh_fl.errors import ConfigError

Blobs = MutableMapping[str, bytes]
"""Named blobs: a `Folder` on disk, a plain dict in simulations."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class Folder(Blobs):
    """A folder of blobs; setting one is atomic and durable.

    Raises
    ------
    ConfigError
        If the disk is full or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        make_home(path)

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._file(name).read_bytes()
        except FileNotFoundError:
            raise KeyError(name) from None
        except OSError as error:
            raise _unreadable(self._path / name, error) from error

    def __setitem__(self, name: str, blob: bytes) -> None:
        write_durably(self._file(name), blob)

    def __delitem__(self, name: str) -> None:
        try:
            self._file(name).unlink()
        except FileNotFoundError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (file.name for file in sorted(self._path.iterdir()) if _NAME.fullmatch(file.name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise KeyError(f"not a blob's name: {name!r}")
        return self._path / name


class Journal(Protocol):
    """Lines that can be read and appended, never changed."""

    def read(self) -> bytes:
        """Return everything that was appended."""

    def append(self, line: bytes) -> None:
        """Add one line, durably, or leave the journal as it was."""


class MemoryJournal:
    """A journal for simulations."""

    def __init__(self) -> None:
        self._lines = bytearray()

    def read(self) -> bytes:
        """Return everything that was appended."""
        return bytes(self._lines)

    def append(self, line: bytes) -> None:
        """Add one line."""
        self._lines += line + b"\n"


class FileJournal:
    """A journal in a file, fsynced before `append` returns.

    A last line without its newline was cut off by a crash before `append` returned, so nothing
    can have followed from it: it is dropped by the next `append`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """Return all whole lines."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return text[: text.rfind(b"\n") + 1]

    def append(self, line: bytes) -> None:
        """Add one line, durably, or leave the journal as it was."""
        size_bytes = len(self.read())
        with _readable_errors(self._path):
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.ftruncate(file, size_bytes)
                _write_all(file, line + b"\n", size_bytes)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size_bytes)
                raise
            finally:
                os.close(file)
            if size_bytes == 0:
                _sync_folder(self._path.parent)


def write_durably(path: Path, blob: bytes) -> None:
    """Replace a file by new content, atomically and durably, with mode 0600."""
    with _readable_errors(path):
        draft = path.with_name(f".{path.name}.draft")
        try:
            # A draft that lies there may be open to others, or a link to some other file.
            draft.unlink(missing_ok=True)
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _write_all(file, blob, 0)
                os.fsync(file)
            finally:
                os.close(file)
            draft.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def make_home(path: Path) -> None:
    """Make a home's folder, for its owner alone.

    Raises
    ------
    ConfigError
        If it cannot be made.
    """
    with _readable_errors(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold a home for this process alone.

    Raises
    ------
    ConfigError
        If another process holds it.
    """
    if not home.is_dir():
        raise ConfigError(f"{home} is no folder: make a home by the command `init` first")
    lock = FileLock(home / ".lock", timeout=0)
    try:
        lock.acquire()
    except PermissionError as error:
        raise _unreadable(home, error) from error
    except Timeout:
        raise ConfigError(
            f"{home} is in use by another process: stop that one first, or name another home"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _write_all(file: int, blob: bytes, offset: int) -> None:
    os.lseek(file, offset, os.SEEK_SET)
    view = memoryview(blob)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot read {path}: {error.strerror}: give this user the right to read it")


@contextlib.contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = {
            errno.ENOSPC: "free some space on that disk and start again; nothing was lost",
            errno.EDQUOT: "free some of your disk quota and start again; nothing was lost",
            errno.EACCES: "give this user the right to write there",
            errno.EROFS: "choose a home on a disk that can be written",
        }.get(error.errno or 0, "check the disk and the path")
        raise ConfigError(f"cannot write {path}: {error.strerror}: {remedy}") from error
    except ValueError as error:  # such as a path without a name, or with a NUL in it
        raise ConfigError(f"cannot write {str(path)!a}: {error}: choose another path") from error
