"""Twenty providers learn together what events are usual; then one of them looks at its last day.

Each provider's tools tell other events: what is new at one is usual at another. Nobody shows an
event to anybody.

Run it: python examples/anomaly_events.py
"""

import argparse

import numpy as np

from mesh_fl import State
from mesh_fl.agents.anomaly.agent import AnomalyAnswer, AnomalyDetection
from mesh_fl.planning import make_plan
from mesh_fl.schema import Field, Table
from mesh_fl.simulate.engine import simulate
from mesh_fl.site import OwnRows, OwnTable, Site

PROVIDERS, EVENTS = 20, 2000
DAY = 86_400.0
NOW = 20_500 * DAY

TOLD = {
    ("firewall", "blocked"): "connection from 10.0.{} port {} denied by rule 7",
    ("rmm", "cpu_high"): "cpu of server{} above {} % for 10 minutes",
    ("rmm", "disk_low"): "disk C: of pc{} has {} GB left",
    ("backup", "backup_ok"): "backup of server{} done in {} minutes",
    ("edr", "quarantined"): "file {}.exe moved to quarantine on pc{}",
    ("mail", "spam"): "message {} from host {} rejected as spam",
    ("vpn", "login"): "user {} logged in from address {}",
}
"""Messages by source and kind, with two numbers each."""


def made_up_events(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Every provider has some of the tools only, most events in working hours."""
    tools = list(TOLD)
    odds = random.dirichlet(np.full(len(tools), 0.4))
    drawn = [tools[k] for k in random.choice(len(tools), count, p=odds)]
    days, hours = random.integers(0, 30, count), random.normal(12, 4, count) % 24
    words = [TOLD[one].format(*random.integers(1, 255, 2)) for one in drawn]
    return {
        "event_id": np.array([f"e{n}" for n in range(count)], dtype=object),
        "ts": np.sort(NOW - DAY * (days + 1) + 3600 * hours),
        "source": np.array([source for source, _ in drawn], dtype=object),
        "kind": np.array([kind for _, kind in drawn], dtype=object),
        "severity": random.choice(["0", "1", "2"], count, p=[0.7, 0.2, 0.1]).astype(object),
        "message": np.array(words, dtype=object),
    }


def with_intrusion(events: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Let one event of the last night be of a kind that no provider ever saw."""
    odd = {
        "event_id": "intrusion",
        "ts": NOW - 19 * 3600,
        "source": "domain controller",
        "kind": "replication_requested",
        "severity": "4",
        "message": "directory replication asked for by workstation pc17",
    }
    return {name: np.append(column, [odd[name]]) for name, column in events.items()}


class Events(OwnTable):
    """The provider's own table, as `mesh-client` reads it from a file."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self._columns = columns

    @property
    def stamp(self) -> tuple[int, ...]:
        return (0,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        return OwnRows({field.name: self._columns[field.name] for field in schema})


def trained(agent: AnomalyDetection, shards: dict[str, dict[str, np.ndarray]]) -> State:
    """Train under differential privacy: epsilon 0.1 for each event, all rounds together."""
    data = {name: dict(agent.prepare(shard)) for name, shard in shards.items()}
    caps = dict.fromkeys(data, EVENTS)
    plan = make_plan(agent, "anomaly", caps, rounds=8, measures=0, survivors=18, epsilon=0.1)
    return simulate(agent, plan, data, seed=1).state


def ask(agent: AnomalyDetection, state: State, events: Events, question: Table) -> AnomalyAnswer:
    answering = agent.answering(Site(tables={"events": events}))
    (answer,) = answering(state, question)
    return AnomalyAnswer.model_validate(answer)


def show(answer: AnomalyAnswer) -> None:
    print(f"{answer.judged.get('events', 0)} events of the last {answer.time_range_hours:g} hours")
    print(f"usual ones called an anomaly: {answer.false_alarm_rate:.1%} of them at most")
    for one in answer.anomalies[:3]:
        print(f"{one.severity}: {one.subject} at {one.at}, chance {one.chance:.2g}")
        print(f"  {one.context}")
    for cause in answer.root_causes[:3]:
        print(f"root cause: {cause.feature}, {cause.share:.0%} of what is unusual")


def main(hours: float = 24.0) -> None:
    random = np.random.default_rng(3)
    shards = {f"provider-{n}": made_up_events(random, EVENTS) for n in range(PROVIDERS)}
    agent = AnomalyDetection(records=float(PROVIDERS * EVENTS))
    state = trained(agent, shards)
    own = Events(with_intrusion(shards["provider-0"]))
    question = {"time_range_hours": np.array([hours]), "as_of": np.array([NOW])}
    show(ask(agent, state, own, question))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hours", nargs="?", type=float, default=24.0, help="that are judged")
    main(parser.parse_args().hours)
