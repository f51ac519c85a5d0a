"""Public reference files as rows: CSV or JSON, plain or .gz, read as a stream and only once."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mesh_fl.agents.threat._json_elements import JsonElements
from mesh_fl.errors import ConfigError

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

MOST_BYTES = 256 * 1024 * 1024
"""Of one file, after decompression."""

MOST_TOLD = 100
"""Problems that are kept in words; all are counted."""

_CHUNK_CHARACTERS = 1 << 16
_BYTE_AS_LATIN = "mesh_fl.latin1"


def _byte_as_latin(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_BYTE_AS_LATIN, _byte_as_latin)


@dataclass(frozen=True)
class FileProblem:
    """Why a row of a reference file was left out, or what of it is doubtful.

    Parameters
    ----------
    file : str
        Its name.
    line : int
        Line of a CSV file, or entry of a JSON one, from 1.
    column : str
        Empty for the whole row.
    reason : str
        What was expected, and what was found.
    """

    file: str
    line: int
    column: str
    reason: str


@dataclass
class Problems:
    """What was wrong in the files so far: the first in words, all counted."""

    told: list[FileProblem] = field(default_factory=list)
    count: int = 0

    def add(self, problem: FileProblem) -> None:
        """Count a problem, and keep it while there is room."""
        self.count += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(problem)


@dataclass(frozen=True)
class Row:
    """One entry: a CSV line with normalised column names, or one JSON object."""

    line: int
    values: Mapping[str, object]


@dataclass
class ReferenceFile:
    """An opened file.

    Parameters
    ----------
    rows : iterator of Row
        To be read once, while the file is open.
    head : mapping
        What the file says of itself before its rows.
    columns : frozenset of str
        Of a CSV file; empty for JSON.
    """

    rows: Iterator[Row]
    head: Mapping[str, object]
    columns: frozenset[str] = frozenset()


@contextmanager
def open_reference(path: Path, problems: Problems) -> Iterator[ReferenceFile]:
    """Open a CSV or JSON file; bytes that are no UTF-8 are read as Latin-1.

    Raises
    ------
    ConfigError
        If the file is missing, unreadable, damaged, too large, or neither CSV nor JSON.
    """
    if "\0" in str(path):
        raise ConfigError(f"{path!s:.80}: expected a path, found one with a zero byte")
    try:
        with _opened(path) as raw:
            limited = io.BufferedReader(_Limited(raw, path), _CHUNK_CHARACTERS)
            text = io.TextIOWrapper(limited, "utf-8-sig", errors=_BYTE_AS_LATIN, newline="")
            yield _json_file(text, path) if _is_json(path) else _csv_file(text, path, problems)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{path}: expected a readable file, found: {reason}; name another or fetch it again"
        ) from None


def _opened(path: Path) -> io.BufferedIOBase:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _is_json(path: Path) -> bool:
    return ".json" in [suffix.lower() for suffix in path.suffixes[-2:]]


class _Limited(io.RawIOBase):
    """Bytes of a file, up to `MOST_BYTES`: a small .gz may hold far more."""

    def __init__(self, raw: io.BufferedIOBase, path: Path) -> None:
        self._raw, self._path, self._left = raw, path, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # stub: any Buffer
        found = self._raw.read(len(buffer))
        self._left -= len(found)
        if self._left < 0:
            raise ConfigError(
                f"{self._path}: expected at most {MOST_BYTES >> 20} MiB, found more; "
                "use a smaller extract"
            )
        buffer[: len(found)] = found
        return len(found)


def _csv_file(text: TextIO, path: Path, problems: Problems) -> ReferenceFile:
    first = text.readline(_CHUNK_CHARACTERS)
    comment = first if first.startswith("#") else ""
    header = text.readline(_CHUNK_CHARACTERS) if comment else first
    columns = [_plain(name) for name in next(csv.reader([header]), [])]
    head = dict(
        pair.strip().split(":", 1) for pair in comment.lstrip("#").split(",") if ":" in pair
    )
    skipped = 2 if comment else 1
    rows = _csv_rows(csv.reader(text), columns, (path, skipped, problems))
    return ReferenceFile(rows, head, frozenset(columns))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _csv_rows(
    reader: "CsvReader", columns: list[str], place: tuple[Path, int, Problems]
) -> Iterator[Row]:
    path, skipped, problems = place
    while True:
        line = reader.line_num + skipped + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            problems.add(FileProblem(path.name, line, "", f"expected a row of CSV, found {error}"))
            continue
        if cells is None:
            return
        if len(cells) == len(columns):
            yield Row(line, dict(zip(columns, cells, strict=True)))
        elif cells:
            reason = f"expected {len(columns)} cells, found {len(cells)}"
            problems.add(FileProblem(path.name, line, "", reason))


def _json_file(text: TextIO, path: Path) -> ReferenceFile:
    elements = JsonElements(text, path)
    head = elements.head()
    return ReferenceFile(
        (
            Row(number, found if isinstance(found, dict) else {})
            for number, found in enumerate(elements.rest(), 1)
        ),
        head,
    )
