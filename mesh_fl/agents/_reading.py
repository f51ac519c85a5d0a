"""Reading what others wrote: files of bounded size, JSON of any shape, text of any content."""

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

from mesh_fl.errors import ConfigError, MeshError

MOST_BYTES = 64 * 2**20
"""Size of a file once unpacked; the full SP 800-53 catalog takes 10 MiB."""

LONGEST_TEXT = 20_000
"""Characters that are kept of one text."""

_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]+"
)


Stamp = tuple[str, Path, int, int]


def stamped(files: Mapping[str, Path]) -> tuple[Stamp, ...]:
    """Tell files by name, path, time and size, so that what was read need not be read again."""
    return tuple((name, path, *_time_and_size(path)) for name, path in files.items())


def _time_and_size(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return 0, 0  # who reads it will say what is wrong
    return found.st_mtime_ns, found.st_size


def read_text(path: Path) -> str:
    """Read a file of UTF-8 text, unpacked where its name ends in .gz.

    Raises
    ------
    ConfigError
        If it is missing, unreadable, too large, not gzip, or not UTF-8.
    """
    raw = _read(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} line {line}: expected UTF-8, found byte 0x{raw[error.start]:02x};"
            " save the file as UTF-8"
        ) from None


def _read(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a file, found none; correct its path") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path}: expected a whole gzip file: {error}; get it again") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    if len(raw) > MOST_BYTES:
        limit = MOST_BYTES // 2**20
        raise ConfigError(f"{path}: expected at most {limit} MiB once unpacked, found more")
    return raw


def parse_json(text: str, place: str, error: type[MeshError] = ConfigError) -> object:
    """Parse JSON.

    Raises
    ------
    MeshError
        Of the kind asked for, naming the place, if it is not JSON or nested too deeply.
    """
    try:
        parsed: object = json.loads(text)
    except RecursionError:
        raise error(f"{place}: expected JSON, found arrays or objects nested too deeply") from None
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise error(f"{place}: expected JSON, found at {where}: {problem.msg}") from None
    except ValueError:
        raise error(f"{place}: expected JSON, found a number of too many digits") from None
    return parsed


def table(value: object) -> Mapping[str, object]:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return a JSON array, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def text(value: object, most: int = LONGEST_TEXT) -> str:
    """Return text on one line, without what cannot be seen; "" for anything but text."""
    if not isinstance(value, str):
        return ""
    cut = value[: 2 * most]
    if not cut.isprintable():
        cut = _UNSEEN.sub(" ", cut)
    return " ".join(cut.split())[:most].rstrip()


def kind(value: object) -> str:
    """Name what a JSON value is, for messages."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return repr(text(value, 60))
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
    return "a number"
