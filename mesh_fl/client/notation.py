"""How an export writes numbers, times and gaps, where it is not as computers do."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from mesh_fl.errors import DataError
from mesh_fl.schema import EPOCH, Field

GROUPED = r"(\d{{1,3}}([{group}\s'\u2019]\d{{3}})+|\d+)({decimal}\d+)?([eE][+-]?\d+)?"
NUMBERS = {
    ".": re.compile(GROUPED.format(group=",", decimal=r"\.")),
    ",": re.compile(GROUPED.format(group=".", decimal=",")),
}
EXAMPLES = {".": "1,234.56", ",": "1.234,56"}
GROUPING = re.compile(r"[\s'\u2019]")
SIGNS = {"-": "-", "\N{MINUS SIGN}": "-", "+": ""}

EXCEL = "excel"
"""The format of days since 1899-12-30, as spreadsheets count them."""

FIRST_DAY, LAST_SERIAL = datetime(1899, 12, 30), 2_958_466
SERIAL = re.compile(r"\d{1,7}([.,]\d+)?", re.ASCII)
OF_DAY = re.compile(r"%[HIMSTRXcs]")


@dataclass(frozen=True)
class Notation:
    """How the cells of a column are written.

    Parameters
    ----------
    missing : tuple of str
        Words that stand for nothing, in small letters.
    decimal : {".", ","}, optional
        What stands before the decimals; thousands may then be grouped by the other of the two, by
        spaces or apostrophes. None reads plain numbers only.
    unit : str
        Stands before or behind numbers, as in "70 EUR".
    factor : float
        That numbers are multiplied by.
    formats : tuple of str
        Of times, as of `datetime.strptime`, or "excel"; the first that fits is taken. ISO 8601 or
        an epoch when empty.
    timezone : ZoneInfo, optional
        Of times of a day that name none; UTC when None. A date alone is its midnight in UTC, so
        that it stays that date. Of the hour that comes twice when clocks go back, the first is
        taken.
    """

    missing: tuple[str, ...] = ()
    decimal: str | None = None
    unit: str = ""
    factor: float = 1.0
    formats: tuple[str, ...] = ()
    timezone: ZoneInfo | None = None

    def plain(self, field: Field, cell: object) -> object:
        """Write a cell as `Field.parse` reads it.

        Raises
        ------
        DataError
            If it is not written in this way.
        """
        if isinstance(cell, str) and cell.strip().lower() in self.missing:
            return None
        match field.kind:
            case "number" if isinstance(cell, str) and cell.strip():
                return self._number(field, cell.strip())
            case "number" if type(cell) in (int, float) and self.factor != 1:
                return float(str(cell)) * self.factor
            case "time" if cell is not None:
                return self._time(field, str(cell).strip())
        return cell

    def bare(self, text: str) -> tuple[str, str]:
        """Return the sign, and the digits of a number without it and without the unit."""
        sign = ""
        for _ in range(2):  # a unit may stand within a sign, and a sign within a unit
            text = self._without_unit(text)
            if sign:
                continue
            if text.startswith("(") and text.endswith(")"):
                sign, text = "-", text[1:-1].strip()
            elif text[:1] in SIGNS:
                sign, text = SIGNS[text[:1]], text[1:].strip()
            elif text[-1:] in SIGNS:
                sign, text = SIGNS[text[-1:]], text[:-1].strip()
        return sign, text

    def _without_unit(self, text: str) -> str:
        return text.removeprefix(self.unit).removesuffix(self.unit).strip()

    def _number(self, field: Field, text: str) -> object:
        if self.decimal is None and not self.unit:
            return self._times_factor(text)
        if self._without_unit(text).lower() in self.missing:
            return None
        sign, digits = self.bare(text)
        if self.decimal is None:
            return self._times_factor(f"{sign}{digits}" if digits else text)
        if not NUMBERS[self.decimal].fullmatch(digits):
            expected = f"{field.expects()} written like {EXAMPLES[self.decimal]}"
            raise DataError(f"{field.name}: expected {expected}, found {text[:80]!r}")
        other = "," if self.decimal == "." else "."
        digits = GROUPING.sub("", digits).replace(other, "").replace(self.decimal, ".")
        return self._times_factor(sign + digits)

    def _times_factor(self, text: str) -> object:
        if self.factor == 1:
            return text
        try:
            return float(text) * self.factor
        except ValueError:
            return text  # which the field refuses

    def _time(self, field: Field, text: str) -> str:
        if not text:
            return text
        if not self.formats:
            return self._iso(text)
        for form in self.formats:
            moment = moment_of(text, form)
            if moment is not None:
                return self._placed(moment, is_day=is_day(text, form))
        expected = f"a time written as {' or '.join(self.formats)}"
        raise DataError(f"{field.name}: expected {expected}, found {text[:80]!r}")

    def _iso(self, text: str) -> str:
        if self.timezone is None or EPOCH.fullmatch(text):
            return text
        try:
            date.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
        try:
            return self._placed(datetime.fromisoformat(text), is_day=False)
        except ValueError:
            return text  # which the field refuses

    def _placed(self, moment: datetime, *, is_day: bool) -> str:
        zone = UTC if is_day or self.timezone is None else self.timezone
        return moment.replace(tzinfo=moment.tzinfo or zone).isoformat()


def moment_of(text: str, form: str) -> datetime | None:
    """Read a time by a format; None where it is not written so."""
    try:
        if form == EXCEL:
            return _of_serial(text)
        moment = datetime.strptime(text, form)
        # Of digits alone strptime also takes one where the format means two.
        return None if text.isdigit() and moment.strftime(form) != text else moment
    except ValueError:
        return None


def _of_serial(text: str) -> datetime | None:
    days = float(text.replace(",", ".")) if SERIAL.fullmatch(text) else 0.0
    # Spreadsheets keep days as floats: to the second is what they mean.
    seconds = round(days * 86_400)
    return FIRST_DAY + timedelta(seconds=seconds) if 1 <= seconds / 86_400 < LAST_SERIAL else None


def is_day(text: str, form: str) -> bool:
    """Tell whether a format, or a serial number, names a day and no time of it."""
    if form == EXCEL:
        return float(text.replace(",", ".")).is_integer()
    return OF_DAY.search(form) is None


PLAIN = Notation()
"""As computers write."""
