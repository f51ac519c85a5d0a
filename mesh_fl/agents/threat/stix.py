"""STIX 2.1 bundles in: what they tell of, read leniently and within limits."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mesh_fl.agents.threat._stix_patterns import PatternError, PatternReader, indicator_at
from mesh_fl.agents.threat._stix_report import MOST_INDICATORS, Finding, to_bundle
from mesh_fl.agents.threat.indicators import Indicator, indicator_of
from mesh_fl.errors import DataError

__all__ = ["MOST_INDICATORS", "Finding", "Observed", "read_bundle", "to_bundle"]

MOST_OBJECTS = 10_000
"""Of one bundle that are read."""

MOST_TOLD = 20
"""Problems of one bundle that are told."""

_ID = re.compile(r"[a-z0-9-]{1,250}--[0-9a-fA-F-]{36}")
_TECHNIQUE = re.compile(r"T[0-9]{4}(?:\.[0-9]{3})?")
_WITHOUT_TEXT = frozenset(
    {"identity", "marking-definition", "extension-definition", "language-content", "relationship"}
)
"""Their names and descriptions are about others than the threat."""

_WITH_VALUE = frozenset({"ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr"})


@dataclass(frozen=True)
class Observed:
    """What a bundle tells of; everything once, in the order of its objects.

    Parameters
    ----------
    texts : tuple of str
        Names and descriptions.
    indicators : tuple of Indicator
        From patterns and from observables.
    cves, techniques : tuple of str
        CVE ids and ATT&CK ids, from external references and names.
    ids : tuple of str
        Of all objects read.
    problems : tuple of str
        What could not be read, and where.
    """

    texts: tuple[str, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    cves: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_bundle(document: str) -> Observed:
    """Read a bundle, a list of objects, or one object; an empty document tells nothing.

    Unknown and custom objects count for their names and references only. References between
    objects are not followed.

    Raises
    ------
    DataError
        If the document is no JSON, is nested too deeply, or has no STIX object.
    """
    if not document.strip():
        return Observed()
    reader = _Reader()
    for position, found in enumerate(_objects(document)):
        if position == MOST_OBJECTS:
            reader.problem(f"only the first {MOST_OBJECTS:,} objects were read")
            break
        reader.take(found, f"object {position + 1}")
    return reader.observed()


@dataclass
class _Reader:
    """What was seen so far; dicts, since they keep order and nothing twice."""

    texts: dict[str, None] = field(default_factory=dict)
    indicators: dict[Indicator, None] = field(default_factory=dict)
    cves: dict[str, None] = field(default_factory=dict)
    techniques: dict[str, None] = field(default_factory=dict)
    ids: dict[str, None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    untold: int = 0
    patterns: PatternReader = field(default_factory=PatternReader)

    def problem(self, text: str) -> None:
        if len(self.problems) < MOST_TOLD:
            self.problems.append(text)
        else:
            self.untold += 1

    def take(self, found: object, place: str) -> None:
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            self.problem(f"{place}: expected a STIX object with a type")
            return
        self._take_id(found.get("id"), place)
        self._take_texts(found)
        self._take_references(found)
        self._take_observable(found)
        if found["type"] == "indicator":
            self._take_pattern(found, place)
        if found["type"] == "observed-data":
            embedded = found.get("objects")
            for inner in list(embedded.values()) if isinstance(embedded, dict) else []:
                self._take_observable(inner if isinstance(inner, dict) else {})

    def observed(self) -> Observed:
        more = [f"and {self.untold} more problems"] if self.untold else []
        return Observed(
            texts=tuple(self.texts),
            indicators=tuple(self.indicators),
            cves=tuple(self.cves),
            techniques=tuple(self.techniques),
            ids=tuple(self.ids),
            problems=(*self.problems, *more),
        )

    def _take_id(self, identity: object, place: str) -> None:
        if isinstance(identity, str) and _ID.fullmatch(identity):
            self.ids[identity] = None
        else:
            self.problem(f"{place}: expected an id of the form TYPE--UUID")

    def _take_texts(self, found: Mapping[str, object]) -> None:
        if found["type"] in _WITHOUT_TEXT:
            return
        for name in ("name", "description"):
            text = found.get(name)
            if isinstance(text, str) and text.strip():
                self.texts[text] = None

    def _take_references(self, found: Mapping[str, object]) -> None:
        if found["type"] == "vulnerability":
            self._take_cve(found.get("name"))
        references = found.get("external_references")
        for reference in references if isinstance(references, list) else []:
            if not isinstance(reference, dict):
                continue
            source, number = str(reference.get("source_name")), reference.get("external_id")
            self._take_cve(number)
            is_technique = isinstance(number, str) and _TECHNIQUE.fullmatch(number)
            if is_technique and source.startswith("mitre"):
                self.techniques[str(number)] = None

    def _take_cve(self, written: object) -> None:
        cve = indicator_of("cve", written) if isinstance(written, str) else None
        if cve is not None:
            self.cves[cve.value] = None

    def _take_observable(self, found: Mapping[str, object]) -> None:
        for path, value in _observed(found):
            indicator = indicator_at(path, value)
            if indicator is not None:
                self.indicators[indicator] = None

    def _take_pattern(self, found: Mapping[str, object], place: str) -> None:
        pattern, language = found.get("pattern"), found.get("pattern_type", "stix")
        if language != "stix" or not isinstance(pattern, str):
            self.problem(f"{place}: expected a STIX pattern, found {str(language)[:40]!r}")
            return
        try:
            self.indicators |= dict.fromkeys(self.patterns.read(pattern))
        except PatternError as error:
            self.problem(f"{place}: its pattern was not read, {error}")


def _observed(found: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the paths and values of an observable, as a pattern would name them."""
    kind, value, hashes = found.get("type"), found.get("value"), found.get("hashes")
    if isinstance(kind, str) and kind in _WITH_VALUE and isinstance(value, str):
        yield f"{kind}:value", value
    if kind in ("file", "artifact") and isinstance(hashes, dict):
        for name, digest in hashes.items():
            if isinstance(digest, str):
                yield f"file:hashes.{name}", digest


def _objects(document: str) -> list[object]:
    try:
        parsed = json.loads(document)
    except RecursionError:
        raise _refused("JSON nested too deeply") from None
    except ValueError:
        raise _refused("no JSON") from None
    if isinstance(parsed, dict) and parsed.get("type") == "bundle":
        parsed = parsed.get("objects", [])
    elif isinstance(parsed, dict):
        parsed = [parsed]
    if not isinstance(parsed, list):
        raise _refused(f"a {type(parsed).__name__}")
    if not any(isinstance(found, dict) and isinstance(found.get("type"), str) for found in parsed):
        raise _refused("no object with a type")
    return parsed


def _refused(found: str) -> DataError:
    return DataError(f"stix: expected a STIX 2.1 bundle or object, found {found}; send valid STIX")
