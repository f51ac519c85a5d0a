"""From the words of a command line to public records that an agent is tried on."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from pydantic import ConfigDict

from mesh_fl.agent import Agent, Data
from mesh_fl.client.data import TableSource, read_records
from mesh_fl.client.holdings import find_records, teaching_records
from mesh_fl.client.settings import AgentChoice, ClientSettings
from mesh_fl.client.tables import READERS
from mesh_fl.config import ConfigPath, Settings, load_toml
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.layout import size
from mesh_fl.planning import configure
from mesh_fl.quality import FALLING, RISING, Metric, headline
from mesh_fl.schema import Table
from mesh_fl.simulate.arguments import blamed_on, is_table, read_arrays
from mesh_fl.simulate.benchmarks.benchmark import Benchmark, benchmarks_of
from mesh_fl.simulate.splits import Deal, at_random
from mesh_fl.simulate.trial import TEST_SHARE, Workload

SIMULATED = "simulated"
"""The word for records that the agent makes up."""

FEWEST_MADE_UP = 5000
"""Made-up records at least, so that models are compared on a thousand of them."""

MOST_MADE_UP = 5_000_000
"""Made-up records at most: some hundred bytes each."""

WORLD = 0
"""Seed of the made-up records: one world, from which trials draw."""


class _Table(TableSource):
    """A table whose file is named elsewhere."""

    path: ConfigPath = Path()


class _Maps(Settings):
    """The part of a client.toml that tells how tables are read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tables: Mapping[str, _Table] = {}
    agents: Mapping[str, AgentChoice] = {}


class _Described(Settings):
    """The part of a client.toml that tells where tables are, and who reads them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tables: Mapping[str, TableSource] = {}
    agents: Mapping[str, AgentChoice] = {}


@dataclass(frozen=True)
class Material:
    """Records to try an agent on.

    Parameters
    ----------
    workload : Workload
    deal : Deal
        How they are dealt out to members.
    notes : tuple of str
        What people should know of them.
    """

    workload: Workload
    deal: Deal = at_random
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What somebody asked for.

    Parameters
    ----------
    agent : str
        Registered name, or package.module:Class.
    data : str
        Name of a public set, "simulated", or a file: .npz of arrays or of the schema's columns, a
        table, or a client.toml of several.
    config : dict
        The agent's configuration.
    columns : Path, optional
        TOML file with a [tables.X] section as in client.toml, for a table.
    metric : str, optional
        A figure of the agent's `evaluate`; the leading one when left out.
    rounds : int, optional
        Of a training; as the public set has it, or 16, when left out.
    records : int
        How many are to be dealt out at most, which says how many must be made up.
    """

    agent: str
    data: str
    config: Mapping[str, object] = dataclasses.field(default_factory=dict)
    columns: Path | None = None
    metric: str | None = None
    rounds: int | None = None
    records: int = 0


def find(wanted: Wanted) -> Material:
    """Find the records that somebody asked for.

    Raises
    ------
    MeshError
        If there are none such, or they do not suit the agent.
    """
    with blamed_on(wanted.agent):
        # The first benchmark of a data set stands for it.
        sets = {one.dataset: one for one in reversed(benchmarks_of(wanted.agent))}
        if wanted.columns is not None and not _names_table(wanted.data):
            raise ConfigError("--map tells how a table is read: name one by --data")
        if wanted.data in sets:
            return _public(wanted, sets[wanted.data])
        if wanted.data == SIMULATED:
            return _material(wanted, _made_up(wanted), (f"{wanted.agent} made its records up",))
        if _names_table(wanted.data):
            return _from_table(wanted)
        if Path(wanted.data).suffix == ".toml":
            return _from_client(wanted)
        if Path(wanted.data).suffix == ".npz":
            return _material(wanted, _from_npz(wanted), ())
    raise ConfigError(_unknown(wanted, sorted(sets)))


def names_public_set(data: str) -> bool:
    """Return whether a word can only be the name of a public set."""
    return data != SIMULATED and not Path(data).suffix


def _unknown(wanted: Wanted, sets: Collection[str]) -> str:
    known = ", ".join([*sets, SIMULATED])
    return (
        f"no data {wanted.data!r} for agent {wanted.agent}: expected one of {known}, or a file "
        f"named .npz, .toml, {', '.join(READERS)}"
    )


def _public(wanted: Wanted, public: Benchmark) -> Material:
    if wanted.config:
        raise ConfigError(
            f"{public.dataset} brings the agent's configuration along: leave --config out"
        )
    workload = public.workload()
    metric = workload.metric
    if wanted.metric is not None:
        metric = _metric(_configured(wanted.agent, workload.config), workload.data, wanted)
    rounds = wanted.rounds or workload.rounds
    workload = dataclasses.replace(workload, metric=metric, rounds=rounds)
    return Material(workload, public.deal, (f"{public.source}; dealt out {public.dealt}",))


def _material(wanted: Wanted, data: Data, notes: tuple[str, ...]) -> Material:
    agent = _agent(wanted)
    _refuse_unequal(data)
    workload = Workload(
        dataset=SIMULATED if wanted.data == SIMULATED else Path(wanted.data).name,
        agent=wanted.agent,
        config=wanted.config,
        data=data,
        metric=_metric(agent, data, wanted),
    )
    rounds = wanted.rounds or workload.rounds
    return Material(dataclasses.replace(workload, rounds=rounds), notes=notes)


