"""The agent whose rows are looked at: how it is built, and how long each record's row is."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data
from mesh_fl.agents.federation.norms import row_norms
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.layout import size
from mesh_fl.registry import agent_class, agent_names, build
from mesh_fl.schema import NUMERIC, Field, Table

Vector = NDArray[np.float64]

ENTRIES_AT_ONCE = 1 << 22
"""Of rows in memory: 32 MiB."""

REMEDY = "give the configuration that it is trained with as target_config"


def plain(config: Mapping[str, object]) -> dict[str, object]:
    """Return a configuration as it comes back from JSON.

    Raises
    ------
    ConfigError
        If it cannot be written as JSON.
    """
    try:
        found: dict[str, object] = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"federation, target_config: expected what JSON can hold, found {error}"
        ) from None
    return found


def target_agent(name: str, config: Mapping[str, object], records: float) -> Agent:
    """Return the agent as it is configured; `records` where its configuration lacks them.

    Raises
    ------
    ConfigError
        If it is not registered, has no rows of records, or cannot be built.
    """
    return _built(name, json.dumps(dict(config), sort_keys=True), records)


@lru_cache(maxsize=64)
def _built(name: str, config: str, records: float) -> Agent:
    # A plan comes from elsewhere: what is not installed as an agent here must not be imported.
    if name not in agent_names():
        raise ConfigError(
            f"federation, target: expected one of {', '.join(agent_names())}, found {name[:80]!r}"
        )
    try:
        cls = _with_records_of_its_own(name)
        given = {"records": records} if "records" in _fields(cls) else {}
        agent = build(name, given | json.loads(config))
    except (AgentError, ConfigError) as error:
        raise ConfigError(f"federation, target {name}: {error}; {REMEDY}") from None
    return agent


def _with_records_of_its_own(name: str) -> type[Agent]:
    cls = agent_class(name)
    borrows = any("borrows" in vars(one) for one in cls.__mro__ if one is not Agent)
    if borrows or cls.unit != "record":
        raise ConfigError("expected an agent with a row for each record of its own")
    return cls


def _fields(cls: type[Agent]) -> set[str]:
    return set(getattr(cls, "__dataclass_fields__", {}))


@dataclass(frozen=True)
class Target:
    """An agent seen by the rows that it contributes first.

    Parameters
    ----------
    agent : Agent
    """

    agent: Agent

    @property
    def schema(self) -> tuple[Field, ...]:
        """Its fields, all optional: a request names none of them."""
        return tuple(one.model_copy(update={"optional": True}) for one in self.agent.schema)

    def norms(self, table: Table) -> Vector:
        """Return the length of each record's row; NaN where it lacks a field that is needed.

        Record by record: a length depends on its own record and the public configuration only.
        """
        whole = self._whole(table)
        found = np.full(len(whole), math.nan)
        known = {name: column[whole] for name, column in table.items()}
        if whole.any():
            found[whole] = self.norms_of(self.agent.prepare(known))
        return found

    def norms_of(self, data: Data) -> Vector:
        """Return the length of each prepared record's row."""
        state = self.agent.init()
        count = len(next(iter(data.values()), ()))
        step = max(1, ENTRIES_AT_ONCE // max(1, size(self.agent.layout(state))))
        parts = [
            row_norms(self.agent.contribute(state, _part(data, start, start + step)))
            for start in range(0, count, step)
        ]
        return np.concatenate([np.empty(0), *parts])

    def _whole(self, table: Table) -> NDArray[np.bool_]:
        count = len(next(iter(table.values()), ()))
        whole = np.ones(count, dtype=np.bool_)
        for field in self.agent.schema:
            if not field.optional:
                whole &= _told(field, table) if field.name in table else False
        return whole


def _told(field: Field, table: Table) -> NDArray[np.bool_]:
    values = table[field.name]
    if field.kind in NUMERIC:
        return np.isfinite(values.astype(np.float64))
    return np.asarray(values != "", dtype=np.bool_)


def _part(data: Data, start: int, stop: int) -> Data:
    return {name: values[start:stop] for name, values in data.items()}
