"""ATT&CK as others publish it: the STIX bundle, and the mapping to NIST SP 800-53 controls."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mesh_fl.agents._reading import items, parse_json, read_text, table, text
from mesh_fl.errors import ConfigError

MOST_TECHNIQUES = 2_000
"""ATT&CK for enterprise has about 700; each has to be encoded once."""
TEXT_CHARACTERS = 300
"""Of a description, what is kept: its first sentences say what the technique is."""

TECHNIQUE_ID = re.compile(r"T\d{4}(?:\.\d{3})?")
_CONTROL = re.compile(r"([A-Z]{2})-0*(\d+)(?:\(0*(\d+)\))?")
_CITATION = re.compile(r"\(Citation: [^()]{0,200}\)")
_LINK = re.compile(r"\[([^\[\]]{0,200})\]\([^()\s]{0,500}\)")

_OBJECTS = re.compile(r'"objects"\s*+:\s*+\[')
_BETWEEN = re.compile(r"[\s,]*+")

ATTACK_BUNDLE = "an ATT&CK STIX bundle (enterprise-attack.json) or a CTID mapping file"


@dataclass(frozen=True)
class Mitigation:
    """What to do against a technique, and where that stands."""

    action: str
    source: str


@dataclass(frozen=True)
class Technique:
    """One technique.

    Parameters
    ----------
    texts : tuple of str
        Sentences that describe it; a text is compared with each.
    """

    id: str
    name: str
    tactics: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    mitigations: tuple[Mitigation, ...] = ()


@dataclass(frozen=True)
class Control:
    """A NIST SP 800-53 control that mitigates a technique."""

    id: str
    name: str
    source: str


@dataclass(frozen=True)
class AttackFile:
    """The techniques of one file, and what to call the file."""

    techniques: tuple[Technique, ...]
    source: str


def read_attack_file(path: Path) -> AttackFile:
    """Read an ATT&CK STIX bundle, or the names in a CTID mapping file; .gz is unpacked.

    Revoked and deprecated techniques are left out, as are what is malformed and repetitions.

    Raises
    ------
    ConfigError
        If the file cannot be read, is neither, or holds no technique or too many.
    """
    content = read_text(path)
    if '"mapping_objects"' in content:
        found = _mapped(path, table(parse_json(content, str(path))))
    else:
        found = _bundled(path, content)
    if not 0 < len(found.techniques) <= MOST_TECHNIQUES:
        raise ConfigError(
            f"{path}: expected 1 to {MOST_TECHNIQUES} enterprise techniques, found "
            f"{len(found.techniques)}; name {ATTACK_BUNDLE}"
        )
    return found


def read_controls(path: Path) -> Mapping[str, tuple[Control, ...]]:
    """Read which controls mitigate which technique (by id) from a CTID mapping file.

    Raises
    ------
    ConfigError
        If the file cannot be read or maps nothing.
    """
    document = table(parse_json(read_text(path), str(path)))
    source = _mapping_source(path, document)
    controls: dict[str, dict[str, Control]] = defaultdict(dict)
    for entry in map(table, items(document.get("mapping_objects"))):
        technique = _id_of(entry.get("attack_object_id"))
        control = _CONTROL.fullmatch(text(entry.get("capability_id"), 20))
        if technique and control:
            name = text(entry.get("capability_description"), 200)
            id_ = _control_id(control)
            controls[technique].setdefault(id_, Control(id_, name, source))
    if not controls:
        raise ConfigError(f"{path}: expected CTID mappings to NIST SP 800-53, found none")
    return {technique: tuple(found.values()) for technique, found in controls.items()}


def _mapped(path: Path, document: Mapping[str, object]) -> AttackFile:
    found: dict[str, Technique] = {}
    for entry in map(table, items(document.get("mapping_objects"))):
        id_ = _id_of(entry.get("attack_object_id"))
        name = text(entry.get("attack_object_name"), 200)
        if id_ and name:
            found.setdefault(id_, Technique(id_, name))
    return AttackFile(_described(found), _mapping_source(path, document))


def _mapping_source(path: Path, document: Mapping[str, object]) -> str:
    metadata = table(document.get("metadata"))
    version = text(metadata.get("attack_version"), 20)
    return f"{path.name} (CTID mapping of ATT&CK {version or 'of no stated version'})"


def _bundled(path: Path, content: str) -> AttackFile:
    objects = list(_objects(path, content))
    source = f"{path.name} (ATT&CK {_version(objects) or 'of no stated version'})"
    mitigations = _mitigations(objects, source)
    found: dict[str, Technique] = {}
    for entry in _current(objects, "attack-pattern"):
        id_ = _external_id(entry, TECHNIQUE_ID)
        name = text(entry.get("name"), 200)
        if id_ and name and id_ not in found:
            known = mitigations.get(text(entry.get("id"), 200), ())
            found[id_] = Technique(id_, name, _tactics(entry), (_plain(entry),), tuple(known))
    return AttackFile(_described(found), source)


def _objects(path: Path, content: str) -> Iterator[Mapping[str, object]]:
    """Yield what is of use in a bundle, parsed one by one: as one tree it takes 300 MB."""
    start = _OBJECTS.search(content)
    if start is None:
        raise ConfigError(f"{path}: expected {ATTACK_BUNDLE}, found neither; get it again")
    decoder, place = json.JSONDecoder(), _next(content, start.end())
    while not content.startswith("]", place):
        try:
            entry, end = decoder.raw_decode(content, place)
        except (ValueError, RecursionError):
            line = content.count("\n", 0, place) + 1
            raise ConfigError(
                f"{path} line {line}: expected a STIX object, found what is no JSON or nested too "
                "deeply; get the file again"
            ) from None
        if _of_use(table(entry)):
            yield table(entry)
        place = _next(content, end)


def _of_use(entry: Mapping[str, object]) -> bool:
    kind = entry.get("type")
    if kind == "relationship":
        return entry.get("relationship_type") == "mitigates"
    return kind in ("attack-pattern", "course-of-action", "x-mitre-collection")


def _next(content: str, place: int) -> int:
    between = _BETWEEN.match(content, place)
    return place if between is None else between.end()


def _described(found: Mapping[str, Technique]) -> tuple[Technique, ...]:
    """Give each technique one text: its parent's name, its own, and its description."""
    return tuple(
        replace(technique, texts=(". ".join([_full_name(technique, found), *filter(None, texts)]),))
        for technique in found.values()
        for texts in [technique.texts]
    )


