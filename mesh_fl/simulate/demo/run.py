"""`mesh-sim demo`: private rounds end to end, then what they were good for, in two tables."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from mesh_fl.agents._logistic import exact_auc
from mesh_fl.errors import ConfigError
from mesh_fl.registry import build
from mesh_fl.server.report import Report
from mesh_fl.simulate.demo.deployment import Deployment, as_requests
from mesh_fl.simulate.demo.processes import Line
from mesh_fl.simulate.demo.quality import Comparison, compare
from mesh_fl.simulate.demo.telco import (
    SIZES,
    Split,
    deal,
    demo_agent,
    load_telco,
    prepare,
    read_customers,
)
from mesh_fl.simulate.trial import Crowd, Federated, References
from mesh_fl.simulate.workloads import Wanted, find
from mesh_fl.state import load_state
from mesh_fl.terminal import Narrator, show_json, show_table

KINDS = ("alone", "federated", "adapted", "pooled")
MEMBERS, RECORDS = 100, 56
"""Of the simulated crowd."""


@dataclass(frozen=True)
class Deployed:
    """What the real deployment ended with.

    Parameters
    ----------
    comparison : Comparison
        Test AUC; `adapted` is read from the members' own HTTP answers.
    report : Report
        The server's figures.
    epsilon_spent : list of float
        From each member's ledger.
    memory_mb : list of float
        Peak resident memory of each member's process.
    prediction : dict
        One answer of the smallest member.
    """

    comparison: Comparison
    report: Report
    epsilon_spent: list[float]
    memory_mb: list[float]
    prediction: dict[str, object]


def run_demo(seed: int, report_path: Path, keep: Path | None, as_json: bool) -> None:
    """Run the demonstration and write its report.

    Parameters
    ----------
    seed : int
        Of the split. The deployment's noise comes from the operating system, whatever the seed.
    report_path : Path
        Where demo-report.json is written.
    keep : Path, optional
        Keep homes, ledgers and logs in this new folder.
    as_json : bool
        Print the report instead of tables.

    Raises
    ------
    ConfigError
        If `keep` exists already.
    """
    if keep is not None:
        if keep.exists():
            raise ConfigError(f"{keep} exists already: name a new folder")
        keep.mkdir(parents=True)
    split = deal(load_telco(), SIZES, seed)
    began = time.monotonic()
    with Narrator(as_json) as narrator:
        narrator.say(f"five MSPs with {', '.join(map(str, SIZES))} customers, and one operator")
        folder = (
            nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="mesh-demo-")
        )
        with folder as path:
            deployed = _deploy(Path(path), split, narrator)
        narrator.say(f"simulating {MEMBERS} MSPs of {RECORDS} customers")
        simulated = simulate_crowd(seed)
    report = _as_report(deployed, simulated, time.monotonic() - began)
    report_path.write_text(json.dumps(report, indent=2) + "\n")
    if as_json:
        show_json(report)
    else:
        _show(deployed, simulated)
        print(f"\nwrote {report_path}")  # noqa: T201


def simulate_crowd(seed: int, epsilon: float = 0.1) -> dict[str, float]:
    """Return the test AUC of every kind of model for many small MSPs, on one split."""
    crowd = Crowd.gather(
        find(Wanted(agent="health", data="telco")).workload, MEMBERS, RECORDS, seed
    )
    references, trained = References.of(crowd), Federated.of(crowd, epsilon)
    return {
        "alone": references.alone,
        "federated": trained.federated,
        "adapted": trained.adapted,
        "pooled": references.pooled,
    }


def _deploy(folder: Path, split: Split, narrator: Narrator) -> Deployed:
    def on_event(line: Line) -> None:
        done, total = line.get("done"), line.get("total")
        if isinstance(done, int) and isinstance(total, int):
            narrator.progress(str(line["text"]), done, total)
        elif "text" in line:
            narrator.say(f"operator: {line['text']}")

    def on_member(name: str, line: Line) -> None:
        kind, text = line.get("kind"), str(line.get("text"))
        known = kind in ("made", "serving", "refused", "closed")
        if known or (kind == "connection" and text.startswith("connected")):
            narrator.say(f"{name}: {text}")

    with Deployment(folder, split, on_event, on_member) as deployment:
        deployment.train()
        deployment.await_last_model()
        return _look_at(deployment, split)


def _look_at(deployment: Deployment, split: Split) -> Deployed:
    checkpoint = deployment.checkpoint()
    config = json.loads(checkpoint.plan.config)
    agent = demo_agent(checkpoint.plan.caps)
    state = load_state(checkpoint.state, build("health", config).init())
    customers = read_customers(agent, split.test)
    shards = {name: prepare(agent, frame) for name, frame in split.members.items()}
    test = agent.prepare(customers.table)
    requests = as_requests(customers, agent.label)
    labels = test["y"].astype(np.float64)
    served = [exact_auc(_risks(deployment, name, requests), labels) for name in split.members]
    found = compare(agent, state, shards, test)
    return Deployed(
        comparison=Comparison(found.alone, found.federated, served, found.pooled),
        report=deployment.report(),
        epsilon_spent=[deployment.budget(name)["spent"] for name in split.members],
        memory_mb=[client.peak_memory_mb or 0.0 for client in deployment.clients.values()],
        prediction=deployment.ask(next(iter(split.members)), requests[0]),
    )


def _risks(
    deployment: Deployment, name: str, requests: Sequence[dict[str, object]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    answers = deployment.ask(name, {"records": list(requests)})["answers"]
    if not isinstance(answers, list):
        raise ConfigError(f"{name} answered without answers")
    return np.array([answer["churn_risk"] for answer in answers], dtype=np.float64)


def _as_report(
    deployed: Deployed, simulated: Mapping[str, float], seconds: float
) -> dict[str, object]:
    report = deployed.report
    return {
        "auc": asdict(deployed.comparison),
        "crowd": dict(simulated),
        "epsilon_spent": deployed.epsilon_spent,
        "delta": report.delta,
        "round_s": report.round_s,
        "bytes_up": round(report.bytes_up),
        "bytes_down": round(report.bytes_down),
        "parameters": report.parameters,
        "rounds": sum(record.kind == "train" for record in report.rounds),
        "members": len(deployed.epsilon_spent),
        "prediction": deployed.prediction,
        "member_memory_mb": deployed.memory_mb,
        "measured": report.scores,
        "seconds": seconds,
    }


def _show(deployed: Deployed, simulated: Mapping[str, float]) -> None:
    found, report = deployed.comparison, deployed.report
    rows = [
        [f"{size} customers", *_told(alone, found.federated, adapted, found.pooled)]
        for size, alone, adapted in zip(SIZES, found.alone, found.adapted, strict=True)
    ]
    columns = ["MSP", "alone", "federated", "federated and adapted", "pooled, no privacy"]
    show_table("test AUC, five MSPs over Flower, encrypted, epsilon = 0.1 in all", columns, rows)
    print("One run and one split: docs/guides/health.md has means over splits.\n")  # noqa: T201
    spent = ", ".join(f"{epsilon:.4f}" for epsilon in deployed.epsilon_spent)
    facts = [
        ["epsilon spent, each member's ledger", spent],
        ["", "of 0.1; the rest was for spare attempts"],
        ["delta", f"{report.delta:g}"],
        ["bytes a member and round", f"{report.bytes_up:,.0f} up, {report.bytes_down:,.0f} down"],
        ["seconds a round", f"{median(report.round_s):.2f} (median)"],
        ["peak memory of a member", f"{max(deployed.memory_mb):.0f} MB"],
        ["releases", f"{report.releases} in {report.attempts} attempts"],
    ]
    show_table("the deployment", ["", ""], facts)
    show_table(
        f"test AUC, {MEMBERS} MSPs of {RECORDS} customers, simulated, epsilon = 0.1 in all",
        columns,
        [["mean over MSPs", *_told(*(simulated[kind] for kind in KINDS))]],
    )
    print("\nPOST /client-health at the smallest MSP:")  # noqa: T201
    show_json(deployed.prediction)


def _told(*values: float) -> list[str]:
    return [f"{value:.3f}" for value in values]
