"""Indicators in STIX patterns: what a pattern compares with, equality only."""

import re
from collections.abc import Iterator

from mesh_fl.agents.threat.indicators import Indicator, IndicatorKind, indicator_of

MOST_PATTERN_CHARACTERS = 4000
"""Of one pattern; no standard tool writes longer ones."""

MOST_PARSED_CHARACTERS = 20_000
"""Of one bundle's patterns that need stix2's grammar, which takes 2 ms for 50 of them.

Patterns with a single equality do not need it, and are not limited in number.
"""

_SIMPLE = re.compile(
    r"\s*\[\s*(?P<path>[a-z0-9-]+:[\w.'-]+)\s*=\s*'(?P<value>(?:[^'\\]|\\['\\])*+)'\s*\]\s*"
)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*+'")
_NOT_IN = re.compile(r"\bNOT\s+IN\b", re.IGNORECASE)
_KIND_OF: dict[str, IndicatorKind] = {
    "ipv4-addr:value": "ipv4",
    "ipv6-addr:value": "ipv6",
    "domain-name:value": "domain",
    "url:value": "url",
    "email-addr:value": "email",
    "email-message:from_ref.value": "email",
    "email-message:sender_ref.value": "email",
    "network-traffic:dst_ref.value": "ipv4",
    "network-traffic:src_ref.value": "ipv4",
    "file:hashes.md5": "md5",
    "file:hashes.sha1": "sha1",
    "file:hashes.sha256": "sha256",
    "file:hashes.sha512": "sha512",
}
PATH_OF: dict[IndicatorKind, str] = {
    "ipv4": "ipv4-addr:value",
    "ipv6": "ipv6-addr:value",
    "domain": "domain-name:value",
    "url": "url:value",
    "email": "email-addr:value",
    "md5": "file:hashes.MD5",
    "sha1": "file:hashes.'SHA-1'",
    "sha256": "file:hashes.'SHA-256'",
    "sha512": "file:hashes.'SHA-512'",
}
"""Where STIX 2.1 keeps the value of each kind; CVE ids have objects of their own."""


class PatternError(ValueError):
    """A pattern that was not read, and why."""


def pattern_of(indicator: Indicator) -> str:
    """Write the pattern that finds an indicator."""
    value = indicator.value.replace("\\", "\\\\").replace("'", "\\'")
    return f"[{PATH_OF[indicator.kind]} = '{value}']"


class PatternReader:
    """Reads the patterns of one bundle."""

    def __init__(self) -> None:
        self._parsed_characters = 0

    def read(self, pattern: str) -> tuple[Indicator, ...]:
        """Return the indicators that a pattern asks for, in order.

        Raises
        ------
        PatternError
            If the pattern is too long, none, or beyond `MOST_PARSED_CHARACTERS`.
        """
        if len(pattern) > MOST_PATTERN_CHARACTERS:
            raise PatternError(f"longer than {MOST_PATTERN_CHARACTERS} characters")
        simple = _SIMPLE.fullmatch(pattern)
        if simple:
            value = re.sub(r"\\(['\\])", r"\1", simple["value"])
            compared = [(simple["path"], value)]
        else:
            compared = list(self._compared(pattern))
        found = (indicator_at(path, value) for path, value in compared)
        return tuple(indicator for indicator in found if indicator is not None)

    def _compared(self, pattern: str) -> Iterator[tuple[str, str]]:
        if _NOT_IN.search(_LITERAL.sub("''", pattern)):
            # stix2 3.0.2 loses the NOT: every value would be told as one to hunt for.
            raise PatternError("NOT IN is not understood")
        self._parsed_characters += len(pattern)
        if self._parsed_characters > MOST_PARSED_CHARACTERS:
            limit = f"{MOST_PARSED_CHARACTERS:,} characters of patterns that are not simple"
            raise PatternError(f"left out: the bundle has more than {limit}")
        from stix2.pattern_visitor import create_pattern_object

        try:
            parsed = create_pattern_object(pattern, version="2.1")
        except RecursionError:
            raise PatternError("nested too deeply") from None
        except Exception as error:  # the grammar's own, ValueError, TypeError, whatever it meets
            raise PatternError(f"no STIX pattern: {str(error)[:120]}") from None
        yield from _comparisons(parsed)


def indicator_at(path: str, value: str) -> Indicator | None:
    """Return the indicator that a value at a STIX object path is."""
    plain = re.sub(r"(?<=hashes\.).*", lambda m: re.sub(r"['_-]", "", m[0]), path).lower()
    kind = _KIND_OF.get(plain)
    if kind == "ipv4" and ":" in value:
        kind = "ipv6"
    return None if kind is None else indicator_of(kind, value)


def _comparisons(expression: object) -> Iterator[tuple[str, str]]:
    """Walk stix2's tree: equalities and lists that are not negated."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        operands = getattr(node, "operands", None)
        if operands is not None:
            waiting.extend(reversed(operands))
            continue
        inner = getattr(node, "operand", None) or getattr(node, "observation_expression", None)
        inner = inner or getattr(node, "expression", None)
        if inner is not None:
            waiting.append(inner)
        elif getattr(node, "operator", None) in ("=", "IN") and not getattr(node, "negated", True):
            yield from _values(node)


def _values(comparison: object) -> Iterator[tuple[str, str]]:
    path = str(getattr(comparison, "lhs", ""))
    compared = getattr(comparison, "rhs", None)
    listed = getattr(compared, "value", None)
    for constant in listed if isinstance(listed, list) else [compared]:
        value = getattr(constant, "value", None)
        if isinstance(value, str):
            yield path, value
