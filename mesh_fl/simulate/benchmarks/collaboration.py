"""Collaboration: what incidents need, counted privately; and whether alike texts are matched."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents._histogram import total_variation
from mesh_fl.agents.collaboration.quality import rank_correlation
from mesh_fl.agents.collaboration.skills import words_of
from mesh_fl.errors import DataError
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.dealing import deal_of
from mesh_fl.simulate.trial import Workload

INCIDENTS = "incident_event_log.csv.gz"
PAIRS = "stsb/sts-test.tsv.gz"

APART = Metric("total_variation", higher_is_better=False)
SPEARMAN = Metric("spearman", higher_is_better=True)

DECLARED = 49
"""Categories that are declared as skills; all others together are the fiftieth cell."""

HIGHEST_SCORE = 5.0
"""Of the judgements of STS-B."""


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of collaboration."""
    own = Baseline(
        "one's own shares",
        own_shares,
        "Each member takes the shares of its own incidents for those of all.",
    )
    overlap = Baseline(
        "shared words",
        word_overlap,
        "Share of the words of both texts that both have (Jaccard 1901); it learns nothing.",
    )
    source = (
        "24,918 incidents of one company's service desk (UCI 498, CC BY 4.0), the category of each "
        "as the skill it needs: codes, since the log has no names. The 49 commonest are declared, "
        "which is public knowledge here; compared with the shares among all 24,918. No setting was "
        "chosen on it"
    )
    return (
        Benchmark(
            workload=incident_skills,
            dataset="incident_skills",
            members=100,
            records=245,
            baseline=own,
            source=source,
        ),
        Benchmark(
            workload=incident_skills,
            dataset="incident_skills_by_group",
            members=50,
            records=490,
            baseline=own,
            source=source,
            deal=deal_of("column:group"),
            dealt="by the group that an incident was assigned to first: one-sided members",
        ),
        Benchmark(
            workload=judged_pairs,
            dataset="stsb",
            members=10,
            records=100,
            baseline=overlap,
            source="1,379 pairs of sentences of the STS-B test set, judged by people (see its "
            "LICENSE.txt). The cosine is public and never trained: every column is the same",
        ),
    )


@cache
def incident_skills() -> Workload:
    """Return what each incident needs; the figure compares with all of them."""
    categories, groups = zip(*_incidents(data_folder() / INCIDENTS), strict=True)
    common = [name for name, _ in Counter(categories).most_common(DECLARED)]
    # By words alone: codes that differ in a digit are like each other and mean something else.
    config = {"skills": [{"name": name} for name in common], "least_similarity": 1.0}
    agent = configure("collaboration", config, {"all": len(categories)})
    data = agent.prepare({"needs": np.array(categories, dtype=np.object_)})
    data = {**data, "group": np.array(groups)}
    return Workload("incidents", "collaboration", config, data, APART, test=data)


@cache
def judged_pairs() -> Workload:
    """Return pairs of sentences as requirements and profiles, with their likeness."""
    rows = list(_pairs(data_folder() / PAIRS))
    agent = configure("collaboration", {}, {"all": len(rows)})
    ours, theirs, scores = zip(*rows, strict=True)
    table = {
        "requirements": np.array(ours, dtype=np.object_),
        "offered": np.array(theirs, dtype=np.object_),
        "likeness": np.array(scores, dtype=np.float64) / HIGHEST_SCORE,
    }
    pairs = np.arange(len(rows))
    overlap = np.array([_overlap(*pair) for pair in zip(ours, theirs, strict=True)])
    data = {**agent.prepare(table), "overlap": overlap, "pair": pairs}
    return Workload("STS-B", "collaboration", {}, data, SPEARMAN, rounds=1, test=data)


def own_shares(train: Data, test: Data, seed: int) -> float:
    """Return how far the shares of some records are from those of all."""
    cells = DECLARED + 1
    own, all_ = (
        np.bincount(data["need"].astype(np.int64), minlength=cells) for data in (train, test)
    )
    return total_variation(own / own.sum(), all_ / all_.sum())


def word_overlap(train: Data, test: Data, seed: int) -> float:
    """Return the rank correlation of shared words and judgement."""
    overlap, likeness = (test[name].astype(np.float64) for name in ("overlap", "likeness"))
    return rank_correlation(overlap, likeness)


def _overlap(one: str, other: str) -> float:
    ours, theirs = set(words_of(one)), set(words_of(other))
    return len(ours & theirs) / max(1, len(ours | theirs))


def _incidents(path: Path) -> Iterator[tuple[str, str]]:
    """Read category and group of each incident, as its first event tells them."""
    seen: set[str] = set()
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["number"] not in seen:
                    seen.add(row["number"])
                    yield _code(row["category"]), row["assignment_group"]
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from None


def _code(category: str) -> str:
    """Name a category; the log writes ? for none."""
    return "category untold" if category == "?" else f"category {category}"


def _pairs(path: Path) -> Iterator[tuple[str, str, float]]:
    """Read both sentences and the score of each pair."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                cells = line.rstrip("\n").split("\t")
                yield cells[5], cells[6], float(cells[4])
    except (OSError, IndexError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
