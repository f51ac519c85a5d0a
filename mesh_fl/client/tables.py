"""Table files: CSV (RFC 4180), JSON Lines and Parquet, read row by row with their line numbers.

Only the wanted columns leave this module; every other cell, such as a contact's name, is dropped
as soon as its row is read.
"""

import codecs
import contextlib
import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from mesh_fl.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader

    import pyarrow

DELIMITERS = (",", ";", "\t", "|")
SHEETS = (".xlsx", ".xls", ".ods", ".numbers")

MARKS = (
    (b"\xef\xbb\xbf", "utf-8", "leave encoding out"),
    (b"\xff\xfe", "utf-16", 'set encoding = "utf-16" for this table'),
    (b"\xfe\xff", "utf-16", 'set encoding = "utf-16" for this table'),
)
"""Byte order marks, what they tell, and what to do where another encoding is set."""

BATCH_ROWS = 8192
BATCH_BYTES = 65_536


class Row(NamedTuple):
    """One row: where it starts (from 1), its wanted cells, or what is wrong with it."""

    line: int
    cells: tuple[object, ...] = ()
    damage: str = ""


@dataclass(frozen=True)
class TableFile(ABC):
    """One file that holds a table.

    Parameters
    ----------
    path : Path
        The file.
    wanted : tuple of str
        Names of the columns to read.
    encoding : str
        Text encoding, of CSV and JSON Lines; a byte order mark is tolerated.
    delimiter : str, optional
        Of CSV; found by the wanted columns when None.
    """

    path: Path
    wanted: tuple[str, ...]
    encoding: str = "utf-8"
    delimiter: str | None = None

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that the file has; none in an empty file.

        Raises
        ------
        DataError
            If the file cannot be read as what its name says it is.
        """

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield the rows; a wanted cell that the file lacks is None.

        Raises
        ------
        DataError
            If the file cannot be read as what its name says it is.
        """

    @contextlib.contextmanager
    def _text(self) -> Iterator[TextIO]:
        is_utf8 = codecs.lookup(self.encoding).name == "utf-8"
        try:
            # newline="" leaves line ends inside quotes to the csv module.
            with self.path.open(
                encoding="utf-8-sig" if is_utf8 else self.encoding, newline=""
            ) as file:
                yield file
        except OSError as error:
            raise DataError(f"{self.path}: cannot read the table: {error.strerror}") from None
        except UnicodeError:
            raise DataError(
                f"{self.path.name} line {_undecodable_line(self.path, self.encoding)}: expected"
                f" text in {self.encoding}, found other bytes; set its encoding in"
                ' client.toml: encoding = "cp1252" is what Windows writes, "latin-1" an older one'
            ) from None


def open_table(
    path: Path, wanted: Iterable[str], encoding: str = "utf-8", delimiter: str | None = None
) -> TableFile:
    """Choose the reader by the file's name.

    Raises
    ------
    DataError
        If the file is missing, empty, a folder, unreadable or of an unknown kind.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        hint = "; save the sheet as CSV (UTF-8)" if path.suffix.lower() in SHEETS else ""
        raise DataError(f"{path}: expected a file named {' or '.join(READERS)}{hint}")
    try:
        with path.open("rb") as file:
            start = file.read(3)
    except FileNotFoundError:
        raise DataError(f"{path}: expected a table, found no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot read the table: {reason}") from None
    if not start:
        raise DataError(f"{path}: expected a table, found an empty file")
    if reader is not ParquetFile:
        _refuse_other_mark(path, start, encoding)
    return reader(path, tuple(dict.fromkeys(wanted)), encoding, delimiter)


def _refuse_other_mark(path: Path, start: bytes, encoding: str) -> None:
    """Refuse an encoding that the file's byte order mark contradicts."""
    told = codecs.lookup(encoding).name
    for mark, names, remedy in MARKS:
        if start.startswith(mark) and not told.startswith((names, "utf-32")):
            raise DataError(
                f"{path.name}: expected text in {encoding}, found the byte order mark of "
                f"{names}: {remedy}"
            )


class CsvFile(TableFile):
    """A CSV file with one header row."""

    def columns(self) -> tuple[str, ...]:  # noqa: D102
        return self._header()[1]

    def rows(self) -> Iterator[Row]:  # noqa: D102
        delimiter, header = self._header()
        places = _places(header, self.wanted)
        with self._text() as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            _skip_header(reader)
            yield from self._records(reader, len(header), places)

    def _records(self, reader: "Reader", width: int, places: Sequence[int | None]) -> Iterator[Row]:
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(line, damage=_csv_damage(error, line, reader.line_num))
                continue
            if not cells:
                continue
            if len(cells) == width:
                yield Row(line, _pick(cells, places))
            else:
                yield Row(line, damage=_width_damage(cells, width))

    def _header(self) -> tuple[str, tuple[str, ...]]:
        """Take the delimiter that shows the most wanted columns, then the most columns."""
        delimiters = (self.delimiter,) if self.delimiter else DELIMITERS
        headers = {delimiter: self._split_header(delimiter) for delimiter in delimiters}
        best = max(
            headers, key=lambda one: (len({*headers[one]} & {*self.wanted}), len(headers[one]))
        )
        if not headers[best]:
            raise DataError(
                f"{self.path.name}: expected a row of column names, found none that is sound"
            )
        return best, headers[best]

    def _split_header(self, delimiter: str) -> tuple[str, ...]:
        with self._text() as file:
            try:
                return _stripped(_skip_header(csv.reader(file, delimiter=delimiter, strict=True)))
            except csv.Error:
                return ()


