"""Whether a member works where the work is."""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mesh_fl.agents.collaboration.skills import words_of

COUNTRIES = Path(__file__).with_name("countries.toml")

ANYWHERE = frozenset({"remote", "remotely", "online", "on site or remote", "remote only"})
"""Says how somebody works, and not where."""

Place = frozenset[str]
"""A region and all that it lies in."""


def works_in(region: str, regions: Iterable[str]) -> bool | None:
    """Tell whether some region is the one asked for, holds it, or lies in it.

    Parameters
    ----------
    region : str
        Where the work is. What lies in what is told by commas: "Munich, Bavaria, Germany".
    regions : iterable of str
        Where a member works. A country's ISO 3166 code means the same as its English name.

    Returns
    -------
    bool or None
        None where a side tells nothing, or only that the work is done from afar.
    """
    asked, told = _place(region), [_place(one) for one in regions]
    if not asked or asked <= ANYWHERE:
        return None
    known = [place for place in told if place and not place <= ANYWHERE]
    if any(asked <= place or place <= asked for place in known):
        return True
    return False if known and len(known) == len(told) else None


def _place(region: str) -> Place:
    # Only a code that stands alone is a country: "Austin, CA" may lie in California.
    if code := _countries().get(_plain(region)):
        return frozenset({code})
    names = {name for name in map(_plain, region.split(",")) if name}
    return frozenset(_named_countries().get(name, name) for name in names)


def _plain(name: str) -> str:
    words = words_of(name)
    return " ".join(words[1:] if words[:1] == ("the",) else words)


@cache
def _countries() -> dict[str, str]:
    """Return codes by code and by name."""
    return {code.casefold(): code for code in _declared()} | _named_countries()


@cache
def _named_countries() -> dict[str, str]:
    return {_plain(name): code for code, names in _declared().items() for name in names}


@cache
def _declared() -> dict[str, list[str]]:
    return tomllib.loads(COUNTRIES.read_text("utf-8"))
