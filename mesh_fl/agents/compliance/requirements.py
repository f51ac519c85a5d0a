"""Requirement files in the form of Prowler: frameworks with the cloud checks that bear on them."""

import re
from collections.abc import Mapping, Sequence

from mesh_fl.agents._reading import LONGEST_TEXT, items, kind, table, text
from mesh_fl.agents.compliance.catalogue import Control, Harvest, distinct
from mesh_fl.agents.compliance.identifiers import canonical_id, leading_id, written_id

_SECTION = re.compile(r"([A-Z]?[0-9]{1,3}(?:\.[0-9]{1,3}){1,5}): (\S.*)")
"""A section that is itself a requirement, as in PCI DSS files."""

_POINTER = re.compile(r"To obtain the latest version of the official guide, please visit \S+\s*")
_MOST_CHECKS = 500


def requirements_of(document: Mapping[str, object], place: str, harvest: Harvest) -> None:
    """Gather the requirements of a file.

    Where a file splits one requirement into many entries of one check each (PCI DSS), they are put
    together again: people know 1.2.5, nobody knows 1.2.5.14.
    """
    sections: dict[str, list[Mapping[str, object]]] = {}
    singles: list[tuple[str, Mapping[str, object]]] = []
    for number, value in enumerate(items(document.get("Requirements"))):
        where = f"{place}: Requirements[{number}]"
        if not isinstance(value, dict):
            harvest.refuse(f"{where}: expected a requirement, found {kind(value)}")
        elif not text(value.get("Id"), 200):
            harvest.refuse(f"{where}: expected an Id, found {kind(value.get('Id'))}")
        elif found := _section(value):
            sections.setdefault(found, []).append(value)
        else:
            singles.append((where, value))
    for section, entries in sections.items():
        harvest.add(_whole(harvest.framework, section, entries), f"{place}: {section[:80]}")
    _add_singles(singles, harvest)


def _section(entry: Mapping[str, object]) -> str:
    section = text(_attributes(entry).get("Section"), 400)
    return section if _SECTION.fullmatch(section) else ""


def _whole(framework: str, section: str, entries: Sequence[Mapping[str, object]]) -> Control:
    found = _SECTION.fullmatch(section)
    identifier, title = (found[1], found[2]) if found else ("", "")
    details = distinct([text(entry.get("Description"), 400) for entry in entries])
    checks = distinct([check for entry in entries for check in _checks(entry)])
    return Control(
        framework=framework,
        id=identifier,
        title=title,
        text=" ".join([title, *(_sentence(detail) for detail in details)])[:LONGEST_TEXT],
        family=f"Requirement {identifier.split('.')[0]}",
        checks=checks[:_MOST_CHECKS],
    )


def _sentence(detail: str) -> str:
    return detail if detail.endswith(".") else f"{detail}."


def _add_singles(singles: Sequence[tuple[str, Mapping[str, object]]], harvest: Harvest) -> None:
    """Add entries under the id that their name prints, or under their own where two print one."""
    printed = [leading_id(text(entry.get("Name"), 400))[0] for _, entry in singles]
    own = [canonical_id(text(entry.get("Id"), 80)) for _, entry in singles]
    sure = {key for key, name in zip(own, printed, strict=True) if canonical_id(name) == key}
    for (where, entry), name, key in zip(singles, printed, own, strict=True):
        doubtful = canonical_id(name) != key and canonical_id(name) in sure
        identifier = name if name and not doubtful else written_id(text(entry.get("Id"), 200))
        sure.add(canonical_id(identifier))
        harvest.add(_single(harvest.framework, identifier, entry), where)


def _single(framework: str, identifier: str, entry: Mapping[str, object]) -> Control:
    attributes = _attributes(entry)
    description = _POINTER.sub("", text(entry.get("Description")))
    name = text(entry.get("Name"), 400)
    longer = text(attributes.get("Description"))
    return Control(
        framework=framework,
        id=identifier,
        title=leading_id(name)[1] or (name and _group_title(attributes)) or description[:300],
        text=longer or description,
        family=text(attributes.get("Section") or attributes.get("Category"), 200),
        checks=_checks(entry)[:_MOST_CHECKS],
        aliases=distinct([text(entry.get("Id"), 80)]),
    )


def _group_title(attributes: Mapping[str, object]) -> str:
    for key in ("SubGroup", "SubSection"):
        if group := text(attributes.get(key), 300):
            return leading_id(group)[1]
    return ""


def _attributes(entry: Mapping[str, object]) -> Mapping[str, object]:
    found = items(entry.get("Attributes"))
    return table(found[0]) if found else {}


def _checks(entry: Mapping[str, object]) -> tuple[str, ...]:
    return distinct([text(check, 200) for check in items(entry.get("Checks"))])
