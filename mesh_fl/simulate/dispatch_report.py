"""What `mesh-sim dispatch` prints: policies side by side, or one's own past in other orders."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import isfinite
from pathlib import Path

import typer

from mesh_fl.agents.resource.arrivals import QueueSetting
from mesh_fl.agents.resource.dispatching import RULES
from mesh_fl.agents.resource.dispatching_hours import HoursModel
from mesh_fl.agents.resource.dispatching_solver import RollingPlan
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.agents.resource.policy_learned import LearnedPolicy
from mesh_fl.agents.resource.policy_training import Lesson, train
from mesh_fl.agents.resource.replay import Replay
from mesh_fl.errors import ConfigError
from mesh_fl.simulate.dispatch_inputs import check_tables, hours_of, replay_of
from mesh_fl.simulate.dispatch_study import Row, compare_policies
from mesh_fl.simulate.statistics import Mean
from mesh_fl.terminal import show_json, show_table

MARGIN_WEEKS = 2
SCARCE_SHARE, SCARCE_AGREED = 0.3, 0.5
"""Of the tickets that need a speciality where few have one, and of the usual agreed times."""

MOST_LOADS, MOST_SEEDS = 20, 10_000

UNLEARNED = "no learned policy among them: add --train, or --policy FILE of an earlier training"
COST = (
    "cost: flow time plus time past due, in hours of the clock, a ticket of priority 1 to 4 "
    "counting 8, 4, 2, 1. ± a standard error; to WSPT: in the same queues; (n): in the first n "
    "queues alone; true: as if hours were known beforehand"
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What somebody asked for; see `dispatch_command`."""

    technicians: int
    loads: tuple[float, ...]
    weeks: int
    seeds: int
    first_seed: int
    solver_seeds: int
    train: bool
    episodes: int
    policy: Path | None
    model: Path | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    tables: Path | None = None
    scarce: bool = False


def show(choice: Choice, as_json: bool) -> None:
    """Compare, and print; how far it has come is told on standard error.

    Raises
    ------
    MeshError
        If something cannot be used.
    """
    if not 1 <= len(choice.loads) <= MOST_LOADS or choice.seeds > MOST_SEEDS:
        expected = f"1 to {MOST_LOADS} loads, and at most {MOST_SEEDS:,} seeds"
        raise ConfigError(f"--load, --seeds: expected {expected}, found more; ask for fewer")
    if choice.train and choice.policy is not None and not choice.policy.parent.is_dir():
        raise ConfigError(f"--policy: expected a file in a folder that exists: {choice.policy}")
    if choice.config and choice.model is None:
        raise ConfigError("--config: expected with --model, whose configuration it is; name one")
    if choice.tables is not None:
        check_tables(choice.tables)  # before minutes of learning
    hours = HoursModel.usual() if choice.model is None else hours_of(choice.model, choice.config)
    settings = [_setting(choice, load, hours) for load in choice.loads]
    lesson, took_s = _lesson(choice, settings)
    learned = _learned(choice, lesson)
    if choice.tables is not None:
        found = replay_of(choice.tables, choice.model, choice.config, (*RULES, *learned))
        _show_replay(found, as_json)
        return
    tell = partial(typer.echo, err=True)
    seeds = range(choice.first_seed, choice.first_seed + choice.seeds)
    few = (RollingPlan(),) if choice.solver_seeds else ()
    rows = [
        row
        for setting in settings
        for row in compare_policies(setting, learned, seeds, few, choice.solver_seeds, tell)
    ]
    if as_json:
        show_json(_document(choice, rows, lesson, took_s))
    else:
        _show(choice, rows, lesson, took_s)