def _full_name(technique: Technique, found: Mapping[str, Technique]) -> str:
    parent = found.get(technique.id.partition(".")[0], technique)
    return technique.name if parent is technique else f"{parent.name}: {technique.name}"


def _mitigations(
    objects: Sequence[Mapping[str, object]], source: str
) -> Mapping[str, list[Mitigation]]:
    """Return the mitigations by the STIX id of their technique."""
    courses = {
        text(entry.get("id"), 200): (text(entry.get("name"), 200), _external_id(entry, None))
        for entry in _current(objects, "course-of-action")
    }
    found: dict[str, list[Mitigation]] = defaultdict(list)
    for entry in _current(objects, "relationship"):
        name, id_ = courses.get(text(entry.get("source_ref"), 200), ("", ""))
        if name:
            action = f"{name}: {_plain(entry)}".removesuffix(": ")
            where = f"{source}, mitigation {id_}" if id_ else source
            found[text(entry.get("target_ref"), 200)].append(Mitigation(action, where))
    return found


def _current(objects: Sequence[Mapping[str, object]], kind: str) -> Iterator[Mapping[str, object]]:
    for entry in objects:
        outdated = entry.get("revoked") is True or entry.get("x_mitre_deprecated") is True
        if entry.get("type") == kind and not outdated:
            yield entry


def _external_id(entry: Mapping[str, object], form: re.Pattern[str] | None) -> str:
    for reference in map(table, items(entry.get("external_references"))):
        id_ = text(reference.get("external_id"), 20)
        if reference.get("source_name") == "mitre-attack" and (form is None or form.fullmatch(id_)):
            return id_
    return ""


def _id_of(value: object) -> str:
    id_ = text(value, 20)
    return id_ if TECHNIQUE_ID.fullmatch(id_) else ""


def _tactics(entry: Mapping[str, object]) -> tuple[str, ...]:
    phases = map(table, items(entry.get("kill_chain_phases")))
    names = [text(phase.get("phase_name"), 60) for phase in phases]
    return tuple(dict.fromkeys(name for name in names if name))


def _plain(entry: Mapping[str, object]) -> str:
    """Return the first sentences of a description, without citations and links."""
    raw = text(entry.get("description"), 4 * TEXT_CHARACTERS)
    plain = " ".join(_LINK.sub(r"\1", _CITATION.sub("", raw)).split())
    if len(plain) <= TEXT_CHARACTERS:
        return plain
    start = plain[:TEXT_CHARACTERS]
    return start[: start.rfind(". ") + 1] or start.rpartition(" ")[0] + " …"


def _version(objects: Sequence[Mapping[str, object]]) -> str:
    collections = (entry for entry in objects if entry.get("type") == "x-mitre-collection")
    return next((text(entry.get("x_mitre_version"), 20) for entry in collections), "")


def _control_id(match: re.Match[str]) -> str:
    family, number, enhancement = match.groups()
    return f"{family}-{number}" + (f"({enhancement})" if enhancement else "")
