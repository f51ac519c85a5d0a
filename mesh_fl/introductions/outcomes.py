"""What came of introductions: a table that a member's own agents learn from."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mesh_fl.errors import ConfigError
from mesh_fl.store import FileJournal, write_durably

FILE = "introductions.jsonl"


class Outcome(BaseModel):
    """One introduction that was accepted or declined.

    Parameters
    ----------
    id : str
        Digest of the sealed request.
    requirements : str
        What the asking member looked for.
    offered : str
        What the asked card offered.
    accepted : bool
        Whether the asked member accepted.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    requirements: str
    offered: str
    accepted: bool


class Outcomes:
    """The outcomes in a home, each kept once.

    Parameters
    ----------
    home : Path
        The member's home.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._journal = FileJournal(self._path)

    def append(self, outcome: Outcome) -> None:
        """Add an outcome, unless it is there."""
        self._finish_last_line()
        if outcome.id not in self._ids():
            self._journal.append(outcome.model_dump_json().encode())

    def _finish_last_line(self) -> None:
        """Keep a last line that an editor left without its end; only half a line is dropped."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"cannot read {self._path}: {error.strerror}") from None
        if _id(text[text.rfind(b"\n") + 1 :]) is not None:
            write_durably(self._path, text + b"\n")

    def _ids(self) -> set[object]:
        return {_id(line) for line in self._journal.read().splitlines()}


def _id(line: bytes) -> object:
    """Return a line's id; people may edit the file, so a line may hold anything."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    identity = found.get("id") if isinstance(found, dict) else None
    return identity if isinstance(identity, str) else None
