"""What came of introductions: a table that a member's own agents learn from."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mesh_fl.store import FileJournal

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
        self._journal = FileJournal(home / FILE)

    def append(self, outcome: Outcome) -> None:
        """Add an outcome, unless it is there."""
        if outcome.id not in self._ids():
            self._journal.append(outcome.model_dump_json().encode())

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
