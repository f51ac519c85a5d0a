"""What members may expect of a plan before it spends their budget, from records of nobody."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path

from mesh_fl.errors import DataError
from mesh_fl.planning import make_plan
from mesh_fl.privacy.plan import Plan
from mesh_fl.quality import Metric
from mesh_fl.simulate.arguments import blamed_on
from mesh_fl.simulate.comparison import Comparison
from mesh_fl.simulate.larger_crowds import FACTORS, Enough, enough
from mesh_fl.simulate.shards import Shards
from mesh_fl.simulate.statistics import FEWEST_SEEDS
from mesh_fl.simulate.trial import Crowd, Federated, References
from mesh_fl.simulate.workloads import Material, Wanted, find, names_public_set

MOST_RECORDS = 200_000
"""Of all members in a forecast, so that it takes seconds."""

PATIENCE_S = 15.0
"""After which no further seed is begun, nor a larger crowd: an operator waits for this."""

WORDS = {
    "gain": "worth the budget",
    "no gain at this crowd": "not worth the budget",
    "too few seeds": "no time to tell whether it is worth the budget, `mesh-sim crowd` takes it",
}


@dataclass(frozen=True)
class Expectation:
    """What a training is expected to come to.

    Parameters
    ----------
    dataset : str
        What it was tried on.
    metric : Metric
    sizes : tuple of int
        Records that each member was taken to have.
    epsilon : float
    seeds : int
        Trials that there was time for.
    comparison : Comparison
    larger : Enough, optional
        What larger crowds of such members came to, where this one gains nothing.
    """

    dataset: str
    metric: Metric
    sizes: tuple[int, ...]
    epsilon: float
    seeds: int
    comparison: Comparison
    larger: Enough | None = None

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        low, high = min(self.sizes), max(self.sizes)
        each = f"{low}" if low == high else f"{low} to {high}"
        quality = self.comparison.quality
        expected, alone = quality[self.comparison.best(self.metric)], quality["alone"]
        error = f"±{expected.error:.3f}" if isfinite(expected.error) else ""
        rival = f"alone {alone.mean:.3f}"
        if self.metric.sign * (quality["public"].mean - alone.mean) > 0:
            rival += f", what is public {quality['public'].mean:.3f}"
        return (
            f"{len(self.sizes)} MSPs x {each} records at epsilon = {self.epsilon:g}: expected "
            f"{self.metric.name} {expected.mean:.3f}{error}, {rival} (on "
            f"{self.dataset} records): {WORDS[self.comparison.verdict]}"
            + (f"; {self.larger.sentence}" if self.larger else "")
        )

    def facts(self) -> dict[str, object]:
        """Return it for programs."""
        quality = self.comparison.quality
        return {
            "dataset": self.dataset,
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "epsilon": self.epsilon,
            "members": len(self.sizes),
            "records": sum(self.sizes),
            "seeds": self.seeds,
            **{kind: found.mean for kind, found in quality.items()},
            "verdict": self.comparison.verdict,
            "enough_members": self.larger.members if self.larger else None,
        }


def expect(
    plan: Plan,
    config: Mapping[str, object],
    caps: Mapping[str, int],
    *,
    data: str,
    columns: Path | None = None,
    records: int | None = None,
    seeds: int = FEWEST_SEEDS,
    patience_s: float = PATIENCE_S,
    larger: bool = False,
) -> Expectation:
    """Try a plan on public or made-up records.

    Parameters
    ----------
    plan : Plan
        Its very terms are tried.
    config : mapping
        The agent's, as in server.toml.
    caps : dict of str to int
        Each member's declared cap of records.
    data, columns
        As in `Wanted`.
    records : int, optional
        That each member has, up to its cap: see `sizes_of`.
    seeds : int
        Fresh splits and noise.
    patience_s : float
        After which no further seed is begun, nor a larger crowd.
    larger : bool
        Whether to look for a crowd that would gain, where this one does not.

    Raises
    ------
    MeshError
        If the records do not suit the agent, or are too few for these members.
    """
    sizes = sizes_of(caps, records)
    wanted = Wanted(
        agent=plan.agent,
        data=data,
        # A public set comes with the configuration that reads it.
        config={} if names_public_set(data) else config,
        columns=columns,
        rounds=plan.rounds,
        records=sum(sizes),
    )
    material = find(wanted)
    references: list[References] = []
    federated: list[Federated] = []
    began = time.monotonic()
    while len(references) < seeds and (not references or time.monotonic() - began < patience_s):
        with blamed_on(plan.agent):
            crowd = Planned.of(material, plan, caps, sizes, seed=len(references))
            references.append(References.of(crowd))
            federated.append(Federated.of(crowd, plan.epsilon))
    workload = material.workload
    comparison = Comparison.of(references, federated, workload.metric)
    wider = None
    if larger and comparison.verdict == "no gain at this crowd":
        wider = _enough(wanted, sizes, plan.epsilon, patience_s)
    return Expectation(
        workload.dataset,
        workload.metric,
        sizes,
        plan.epsilon,
        len(references),
        comparison,
        wider,
    )


def _enough(wanted: Wanted, sizes: Sequence[int], epsilon: float, patience_s: float) -> Enough:
    """Look for a larger crowd of members like these."""
    until = time.monotonic() + patience_s
    more = min(MOST_RECORDS, FACTORS[-1] * sum(sizes))
    with blamed_on(wanted.agent):
        material = find(replace(wanted, records=more))
        return enough(material, max(1, sum(sizes) // len(sizes)), len(sizes), epsilon, until)


def sizes_of(caps: Mapping[str, int], records: int | None = None) -> tuple[int, ...]:
    """Return how many records each member is taken to have: half its cap, if nobody says.

    Raises
    ------
    DataError
        If they are too many to be tried while somebody waits. Fewer would flatter the federation:
        what a member learns alone suffers more from the cut.
    """
    sizes = [max(1, cap // 2) if records is None else min(records, cap) for cap in caps.values()]
    if sum(sizes) > MOST_RECORDS:
        raise DataError(
            f"{len(sizes)} members have some {sum(sizes)} records, more than the {MOST_RECORDS} "
            "that can be tried while a server waits: `mesh-sim crowd` takes its time"
        )
    return tuple(sizes)


@dataclass(frozen=True)
class Planned(Crowd):
    """A crowd with the terms of a plan and the caps that its members declared.

    Parameters
    ----------
    terms : Plan
        For the agent as an operator configured it, which need not be this workload's.
    declared : dict of str to int
    """

    terms: Plan
    declared: Mapping[str, int]

    @classmethod
    def of(
        cls,
        material: Material,
        plan: Plan,
        caps: Mapping[str, int],
        sizes: tuple[int, ...],
        seed: int,
    ) -> "Planned":
        """Deal records out to members of these sizes, at random.

        Raises
        ------
        DataError
            If there are too few.
        """
        workload, total = material.workload, sum(sizes)
        most = workload.records - workload.held_out
        if total > most:
            raise DataError(
                f"{len(sizes)} members would have {total} records, {workload.dataset} serves "
                f"{most}: name larger data, or fewer records for each"
            )
        lot = Crowd.gather(workload, 1, total, seed)
        shards = Shards(tuple(caps), lot.shards.data, sizes)
        return cls(lot.workload, shards, lot.test, seed, plan, caps)

    @cached_property
    def caps(self) -> dict[str, int]:
        """What the members declared."""
        return dict(self.declared)

    def plan(self, epsilon: float) -> Plan:
        """Return the plan on its own terms, for this workload's agent."""
        terms = self.terms
        return make_plan(
            self.agent,
            terms.agent,
            self.caps,
            rounds=terms.rounds,
            measures=terms.measures,
            measure_share=terms.measure_share,
            spares=terms.spares,
            epoch_steps=terms.epoch_steps,
            survivors=terms.survivors,
            colluders=terms.colluders,
            epsilon=epsilon,
            delta=terms.delta,
            trust=terms.trust,
        )
