"""Engines one after the other on the same task, again and again."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engines import Engine
from measure import Usage, measured
from workload import Task, digest

from mesh_fl.errors import ConfigError, DataError, MeshError

LIMIT_S = 900.0


@dataclass(frozen=True)
class Run:
    """What one run of one engine took.

    Parameters
    ----------
    engine : str
    private : bool
    repeat, rounds : int
    ms_per_client_round : float
        In the rounds after the first one, where workers start and caches fill.
    ms_with_first_round : float
        The same over all rounds.
    first_round_s : float
    startup_s : float
        From the start of its process to the first round.
    accuracy : float
        Of the final model, on test examples.
    wall_s, cpu_s, peak_mb, processes, others_cpu_s, disturbed
        See `Usage`; a megabyte is 10**6 bytes.
    """

    engine: str
    private: bool
    repeat: int
    rounds: int
    ms_per_client_round: float
    ms_with_first_round: float
    first_round_s: float
    startup_s: float
    accuracy: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    processes: int
    others_cpu_s: float
    disturbed: bool


@dataclass(frozen=True)
class Failure:
    """Why an engine has no figures."""

    engine: str
    private: bool
    message: str


def run_all(
    engines: Sequence[Engine],
    tasks: Sequence[Task],
    repeats: int,
    environments: Path,
    tell: Callable[[str], None],
) -> tuple[list[Run], list[Failure]]:
    """Run each engine on each task; one that fails is left out from then on.

    Parameters
    ----------
    engines : sequence of Engine
    tasks : sequence of Task
        With 0 rounds where each engine makes its own number.
    repeats : int
    environments : Path
        Where virtual environments are kept.
    tell : callable
        Told what runs.
    """
    runs: list[Run] = []
    failures: list[Failure] = []
    for repeat in range(repeats):
        for task in tasks:
            for engine in engines:
                if any((f.engine, f.private) == (engine.name, task.private) for f in failures):
                    continue
                tell(f"{engine.title}{', private' * task.private} ({repeat + 1}/{repeats})")
                try:
                    runs.append(run_one(engine, task, repeat, environments))
                except MeshError as error:
                    failures.append(Failure(engine.name, task.private, str(error)))
    return runs, failures


def run_one(engine: Engine, task: Task, repeat: int, environments: Path) -> Run:
    """Run an engine once in a process and a folder of its own.

    Raises
    ------
    MeshError
        If it cannot be installed, fails, or was given other data than we have.
    """
    task = replace(task, rounds=task.rounds or engine.rounds)
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        command = engine.command(environments, scratch)
        asked, told = scratch / "task.json", scratch / "outcome.json"
        asked.write_text(json.dumps(asdict(task)))
        usage = measured(
            [*command, str(asked), str(told)], engine.environment(scratch), scratch, LIMIT_S
        )
        if not told.exists():
            raise ConfigError("it ended without an error, and without a result: run it by hand")
        outcome = json.loads(told.read_text())
    if outcome["digest"] != digest(task):
        raise DataError("it made other data of the same seed: compare the versions of numpy")
    return _run(engine, task, repeat, outcome["marks"], outcome["accuracy"], usage)


def _run(
    engine: Engine, task: Task, repeat: int, marks: list[float], accuracy: float, usage: Usage
) -> Run:
    warm = marks[1:] if len(marks) > 2 else marks
    return Run(
        engine=engine.name,
        private=task.private,
        repeat=repeat,
        rounds=task.rounds,
        ms_per_client_round=_ms_a_turn(warm, task),
        ms_with_first_round=_ms_a_turn(marks, task),
        first_round_s=marks[1] - marks[0],
        startup_s=marks[0] - usage.began,
        accuracy=accuracy,
        wall_s=usage.wall_s,
        cpu_s=usage.cpu_s,
        peak_mb=usage.peak_bytes / 1e6,
        processes=usage.processes,
        others_cpu_s=usage.others_cpu_s,
        disturbed=usage.disturbed,
    )


def _ms_a_turn(marks: list[float], task: Task) -> float:
    return 1000 * (marks[-1] - marks[0]) / ((len(marks) - 1) * task.cohort)
