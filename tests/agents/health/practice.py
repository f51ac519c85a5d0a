"""Made-up tables of an MSP, in memory."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from mesh_fl.agents.health.gathering import moment_of
from mesh_fl.agents.health.history import DAY
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Field, column_of
from mesh_fl.site import OwnRows, OwnTable

AS_OF = "2026-03-01"
AT = moment_of(AS_OF)

Row = Mapping[str, object]
Tables = dict[str, list[dict[str, object]]]


def day(days: float) -> float:
    """Return a moment so many days after the cutoff."""
    return AT + days * DAY


@dataclass
class MadeTable(OwnTable):
    name: str
    rows: Sequence[Row]
    version: int = 0
    reads: list[int] = field(default_factory=list)

    @property
    def stamp(self) -> tuple[int, ...]:
        return (self.version,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        self.reads.append(self.version)
        if not self.rows:
            raise DataError(f"{self.name}.csv: expected rows below the column names, found none")
        rows = [{**row, key: row.get(key, f"{key}-{n}")} for n, row in enumerate(self.rows)]
        columns = {f.name: [f.parse(row.get(f.name)) for row in rows] for f in schema}
        return OwnRows({f.name: column_of(f, columns[f.name]) for f in schema})


def own(tables: Mapping[str, Sequence[Row]]) -> dict[str, MadeTable]:
    return {name: MadeTable(name, rows) for name, rows in tables.items()}


TIME = st.one_of(
    st.just(math.nan),
    st.integers(-800, 400).map(float).map(day),
    st.sampled_from([AT, AT - 0.5, day(-1), day(-40), day(1), day(2)]),
)
CLIENT = st.sampled_from(["c1", "c2", "c3"])


def value(one: Field, amounts: st.SearchStrategy[float]) -> st.SearchStrategy[object]:
    if one.name == "client_id":
        return CLIENT
    if one.name == "period":
        return st.sampled_from(["month", "year", "fortnight", ""])
    if one.name == "currency":
        return st.sampled_from(["EUR", "usd", ""])
    match one.kind:
        case "time":
            return TIME
        case "flag":
            return st.sampled_from([0.0, 1.0, math.nan])
        case "number" if one.high is not None:
            return st.floats(one.low or 0.0, one.high) | st.just(math.nan)
        case "number":
            return amounts | st.just(math.nan)
        case _:
            return st.sampled_from(["", "x"])


def rows_of(name: str, amounts: st.SearchStrategy[float], most: int) -> st.SearchStrategy[object]:
    table = TABLES[name]
    fields = {one.name: value(one, amounts) for one in table.fields if one.name != table.key}
    if name == "clients":
        fields["client_id"] = CLIENT
        return st.lists(
            st.fixed_dictionaries(fields), max_size=3, unique_by=lambda r: r["client_id"]
        )
    return st.lists(st.fixed_dictionaries(fields), max_size=most)


def practices(amounts: st.SearchStrategy[float] | None = None) -> st.SearchStrategy[Tables]:
    """Return tables of three clients, in which anything may be missing or odd."""
    amounts = st.floats(0, 1e6) if amounts is None else amounts
    return st.fixed_dictionaries(
        {
            name: rows_of(name, amounts, 6)
            for name in ("clients", "agreements", "invoices", "tickets")
        }
    )