def _setting(choice: Choice, load: float, hours: HoursModel) -> QueueSetting:
    margin = min(MARGIN_WEEKS, (choice.weeks - 1) // 2)
    specialities = min(2, choice.technicians)
    usual = QueueSetting(
        technicians=choice.technicians,
        load=load,
        weeks=choice.weeks,
        margin_weeks=max(0, margin),
        specialities=specialities,
        hours=hours,
    )
    if not choice.scarce:
        return usual
    return replace(
        usual, specialists=specialities, special_share=SCARCE_SHARE, agreed=SCARCE_AGREED
    )


def _lesson(choice: Choice, settings: Sequence[QueueSetting]) -> tuple[Lesson | None, float]:
    """Learn where that is asked for, and tell how many seconds it took."""
    if not choice.train:
        return None, 0.0
    began = time.monotonic()
    marks = max(1, choice.episodes // 10)

    def tell(done: int, of: int) -> None:
        if done // marks > (done - 1) // marks or done == of:
            typer.echo(f"learning: queue {done} of {of}", err=True)

    base = replace(settings[0], load=choice.loads[0])
    lesson = train(base, choice.loads, choice.episodes, choice.first_seed, tell)
    return lesson, time.monotonic() - began


def _learned(choice: Choice, lesson: Lesson | None) -> tuple[DispatchPolicy, ...]:
    if lesson is not None:
        if choice.policy is not None:
            lesson.policy.save(choice.policy)
        return (lesson.policy,)
    return () if choice.policy is None else (LearnedPolicy.load(choice.policy),)


def _document(
    choice: Choice, rows: Sequence[Row], lesson: Lesson | None, took_s: float
) -> dict[str, object]:
    return {
        "technicians": choice.technicians,
        "weeks": choice.weeks,
        "seeds": choice.seeds,
        "first_seed": choice.first_seed,
        "scarce": choice.scarce,
        "training": None
        if lesson is None
        else {
            "episodes": lesson.episodes,
            "wall_s": took_s,
            "cost_over_fifo_before": lesson.before,
            "cost_over_fifo_after": lesson.after,
            "kept": lesson.after < lesson.before,
        },
        "rows": [
            {
                "policy": row.policy,
                "load": row.load,
                "seeds": row.seeds,
                "saved_share": _pair(row.saved_share),
                "beside_wspt_h": _pair(row.beside_wspt_h),
                **{name: _pair(mean) for name, mean in row.figures.items()},
            }
            for row in rows
        ],
    }


def _pair(found: Mean) -> dict[str, float | None]:
    return {"mean": found.mean, "se": found.error if isfinite(found.error) else None}


def _show(choice: Choice, rows: Sequence[Row], lesson: Lesson | None, took_s: float) -> None:
    columns = ["policy", "cost h", "below FIFO %", "to WSPT h", "flow h", "late h", "in time %"]
    for load in choice.loads:
        told = [_cells(row, choice.seeds) for row in rows if row.load == load]
        title = f"load {load:g}, {choice.technicians} technicians, {choice.seeds} queues"
        show_table(title, columns, told)
    typer.echo(COST)
    if lesson is None:
        typer.echo(UNLEARNED if choice.policy is None else f"learned: {choice.policy}")
        return
    kept = "" if lesson.after < lesson.before else "; no better than WSPT there, which is kept"
    if choice.policy is None:
        kept += "; --policy FILE writes it to a file, which this run did not"
    typer.echo(
        f"learned from {lesson.episodes} queues in {took_s:.0f} s; on held-out ones it comes to "
        f"{lesson.after:.3f} of the cost of FIFO, WSPT to {lesson.before:.3f}{kept}"
    )


def _cells(row: Row, seeds: int) -> list[object]:
    found = row.figures
    name = row.policy if row.seeds == seeds else f"{row.policy} ({row.seeds})"
    share = Mean(100 * row.saved_share.mean, 100 * row.saved_share.error)
    sla = Mean(100 * found["sla_share"].mean, 100 * found["sla_share"].error)
    times = [_told(found[one]) for one in ("flow_h", "tardiness_h")]
    beside = _told(row.beside_wspt_h)
    return [name, _told(found["cost_h"]), _told(share), beside, *times, _told(sla)]


def _told(found: Mean) -> str:
    digits = 0 if abs(found.mean) >= 100 else 1
    error = f"±{found.error:.{digits}f}" if isfinite(found.error) else ""
    return f"{found.mean:.{digits}f}{error}"


def _show_replay(found: Replay, as_json: bool) -> None:
    if as_json:
        show_json(asdict(found))
        return
    typer.echo(f"{found.tickets} tickets in {found.weeks} weeks, {found.technicians} technicians")
    for name, count in found.left_out.items():
        typer.echo(f"{count} rows of {name} could not be read and are left out")
    if found.observed_wait_h is not None and found.share_on_tickets is not None:
        typer.echo(
            f"second half of the weeks: waited {found.observed_wait_h:.2f} h, played again first "
            f"come, first served {found.played_wait_h:.2f} h; weekly means correlate by "
            f"{found.weekly_correlation:.2f}; {found.share_on_tickets:.0%} of the hours go into "
            "tickets (fitted on the first half)"
        )
    if found.hours_saved_a_month is None:
        typer.echo(f"hours saved: unavailable: {found.reason}")
        return
    columns = ["policy", "hours a month less", "95 % interval", "flow h", "wait h", "weighted %"]
    rows = [
        [
            one.policy,
            f"{one.hours_saved_a_month:.0f}",
            f"{one.low:.0f} to {one.high:.0f}",
            f"{one.flow_h:.2f}",
            f"{one.wait_h:.2f}",
            f"{100 * one.weighted_share:.1f}",
        ]
        for one in found.savings
    ]
    show_table("hours until tickets are done, beside first come, first served", columns, rows)
    typer.echo(
        f"{found.policy}, chosen beforehand: {found.hours_saved_a_month:.0f} hours of waiting a "
        f"month until tickets are done ({found.low:.0f} to {found.high:.0f}); hours of work: "
        f"none claimed, since {found.labour_reason}"
    )
