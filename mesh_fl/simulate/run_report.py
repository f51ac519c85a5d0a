"""What `mesh-sim run` prints: a sentence for each round, then a table or JSON."""

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import typer

from mesh_fl.agent import State
from mesh_fl.errors import ConfigError
from mesh_fl.privacy.plan import LARGE
from mesh_fl.simulate.arguments import blamed_on
from mesh_fl.simulate.run import Ended, Trial
from mesh_fl.simulate.setting import Setting
from mesh_fl.simulate.workloads import Wanted, find
from mesh_fl.state import dump_state
from mesh_fl.terminal import show_json, show_table

EXHAUSTED = (
    "exhausted: attempts that came to nothing used up the spare ones, and the last model stands; "
    f"in cohorts of up to {LARGE} one silent client spoils an attempt: plan for more --spares, "
    "or for more clients"
)


def run_once(wanted: Wanted, setting: Setting, output: Path | None, as_json: bool) -> None:
    """Simulate, and show what came of it; how far it has come is told on standard error.

    Parameters
    ----------
    wanted : Wanted
        Agent and records.
    setting : Setting
    output : Path, optional
        Where the model is written.
    as_json : bool
        Print JSON for programs.

    Raises
    ------
    MeshError
        If something cannot be used, or fails.
    """
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise ConfigError(f"--output: expected a file in a folder that exists, found {output}")
    with blamed_on(wanted.agent):
        material = find(wanted)
        trial = Trial.of(material, setting)
        before = trial.crowd.quality(trial.agent.init())
        began = time.monotonic()
        ended = trial.train(partial(typer.echo, err=True))
        wall_s = time.monotonic() - began
        document = _document(trial, ended, wall_s, before, trial.crowd.quality(ended.state))
    if output is not None:
        _write(output, ended.state)
    if as_json:
        show_json(document)
    else:
        _show(document, trial, ended, material.notes)


def _document(
    trial: Trial, ended: Ended, wall_s: float, before: float, after: float
) -> dict[str, object]:
    setting, workload = trial.setting, trial.crowd.workload
    shards, encrypted = trial.crowd.shards, setting.encrypted
    return {
        "agent": workload.agent,
        "dataset": workload.dataset,
        "clients": len(shards),
        "records": sum(shards.sizes),
        "split": setting.split,
        "engine": "encrypted" if encrypted else setting.engine,
        "noise": "shares" if encrypted else setting.noise,
        "seed": setting.seed,
        "status": ended.status,
        "rounds": len(ended.clients),
        "attempts": ended.attempts,
        "clients_in_sum": list(ended.clients),
        "waited_s": ended.waited_s,
        "wall_s": wall_s,
        "epsilon": "inf" if math.isinf(setting.epsilon) else setting.epsilon,
        "epsilon_spent": ended.epsilon_spent,
        "metric": workload.metric.name,
        "higher_is_better": workload.metric.higher_is_better,
        "before": before,
        "after": after,
        "digest": ended.digest,
    }


def _show(found: Mapping[str, object], trial: Trial, ended: Ended, notes: Sequence[str]) -> None:
    workload, setting = trial.crowd.workload, trial.setting
    title = f"{workload.agent} on {workload.dataset}, {setting.clients} clients"
    metric, spent = workload.metric.name, ended.epsilon_spent
    rows = {
        "status": ended.status,
        "rounds": f"{found['rounds']} of {workload.rounds}, {found['attempts']} attempts",
        "clients in a sum": _range(ended.clients),
        "waited (simulated)": f"{ended.waited_s:.1f} s",
        "took": f"{found['wall_s']:.1f} s",
        "epsilon spent": "no promise" if spent is None else f"{spent:.4g} of {setting.epsilon:g}",
        f"{metric} before": f"{found['before']:.4f}",
        f"{metric} after": f"{found['after']:.4f}",
        "split": setting.split or "the public set's, else random",
        "seed": str(setting.seed),
    }
    show_table(title, ["figure", "value"], list(rows.items()))
    if ended.status == "exhausted":
        print(EXHAUSTED)  # noqa: T201
    for line in (f"digest {ended.digest}", *notes):
        print(line)  # noqa: T201


def _range(counts: Sequence[int]) -> str:
    if not counts:
        return "-"
    return f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"


def _write(path: Path, state: State) -> None:
    try:
        path.write_bytes(dump_state(state))
    except OSError as error:
        raise ConfigError(f"--output: cannot write {path}: {error.strerror}") from None
