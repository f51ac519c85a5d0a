"""Which other agent a question is for, and what that agent is asked."""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

DECLARED = Path(__file__).with_name("routes.toml")

Fields = Mapping[str, object]

LEAD = 80
"""Characters within which a colon ends what is asked, and begins what it is asked of."""

_WORDS = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b", re.IGNORECASE)
_PER_SEAT = re.compile(
    r"(?<![\w.,])(\d{1,7}(?:\.\d{1,4})?)\s*(?:[^\W\d_]{3,7}|[€$£])?\s*(?:per|a|an|/|for each)\s*"
    r"(?:seat|user|month and seat)\b",
    re.IGNORECASE,
)
_CURRENCIES = re.compile(r"\b(EUR|USD|GBP|CHF|CAD|AUD)\b", re.IGNORECASE)
_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP"}
_HELP = re.compile(r"^\W*who c(?:an|ould) help (?:us |me )?(?:with |on |in )?", re.IGNORECASE)


class Route(BaseModel):
    """An agent that questions are passed on to.

    Parameters
    ----------
    agent, title, endpoint : str
    cues, unless : tuple of str
        See routes.toml.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str
    title: str
    endpoint: str
    cues: tuple[str, ...]
    unless: tuple[str, ...] = ()

    def is_meant(self, query: str) -> bool:
        """Say whether a question's words are for this agent."""
        words = frozenset(_WORDS.findall(query.lower()))
        return any(_holds(cue, words) for cue in self.cues) and not self.is_barred(query)

    def is_barred(self, query: str) -> bool:
        """Say whether a question is about the own records."""
        words = frozenset(_WORDS.findall(query.lower()))
        return any(_holds(cue, words) for cue in self.unless)

    def request(self, query: str) -> Fields:
        """Return the fields of the request that puts a question to this agent."""
        return _REQUESTS[self.agent](query)


class _Declared(BaseModel):
    """All of routes.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    routes: tuple[Route, ...]


@cache
def routes() -> tuple[Route, ...]:
    """Return the declared routes, the more particular ones first."""
    return _Declared.model_validate(tomllib.loads(DECLARED.read_text("utf-8"))).routes


def route_by_words(query: str) -> Route | None:
    """Return the first route whose cue a question holds."""
    return next((route for route in routes() if route.is_meant(query)), None)


def route_to(agent: str) -> Route | None:
    """Return the route to an agent, if there is one."""
    return next((route for route in routes() if route.agent == agent), None)


def _holds(cue: str, words: frozenset[str]) -> bool:
    return all(
        any(word.startswith(wanted[:-1]) for word in words)
        if wanted[-1] == "*"
        else wanted in words
        for wanted in cue.split()
    )


def _threat(query: str) -> Fields:
    lead, colon, told = query.partition(":")
    return {"text": told.strip() if colon and len(lead) <= LEAD and told.strip() else query}


def _compliance(query: str) -> Fields:
    named = _TECHNIQUE.search(query)
    return {"technique": named[0].upper()} if named else {"text": query}


def _market(query: str) -> Fields:
    rate = _PER_SEAT.search(query)
    if rate is None:
        return {"query": query}
    return {"query": query, "rate_per_seat": float(rate[1]), **_currency(rate[0])}


def _currency(text: str) -> Fields:
    code = _CURRENCIES.search(text)
    sign = next((name for sign, name in _SIGNS.items() if sign in text), None)
    name = code[0].upper() if code else sign
    return {"currency": name} if name else {}


def _collaboration(query: str) -> Fields:
    return {"requirements": _HELP.sub("", query).strip(" ?.!") or query}


_REQUESTS: Mapping[str, Callable[[str], Fields]] = {
    "threat": _threat,
    "compliance": _compliance,
    "market": _market,
    "collaboration": _collaboration,
}
