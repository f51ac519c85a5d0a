"""How a profile or card is known to be our own, without its keys."""

import tomllib
from pathlib import Path

CLIENT = "client.toml"
"""What a home says of itself, its name among others."""

CARDS = "introductions/cards"
"""Folder of a home with the private keys of its own cards: HANDLE.json each."""

GONE = ".gone"
"""Ending of an empty file there, which stands for a card that was withdrawn."""


def own_handles(path: Path) -> frozenset[str]:
    """Return the handles of cards made from a profile.toml, by its path; withdrawn ones too."""
    return handles_in(path.parent / CARDS)


def handles_in(folder: Path) -> frozenset[str]:
    """Return the handles of one's own cards in their folder; withdrawn ones too."""
    found = (*folder.glob("*.json"), *folder.glob(f"*{GONE}"))
    return frozenset(one.stem for one in found)


def own_name(path: Path) -> str | None:
    """Return the name of the home in which a profile.toml lies; None where it lies elsewhere."""
    try:
        told = tomllib.loads((path.parent / CLIENT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    name = told.get("name")
    return name if isinstance(name, str) else None
