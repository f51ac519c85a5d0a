"""Tables in memory, and questions about them."""

from collections.abc import Mapping, Sequence
from datetime import date

from mesh_fl.agents.revenue.agent import RevenueForecasting
from mesh_fl.agents.revenue.answer import Opportunity, RevenueAnswer
from mesh_fl.agents.revenue.request import fields
from mesh_fl.errors import AgentError
from mesh_fl.schema import Field, Value, table_of
from mesh_fl.site import Ask, OwnRows, OwnTable, Site

Row = Mapping[str, object]


class RowTable(OwnTable):
    """Rows in memory; counts how often it was read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows, self.version, self.readings = rows, 0, 0

    @property
    def stamp(self) -> tuple[int, ...]:
        return (self.version,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        self.readings += 1
        parsed: list[Mapping[str, Value]] = [
            {one.name: one.parse(row.get(one.name)) for one in schema}
            for row in ({key: f"{key}-{number}", **row} for number, row in enumerate(self.rows))
        ]
        return OwnRows(table_of(schema, parsed))


def nobody(agent: str, told: Mapping[str, object]) -> Mapping[str, object]:
    raise AgentError(f"{agent} is not here")


def tables(**rows: Sequence[Row]) -> dict[str, OwnTable]:
    return {name: RowTable(found) for name, found in rows.items()}


def answers(requests: Sequence[Row], ask: Ask = nobody, **rows: Sequence[Row]):
    """Answer requests by tables of these rows, with the public model."""
    agent = RevenueForecasting()
    answering = agent.answering(Site(tables=tables(**rows), ask=ask))
    parsed = [{one.name: one.parse(told.get(one.name)) for one in fields()} for told in requests]
    return list(answering(agent.init(), table_of(fields(), parsed)))


def asked(request: Row, ask: Ask = nobody, **rows: Sequence[Row]) -> RevenueAnswer:
    (answer,) = answers([{"as_of": "2026-11-01", **request}], ask, **rows)
    return answer


def chances(kind: str, **rows: Sequence[Row]) -> list[Opportunity]:
    """Return the opportunities of one kind on the first of November 2026."""
    answer = asked({}, **rows)
    return [one for one in answer.opportunities if one.kind == kind]


def monthly_invoices(client: str, amounts: Sequence[float], end: str = "2026-11") -> list[Row]:
    """Return an invoice for each month; the last one is of the month before `end`."""
    year, month = map(int, end.split("-"))
    found: list[Row] = []
    for back, amount in zip(range(len(amounts), 0, -1), amounts, strict=True):
        then, number = divmod(12 * year + month - 1 - back, 12)
        issued = date(then, number + 1, 5)
        found.append({"client_id": client, "issued_at": issued, "total": amount, "currency": "EUR"})
    return found
