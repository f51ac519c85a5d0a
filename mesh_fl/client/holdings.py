"""The agents that a member opted into, each with the tables that it may read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data
from mesh_fl.client.columns import place
from mesh_fl.client.data import TWICE, read_records, record_id
from mesh_fl.client.own_tables import own_tables
from mesh_fl.client.settings import AgentChoice, ClientSettings
from mesh_fl.errors import AgentError, ConfigError, DataError, PlanError
from mesh_fl.registry import build, config_of
from mesh_fl.schema import Table
from mesh_fl.seat import Dataset, Holding

Dealt = Callable[[str, tuple[str, ...], tuple[str, ...], str], NDArray[np.bool_]]
"""Tells, of a table's ids, which are dealt to an agent of several."""


@dataclass(frozen=True)
class Found:
    """Records before they are prepared; `parts` are ids of rows that they are made of, by table."""

    ids: tuple[str, ...]
    table: Table
    name: str
    parts: Mapping[str, tuple[str, ...]]


@dataclass
class _Reader:
    """Reads an agent's records once for each configuration that asks for them."""

    name: str
    settings: ClientSettings
    dealt: Dealt
    _cache: dict[str, Dataset] = field(default_factory=dict)

    def build(self, config: Mapping[str, object]) -> Agent:
        return build(self.name, dict(config))

    def dataset(self, agent: Agent) -> Dataset:
        config = config_of(agent)
        if config not in self._cache:
            owner = agent.borrows or self.name
            found = find_records(agent, owner, self.settings)
            data = agent.prepare(found.table)
            self._try(agent, data, found)
            self._cache[config] = self._share(owner, found, data)
        return self._cache[config]

    def _share(self, owner: str, found: Found, data: Data) -> Dataset:
        """Leave the agent the records that are dealt to it; all of them where it shares none."""
        agents = self.settings.deal.get(found.name, ())
        if owner not in agents:
            return Dataset(data, found.name, found.ids, found.parts)
        kept = self.dealt(found.name, found.ids, agents, owner)
        if not kept.any():
            raise AgentError(f"no record of table {found.name} is dealt to agent {owner}")
        ids = tuple(one for one, ours in zip(found.ids, kept.tolist(), strict=True) if ours)
        ours = {name: column[kept] for name, column in data.items()}
        return Dataset(ours, found.name, ids, found.parts, own=data)

    def _try(self, agent: Agent, data: Data, found: Found) -> None:
        """Let an agent that cannot use these records fail before anything is charged."""
        try:
            teaching = teaching_records(agent, data)
        except Exception as error:
            raise AgentError(
                f"agent {self.name} cannot use table {found.name}: {type(error).__name__}: {error}"
            ) from error
        if not teaching:
            usual = "map the columns that it learns from"
            why = agent.why_idle(found.table) or usual
            raise AgentError(
                f"no record of table {found.name} teaches agent {self.name} anything: {why} "
                "(`mesh-client data check` with the offer tells more)"
            )


def holdings(settings: ClientSettings, dealt: Dealt) -> dict[str, Holding]:
    """Return what the member brings to each agent that it opted into, by agent name."""
    readers = {name: _Reader(name, settings, dealt) for name in settings.agents}
    return {name: Holding(reader.build, reader.dataset) for name, reader in readers.items()}


def find_records(agent: Agent, name: str, settings: ClientSettings) -> Found:
    """Read an agent's records: a table's rows, or what the agent makes of several tables.

    Parameters
    ----------
    agent : Agent
        As it is configured.
    name : str
        Whose tables to read: its registered name, or that of the agent it borrows them from.
    settings : ClientSettings
        The tables.

    Raises
    ------
    PlanError
        If the member lets it read none.
    AgentError
        If the agent reads no table, or not several.
    ConfigError
        If it makes no records of a table that it is given.
    DataError
        If a table cannot be used.
    """
    if not agent.schema:
        raise AgentError(f"agent {name} declares no schema, so it can read no table")
    choice = settings.agents.get(name, AgentChoice())
    if not choice.learns_from:
        raise PlanError(
            f'we let agent {name} read no table: add table = "..." below [agents.{name}] to take '
            "part"
        )
    if choice.table is not None:
        records = read_records(settings.tables[choice.table], agent.schema)
        return Found(records.ids, records.table, choice.table, {})
    refuse_strangers(name, choice, agent.reads)
    first = agent.reads[0]
    if first not in choice.tables:
        raise ConfigError(
            f"agents.{name}: expected {first} among its tables, found {', '.join(choice.tables)}: "
            "a record's budget is kept under its id there"
        )
    every = own_tables(settings)
    gathered = agent.gather({table: every[table] for table in choice.tables})
    rows = {table: _ids_of(settings, table) for table in choice.tables}
    parts = {table: found for table, found in rows.items() if table != first}
    ids = tuple(map(record_id, gathered.ids))
    if len(set(ids)) < len(ids):
        raise DataError(f"agent {name} made two records of one row of table {first}")
    known = set(rows[first])
    kept = np.array([one in known for one in ids], dtype=np.bool_)
    if not kept.any():
        raise DataError(f"agent {name} found no record whose id stands in table {first}")
    table = {field: column[kept] for field, column in gathered.table.items()}
    return Found(tuple(one for one in ids if one in known), table, first, parts)


def refuse_strangers(name: str, choice: AgentChoice, reads: tuple[str, ...]) -> None:
    """Refuse tables that an agent makes no records of.

    Raises
    ------
    ConfigError
        If there are any.
    """
    if strangers := set(choice.tables) - set(reads):
        raise ConfigError(
            f"agents.{name}: expected tables among {', '.join(reads) or 'none'}, found "
            f"{', '.join(sorted(strangers))}: answers find every described table without it"
        )


def _ids_of(settings: ClientSettings, table: str) -> tuple[str, ...]:
    """Return a table's ids, each of one row: the first of two could be another client's."""
    records = read_records(settings.tables[table], ())
    twice = next((one for one in records.problems if TWICE in one.message), None)
    if twice is not None:
        where = f"{twice.file} {place(twice.file, twice.line)}, column {twice.column}"
        raise DataError(
            f"{where}: the id {twice.value!r} stands there twice; records are made of rows that "
            "have an id of their own each: remove one of the two"
        )
    return records.ids


def teaching_records(agent: Agent, data: Data) -> int:
    """Return how many records add anything to a first sum; a client's one row stands for all."""
    rows = agent.contribute(agent.init(), data)
    if agent.unit == "client":
        return len(next(iter(data.values()), ()))
    sizes = np.abs(rows).sum(axis=1) if isinstance(rows, np.ndarray) else abs(rows).sum(axis=1)
    return int(np.count_nonzero(np.asarray(sizes)))
