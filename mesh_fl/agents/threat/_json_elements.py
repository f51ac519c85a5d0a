"""The entries of a JSON file one at a time: a year of CVE records as one tree takes a gigabyte."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from mesh_fl.errors import ConfigError

_CHUNK_CHARACTERS = 1 << 16
_MOST_ELEMENT_CHARACTERS = 1 << 24
_CUT_CHARACTERS = len("e+0")
"""So close to the end of what was read, a number may be the beginning of another one."""

_LIST = re.compile(r'"vulnerabilities"\s*:\s*\[')
_BETWEEN = re.compile(r"[ \t\r\n,]*")


class JsonElements:
    """The entries of the list "vulnerabilities", of a list, or the one object that a file is.

    Call `head` first, then read `rest` once.

    Parameters
    ----------
    text : TextIO
        The file, at its start.
    path : Path
        For messages.
    """

    def __init__(self, text: TextIO, path: Path) -> None:
        self._text, self._path = text, path
        self._buffer = text.read(_CHUNK_CHARACTERS)
        self._at = 0
        self._decoder = json.JSONDecoder()
        self._single: Mapping[str, object] | None = None

    def head(self) -> Mapping[str, object]:
        """Return what stands before the list; empty where there is nothing.

        Raises
        ------
        ConfigError
            If the file is no JSON, or neither a list nor an object.
        """
        start = _BETWEEN.match(self._buffer)
        if start is not None and self._buffer.startswith("[", start.end()):
            self._at = start.end() + 1
            return {}
        found = _LIST.search(self._buffer)
        if found is None:
            whole = self._buffer + self._text.read(_MOST_ELEMENT_CHARACTERS)
            self._single = self._parsed(whole)
            return {}
        self._at = found.end()
        return self._parsed(self._buffer[: found.end()] + "]}")

    def rest(self) -> Iterator[object]:
        """Yield each entry.

        Raises
        ------
        ConfigError
            If the file ends too early, or an entry is no JSON.
        """
        if self._single is not None:
            yield self._single
            return
        while self._more():
            yield self._element()

    def _parsed(self, document: str) -> Mapping[str, object]:
        try:
            found = json.loads(document)
        except (ValueError, RecursionError):
            raise self._refused("what is no JSON, or nested too deeply") from None
        if not isinstance(found, dict):
            raise self._refused(f"a {type(found).__name__}")
        return found

    def _more(self) -> bool:
        """Skip to the next entry; False at the end of the list."""
        while True:
            skipped = _BETWEEN.match(self._buffer, self._at)
            self._at = self._at if skipped is None else skipped.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at] != "]"
            if not self._read(_CHUNK_CHARACTERS):
                raise self._refused("its end inside of the list")

    def _read(self, characters: int) -> bool:
        """Read on, and drop what was used."""
        more = self._text.read(characters)
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return more != ""

    def _element(self) -> object:
        missing = _CHUNK_CHARACTERS
        while True:
            try:
                found, end = self._decoder.raw_decode(self._buffer, self._at)
            except RecursionError:
                raise self._refused("an entry nested too deeply") from None
            except ValueError:
                # Doubling keeps the tries of one large entry linear.
                if len(self._buffer) > _MOST_ELEMENT_CHARACTERS or not self._read(missing):
                    raise self._refused("an entry that is no JSON") from None
                missing *= 2
                continue
            left = len(self._buffer) - end
            if left < _CUT_CHARACTERS and self._read(_CHUNK_CHARACTERS):
                continue
            self._at = len(self._buffer) - left
            return found

    def _refused(self, found: str) -> ConfigError:
        return ConfigError(
            f"{self._path}: expected a JSON list of entries, found {found}; fetch the file again"
        )
