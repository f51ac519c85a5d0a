"""How an export writes numbers, times and gaps, where it is not as computers do."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from mesh_fl.errors import DataError
from mesh_fl.schema import EPOCH, Field

GROUPED = r"[+-]?(\d{{1,3}}([{group}\s'\u2019]\d{{3}})+|\d+)({decimal}\d+)?([eE][+-]?\d+)?"
NUMBERS = {
    ".": re.compile(GROUPED.format(group=",", decimal=r"\.")),
    ",": re.compile(GROUPED.format(group=".", decimal=",")),
}
EXAMPLES = {".": "1,234.56", ",": "1.234,56"}
GROUPING = re.compile(r"[\s'\u2019]")
PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
WITH_UNIT = re.compile(r"(?P<before>[^\d\s+-]{0,4})\s*[+-]?\d[\d.,'\s]*(?P<behind>[^\d\s]{0,4})")
LIKE_A_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*")


@dataclass(frozen=True)
class Notation:
    """How the cells of a column are written.

    Parameters
    ----------
    missing : tuple of str
        Words that stand for nothing, in any case.
    decimal : {".", ","}, optional
        What stands before the decimals; thousands may then be grouped by the other of the two, by
        spaces or apostrophes. None reads plain numbers only.
    unit : str
        Stands before or behind numbers, as in "70 EUR".
    format : str
        Of times, as of `datetime.strptime`; ISO 8601 or an epoch when empty.
    timezone : ZoneInfo, optional
        Of times that name none; UTC when None. Of the hour that comes twice when clocks go back,
        the first is taken.
    """

    missing: tuple[str, ...] = ()
    decimal: str | None = None
    unit: str = ""
    format: str = ""
    timezone: ZoneInfo | None = None

    def plain(self, field: Field, cell: object) -> object:
        """Write a cell as `Field.parse` reads it.

        Raises
        ------
        DataError
            If it is not written in this way.
        """
        text = cell.strip() if isinstance(cell, str) else None
        if text is not None and field.kind == "number":
            text = self._bare(text)
        if text is not None and text.lower() in self.missing:
            return None
        if field.kind == "number" and text:
            return self._number(field, text)
        if field.kind == "time" and cell is not None:
            return self._time(field, str(cell).strip())
        return cell

    def advice(self, field: Field, cell: object) -> str:
        """Say which setting would read a cell that was refused; empty where none is known."""
        text = str(cell).strip()
        if field.kind == "time" and not self.format and LIKE_A_DATE.fullmatch(text):
            return (
                '; format = "%d.%m.%Y %H:%M", with the field\'s column, tells how times are written'
            )
        return self._advice_on_number(text) if field.kind == "number" else ""

    def _advice_on_number(self, text: str) -> str:
        found = WITH_UNIT.fullmatch(text)
        if found and not self.unit and bool(found["before"]) != bool(found["behind"]):
            unit = found["before"] or found["behind"]
            return f'; unit = "{unit}", with the field\'s column, is taken off numbers'
        number = self._bare(text)
        if self.decimal is None and not PLAIN_NUMBER.fullmatch(number):  # which lies out of bounds
            for decimal, pattern in NUMBERS.items():
                if pattern.fullmatch(number):
                    return f'; decimal = "{decimal}" for this table reads {EXAMPLES[decimal]}'
        return ""

    def _bare(self, text: str) -> str:
        return text.removeprefix(self.unit).removesuffix(self.unit).strip()

    def _number(self, field: Field, text: str) -> str:
        if self.decimal is None:
            return text
        if not NUMBERS[self.decimal].fullmatch(text):
            expected = f"{field.expects()} written like {EXAMPLES[self.decimal]}"
            raise DataError(f"{field.name}: expected {expected}, found {text[:80]!r}")
        other = "," if self.decimal == "." else "."
        return GROUPING.sub("", text).replace(other, "").replace(self.decimal, ".")

    def _time(self, field: Field, text: str) -> str:
        if not text or (not self.format and (self.timezone is None or EPOCH.fullmatch(text))):
            return text
        try:
            moment = (
                datetime.strptime(text, self.format)
                if self.format
                else datetime.fromisoformat(text)
            )
        except ValueError:
            if not self.format:
                return text
            expected = f"a time written as {self.format}"
            raise DataError(f"{field.name}: expected {expected}, found {text[:80]!r}") from None
        return moment.replace(tzinfo=moment.tzinfo or self.timezone or UTC).isoformat()


PLAIN = Notation()
"""As computers write."""
