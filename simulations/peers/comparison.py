"""Medians over repeats, and how each engine compares with ours within one repeat."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engines import OURS, Engine
from side_by_side import Run

from mesh_fl.terminal import show_table

MEDIANS = (
    "ms_per_client_round",
    "ms_with_first_round",
    "first_round_s",
    "startup_s",
    "wall_s",
    "cpu_s",
    "peak_mb",
    "accuracy",
)
RATIOS = ("ms_per_client_round", "ms_with_first_round", "startup_s", "wall_s", "cpu_s", "peak_mb")

WORDS = {False: "exact", True: "clipped and noised"}
"""What tables call runs without and with privacy."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """An engine's figures.

    Parameters
    ----------
    engine : str
    private : bool
    rounds, repeats : int
    medians : dict of str to float
        Over repeats.
    ratios : dict of str to float
        Its figure by ours in the same repeat, then the median; empty without a run of ours. Those
        of start-up, wall, cpu and memory are of whole runs, which may have unequal rounds.
    """

    engine: str
    private: bool
    rounds: int
    repeats: int
    medians: Figures
    ratios: Figures


def compare(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each engine, with and without privacy, in order of their first runs."""
    kinds = dict.fromkeys((run.private, run.engine) for run in runs)
    return [_row(_of(runs, engine, private), runs) for private, engine in kinds]


def _of(runs: Iterable[Run], engine: str, private: bool) -> list[Run]:
    return [run for run in runs if (run.engine, run.private) == (engine, private)]


def _row(own: list[Run], runs: Sequence[Run]) -> Row:
    first = own[0]
    ours = {run.repeat: run for run in _of(runs, OURS, first.private)}
    pairs = [(run, ours[run.repeat]) for run in own if run.repeat in ours]
    return Row(
        first.engine,
        first.private,
        first.rounds,
        len(own),
        {name: statistics.median(getattr(run, name) for run in own) for name in MEDIANS},
        {
            name: statistics.median(
                getattr(run, name) / getattr(other, name) for run, other in pairs
            )
            for name in RATIOS
            if pairs
        },
    )


def show(rows: Sequence[Row], engines: Sequence[Engine]) -> None:
    """Print what a client-round takes, and what a whole run does; without privacy and with."""
    titles = {engine.name: engine.title for engine in engines}
    for private, words in WORDS.items():
        found = [row for row in rows if row.private == private]
        if found:
            rounds = [_of_rounds(row, titles) for row in found]
            show_table(f"ms a client-round, {words}", _ROUNDS, rounds)
            whole = [_of_whole(row, titles) for row in found]
            show_table(f"whole runs, {words}", _WHOLE, whole)


_ROUNDS = ("engine", "after round 1", "x ours", "all rounds", "rounds", "accuracy")
_WHOLE = ("engine", "start s", "round 1 s", "wall s", "CPU s", "peak MB", "x ours")


def _of_rounds(row: Row, titles: Mapping[str, str]) -> list[str | float | None]:
    names = ("ms_per_client_round", "ms_with_first_round")
    later, all_rounds = (_short(row.medians[name]) for name in names)
    ratio, accuracy = row.ratios.get("ms_per_client_round"), row.medians["accuracy"]
    return [titles[row.engine], later, _short(ratio), all_rounds, row.rounds, _short(accuracy)]


def _of_whole(row: Row, titles: Mapping[str, str]) -> list[str | float | None]:
    names = ("startup_s", "first_round_s", "wall_s", "cpu_s", "peak_mb")
    figures = [_short(row.medians[name]) for name in names]
    return [titles[row.engine], *figures, _short(row.ratios.get("peak_mb"))]


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.3g}")
