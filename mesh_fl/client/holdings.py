"""The agents that a member opted into, each with the table that it may read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mesh_fl.agent import Agent, Data
from mesh_fl.client.data import Records, TableSource, read_records
from mesh_fl.client.settings import ClientSettings
from mesh_fl.errors import AgentError
from mesh_fl.registry import build, config_of
from mesh_fl.seat import Dataset, Holding


@dataclass
class _Reader:
    """Reads a table once for each configuration of an agent that asks for it."""

    name: str
    table: str
    source: TableSource
    _cache: dict[str, Dataset] = field(default_factory=dict)

    def build(self, config: Mapping[str, object]) -> Agent:
        return build(self.name, dict(config))

    def dataset(self, agent: Agent) -> Dataset:
        config = config_of(agent)
        if config not in self._cache:
            if not agent.schema:
                raise AgentError(f"agent {self.name} declares no schema, so it can read no table")
            records: Records = read_records(self.source, agent.schema)
            data = agent.prepare(records.table)
            self._try(agent, data)
            self._cache[config] = Dataset(data=data, table=self.table, ids=records.ids)
        return self._cache[config]

    def _try(self, agent: Agent, data: Data) -> None:
        """Let an agent that cannot use this table fail before anything is charged."""
        try:
            teaching = teaching_records(agent, data)
        except Exception as error:
            raise AgentError(
                f"agent {self.name} cannot use table {self.table}: {type(error).__name__}: {error}"
            ) from error
        if not teaching:
            raise AgentError(
                f"no record of table {self.table} teaches agent {self.name} anything: map the "
                "columns that it learns from (`mesh-client data check` with the offer tells which)"
            )


def holdings(settings: ClientSettings) -> dict[str, Holding]:
    """Return what the member brings to each agent that it opted into, by agent name."""
    readers = {
        name: _Reader(name, choice.table, settings.tables[choice.table])
        for name, choice in settings.agents.items()
        if choice.table is not None
    }
    return {name: Holding(reader.build, reader.dataset) for name, reader in readers.items()}


def teaching_records(agent: Agent, data: Data) -> int:
    """Return how many records add anything to a first sum; a client's one row stands for all."""
    rows = agent.contribute(agent.init(), data)
    if agent.unit == "client":
        return len(next(iter(data.values()), ()))
    sizes = np.abs(rows).sum(axis=1) if isinstance(rows, np.ndarray) else abs(rows).sum(axis=1)
    return int(np.count_nonzero(np.asarray(sizes)))
