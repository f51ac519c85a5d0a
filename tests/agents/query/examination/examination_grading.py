"""Grades answers fairly: column order, extra columns, ids for names and rounding do not matter."""

import calendar
import datetime as dt
import re
from itertools import permutations

from examination_tables import CLIENTS, TECHS

MONTHS = {
    name.lower(): number
    for names in (calendar.month_abbr, calendar.month_name)
    for number, name in enumerate(names)
    if name
}
NOTHING = ("", "<none>", "none", "null", "nan", "n/a", "(none)", "unknown", "missing", "(missing)")


def _names() -> dict[str, str]:
    """Return what an id of a client or technician stands for: an answer may show either."""
    clients = {f"k{1201 + 7 * place}": one[0] for place, one in enumerate(CLIENTS)}
    technicians = {f"tec-{11 + 3 * place}": one[0] for place, one in enumerate(TECHS)}
    return {key: name.casefold() for key, name in {**clients, **technicians}.items()}


NAMES = _names()


def _period(text):
    """The first day of the day, month, quarter or year that a label names, as YYYY-MM-DD."""
    text = text.strip().lower()
    if found := re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)(?:[t ]00:00(?::00(?:\.0+)?)?)?(?:z|\+00:00)?", text
    ):
        return "-".join(found.groups())
    if found := re.fullmatch(r"(\d{4})[-/](\d\d)", text):
        return f"{found[1]}-{found[2]}-01"
    if found := re.fullmatch(r"(\d{4})[- ]?q([1-4])", text):
        return f"{found[1]}-{int(found[2]) * 3 - 2:02}-01"
    if found := re.fullmatch(r"q([1-4])[- /]?(\d{4})", text):
        return f"{found[2]}-{int(found[1]) * 3 - 2:02}-01"
    if (found := re.fullmatch(r"([a-z]+)\.?,? (\d{4})", text)) and found[1] in MONTHS:
        return f"{found[2]}-{MONTHS[found[1]]:02}-01"
    if (found := re.fullmatch(r"(\d{4})[ -]([a-z]+)", text)) and found[2] in MONTHS:
        return f"{found[1]}-{MONTHS[found[2]]:02}-01"
    return None


def plain(cell):
    """A cell as None, bool, float or folded text."""
    if hasattr(cell, "item"):
        cell = cell.item()
    if cell is None or cell != cell:
        return None
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, dt.datetime):
        if cell.tzinfo:
            cell = cell.astimezone(dt.UTC).replace(tzinfo=None)
        return _period(cell.isoformat(sep=" ")) or cell.isoformat(sep=" ")
    if isinstance(cell, dt.date):
        return cell.isoformat()
    if not isinstance(cell, str):
        return float(cell)
    text = " ".join(cell.split()).casefold()
    if text in NOTHING:
        return None
    if text in ("true", "yes"):
        return True
    if text in ("false", "no"):
        return False
    if found := _period(text):
        return found
    if re.fullmatch(r"-?[\d,]*\.?\d+ ?%?", text):
        return float(text.replace(",", "").rstrip(" %"))
    return NAMES.get(text, text)


def _close(got, wanted):
    if abs(got - wanted) <= 2e-6 + 1e-9 * abs(wanted):
        return True
    # An answer with two or more decimals may be off by half of its last one.
    return any(
        abs(got - round(got, k)) < 1e-9 and abs(got - wanted) <= 0.5001 * 10**-k for k in (2, 3, 4)
    )


def same(got, wanted):
    """Whether two plain cells agree."""
    if isinstance(got, bool) and isinstance(wanted, bool):
        return got == wanted
    if isinstance(got, bool) or isinstance(wanted, bool):
        words = {True: ("billable",), False: ("non-billable", "not billable", "nonbillable")}
        if isinstance(wanted, bool):
            return got in words[wanted] or (isinstance(got, float) and got == float(wanted))
        return False
    if isinstance(got, float) and isinstance(wanted, float):
        return _close(got, wanted)
    return got == wanted


def _mappings(rows, expected):
    """Ways to read the expected columns off the answer's, by first checking column by column."""
    width, wanted = len(rows[0]), len(expected[0])
    if wanted > width:
        return
    fits = []
    for j in range(wanted):
        column = [row[j] for row in expected]
        fits.append(
            [
                c
                for c in range(width)
                if any(same(row[c], cell) for row in rows for cell in column[:1])
            ]
        )
    if wanted <= 4 and width <= 12:
        for chosen in permutations(range(width), wanted):
            if all(c in fits[j] for j, c in enumerate(chosen)):
                yield chosen


def _matches(rows, expected, ordered):
    if len(rows) != len(expected):
        return False
    if not expected:
        return True
    for chosen in _mappings(rows, expected):
        read = [[row[c] for c in chosen] for row in rows]
        left = list(expected)
        for row in read:
            hit = next((i for i, want in enumerate(left) if all(map(same, row, want))), None)
            if hit is None:
                break
            left.pop(hit)
        if left:
            continue
        # Ties may stand in any order: the measure, which is the last column, must fall alike.
        if not ordered or all(
            same(got[-1], want[-1]) for got, want in zip(read, expected, strict=False)
        ):
            return True
    return False


def grade(columns, rows, expected, kind, also=(), *, ordered=False, sentence=""):
    """Whether an answer says what was expected.

    Column names and order do not matter, nor do extra columns, ids in place of names, or rounding
    to two or more decimals. The number of rows does. yes_no takes a yes or no in a cell or as the
    sentence's first word, or the figures that settle it (in `also`).
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    wanted = [[[plain(cell) for cell in row] for row in one] for one in (expected, *also)]
    if kind == "yes_no":
        said = re.match(r"\W*(yes|no)\b", sentence.casefold())
        truth = wanted[0][0][0]
        flags = [cell for row in rows for cell in row if isinstance(cell, bool)]
        if len(rows) == 1 and len(flags) == 1:
            return flags[0] == truth
        if said:
            return (said[1] == "yes") == truth
        wanted = wanted[1:]
    return any(_matches(rows, one, ordered) for one in wanted)
