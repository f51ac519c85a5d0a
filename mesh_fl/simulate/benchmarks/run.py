"""`mesh-sim benchmark`: every agent on its real data, as a table or as JSON rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from pathlib import Path

from mesh_fl.errors import ConfigError
from mesh_fl.registry import agent_class, agent_names
from mesh_fl.simulate.arguments import blamed_on
from mesh_fl.simulate.benchmarks.benchmark import GROUP, benchmarks_of
from mesh_fl.simulate.benchmarks.measure import measure
from mesh_fl.simulate.benchmarks.row import Row, as_json, task_of, write_rows
from mesh_fl.simulate.statistics import FEWEST_SEEDS
from mesh_fl.terminal import ERROR, show_json, show_table

EPSILONS = (0.1, 1.0, 8.0, inf)

SHOWN = (
    "public",
    "alone",
    "federated",
    "adapted",
    "pooled",
    "baseline",
    "federated - alone",
    "adapted - alone",
)


@dataclass(frozen=True)
class Terms:
    """What is measured.

    Parameters
    ----------
    agents : tuple of str
        Registered names; all of them when empty.
    epsilons : tuple of float
        Total promises; infinite for clipped rows without noise.
    seeds : range
        One split each.
    datasets : tuple of str
        These alone; all of an agent when empty.

    Raises
    ------
    ConfigError
        If an epsilon is not above 0.
    """

    agents: tuple[str, ...] = ()
    epsilons: tuple[float, ...] = EPSILONS
    seeds: range = range(5000, 5010)
    datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no promise."""
        for epsilon in self.epsilons:
            if not epsilon > 0:
                raise ConfigError(f"--epsilon: expected numbers above 0, or inf, found {epsilon:g}")


def run_benchmarks(terms: Terms) -> list[Row]:
    """Measure the benchmarks of some agents; what cannot be measured is told on standard error.

    Raises
    ------
    ConfigError
        If nothing could be measured.
    AgentError
        If there is no such agent.
    """
    chosen = tuple(dict.fromkeys(terms.agents)) or agent_names()
    for agent in chosen:
        agent_class(agent)
    if len(terms.seeds) < FEWEST_SEEDS:
        _note(f"with fewer than {FEWEST_SEEDS} seeds there is no verdict")
    rows = [row for agent in chosen for row in _rows_of(agent, terms)]
    if not rows:
        raise ConfigError("nothing could be measured: see above")
    return rows


def show(terms: Terms, as_json_rows: bool, output: Path | None) -> None:
    """Measure, and print a table or JSON; write the rows to a file where one is named.

    Raises
    ------
    ConfigError
        If nothing could be measured, or the file's folder does not exist.
    """
    if output is not None and not output.parent.is_dir():
        raise ConfigError(f"--output: there is no folder {output.parent}: make it first")
    rows = run_benchmarks(terms)
    if as_json_rows:
        show_json(as_json(rows))
    else:
        _show_tables(rows)
    if output is not None:
        write_rows(rows, output)


def _rows_of(agent: str, terms: Terms) -> Iterator[Row]:
    found = benchmarks_of(agent)
    if not found:
        _note(
            f"no benchmark is registered for {agent}: a package brings one by an entry point of "
            f"the group {GROUP}"
        )
    wanted = [one for one in found if not terms.datasets or one.dataset in terms.datasets]
    if found and not wanted:
        known = ", ".join(dict.fromkeys(one.dataset for one in found))
        _note(f"--dataset: {agent} is measured on {known}, and on none of those named")
    for benchmark in wanted:
        try:
            with blamed_on(agent):
                yield from measure(benchmark, terms.epsilons, terms.seeds, _note)
        except ConfigError as error:
            _note(f"{agent} on {benchmark.dataset} is left out: {error}")


def _show_tables(rows: Sequence[Row]) -> None:
    for _, group in groupby(rows, task_of):
        alike = list(group)
        first = alike[0]
        # A column for each epsilon: so it fits a terminal of 80.
        cells = [[figure, *(row.told(figure, decimals=3) for row in alike)] for figure in SHOWN]
        cells.append(["verdict", *(row.verdict for row in alike)])
        title = f"{_title(first)}; baseline: {first.baseline_name}; {first.seeds} seeds"
        show_table(title, ["epsilon", *(f"{row.limit:g}" for row in alike)], cells)


def _title(row: Row) -> str:
    better = "more" if row.higher_is_better else "less"
    return (
        f"{row.agent} on {row.dataset}, {row.members} members of {row.records} records: "
        f"{row.metric} ({better} is better)"
    )


def _note(text: str) -> None:
    ERROR.print(text, markup=False, soft_wrap=True)
