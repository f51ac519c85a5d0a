"""Frameworks as people list them themselves: id, title and text in CSV, TOML or JSON."""

import csv
import io
import tomllib
from collections.abc import Mapping, Sequence

from mesh_fl.agents._reading import items, kind, text
from mesh_fl.agents.compliance.catalogue import Control, Harvest, distinct
from mesh_fl.agents.compliance.identifiers import written_id
from mesh_fl.errors import ConfigError

TITLES = ("title", "name")
MOST_NAMED = 5


def csv_entries(content: str, place: str) -> list[object]:
    """Read the rows of a CSV file with at least the columns id and title (or name) or text.

    Raises
    ------
    ConfigError
        If there is no such header, or it is not CSV.
    """
    lines = csv.reader(io.StringIO(content, newline=""))
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        if "id" not in header or not {*TITLES, "text"} & set(header):
            found = ", ".join(header)[:80] or "nothing"
            raise ConfigError(
                f"{place} line 1: expected the columns id, title, text (name counts as title;"
                " also possible: guidance, family, parent, checks), separated by commas,"
                f" found {found}"
            )
        return [dict(zip(header, row, strict=False)) for row in lines if any(row)]
    except csv.Error as error:
        raise ConfigError(f"{place} line {lines.line_num}: expected CSV: {error}") from None


def toml_document(content: str, place: str) -> Mapping[str, object]:
    """Parse TOML with a list of tables named controls.

    Raises
    ------
    ConfigError
        If it is not TOML, or nested too deeply.
    """
    try:
        return tomllib.loads(content)
    except RecursionError:
        raise ConfigError(f"{place}: expected TOML, found arrays nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{place}: expected TOML: {str(error)[:200]}") from None


def add_entries(entries: Sequence[object], place: str, harvest: Harvest) -> None:
    """Gather controls from a list of tables; those that have a title only are told."""
    bare = []
    for number, entry in enumerate(entries):
        where = f"{place}: entry {number + 1}"
        if isinstance(entry, dict):
            control = _control(entry, harvest.framework)
            harvest.add(control, where)
            bare.extend([control.id] if control.title and not control.text else [])
        else:
            harvest.refuse(f"{where}: expected a table with id, title, text, found {kind(entry)}")
    if bare:
        rest = f" and {len(bare) - MOST_NAMED} more" if len(bare) > MOST_NAMED else ""
        named = ", ".join(name[:40] for name in bare[:MOST_NAMED]) + rest
        harvest.note(f"{place}: no text of {named}: only the title is compared")


def _control(entry: Mapping[str, object], framework: str) -> Control:
    identifier = text(entry.get("id"), 200)
    return Control(
        framework=framework,
        id=written_id(identifier),
        title=next(filter(None, (text(entry.get(key), 300) for key in TITLES)), ""),
        text=text(entry.get("text")),
        guidance=text(entry.get("guidance")),
        family=text(entry.get("family"), 200),
        parent=text(entry.get("parent"), 80) or None,
        checks=_checks(entry.get("checks")),
        aliases=distinct([identifier]),
    )


def _checks(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return distinct(text(value.replace(";", " ")).split(" "))
    return distinct([text(check, 200) for check in items(value)])
