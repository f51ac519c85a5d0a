"""`mesh-client data check`: read the tables as a training would, before one does."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mesh_fl.agent import Agent
from mesh_fl.client.data import TWICE, Records, TableSource, read_records
from mesh_fl.client.holdings import find_records, teaching_records
from mesh_fl.client.home import Home
from mesh_fl.client.report import DataReport, FieldReport, data_report
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.offer import Offer
from mesh_fl.registry import build
from mesh_fl.schema import Field
from mesh_fl.terminal import show_json, show_table

PROBLEMS_SHOWN = 20


def check_data(home: Home, offer: Offer | None, as_json: bool) -> None:
    """Print what is mapped, missing and wrong in each table; shown on this terminal only.

    Raises
    ------
    ConfigError
        If no table is described.
    DataError
        If tables cannot be used at all, told after the others were shown, or one holds more records
        than the declared cap.
    """
    settings = home.settings
    if not settings.tables:
        raise ConfigError("client.toml describes no table: add [tables.NAME] with path and id")
    found: dict[str, object] = {}
    faults = []
    for name, source in settings.tables.items():
        agent = _agent(home, offer, name)
        schema = _usual_fields(name) if agent is None else agent.schema
        try:
            records = read_records(source, schema)
        except DataError as error:
            faults.append(f"table {name}: {error}")
            continue
        report = data_report(records, schema)
        teaching = None if agent is None else teaching_records(agent, agent.prepare(records.table))
        why = "" if agent is None else agent.why_idle(records.table)
        found[name] = {
            **report.model_dump(mode="json"),
            "teaching": teaching,
            "dealt": _dealt(home, name, records.ids),
            "problem_lines": [str(problem) for problem in records.problems],
        }
        if not as_json:
            _show(name, source, report, records)
            _show_cap(home, name, report)
            _show_twice(home, name, records)
            _show_teaching(offer, teaching, report.kept, why)
            _show_dealt(name, _dealt(home, name, records.ids))
        _refuse_above_cap(home, name, len(records.ids))
    if faults:
        raise DataError("\n".join(faults))
    if offer is not None and settings.agents[offer.agent].tables:
        found[offer.agent] = _check_gathered(home, offer, as_json)
    if as_json:
        show_json(found)
    elif offer is None:
        print("--offer plan.json checks what an agent would learn from, too")  # noqa: T201


def _show_cap(home: Home, table: str, report: DataReport) -> None:
    if any(choice.table == table for choice in home.settings.agents.values()):
        print(f"{table}: {report.public_cap} is a public cap for it")  # noqa: T201


def _show_twice(home: Home, table: str, records: Records) -> None:
    """Warn of what learning from several tables refuses, and answers do not."""
    twice = sum(TWICE in problem.message for problem in records.problems)
    agents = [name for name, one in home.settings.agents.items() if table in one.tables]
    if twice and agents:
        print(  # noqa: T201
            f"WARNING: {table}: {twice} rows have the id of another row: {', '.join(agents)} will "
            "not learn from the table until one of each two is removed"
        )


def _usual_fields(table: str) -> tuple[Field, ...]:
    """Return what agents answer from, where a table is one that they know by its name."""
    known = TABLES.get(table)
    return () if known is None else tuple(one for one in known.fields if one.name != known.key)


def _dealt(home: Home, table: str, ids: Sequence[str]) -> dict[str, int]:
    """Count the records that are dealt to each agent; nothing where none are."""
    agents = home.settings.deal.get(table, ())
    dealt = home.ledger(writable=False).dealt
    return {name: int(dealt(table, ids, agents, name).sum()) for name in agents}


def _show_dealt(table: str, dealt: Mapping[str, int]) -> None:
    if dealt:
        told = ", ".join(f"{count} to {name}" for name, count in dealt.items())
        print(f"{table}: dealt for life, by [deal]: {told}")  # noqa: T201


def _check_gathered(home: Home, offer: Offer, as_json: bool) -> dict[str, int]:
    """Make an agent's records of several tables, as a training would."""
    agent = build(offer.agent, offer.config)
    made = find_records(agent, offer.agent, home.settings)
    teaching = teaching_records(agent, agent.prepare(made.table))
    if not as_json:
        tables = ", ".join(home.settings.agents[offer.agent].tables)
        print(f"{offer.agent} makes {len(made.ids)} records of {tables}")  # noqa: T201
        _show_teaching(offer, teaching, len(made.ids), agent.why_idle(made.table))
    _refuse_too_many(home, offer.agent, f"agent {offer.agent}", len(made.ids))
    return {"kept": len(made.ids), "teaching": teaching}


def _agent(home: Home, offer: Offer | None, table: str) -> Agent | None:
    """Return the offer's agent, if it reads this table."""
    if offer is None:
        return None
    choice = home.settings.agents.get(offer.agent)
    if choice is None:
        raise ConfigError(
            f"the offer is for agent {offer.agent}, client.toml opts into "
            f"{', '.join(home.settings.agents) or 'none'}: add [agents.{offer.agent}] to take part "
            "in it, and nothing if you do not want to"
        )
    return build(offer.agent, offer.config) if choice.table == table else None


def _show_teaching(offer: Offer | None, teaching: int | None, kept: int, why: str) -> None:
    if offer is None or teaching is None or teaching == kept:
        return
    usual = (
        "what it learns from is not mapped, missing, or written so that it cannot be used (the "
        "agent's guide tells how)"
    )
    print(  # noqa: T201
        f"WARNING: {teaching} of {kept} records teach {offer.agent} something; the others "
        f"cost their budget for nothing: {why or usual}: mend these records, or leave them out"
    )


def _refuse_above_cap(home: Home, table: str, records: int) -> None:
    for name, choice in home.settings.agents.items():
        if choice.table == table:
            _refuse_too_many(home, name, f"table {table}", records)


def _refuse_too_many(home: Home, agent: str, whose: str, records: int) -> None:
    if not home.has_card:  # a member alone
        return
    card = home.card
    cap = card.cap_of(agent)
    if records > cap:
        others = [f"--cap {name}={bound}" for name, bound in card.caps.items() if name != agent]
        caps = " ".join([*others, f"--cap {agent}=N" if card.caps else "--cap N"])
        raise DataError(
            f"{whose} has {records} records, our card declares at most {cap}: run "
            f"`mesh-client card {home.path} {caps}` and give the new card to the operator"
        )


def _show(name: str, source: TableSource, report: DataReport, records: Records) -> None:
    for problem in records.problems[:PROBLEMS_SHOWN]:
        print(problem)  # noqa: T201
    if len(records.problems) > PROBLEMS_SHOWN:
        print(f"... and {len(records.problems) - PROBLEMS_SHOWN} more")  # noqa: T201
    rows = [
        [
            field.name,
            field.kind,
            ", ".join(field.columns),
            f"{100 * field.present:.1f} %",
            _spread(field),
        ]
        for field in report.fields
    ]
    show_table(
        f"{name} ({source.path.name}): {report.kept} of {report.rows_read} rows are good",
        ["field", "kind", "from", "present", "values"],
        rows,
    )


def _spread(field: FieldReport) -> str:
    if field.counts:
        return ", ".join(f"{level}: {count}" for level, count in field.counts.items())
    if field.low is None or field.high is None:
        return ""
    if field.kind == "time":
        return f"{_day(field.low)} to {_day(field.high)}"
    return f"{field.low:g} to {field.high:g}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
