"""OSCAL catalogs (NIST, JSON, 1.x), as published or as a profile resolves them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from mesh_fl.agents._reading import LONGEST_TEXT, items, kind, table, text
from mesh_fl.agents.compliance.catalogue import Control, Harvest, distinct
from mesh_fl.agents.compliance.identifiers import written_id
from mesh_fl.errors import ConfigError

OTHER_MODELS = (
    "profile",
    "mapping-collection",
    "component-definition",
    "system-security-plan",
    "assessment-plan",
    "assessment-results",
    "plan-of-action-and-milestones",
)

DEEPEST = 20
"""Groups, controls and parts nested deeper than this are left out."""

_INSERT = re.compile(r"\{\{\s*(?:insert:\s*)?param,?\s*([^\s{}]+)\s*\}\}")
_ORGANISATION = re.compile(r"^organi[sz]ation-defined\s+", re.IGNORECASE)
_STRUCTURAL = ("statement", "item")
_LONGEST_VALUE = 1_000
_MOST_CHOICES = 50

UNDEFINED = "[organisation-defined value]"


def controls_of(document: Mapping[str, object], place: str, harvest: Harvest) -> tuple[str, str]:
    """Gather the controls of a catalog.

    Parameters
    ----------
    document : mapping
        The parsed file: ``{"catalog": ...}``.
    place : str
        The file, for messages.

    Returns
    -------
    tuple of str
        Title and version of the catalog.

    Raises
    ------
    ConfigError
        If it is another OSCAL model.
    """
    if other := next((model for model in OTHER_MODELS if model in document), ""):
        raise ConfigError(
            f"{place}: expected an OSCAL catalog, found a {other};"
            " a profile has to be resolved into a catalog first"
        )
    catalog = table(document.get("catalog"))
    for where, family, parent, node in _nodes(catalog):
        _gather(node, f"{place}: {where}", family, parent, harvest)
    metadata = table(catalog.get("metadata"))
    return text(metadata.get("title"), 200), text(metadata.get("version"), 40)


_Node = tuple[str, str, str | None, object]


def _nodes(catalog: Mapping[str, object]) -> Iterator[_Node]:
    """Walk over all controls, in order, without recursion: files may nest as deep as they like."""
    stack: list[tuple[int, bool, _Node]] = [(0, True, ("catalog", "", None, catalog))]
    while stack:
        depth, is_group, (where, family, parent, value) = stack.pop()
        node = table(value)
        if not is_group:
            yield where, family, parent, value
            parent = _label(node)
        if depth == DEEPEST:
            continue
        family = text(node.get("title"), 200) if is_group and depth else family
        below = [
            (depth + 1, is_group_below, (f"{where}/{key}[{place}]", family, parent, child))
            for key, is_group_below in (("controls", False), ("groups", True))
            for place, child in enumerate(items(node.get(key)))
        ]
        stack.extend(reversed(below))


def _gather(value: object, where: str, family: str, parent: str | None, harvest: Harvest) -> None:
    if not isinstance(value, dict):
        harvest.refuse(f"{where}: expected a control, found {kind(value)}")
    elif not text(value.get("id"), 200):
        harvest.refuse(f"{where}: expected a control with an id, found {kind(value.get('id'))}")
    elif _is_withdrawn(value):
        harvest.withdrawn += 1
    else:
        harvest.add(_control(value, harvest.framework, family, parent), where)


def _control(
    node: Mapping[str, object], framework: str, family: str, parent: str | None
) -> Control:
    values = _values([table(one) for one in items(node.get("params"))])
    parts = [table(part) for part in items(node.get("parts"))]
    label = _label(node)
    return Control(
        framework=framework,
        id=label,
        title=text(node.get("title"), 300),
        text=_filled(" ".join(_prose(parts, "statement")), values),
        guidance=_filled(" ".join(_prose(parts, "guidance")), values),
        family=family,
        parent=parent,
        related=_related(node),
        aliases=distinct([text(node.get("id"), 80)]),
        oscal_id=text(node.get("id"), 80),
        statement_id=next(
            (text(part.get("id"), 80) for part in parts if part.get("name") == "statement"), ""
        ),
    )


def _is_withdrawn(node: Mapping[str, object]) -> bool:
    props = map(table, items(node.get("props")))
    return any(
        prop.get("name") == "status" and text(prop.get("value")).lower() == "withdrawn"
        for prop in props
    )


def _label(node: Mapping[str, object]) -> str:
    labels = [
        ("class" in prop, text(prop.get("value"), 200))
        for prop in map(table, items(node.get("props")))
        if prop.get("name") == "label" and text(prop.get("value"))
    ]
    return min(labels)[1] if labels else written_id(text(node.get("id"), 200))


def _related(node: Mapping[str, object]) -> tuple[str, ...]:
    links = map(table, items(node.get("links")))
    targets = [text(one.get("href"), 80) for one in links if one.get("rel") == "related"]
    return distinct([written_id(target[1:]) for target in targets if target.startswith("#")])


def _prose(parts: list[Mapping[str, object]], name: str) -> Iterator[str]:
    stack = [(0, part) for part in reversed(parts) if part.get("name") == name]
    while stack:
        depth, part = stack.pop()
        yield _lettered(part)
        if depth < DEEPEST:
            below = [table(child) for child in items(part.get("parts"))]
            wanted = [child for child in below if child.get("name") in (*_STRUCTURAL, name)]
            stack.extend((depth + 1, child) for child in reversed(wanted))


def _lettered(part: Mapping[str, object]) -> str:
    props = map(table, items(part.get("props")))
    label = next((text(one.get("value"), 20) for one in props if one.get("name") == "label"), "")
    return f"{label} {text(part.get('prose'))}".strip()


def _filled(prose: str, values: Mapping[str, str]) -> str:
    """Write for each parameter its value, or that there is none yet."""
    filled = _INSERT.sub(lambda found: values.get(found[1], UNDEFINED), prose[:LONGEST_TEXT])
    return filled[:LONGEST_TEXT].strip()


def _values(parameters: Sequence[Mapping[str, object]]) -> Mapping[str, str]:
    """Say what stands for each parameter: its values, its choices, or what is left to define.

    A choice that names a parameter gets its plain value: parameters may name each other, and
    themselves.
    """
    plain = {text(one.get("id")): _plain_value(one) for one in parameters}
    return plain | {
        text(one.get("id")): f"[choice of {'; '.join(choices)}]"[:_LONGEST_VALUE]
        for one in parameters
        if not items(one.get("values")) and (choices := _choices(one, plain))
    }


def _plain_value(parameter: Mapping[str, object]) -> str:
    values = [text(value, _LONGEST_VALUE) for value in items(parameter.get("values"))]
    if any(values):
        return ", ".join(filter(None, values))[:_LONGEST_VALUE]
    label = _ORGANISATION.sub("", text(parameter.get("label"), _LONGEST_VALUE))
    return f"[organisation-defined {label}]" if label else UNDEFINED


def _choices(parameter: Mapping[str, object], plain: Mapping[str, str]) -> list[str]:
    told = items(table(parameter.get("select")).get("choice"))[:_MOST_CHOICES]
    filled = [_filled(text(choice, _LONGEST_VALUE), plain) for choice in told]
    return [choice for choice in filled if choice]
