"""Files that `mesh-sim dispatch` reads: a model of hours, and tables of one's own queue."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from mesh_fl.agent import Agent, State
from mesh_fl.agents.resource.dispatching_hours import HoursModel
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.agents.resource.replay import Replay, replay
from mesh_fl.client.data import TableSource
from mesh_fl.client.own_tables import FileTable
from mesh_fl.config import Settings, load_toml
from mesh_fl.errors import ConfigError, ProtocolError
from mesh_fl.msp_tables import TABLES
from mesh_fl.planning import configure
from mesh_fl.schema import Table, column_of
from mesh_fl.site import OwnRows
from mesh_fl.state import load_state

AGENT = "resource"
TICKETS = 2000
"""Made-up ones, whose predicted hours a simulation draws from."""

LARGEST_BYTES = 2**28


class _Tables(Settings):
    """The part of a client.toml that tells how tables are read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tables: Mapping[str, TableSource] = {}


def hours_of(model: Path, config: Mapping[str, object]) -> HoursModel:
    """Return hours of made-up tickets, and their spread, as a model has them.

    Raises
    ------
    ConfigError
        If the file is no model of that configuration.
    """
    agent, state = _trained(model, config)
    return HoursModel.of(agent, state, agent.simulated(TICKETS, seed=0))


def replay_of(
    settings: Path,
    model: Path | None,
    config: Mapping[str, object],
    policies: Sequence[DispatchPolicy],
) -> Replay:
    """Play the past of one's own queue again.

    Parameters
    ----------
    settings : Path
        Such as a client.toml.
    model : Path, optional
        What predicts hours; by default the queue's own tickets closed before each was opened.

    Raises
    ------
    ConfigError
        If no tickets are described, or files cannot be used.
    DataError
        If a table cannot be read.
    """
    read = _read(settings)
    tables = {name: rows.table for name, rows in read.items()}
    predicted = None if model is None else _predicted(model, config, tables["tickets"])
    return replay(
        tables["tickets"],
        tables.get("technicians"),
        tables.get("time_entries"),
        predicted_h=predicted,
        policies=policies,
        left_out={name: rows.left_out for name, rows in read.items() if rows.left_out},
    )


def check_tables(settings: Path) -> None:
    """Read the tables that a settings file describes, and throw them away.

    Raises
    ------
    MeshError
        As `replay_of`.
    """
    _read(settings)


def _read(settings: Path) -> Mapping[str, OwnRows]:
    sources = load_toml(settings, _Tables).tables
    if "tickets" not in sources:
        raise ConfigError(f"{settings}: expected [tables.tickets], found none; describe the table")
    return {
        name: FileTable(sources[name]).read(TABLES[name].fields, TABLES[name].key)
        for name in ("tickets", "technicians", "time_entries")
        if name in sources
    }


def _predicted(model: Path, config: Mapping[str, object], tickets: Table) -> NDArray[np.float64]:
    agent, state = _trained(model, config)
    rows = len(tickets["ticket_id"])
    label = getattr(agent, "label", "")
    told = {
        one.name: tickets[one.name]
        if one.name in tickets
        else column_of(one, [one.parse(None)] * rows)
        for one in agent.schema
        if one.name != label
    }
    # What the tickets took is left out: a prediction may read what was known at opening alone.
    logs = np.asarray(agent.predict(state, agent.prepare(told)), dtype=np.float64)
    return np.exp(logs)


def _trained(model: Path, config: Mapping[str, object]) -> tuple[Agent, State]:
    agent = configure(AGENT, config, {"all": TICKETS})
    try:
        with model.open("rb") as file:
            return agent, load_state(file.read(LARGEST_BYTES), agent.init())
    except OSError as error:
        raise ConfigError(f"--model: cannot read {model}: {error.strerror}") from None
    except ProtocolError as error:
        raise ConfigError(
            f"--model: {model} is no model of agent {AGENT} with this configuration: {error}; give "
            "the --config that it was trained with"
        ) from None