class JsonLinesFile(TableFile):
    """A JSON Lines file (jsonlines.org): one object on each line; columns are keys."""

    def columns(self) -> tuple[str, ...]:  # noqa: D102
        names: dict[str, None] = {}
        for _, record in self._objects():
            if isinstance(record, dict):
                names.update(dict.fromkeys(record))
        return tuple(names)

    def rows(self) -> Iterator[Row]:  # noqa: D102
        for line, record in self._objects():
            if isinstance(record, dict):
                yield Row(line, tuple(record.get(name) for name in self.wanted))
            else:
                yield Row(line, damage=record)

    def _objects(self) -> Iterator[tuple[int, dict[str, object] | str]]:
        with self._text() as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, _json_object(text)


class ParquetFile(TableFile):
    """A Parquet file; its lines are row numbers."""

    def columns(self) -> tuple[str, ...]:  # noqa: D102
        import pyarrow.parquet

        with self._readable(), pyarrow.parquet.ParquetFile(self.path) as file:
            return _stripped(file.schema_arrow.names)

    def rows(self) -> Iterator[Row]:  # noqa: D102
        import pyarrow.parquet

        with self._readable(), pyarrow.parquet.ParquetFile(self.path) as file:
            names = file.schema_arrow.names
            places = _places(_stripped(names), self.wanted)
            kept = [names[place] for place in places if place is not None]
            line = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=kept):
                for cells in _batch_cells(batch, names, places):
                    line += 1
                    yield Row(line, cells)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise DataError(f"{self.path.name}: expected a sound Parquet file: {reason}") from None


READERS: dict[str, type[TableFile]] = {
    ".csv": CsvFile,
    ".jsonl": JsonLinesFile,
    ".ndjson": JsonLinesFile,
    ".parquet": ParquetFile,
}


def _stripped(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.strip() for name in names)


def _places(names: Sequence[str], wanted: Iterable[str]) -> list[int | None]:
    return [names.index(name) if name in names else None for name in wanted]


def _pick(cells: Sequence[object], places: Iterable[int | None]) -> tuple[object, ...]:
    return tuple(None if place is None else cells[place] for place in places)


def _skip_header(reader: "Reader") -> list[str]:
    """Return the column names; before them Excel may write a line that names the delimiter."""
    rows = (cells for cells in reader if cells)
    first = next(rows, [])
    if first and first[0].lower().startswith("sep=") and not any(first[1:]):
        return next(rows, [])
    return first


def _width_damage(cells: Sequence[str], width: int) -> str:
    # A row may have shifted, so what is too much is never dropped, empty as it may be.
    is_ended = len(cells) == width + 1 and not cells[-1]
    hint = "; where rows end with a delimiter, column names have to" if is_ended else ""
    return f"expected {width} cells, found {len(cells)}{hint}"


def _csv_damage(error: csv.Error, first: int, last: int) -> str:
    if "field larger" in str(error):
        return f"expected cells of up to {csv.field_size_limit()} characters, found a longer one"
    where = "" if first == last else f", found lines {first} to {last} run together"
    return f"expected quotes around whole cells only{where}: {error}"


def _json_object(text: str) -> dict[str, object] | str:
    """Parse one line, or say what is wrong with it."""
    try:
        record = json.loads(text, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        return f"expected a JSON object, found broken JSON: {error.msg} at character {error.colno}"
    except RecursionError:
        return "expected a JSON object, found one nested too deeply"
    except ValueError as error:
        return f"expected a JSON object: {error}"
    if isinstance(record, dict):
        return record
    return f"expected a JSON object, found a {type(record).__name__}"


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = {name.strip(): value for name, value in pairs}
    if len(record) < len(pairs):
        raise ValueError("a key stands twice")
    return record


def _batch_cells(
    batch: "pyarrow.RecordBatch", names: Sequence[str], places: Iterable[int | None]
) -> Iterator[tuple[object, ...]]:
    present = batch.schema.names
    absent = [None] * batch.num_rows
    return zip(
        *(
            absent if place is None else batch.column(present.index(names[place])).to_pylist()
            for place in places
        ),
        strict=True,
    )


def _undecodable_line(path: Path, encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with path.open("rb") as file:
        for piece in iter(lambda: file.readline(BATCH_BYTES), b""):
            try:
                line += decoder.decode(piece).count("\n")
            except UnicodeError:
                break
    return line
