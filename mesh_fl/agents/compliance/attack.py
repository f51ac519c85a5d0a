"""Which controls answer which ATT&CK technique, from a mapping file of CTID."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh_fl.agents._reading import items, kind, parse_json, read_text, table, text
from mesh_fl.agents.compliance.identifiers import written_id
from mesh_fl.agents.compliance.verdict import Part
from mesh_fl.errors import ConfigError

TECHNIQUE = re.compile(r"T[0-9]{4}(?:\.[0-9]{3})?")
MOST_PAIRS = 200_000


class TechniqueControl(Part):
    """A control that a mapping file sets against a technique.

    Attributes
    ----------
    technique, technique_name : str
        As the file has it: the parent where it does not know the sub-technique asked for.
    """

    control: str
    title: str
    technique: str
    technique_name: str
    relation: str
    comment: str
    source: str


@dataclass(frozen=True)
class AttackMapping:
    """A mapping file.

    Attributes
    ----------
    by_technique : mapping of str to tuple of TechniqueControl
    skipped : int
        Entries that name no technique or no control.
    """

    by_technique: Mapping[str, tuple[TechniqueControl, ...]]
    source: str
    skipped: int

    def controls_for(self, technique: str) -> tuple[TechniqueControl, ...]:
        """Return the controls of a technique; those of its parent where it has none itself."""
        key = technique.strip().upper()
        return self.by_technique.get(key) or self.by_technique.get(key.split(".")[0], ())


def read_attack_mapping(path: Path) -> AttackMapping:
    """Read a mapping of the Center for Threat-Informed Defense (JSON, also packed as .gz).

    Raises
    ------
    ConfigError
        If it cannot be read, or maps nothing.
    """
    document = table(parse_json(read_text(path), path.name))
    entries = items(document.get("mapping_objects"))
    if not entries or len(entries) > MOST_PAIRS:
        what = f"{len(entries)} of them" if entries else kind(document.get("mapping_objects"))
        raise ConfigError(
            f"{path.name}: expected mapping_objects of CTID, at most {MOST_PAIRS}, found {what}"
        )
    metadata = table(document.get("metadata"))
    framework = text(metadata.get("mapping_framework"), 60)
    version = text(metadata.get("attack_version"), 20)
    source = f"{path.name} (ATT&CK {version} to {framework})"
    found: dict[str, list[TechniqueControl]] = {}
    for one in (_pair(table(entry), source) for entry in entries):
        if one:
            found.setdefault(one.technique, []).append(one)
    if not found:
        raise ConfigError(f"{path.name}: expected pairs of technique and control, found none")
    used = sum(map(len, found.values()))
    return AttackMapping(
        {technique: tuple(pairs) for technique, pairs in found.items()}, source, len(entries) - used
    )


def _pair(entry: Mapping[str, object], source: str) -> TechniqueControl | None:
    technique = text(entry.get("attack_object_id"), 20).upper()
    control = text(entry.get("capability_id"), 40)
    if not control or not TECHNIQUE.fullmatch(technique):
        return None
    return TechniqueControl(
        control=written_id(control),
        title=text(entry.get("capability_description"), 200),
        technique=technique,
        technique_name=text(entry.get("attack_object_name"), 200),
        relation=text(entry.get("mapping_type"), 40),
        comment=text(entry.get("comments"), 1_000),
        source=source,
    )
