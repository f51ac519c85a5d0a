"""What was encoded once is read from disk: vectors under a hash of the model and the text.

The file lies in `MESH_CACHE` or else in the user's cache folder, with mode 0600: a vector tells
much of its text. MESH_CACHE=off keeps nothing.
"""

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from mesh_fl.text.encoder import Encoder, Vectors

_log = logging.getLogger(__name__)

VARIABLE = "MESH_CACHE"
FILE = "vectors.sqlite"
MOST_VECTORS = 500_000
"""So many are kept, 2.1 kB each on disk; beyond that the oldest tenth goes."""

BUSY_S = 10.0
LENGTH_TOLERANCE = 1e-3
AT_ONCE = 500
"""Texts between two writes: who breaks off loses no more than these."""

_SPAN = "SELECT (SELECT max(rowid) FROM vectors) - (SELECT min(rowid) FROM vectors)"
"""Asked apart, each end is looked up; asked together, SQLite would read every row."""

_FORGET = "DELETE FROM vectors WHERE rowid < (SELECT min(rowid) + ? FROM vectors)"


class VectorCache:
    """Vectors by key, in one SQLite file that processes may share.

    A file that cannot be used is no error: then nothing is remembered, and the log says so.

    Parameters
    ----------
    path : Path
        Made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = _opened(path)

    def read(self, keys: Iterable[bytes], dimension: int) -> Mapping[bytes, Vectors]:
        """Return the vectors that are known; a damaged one is not."""
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, Vectors] = {}
        for start in range(0, len(wanted), AT_ONCE):
            for key, value in self._rows_of(wanted[start : start + AT_ONCE]):
                if (vector := _vector(value, dimension)) is not None:
                    found[key] = vector
        return found

    def write(self, vectors: Mapping[bytes, Vectors]) -> None:
        """Remember vectors."""
        rows = [(key, value.astype("<f4").tobytes()) for key, value in vectors.items()]
        with self._lock:
            if self._database is None or not rows:
                return
            try:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
                    _forget_oldest(self._database)
            except sqlite3.Error as error:
                self._give_up(error)

    def close(self) -> None:
        """Let go of the file; from now on nothing is known."""
        with self._lock:
            self._end()

    def _rows_of(self, keys: Sequence[bytes]) -> list[tuple[bytes, object]]:
        marks = ",".join("?" * len(keys))
        question = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608  # marks only
        with self._lock:
            if self._database is None:
                return []
            try:
                return self._database.execute(question, list(keys)).fetchall()
            except sqlite3.Error as error:
                self._give_up(error)
                return []

    def _give_up(self, error: sqlite3.Error) -> None:
        _log.warning("vectors are no longer kept on disk: %s", error)
        self._end()

    def _end(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None


class Remembering(Encoder):
    """An encoder that reads what it knows from a cache.

    Parameters
    ----------
    encoder : Encoder
        Encodes the rest.
    cache : VectorCache, optional
    """

    def __init__(self, encoder: Encoder, cache: VectorCache | None) -> None:
        self.name = encoder.name
        self.dimension = encoder.dimension
        self._encoder = encoder
        self._cache = cache

    def _rows(self, texts: Sequence[str]) -> Vectors:
        if self._cache is None:
            return self._encoder._rows(texts)
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            rows[start : start + AT_ONCE] = self._some_rows(self._cache, some)
        return rows

    def _some_rows(self, cache: VectorCache, texts: Sequence[str]) -> Vectors:
        keys = [key_of(self.name, text) for text in texts]
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if text}
        known = cache.read(wanted, self.dimension)
        unknown = {key: text for key, text in wanted.items() if key not in known}
        fresh = dict(zip(unknown, self._encoder._rows(list(unknown.values())), strict=True))
        cache.write(fresh)
        zeros = np.zeros(self.dimension, dtype=np.float32)
        found = {**known, **fresh}
        return np.stack([found.get(key, zeros) for key in keys])

    def _unkept_rows(self, texts: Sequence[str]) -> Vectors:
        return self._encoder._rows(texts)

    def _encode_one(self, text: str) -> Vectors:
        vector: Vectors = self._rows([text])[0]
        return vector


def key_of(model: str, text: str) -> bytes:
    """Return the key of a text's vector: BLAKE2b of the model's name and the text."""
    return hashlib.blake2b(f"{model}\0{text}".encode(), digest_size=20).digest()


def open_cache() -> VectorCache | None:
    """Open the cache where it belongs; None where the user wants none."""
    setting = os.environ.get(VARIABLE, "")
    if setting == "off":
        return None
    return VectorCache((Path(setting) if setting else user_cache_path("mesh_fl")) / FILE)


def _vector(value: object, dimension: int) -> Vectors | None:
    """Return what was written, or None: SQLite does not notice a bit that fell over."""
    if not isinstance(value, bytes) or len(value) != 4 * dimension:
        return None
    vector = np.frombuffer(value, dtype="<f4")
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return vector if abs(length - 1) < LENGTH_TOLERANCE else None


def _forget_oldest(database: sqlite3.Connection) -> None:
    (span,) = database.execute(_SPAN).fetchone()
    if (span or 0) >= MOST_VECTORS:
        database.execute(_FORGET, (MOST_VECTORS // 10,))


def _make_private(path: Path) -> None:
    """Make the file where there is none; refuse a link and a file of somebody else.

    Raises
    ------
    OSError
    """
    handle = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if hasattr(os, "geteuid") and os.fstat(handle).st_uid != os.geteuid():
            raise PermissionError("expected a file of our own, found somebody else's")
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(path)
        database = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB UNIQUE, vector BLOB)")
    except (OSError, sqlite3.Error) as error:
        _log.warning("%s cannot be used, vectors are not kept on disk: %s", path, error)
        return None
    return database
