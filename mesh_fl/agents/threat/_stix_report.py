"""STIX 2.1 bundles out: a finding as a report with its indicators, techniques and CVEs.

Ids are version 5 UUIDs of the content, so the same finding gives the same bundle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from mesh_fl.agents.threat._stix_patterns import pattern_of
from mesh_fl.agents.threat.indicators import Indicator
from mesh_fl.errors import DataError

if TYPE_CHECKING:
    from stix2.base import _STIXBase21

MOST_INDICATORS, MOST_RELATIONSHIPS = 2000, 1000
"""Of one bundle; stix2 makes about 4,000 objects a second."""

_NAMESPACE = UUID("6b0f3c57-94b1-4f9f-8f2b-1f4f1f2a6f70")
_OBSERVABLE = {
    "ipv4": "ipv4-addr",
    "ipv6": "ipv6-addr",
    "domain": "domain-name",
    "url": "url",
    "email": "email-addr",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The parts of an answer that a bundle tells.

    Parameters
    ----------
    name : str
        Title of the report.
    threat_type : str
        Told as a label.
    description : str
        For people.
    severity : str or None
        Told as a label "severity:high": STIX has no field for it.
    confidence : int or None
        0 to 100.
    indicators : tuple of Indicator
        Public ones and hashes become patterns to hunt for; addresses and names that mean nothing
        elsewhere, such as 10.0.0.5, become observables; CVE ids become vulnerabilities.
    techniques : tuple of (str, str)
        ATT&CK ids with their names.
    cves : tuple of str
        CVE ids.
    created : datetime
        When, with a time zone.
    """

    name: str
    threat_type: str
    description: str
    severity: str | None
    confidence: int | None
    indicators: tuple[Indicator, ...]
    techniques: tuple[tuple[str, str], ...]
    cves: tuple[str, ...]
    created: datetime


def to_bundle(finding: Finding) -> dict[str, object]:
    """Return the bundle of a finding, as JSON would hold it.

    Raises
    ------
    DataError
        If a part cannot stand in STIX, such as a confidence of 200.
    """
    from stix2 import Bundle
    from stix2.exceptions import STIXError

    if finding.confidence is not None and not 0 <= finding.confidence <= 100:
        raise DataError(f"stix: expected a confidence from 0 to 100, found {finding.confidence}")
    try:
        objects = _Writer(finding).objects()
        identity = _identity("bundle", {"objects": [each["id"] for each in objects]})
        bundle = json.loads(Bundle(*objects, id=identity).serialize())
    except (STIXError, ValueError) as error:
        raise DataError(f"stix: expected parts that STIX 2.1 can hold, found {error}") from None
    if not isinstance(bundle, dict):
        raise DataError(f"stix: expected a bundle, found a {type(bundle).__name__}")
    return bundle


def _identity(kind: str, content: Mapping[str, object]) -> str:
    """Name content by itself."""
    text = json.dumps([kind, content], sort_keys=True, default=str)
    return f"{kind}--{uuid5(_NAMESPACE, text)}"


class _Writer:
    """Builds the objects of one finding, each with the same times and creator."""

    def __init__(self, finding: Finding) -> None:
        from stix2 import Identity

        self._finding = finding
        self._times = {"created": finding.created, "modified": finding.created}
        maker = {"name": "mesh_fl", "identity_class": "system", **self._times}
        self._maker = Identity(id=_identity("identity", maker), **maker)

    def objects(self) -> "list[_STIXBase21]":
        told = self._finding.indicators[:MOST_INDICATORS]
        found = [self._observed(each) for each in told if each.kind != "cve"]
        techniques = [self._technique(*each) for each in self._finding.techniques]
        named = (each.value for each in told if each.kind == "cve")
        cves = [self._cve(each) for each in dict.fromkeys((*self._finding.cves, *named))]
        hunted = [each for each in found if each["type"] == "indicator"]
        links = self._links(hunted, "indicates", techniques)
        links += self._links(techniques, "targets", cves)
        parts = _once([*found, *techniques, *cves, *links[:MOST_RELATIONSHIPS]])
        return [self._maker, self._report(parts), *parts]

    def _made(self, kind: str, content: Mapping[str, object]) -> "_STIXBase21":
        from stix2.v21 import OBJ_MAP

        content = {**content, **self._times, "created_by_ref": self._maker["id"]}
        return OBJ_MAP[kind](id=_identity(kind, content), **content)

    def _report(self, parts: "list[_STIXBase21]") -> "_STIXBase21":
        finding = self._finding
        labels = [finding.threat_type]
        labels += [f"severity:{finding.severity}"] if finding.severity else []
        content = {
            "name": finding.name,
            "description": finding.description,
            "report_types": ["threat-report"],
            "published": finding.created,
            "labels": labels,
            "confidence": finding.confidence,
            "object_refs": [each["id"] for each in (*parts, self._maker)],
        }
        return self._made("report", {k: v for k, v in content.items() if v is not None})

    def _observed(self, indicator: Indicator) -> "_STIXBase21":
        if indicator.scope not in (None, "public"):
            return _observable(indicator)
        content = {
            "name": f"{indicator.kind} {indicator.defanged}",
            "pattern": pattern_of(indicator),
            "pattern_type": "stix",
            "valid_from": self._finding.created,
        }
        return self._made("indicator", content)

    def _technique(self, number: str, name: str) -> "_STIXBase21":
        reference = {"source_name": "mitre-attack", "external_id": number}
        return self._made("attack-pattern", {"name": name, "external_references": [reference]})

    def _cve(self, cve: str) -> "_STIXBase21":
        reference = {"source_name": "cve", "external_id": cve}
        return self._made("vulnerability", {"name": cve, "external_references": [reference]})

    def _links(
        self, sources: "list[_STIXBase21]", verb: str, targets: "list[_STIXBase21]"
    ) -> "list[_STIXBase21]":
        pairs = [(source["id"], target["id"]) for source in sources for target in targets]
        return [
            self._made(
                "relationship",
                {"relationship_type": verb, "source_ref": source, "target_ref": target},
            )
            for source, target in pairs[:MOST_RELATIONSHIPS]
        ]


def _observable(indicator: Indicator) -> "_STIXBase21":
    from stix2.v21 import OBJ_MAP_OBSERVABLE

    return OBJ_MAP_OBSERVABLE[_OBSERVABLE[indicator.kind]](value=indicator.value)


def _once(objects: "list[_STIXBase21]") -> "list[_STIXBase21]":
    return list({each["id"]: each for each in objects}.values())
