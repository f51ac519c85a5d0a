"""What a STIX document says outright: that its objects are hostile, whatever their words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh_fl.agents.threat.kinds import KindName
from mesh_fl.agents.threat.stix import MOST_OBJECTS

_HOSTILE_OBJECTS: Mapping[str, KindName] = {
    "malware": "malware",
    "attack-pattern": "intrusion",
    "campaign": "intrusion",
    "intrusion-set": "intrusion",
    "threat-actor": "intrusion",
}
_HOSTILE_LABELS = frozenset({"malicious-activity", "compromised"})
"""Of the vocabulary indicator-type-ov (STIX 2.1, section 10.7)."""


@dataclass(frozen=True)
class Claim:
    """A statement that there is a threat, and the kind that it tells; "unknown" if none."""

    kind: KindName
    because: str


def first_claim(document: str) -> Claim | None:
    """Return the most telling statement of a document that `read_bundle` has read; None if none.

    Revoked objects state nothing.
    """
    claims = list(_claims(json.loads(document)))
    return next((claim for claim in claims if claim.kind != "unknown"), next(iter(claims), None))


def _claims(parsed: object) -> Iterator[Claim]:
    if isinstance(parsed, dict):
        parsed = parsed.get("objects") if parsed.get("type") == "bundle" else [parsed]
    for found in parsed[:MOST_OBJECTS] if isinstance(parsed, list) else []:
        if isinstance(found, dict) and found.get("revoked") is not True:
            yield from _claims_of(found)


def _claims_of(found: Mapping[str, object]) -> Iterator[Claim]:
    type_ = found.get("type")
    if isinstance(type_, str) and type_ in _HOSTILE_OBJECTS:
        yield Claim(_HOSTILE_OBJECTS[type_], f"the bundle holds an object of type {type_}")
    for name in ("indicator_types", "labels") if type_ == "indicator" else ():
        told = found.get(name)
        for label in told if isinstance(told, list) else []:
            if isinstance(label, str) and label in _HOSTILE_LABELS:
                yield Claim("unknown", f"an indicator of the bundle has {name} {label}")
