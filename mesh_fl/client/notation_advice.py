"""Which setting of client.toml would read a cell that was refused."""

import re
from collections.abc import Iterator

from mesh_fl.client.notation import EXAMPLES, EXCEL, NUMBERS, Notation, moment_of
from mesh_fl.schema import Field

COLUMN = "with the field's column"

NOTHING = frozenset(
    {"-", "--", "---", "?", "na", "n/a", "n.a.", "#n/a", "#nv", "k.a.", "none", "null", "nil"}
    | {"nan", "unknown", "unbekannt", "tbd"}
)
"""Words that exports write for nothing."""

PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
LENGTH = re.compile(r"\d+:\d\d(:\d\d)?")
NOT_OF_UNITS = r"\d\s+()\[\]'.,:;/-"
WITH_UNIT = re.compile(
    rf"\(?-?(?P<before>[^{NOT_OF_UNITS}]{{0,12}})\s*-?[\d.,'\s]*\d[\d.,'\s]*-?\s*"
    rf"(?P<behind>[^{NOT_OF_UNITS}]{{0,12}})\)?"
)
SERIAL = re.compile(r"[2-7]\d{4}([.,]\d+)?")
"""Days of a spreadsheet from 1954 to 2119."""

DATES = {
    ".": ("%d.%m.%Y", "%d.%m.%y", "%Y.%m.%d"),
    "/": ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d"),
    "-": ("%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d"),
    "": ("%Y%m%d",),
}
NAMED_MONTHS = (
    *("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d. %b %Y", "%b %d, %Y"),
    *("%d-%B-%Y", "%d %B %Y", "%d. %B %Y", "%B %d, %Y"),
)
TIMES = {
    0: ("", "%H%M", "%H%M%S"),
    1: (" %H:%M", " %I:%M %p", ", %H:%M", ", %I:%M %p"),
    2: (" %H:%M:%S", " %I:%M:%S %p", ", %H:%M:%S", ", %I:%M:%S %p"),
}


def advice(notation: Notation, field: Field, cell: object) -> str:
    """Say which setting would read a cell; empty where none is known."""
    text = str(cell).strip()
    if not text:
        return ""
    if field.optional and text.lower() in NOTHING:
        return f'; missing = ["{text}"] for this table reads it as nothing'
    match field.kind:
        case "time":
            return _of_time(notation, text)
        case "number":
            return _of_number(notation, text)
        case "category" | "flag":
            return f"; values, {COLUMN}, says what a word of yours means"
    return ""


def formats_that_read(text: str) -> tuple[str, ...]:
    """Return formats that read a time; several where days and months cannot be told apart."""
    return tuple(form for form in _candidates(text) if moment_of(text, form) is not None)


def _of_time(notation: Notation, text: str) -> str:
    if SERIAL.fullmatch(text):
        found: tuple[str, ...] = (EXCEL,)
    else:
        found = formats_that_read(text)
    found = tuple(form for form in found if form not in notation.formats)
    if not found:
        return f"; format, {COLUMN}, tells how times are written, as of Python's strptime"
    told = " or ".join(f'"{form}"' for form in found)
    if not notation.formats:
        return f"; format = {told}, {COLUMN}, reads it"
    return f"; format may be a list: {told} beside the others would read it"


def _candidates(text: str) -> Iterator[str]:
    is_named = re.search(r"[^\W\d]{3}", text) is not None
    separator = next((one for one in "./-" if one in text[:10]), "")
    times = TIMES.get(text.count(":"), ())
    for day in NAMED_MONTHS if is_named else DATES[separator]:
        for time in times:
            if not time.startswith("%") or day == "%Y%m%d":
                yield day + time


def _of_number(notation: Notation, text: str) -> str:
    if LENGTH.fullmatch(text):
        return "; export lengths of time as numbers, 1.5 in place of 1:30"
    found = WITH_UNIT.fullmatch(text)
    if found and not notation.unit and bool(found["before"]) != bool(found["behind"]):
        unit = found["before"] or found["behind"]
        return (
            f'; unit = "{unit}", {COLUMN}, takes it off, and factor multiplies where the field has '
            "another"
        )
    digits = notation.bare(text)[1]
    is_plain = PLAIN_NUMBER.fullmatch(text) is not None  # and lies out of bounds
    if notation.decimal is None and not is_plain:
        for decimal, pattern in NUMBERS.items():
            if pattern.fullmatch(digits):
                return f'; decimal = "{decimal}" for this table reads {EXAMPLES[decimal]}'
    return ""
