"""Techniques of MITRE ATT&CK as text: by id, by name, or in somebody's own words."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

TECHNIQUES = Path(__file__).parents[1] / "_techniques.toml"

LONGEST = 500
"""Characters of a technique that are looked at."""

_ID = re.compile(r"\bT([0-9]{4})(?:\.([0-9]{3}))?\b", re.IGNORECASE | re.ASCII)


@cache
def technique_names() -> Mapping[str, str]:
    """Return the shipped names by id; a sub-technique's name begins with its technique's."""
    entries = tomllib.loads(TECHNIQUES.read_text("utf-8"))
    own = {name: str(entry["name"]) for name, entry in entries.items() if isinstance(entry, dict)}
    parents = {name: own.get(name.split(".")[0], "") for name in own}
    return {
        name: f"{parents[name]}: {title}" if "." in name and parents[name] else title
        for name, title in own.items()
    }


def technique_id(written: str) -> str:
    """Return the first ATT&CK id that stands in a text, such as "T1110.003", or ""."""
    found = _ID.search(written[:LONGEST])
    return found[0].upper() if found else ""


def family_of(written: str) -> int:
    """Return the number of the technique that a sub-technique refines; 0 without an id."""
    found = _ID.search(written[:LONGEST])
    return int(found[1]) if found else 0


def described(written: str, names: Mapping[str, str] | None = None) -> str:
    """Return the words by which a technique is compared with others.

    Parameters
    ----------
    written : str
        An id, an id with a name, or any description.
    names : mapping, optional
        Names by id; by default the shipped ones.

    Returns
    -------
    str
        The name where the id is known, else what stands beside the id, else the name of the
        technique that the unknown one refines.
    """
    names = technique_names() if names is None else names
    name = technique_id(written)
    if not name:
        return written[:LONGEST].strip()
    beside = _ID.sub(" ", written[:LONGEST]).strip(" :-–—|,;()[]\t\n")  # noqa: RUF001
    known = names.get(name, "")
    if known and beside.endswith(known):
        return beside  # the same name, after that of the technique it refines
    return known or beside or names.get(name.split(".")[0], "")
