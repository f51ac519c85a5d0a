"""Documents that somebody brings: a JSON list of texts, or of objects with text and time."""

import json
import math
from dataclasses import dataclass

from mesh_fl.errors import DataError
from mesh_fl.schema import Field

EXPECTED = 'a JSON list of texts, or of objects such as {"text": "...", "at": "2026-03-31"}'

_AT = Field(name="documents, at", kind="time", optional=True)


@dataclass(frozen=True)
class Document:
    """One text.

    Parameters
    ----------
    text : str
    at : float
        Seconds since 1970; NaN where it is not told.
    """

    text: str
    at: float = math.nan


def read_documents(written: str, most: int) -> tuple[Document, ...]:
    """Read documents, leaving out empty ones.

    Raises
    ------
    DataError
        If it is no such list, or has more than `most` entries.
    """
    if not written:
        return ()
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        raise _refused("what is no JSON, or nested too deeply") from None
    if isinstance(found, dict):
        found = found.get("documents", [found])
    if not isinstance(found, list):
        raise _refused(f"a {type(found).__name__}")
    if len(found) > most:
        raise DataError(f"documents: expected at most {most}, found {len(found)}: send the latest")
    return tuple(one for one in map(_document, found) if one.text)


def _document(entry: object) -> Document:
    if isinstance(entry, str):
        return Document(_clean(entry))
    if not isinstance(entry, dict):
        raise _refused(f"a {type(entry).__name__} in the list")
    if "text" not in entry:
        keys = ", ".join(map(repr, list(entry)[:8])) or "nothing"
        raise _refused(f"an object without text, which has {_clean(keys)[:200]}")
    text = entry["text"]
    if not isinstance(text, str):
        raise _refused(f"a text that is a {type(text).__name__}")
    at = _AT.parse(entry.get("at"))
    return Document(_clean(text), float(at))


def _clean(text: str) -> str:
    # Half a surrogate pair may stand in a JSON escape.
    return text.encode(errors="replace").decode().strip()


def _refused(found: str) -> DataError:
    return DataError(f"documents: expected {EXPECTED}, found {found}")
