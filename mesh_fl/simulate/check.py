"""`mesh-sim check`: an agent by its name, its configuration and its records from files."""

import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from mesh_fl.agent import Data
from mesh_fl.check import Report, check_agent
from mesh_fl.errors import DataError
from mesh_fl.laws.variation import count
from mesh_fl.planning import configure
from mesh_fl.registry import agent_class
from mesh_fl.simulate.arguments import blamed_on, is_table, look_here, read_arrays, read_config
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
    look_here()
    with blamed_on(name):
        declared = read_config(config)
        agent = configure(name, declared, {"checked": 1})
        found = read_arrays(data) if data else _example(name)
        # As by a plan, an agent that asks how many records there are is told.
        agent = configure(name, declared, {"checked": count(found)})
        table = found if is_table(agent, found) else None
        prepared = found if table is None else agent.prepare(table)
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


def _example(name: str) -> Data:
    offer = getattr(agent_class(name), "example", None)
    if offer is None:
        raise DataError(
            f"agent {name} offers no example of its data: give an npz file by --data, "
            "or add a static method `example() -> Data` to the class"
        )
    found: Data = offer()
    return found
