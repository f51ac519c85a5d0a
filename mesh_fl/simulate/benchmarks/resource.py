"""How long incidents stay open, on the log of an IT company."""

import csv
import gzip
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.resource.flow_time import savings
from mesh_fl.agents.resource.inputs import NOWHERE
from mesh_fl.agents.resource.spread import LEVELS
from mesh_fl.client.data import TableSource, read_records
from mesh_fl.errors import ConfigError
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.trial import Workload

FILE = "incident_event_log.csv.gz"
R2 = Metric("r2", higher_is_better=True)
FLOW = Metric("flow_time_saving", higher_is_better=True)
WAITING = Metric("waiting_time_saving", higher_is_better=True)
COVERAGE_ERROR = Metric("coverage_error", higher_is_better=False)

WRITTEN = "%d/%m/%Y %H:%M"
HOUR_S = 3600.0
WEEK_H = 168.0
UNKNOWN = "?"

ROUNDS = 16

MEMBERS = 100
RECORDS, RECORDS_OF_A_WEEK = 184, 141

SOURCE = (
    "{} incidents of one company's event log (Amaral et al. 2018, UCI, CC BY 4.0), each as its "
    "first event knows it; {}. Settings were chosen on other splits of this table"
)
ALL = SOURCE.format("23,086 resolved", "hours from opening to resolution, 168 where it took longer")
OF_A_WEEK = SOURCE.format("17,726", "those that were resolved within 168 hours, as in hindsight")

CONFIG: Mapping[str, object] = {
    "label": "elapsed_hours",
    "usual_hours": 8.0,
    "clip": 2.5,
    "inputs": [
        {"name": "category", "kind": "text", "cells": 1024},
        {"name": "assignment_group", "kind": "text", "cells": 1024},
        {"name": "registered_by", "kind": "text", "cells": 1024, "weight": 0.7},
        {"name": "opened_by", "kind": "text", "cells": 1024, "weight": 0.4},
        {
            "name": "priority",
            "kind": "number",
            "low": 1,
            "high": 4,
            "edges": [1.5, 2.5, 3.5],
            "weight": 0.3,
            "factors": [0.25, 0.5, 1.0, 2.0],
        },
        {"name": "contact_type", "kind": "text", "cells": 8, "weight": 0.3},
    ],
}


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of resource allocation."""
    told = (
        (R2, Baseline("the mean of each category, alone", category_r2)),
        (FLOW, Baseline("the mean of each category, alone", category_flow)),
        (WAITING, Baseline("the mean of each category, alone", category_waiting)),
        (COVERAGE_ERROR, Baseline("quantiles of one's own hours", own_quantiles)),
    )
    tables = (
        ("incident_log", ALL, RECORDS, False),
        ("incident_log_week", OF_A_WEEK, RECORDS_OF_A_WEEK, True),
    )
    return tuple(
        Benchmark(
            dataset=dataset,
            workload=partial(incidents, metric, of_a_week=of_a_week),
            members=MEMBERS,
            records=records,
            source=source,
            baseline=baseline,
        )
        for dataset, source, records, of_a_week in tables
        for metric, baseline in told
    )


def incidents(metric: Metric, *, of_a_week: bool = False) -> Workload:
    """Return the incidents, as they were opened, with the hours until they were resolved."""
    name = "incidents of a week" if of_a_week else "incident log"
    return Workload(name, "resource", CONFIG, _prepared(of_a_week), metric, rounds=ROUNDS)


def category_r2(train: Data, test: Data, seed: int) -> float:
    """Return the R2 of log hours of telling each category's own mean."""
    logs = np.log(test["hours"].astype(np.float64))
    missed = logs - _category_means(train, test)
    return 1 - float(missed @ missed) / float(((logs - logs.mean()) ** 2).sum())


def category_flow(train: Data, test: Data, seed: int) -> float:
    """Return what the shortest first saves of the stay by each category's own mean."""
    return savings(_category_means(train, test), test["hours"].astype(np.float64)).stay


def category_waiting(train: Data, test: Data, seed: int) -> float:
    """Return what the shortest first saves of the wait by each category's own mean."""
    return savings(_category_means(train, test), test["hours"].astype(np.float64)).wait


def own_quantiles(train: Data, test: Data, seed: int) -> float:
    """Return how far the coverage is off of the range of one's own hours."""
    low, high = np.quantile(train["hours"].astype(np.float64), (LEVELS[0], LEVELS[-1]))
    hours = test["hours"].astype(np.float64)
    return abs(float(np.mean((hours > low) & (hours <= high))) - (LEVELS[-1] - LEVELS[0]))


def _category_means(train: Data, test: Data) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the mean of log hours of each test record's category; of all where it is unknown."""
    own, others = (data["cells"][:, 0].astype(np.int64) for data in (train, test))
    logs = np.log(train["hours"].astype(np.float64))
    known = own != NOWHERE
    size = 1 + int(max(own.max(), others.max()))
    counts = np.bincount(own[known], minlength=size)
    sums = np.bincount(own[known], weights=logs[known], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), logs.mean())
    return np.where(others == NOWHERE, logs.mean(), means[others])


@cache
def _prepared(of_a_week: bool) -> Data:
    """Read incidents as a member would: through a file and the column map."""
    opened = _opened(data_folder() / FILE)
    rows = [one for one in opened if not of_a_week or float(one["elapsed_hours"]) <= WEEK_H]
    agent = configure("resource", CONFIG, {"all": len(rows)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tickets.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        source = TableSource.model_validate({"path": path, "id": "ticket_id"})
        return agent.prepare(read_records(source, agent.schema).table)


def _opened(path: Path) -> Iterator[dict[str, str]]:
    """Yield each incident as it was opened, but for those that were never resolved.

    Nor are those told that were resolved by their first event: nothing was left to predict.
    """
    first: dict[str, dict[str, str]] = {}
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for event in csv.DictReader(file):
                first.setdefault(event["number"], event)
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}; get it again") from None
    for number, event in first.items():
        if event["resolved_at"] == UNKNOWN or event["ident_state"] == "Resolved":
            continue
        opened, resolved = (
            datetime.strptime(event[name], WRITTEN).replace(tzinfo=UTC)
            for name in ("opened_at", "resolved_at")
        )
        yield {
            "ticket_id": number,
            "category": event["category"],
            "assignment_group": event["assignment_group"],
            "priority": event["priority"],
            "contact_type": event["contact_type"],
            "registered_by": event["sys_created_by"],
            "opened_by": event["opened_by"],
            "elapsed_hours": str((resolved - opened).total_seconds() / HOUR_S),
        }
