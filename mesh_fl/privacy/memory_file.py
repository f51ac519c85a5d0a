"""A file without a place on disk, because SEAL reads and writes nothing but paths."""

import os
import tempfile
from pathlib import Path
from typing import Protocol, Self


class Stored(Protocol):
    """What SEAL keeps in a file."""

    def save(self, path: str) -> None:
        """Write to a path."""

    def load(self, context: object, path: str) -> None:
        """Read from a path."""


class MemoryFile:
    """Turns SEAL's objects into bytes and back, one after the other.

    Where the system has no memory files it is a temporary file of mode 0600, removed on exit.
    """

    def __enter__(self) -> Self:
        """Open the file."""
        self._on_disk = not (hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir())
        if self._on_disk:
            self._descriptor, self._path = tempfile.mkstemp()
        else:
            self._descriptor = os.memfd_create("seal")
            self._path = f"/proc/self/fd/{self._descriptor}"
        return self

    def __exit__(self, *_: object) -> None:
        """Close and forget the file."""
        os.close(self._descriptor)
        if self._on_disk:
            Path(self._path).unlink()

    def save(self, thing: Stored) -> bytes:
        """Return what an object writes of itself."""
        thing.save(self._path)
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def load(self, thing: Stored, context: object, blob: bytes) -> None:
        """Have an object read itself; SEAL raises what it will if the bytes do not fit."""
        os.pwrite(self._descriptor, blob, 0)
        # Without this a shorter block would be completed by the end of the one before.
        os.ftruncate(self._descriptor, len(blob))
        thing.load(context, self._path)
