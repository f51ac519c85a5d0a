"""How a training went, for people and programs."""

import json
from pathlib import Path
from statistics import median

from pydantic import BaseModel

from mesh_fl.checkpoint import Checkpoint, RoundRecord, Status
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.quality import told
from mesh_fl.score_noise import in_words
from mesh_fl.store import write_durably
from mesh_fl.terminal import show_table

FILE = "report.json"


class Report(BaseModel):
    """A training in figures.

    Parameters
    ----------
    training, agent, status : str
        Which, and how it ended.
    epsilon, delta : float
        What the plan promises.
    epsilon_spent : float
        By a record of a member that took part in every attempt so far.
    releases, attempts : int
        Complete sums, and attempts begun.
    round_s : list of float
        Seconds of each complete release.
    bytes_up, bytes_down : float
        Message bytes from and to one member in a median round.
    parameters : int
        Values in a training row.
    scores : dict of str to float
        What the last measure found, noise included.
    noise : dict of str to float
        About one standard deviation of that noise, by figure.
    rounds : list of RoundRecord
        All of it.
    """

    training: str
    agent: str
    status: Status
    epsilon: float
    delta: float
    epsilon_spent: float
    releases: int
    attempts: int
    round_s: list[float]
    bytes_up: float
    bytes_down: float
    parameters: int
    scores: dict[str, float]
    noise: dict[str, float] = {}
    rounds: list[RoundRecord]


def report_of(checkpoint: Checkpoint) -> Report:
    """Return the figures of a checkpoint."""
    plan, history = checkpoint.plan, [_finite(record) for record in checkpoint.history]
    measured = [record for record in history if record.scores]
    return Report(
        training=checkpoint.training,
        agent=plan.agent,
        status=checkpoint.status,
        epsilon=plan.epsilon,
        delta=plan.delta,
        epsilon_spent=epsilon_of(checkpoint.spent**0.5, plan.delta) if checkpoint.spent else 0.0,
        releases=checkpoint.step,
        attempts=checkpoint.attempt,
        round_s=[record.seconds for record in history],
        bytes_up=_median([record.bytes_up / record.members for record in history]),
        bytes_down=_median([record.bytes_down / record.members for record in history]),
        parameters=plan.dimension,
        scores=measured[-1].scores if measured else {},
        noise=measured[-1].noise if measured else {},
        rounds=history,
    )


def keep_reports(home: Path, reports: list[Report]) -> list[Report]:
    """Write report.json, one entry a training, and return them."""
    told = json.dumps(
        {"trainings": [report.model_dump(mode="json") for report in reports]}, indent=2
    )
    write_durably(home / FILE, told.encode())
    return reports


def read_reports(home: Path) -> list[Report]:
    """Return what report.json holds."""
    found = json.loads((home / FILE).read_bytes())
    return [Report.model_validate(one) for one in found["trainings"]]


def show_report(report: Report) -> None:
    """Print the table that ends a training."""
    scores = in_words(report.scores, report.noise)
    rows = [
        ["status", report.status],
        ["releases", f"{report.releases} in {report.attempts} attempts"],
        ["epsilon spent", f"{report.epsilon_spent:.4f} of {report.epsilon:g}"],
        ["delta", f"{report.delta:g}"],
        ["seconds a round", f"{_median(report.round_s):.2f} (median)"],
        ["bytes a member and round", f"{report.bytes_up:,.0f} up, {report.bytes_down:,.0f} down"],
        ["measured, ± noise", scores or "nothing"],
    ]
    show_table(f"training {report.training[:8]} of {report.agent}", ["", ""], rows)


def _finite(record: RoundRecord) -> RoundRecord:
    """Leave out scores that noise has made undefined: JSON has no word for them."""
    return record.model_copy(update={"scores": told(record.scores)})


def _median(values: list[float]) -> float:
    return median(values) if values else 0.0