def _made_up(wanted: Wanted) -> Data:
    records = max(FEWEST_MADE_UP, ceil(wanted.records / (1 - TEST_SHARE)))
    if records > MOST_MADE_UP:
        raise ConfigError(
            f"expected crowds of at most {int(MOST_MADE_UP * (1 - TEST_SHARE))} made-up records in "
            f"all, found {wanted.records}: ask for fewer members or records"
        )
    return _agent(wanted).simulated(records, seed=WORLD)


def _from_npz(wanted: Wanted) -> Data:
    agent, found = _agent(wanted), read_arrays(Path(wanted.data))
    return agent.prepare(found) if is_table(agent, found) else found


def _from_table(wanted: Wanted) -> Material:
    agent = _agent(wanted)
    if not agent.schema:
        raise AgentError(
            f"agent {wanted.agent} declares no schema, so no table can be read for it: give its "
            "arrays in an .npz file"
        )
    read = read_records(_table_source(wanted), agent.schema)
    left_out = read.rows_read - len(read.ids)
    notes = [f"{left_out} of {read.rows_read} rows were left out: {one}" for one in read.problems]
    return _material(wanted, _teaching(wanted, agent, read.table), tuple(notes[:1]))


def _from_client(wanted: Wanted) -> Material:
    """Read all that a client.toml lets the agent learn from, as that member would."""
    agent, path = _agent(wanted), Path(wanted.data)
    described = load_toml(path, _Described)
    choice = described.agents.get(wanted.agent)
    if choice is None:
        tables = tuple(table for table in agent.reads if table in described.tables)
        choice = AgentChoice(tables=tables)
    if not choice.learns_from:
        raise ConfigError(
            f"{path}: expected [agents.{wanted.agent}] with the tables that it learns from, or "
            f"sections of {', '.join(agent.reads) or 'them'}; found tables "
            f"{', '.join(described.tables) or 'none'}"
        )
    settings = ClientSettings(
        name="anybody", tables=described.tables, agents={wanted.agent: choice}
    )
    found = find_records(agent, wanted.agent, settings)
    note = f"{len(found.ids)} records of {', '.join(choice.learns_from)}"
    return _material(wanted, _teaching(wanted, agent, found.table), (note,))


def _teaching(wanted: Wanted, agent: Agent, table: Table) -> Data:
    """Return prepared records, some of which teach the agent something."""
    data = agent.prepare(table)
    if teaching_records(agent, data):
        return data
    why = agent.why_idle(table) or "map the columns that it learns from"
    raise DataError(f"{wanted.data}: no record teaches {wanted.agent} anything: {why}")


def _table_source(wanted: Wanted) -> TableSource:
    if wanted.columns is None:
        raise ConfigError(
            f"{wanted.data}: expected --map FILE.toml with a [tables.X] section as in client.toml, "
            "which tells the column of each field"
        )
    maps = load_toml(wanted.columns, _Maps)
    choice = maps.agents.get(wanted.agent, AgentChoice())
    if choice.tables:
        raise ConfigError(
            f"{wanted.columns}: [agents.{wanted.agent}] reads {', '.join(choice.tables)}: give "
            f"--data {wanted.columns} alone, which tells where they are"
        )
    named = choice.table
    chosen = [*maps.tables] if named is None else [named]
    if len(chosen) != 1 or chosen[0] not in maps.tables:
        raise ConfigError(
            f"{wanted.columns}: expected one [tables.X] section, or [agents.{wanted.agent}] to say "
            f"which; found {', '.join(maps.tables) or 'none'}"
        )
    return maps.tables[chosen[0]].model_copy(update={"path": Path(wanted.data)})


def _names_table(data: str) -> bool:
    return Path(data).suffix.lower() in READERS


def _agent(wanted: Wanted) -> Agent:
    return _configured(wanted.agent, wanted.config)


def _configured(name: str, config: Mapping[str, object]) -> Agent:
    """Return the agent as nobody in particular configures it, to read and judge records."""
    return configure(name, config, {"anybody": 1})


def _refuse_unequal(data: Data) -> None:
    found = {name: len(values) if values.ndim else 0 for name, values in data.items()}
    if len(set(found.values())) != 1 or 0 in found.values():
        raise DataError(
            f"expected arrays of one length, a record in each row, found {found or 'none'}"
        )


def _metric(agent: Agent, data: Data, wanted: Wanted) -> Metric:
    """Return the figure that models are compared by."""
    if type(agent).evaluate is Agent.evaluate and size(agent.measure_layout()) == 0:
        raise AgentError(f"agent {wanted.agent} tells no quality: give it `evaluate`")
    names = agent.evaluate(agent.init(), data)
    found = headline(names) if wanted.metric is None else headline({wanted.metric} & set(names))
    if found is None:
        known = [name for name in names if name in (*RISING, *FALLING)]
        raise ConfigError(
            f"no figure {wanted.metric or ''} to compare models of agent {wanted.agent} by: "
            f"expected one of {', '.join(known) or ', '.join((*RISING, *FALLING))}; its evaluate "
            f"tells {', '.join(names) or 'none'}"
        )
    return found
