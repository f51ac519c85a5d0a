"""`mesh-sim check`: an agent by its name, its configuration and its records from files."""

import dataclasses
import json
import os
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mesh_fl.agent import Agent, Data
from mesh_fl.check import Report, check_agent
from mesh_fl.errors import AgentError, ConfigError, DataError, MeshError
from mesh_fl.registry import agent_class, build
from mesh_fl.terminal import show_json

STYLES = {"passed": "green", "failed": "red", "not checked": "yellow"}


def check_by_name(name: str, config: str | None, data: Path | None, rounds: int) -> Report:
    """Build an agent, find records for it, and try every law.

    Parameters
    ----------
    name : str
        Registered name, or package.module:Class; the current folder is searched, too.
    config : str, optional
        A TOML or JSON file, or JSON itself.
    data : Path, optional
        An npz file with the arrays that the agent learns from, or the columns of its schema;
        without it, the class is asked for `example()`.
    rounds : int
        Of the trial trainings.

    Raises
    ------
    MeshError
        If agent, configuration or data cannot be used.
    """
    # A console script does not look for modules where it is started.
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        agent = build(name, _read_config(config) if config else {})
        found = _read_arrays(data) if data else _example(name)
        table = found if _is_table(agent, found) else None
        prepared = found if table is None else agent.prepare(table)
    except MeshError:
        raise
    except Exception as error:
        raise AgentError(f"agent {name} raises {type(error).__name__}: {error}") from error
    return check_agent(agent, prepared, table=table, rounds=rounds)


def show(report: Report, as_json: bool) -> None:
    """Print a report as a table with remedies, or as JSON."""
    if as_json:
        show_json({"passed": report.passed, **dataclasses.asdict(report)})
        return
    grid = Grid(title=report.agent, title_justify="left", title_style="bold")
    for column in ("law", "outcome", "evidence"):
        grid.add_column(column)
    for finding in report.findings:
        outcome = Text(finding.outcome, STYLES[finding.outcome])
        grid.add_row(finding.check, outcome, Text(finding.evidence))
    console = Console(highlight=False)
    console.print(grid)
    for finding in report.failed:
        told = f"{finding.check}: {finding.law}\n  {finding.evidence}\n  {finding.remedy}"
        console.print(told, markup=False, soft_wrap=True)


def _read_config(config: str) -> dict[str, object]:
    try:
        if config.lstrip().startswith("{"):
            return dict(json.loads(config))
        text = Path(config).read_text(encoding="utf-8-sig")
        return dict(json.loads(text) if config.endswith(".json") else tomllib.loads(text))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"--config: expected a TOML or JSON file, or JSON: {error}") from None


def _read_arrays(path: Path) -> Data:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"--data: expected an npz file of plain arrays: {error}") from None


def _example(name: str) -> Data:
    offer = getattr(agent_class(name), "example", None)
    if offer is None:
        raise DataError(
            f"agent {name} offers no example of its data: give an npz file by --data, "
            "or add a static method `example() -> Data` to the class"
        )
    found: Data = offer()
    return found


def _is_table(agent: Agent, found: Data) -> bool:
    return bool(agent.schema) and all(field.name in found for field in agent.schema)
