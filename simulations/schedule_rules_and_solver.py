"""How much better the solver plans than dispatch rules, on weeks of work that are drawn at random.

Each week has so many tasks and technicians: five days of eight hours with two appointments each,
two to four of six skills, rates from 30 to 90 an hour and levels from 1 to 4. Tasks fill 80 % of
that time; their hours are lognormal, a third of them come during the first half of the week, and
seven in ten are due. "Gap" is by how much a plan could be better at most: against a bound that lets
tasks be cut into pieces and shared by technicians.

Run it: python simulations/schedule_rules_and_solver.py --weeks 30 --seconds 10
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from mesh_fl.agents.resource.feasibility import check
from mesh_fl.agents.resource.objective import Mode, Objective, objective
from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.rules import Rule, dispatched
from mesh_fl.agents.resource.schedule_grid import Grid
from mesh_fl.agents.resource.solver import best_rule, solve
from mesh_fl.terminal import show_table

Vector = NDArray[np.float64]

SKILLS = ("network", "server", "cloud", "security", "voice", "printer")
DAYS, DAY_H, WORK_H = 5, 24.0, 8.0
HORIZON_H = DAYS * DAY_H
LOAD = 0.8
LONGEST_H = 7.0
SLOT_MIN = 30


@dataclass(frozen=True)
class Compared:
    """One week in one mode."""

    seed: int
    mode: Mode
    method: str
    faults: int
    left_out: int
    wall_s: float
    cpu_s: float
    best_left_out: int
    against_best: float
    rule_left_out: dict[str, int]
    against: dict[str, float]
    gap: float | None


def week(seed: int, tasks: int, people: int) -> Problem:
    random = np.random.default_rng(seed)
    staff = tuple(technician(place, random) for place in range(people))
    free = sum(Problem((), staff, HORIZON_H).free_hours.values())
    hours = np.clip(random.lognormal(0.0, 0.9, tasks), 0.1, LONGEST_H)
    for _ in range(20):
        hours = np.clip(hours * LOAD * free / hours.sum(), 0.1, LONGEST_H)
    work = tuple(task(place, float(one), random) for place, one in enumerate(hours))
    return Problem(work, staff, HORIZON_H)


def technician(place: int, random: np.random.Generator) -> Technician:
    skills = random.choice(SKILLS, size=random.integers(2, 5), replace=False)
    starts = random.integers(0, DAYS, 2) * DAY_H + random.integers(0, 7, 2)
    return Technician(
        technician_id=f"technician {place}",
        skills=frozenset(skills.tolist()),
        cost_h=float(random.integers(30, 91)),
        level=float(random.integers(1, 5)),
        busy=tuple((start, start + 1.0) for start in starts.tolist()),
        available=tuple((day * DAY_H, day * DAY_H + WORK_H) for day in range(DAYS)),
    )


def task(place: int, hours: float, random: np.random.Generator) -> Task:
    release = float(random.uniform(0, HORIZON_H / 2)) if random.random() < 1 / 3 else 0.0
    due = release + hours + float(random.uniform(1, HORIZON_H / 2))
    skills = random.choice(SKILLS, size=random.choice(3, p=[0.3, 0.6, 0.1]), replace=False)
    return Task(
        task_id=f"task {place}",
        hours=hours,
        priority=int(random.choice([1, 2, 3, 4], p=[0.1, 0.2, 0.5, 0.2])),
        due_h=due if random.random() < 0.7 else None,
        release_h=release,
        skills=frozenset(skills.tolist()),
    )


def compare(problem: Problem, mode: Mode, seconds: float, seed: int, with_gap: bool) -> Compared:
    grid, counts = problem.grid, objective(problem, mode)
    wall, cpu = time.perf_counter(), time.process_time()
    found = solve(problem, mode, seconds=seconds, seed=seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    best = best_rule(grid, counts)[1]
    plans = {rule.value: dispatched(grid, rule) for rule in Rule}
    return Compared(
        seed=seed,
        mode=mode,
        method=found.method,
        faults=len(check(problem, found)),
        left_out=len(found.unassigned),
        wall_s=wall,
        cpu_s=cpu,
        best_left_out=best.count(None),
        against_best=found.value / counts.of(grid, best),
        rule_left_out={rule: plan.count(None) for rule, plan in plans.items()},
        against={rule: found.value / counts.of(grid, plan) for rule, plan in plans.items()},
        gap=1 - max(bound(grid, counts), found.bound) / found.value if with_gap else None,
    )


def bound(grid: Grid, counts: Objective) -> float:
    """Return what no plan that does every task falls below; nothing if there can be none."""
    if not grid.can.any(axis=1).all():
        return -np.inf
    soonest = grid.earliest + grid.work
    late = counts.late * np.maximum(0, soonest - grid.due)
    fixed = float(late.sum() + (counts.flow * (grid.work / 2 - grid.release)).sum())
    return fixed + middles(grid, counts) + shares(grid, counts)


def shares(grid: Grid, counts: Objective) -> float:
    """Let each task be shared by technicians, within the time that each has."""
    tasks, people = np.nonzero(grid.can)
    one = np.ones(len(tasks))
    free = [float((spans[:, 1] - spans[:, 0]).sum()) for spans in grid.windows]
    found = linprog(  # type: ignore[call-overload] # sparse matrices are missing in the stub
        counts.pair[tasks, people].astype(float),
        A_eq=coo_array((one, (tasks, np.arange(len(tasks))))).tocsr(),
        b_eq=np.ones(len(grid.work)),
        A_ub=coo_array((grid.work[tasks].astype(float), (people, np.arange(len(tasks))))).tocsr(),
        b_ub=free[: int(people.max()) + 1],
    )
    return -np.inf if found.fun is None else float(found.fun)


def middles(grid: Grid, counts: Objective) -> float:
    """Let tasks be cut into minutes: a task ends half its work after the mean of its minutes."""
    spans = np.concatenate([one for one in grid.windows if len(one)])
    slots = np.arange(0, grid.horizon, SLOT_MIN)
    slots = slots[
        [bool(((spans[:, 0] < at + SLOT_MIN) & (spans[:, 1] > at)).any()) for at in slots]
    ]
    tasks, at = np.nonzero(slots[None, :] + SLOT_MIN > grid.earliest[:, None])
    begins = np.maximum(slots[at], grid.earliest[tasks])
    minutes = np.arange(len(tasks))
    rows, columns, room = crowded(grid, slots, tasks, at)
    found = linprog(  # type: ignore[call-overload] # sparse matrices are missing in the stub
        counts.flow[tasks] * begins / grid.work[tasks],
        A_eq=coo_array((np.ones(len(tasks)), (tasks, minutes))).tocsr(),
        b_eq=grid.work.astype(float),
        A_ub=coo_array((np.ones(len(rows)), (rows, columns)), (len(room), len(tasks))).tocsr(),
        b_ub=room,
        method="highs-ipm",
    )
    return -np.inf if found.fun is None else float(found.fun)


def crowded(
    grid: Grid, slots: NDArray[np.int64], tasks: NDArray[np.int64], at: NDArray[np.int64]
) -> tuple[list[int], list[int], list[float]]:
    """Whoever is looked at: tasks that only they can do take no more time than they have."""
    rows: list[int] = []
    columns: list[int] = []
    room: list[float] = []
    for group in {tuple(row) for row in grid.can.tolist()}:
        inside = np.asarray((grid.can <= np.array(group)).all(axis=1))
        for slot, start in enumerate(slots.tolist()):
            mine = np.flatnonzero(inside[tasks] & (at == slot))
            rows += [len(room)] * len(mine)
            columns += mine.tolist()
            room.append(sum(overlap(grid, group, start)))
    return rows, columns, room


def overlap(grid: Grid, group: tuple[bool, ...], start: int) -> Iterator[float]:
    for spans, is_in in zip(grid.windows, group, strict=True):
        if is_in:
            inside = np.minimum(spans[:, 1], start + SLOT_MIN) - np.maximum(spans[:, 0], start)
            yield float(np.maximum(0, inside).sum())


def figures(found: list[Compared]) -> dict[str, str]:
    """Points are compared where a rule does every task; what it leaves out is told beside."""
    wall = np.array([one.wall_s for one in found])
    gaps = [one.gap for one in found if one.gap is not None]
    whole = [one.against_best for one in found if one.best_left_out == one.left_out]
    rules = found[0].against
    return {
        "points, of the best rule's": mean(whole),
        "at worst": f"{max(whole):.3f}" if whole else "-",
        **{
            f"of {rule}'s": mean(
                [one.against[rule] for one in found if one.rule_left_out[rule] == one.left_out]
            )
            for rule in rules
        },
        "gap, median": f"{np.median(gaps):.3f} ({len(gaps)})" if gaps else "-",
        "tasks left out": str(sum(one.left_out for one in found)),
        "by the best rule": str(sum(one.best_left_out for one in found)),
        **{f"by {rule}": str(sum(one.rule_left_out[rule] for one in found)) for rule in rules},
        "faults": str(sum(one.faults for one in found)),
        "seconds, median": f"{np.median(wall):.1f}",
        "seconds, most": f"{wall.max():.1f}",
        "seconds of CPU": f"{np.mean([one.cpu_s for one in found]):.1f}",
        "cut off by the clock": str(sum("clock" in one.method for one in found)),
        "CP-SAT found better": str(sum("cp-sat" in one.method for one in found)),
    }


def mean(values: list[float]) -> str:
    """Tell the mean, its standard error, and of how many."""
    if len(values) < 2:
        return "-"
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{np.mean(values):.3f} ± {error:.3f} ({len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=30)
    parser.add_argument("--bounds", type=int, default=30, help="weeks whose gap is computed")
    parser.add_argument("--first-seed", type=int, default=6000)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--technicians", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--mode", action="append", choices=get_args(Mode), default=[])
    parser.add_argument("--output", type=Path, help="every single figure, as JSON lines")
    told = parser.parse_args()
    found: dict[Mode, list[Compared]] = {mode: [] for mode in told.mode or get_args(Mode)}
    for seed in range(told.first_seed, told.first_seed + told.weeks):
        problem = week(seed, told.tasks, told.technicians)
        with_gap = seed < told.first_seed + told.bounds
        for mode, compared in found.items():
            compared.append(compare(problem, mode, told.seconds, seed, with_gap))
            if told.output:
                with told.output.open("a") as file:
                    file.write(json.dumps(asdict(compared[-1])) + "\n")
    columns = [figures(one) for one in found.values()]
    rows = [[name, *(one[name] for one in columns)] for name in columns[0]]
    show_table(f"points of the solver's plan, {told.weeks} weeks", ["", *found], rows)


if __name__ == "__main__":
    main()
