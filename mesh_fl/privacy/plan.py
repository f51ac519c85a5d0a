"""The privacy promise of one training, frozen before anybody is asked.

A plan binds everything that the promise rests on: clip, noise, the number of releases, the fewest
survivors, the colluders withstood, and each member's declared public cap of records. Its digest
goes into every message, so two parties that act on different plans find out at once.
"""

import math
from functools import cache, cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mesh_fl.errors import PlanError
from mesh_fl.privacy.accounting import epsilon_of, mu_of
from mesh_fl.privacy.clipping import choose_scale, integer_bound
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.encryption import Parameters
from mesh_fl.privacy.noise import LARGEST_SIGMA, SMALLEST_SIGMA
from mesh_fl.privacy.packing import Packing, best_packing

Kind = Literal["train", "measure"]

DISCRETE_SLACK = 0.999
"""Share of epsilon that is calibrated for; the rest covers the discrete Gaussian's deviation."""

TAIL = 9.0
"""Noise beyond this many standard deviations has probability below 2**-61 a coordinate."""

TALLY = 2
"""Values of every contribution that are 1: a sum that lacks a member or a mask shows it there."""

LARGE = 20
"""Members of a cohort up to which all must answer; in larger ones somebody always drops out."""

ROUNDING = 1e-9
"""Relative tolerance when budgets that should be equal are compared as floats."""


class Release(BaseModel):
    """How the rows of one kind become one noised integer sum.

    Parameters
    ----------
    clip : float
        L2 bound of a row.
    scale : float
        Integer units per unit of a row.
    sensitivity : float
        L2 distance, in integer units, that one record can move the sum.
    sigma : float
        Standard deviation of the noise that is left when the colluders take theirs away.
    share : float
        Standard deviation of what each member adds.
    bound : int
        No integer of a sum is larger in magnitude.
    packing : Packing
        How many of them share a slot of the encryption.
    """

    model_config = ConfigDict(frozen=True)

    dimension: int
    clip: float
    scale: float
    sensitivity: float
    sigma: float
    share: float
    bound: int
    packing: Packing = Packing(per_slot=1, width=62)

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of one release: sensitivity over noise."""
        return self.sensitivity / self.sigma


class Plan(BaseModel):
    """What every member of a training agrees to.

    Parameters
    ----------
    agent : str
        Registered name of the agent.
    config : str
        The agent's configuration as canonical JSON.
    unit : {"record", "client"}
        What one row stands for, and so what is protected.
    dimension, measure_dimension : int
        Length of a row of `contribute` and of `measure`.
    clip, measure_clip : float
        L2 bounds of those rows.
    rounds, measures, spares : int
        Training releases, measuring releases, and training releases that may fail.
    measure_share : float
        Part of the budget (as the sum of squared mu) that all measures take together.
    epsilon, delta : float
        The total promise for a record that takes part in everything.
    survivors, colluders : int
        m, the fewest members in a sum, and T, how many of them may collude with the operator.
    caps : dict of str to int
        Each member's declared public upper bound on its records.
    epoch_steps : int
        Releases after which keys are made anew.
    trust : {"distributed", "local"}
        Whether the members share the noise or each adds all of it.
    multiplier, measure_multiplier : float, optional
        Noise over sensitivity of a release; None until `calibrate`.

    Guarantee
    ---------
    Neighbouring relation: add or remove one `unit`. With at least `survivors` members in every
    opened sum, all releases together are (epsilon, delta)-differentially private against the
    operator, outsiders, and any `colluders` members who act together with the operator: each share
    of noise has variance sigma² / (survivors - colluders), so sigma² is left when the colluders
    take theirs away. Broken by a sum over fewer members, by more colluders, by releases not
    charged, or by a member with more records of one person than one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    agent: str
    config: str
    unit: Literal["record", "client"] = "record"
    dimension: int = Field(gt=0)
    measure_dimension: int = Field(ge=0)
    clip: float = Field(gt=0, allow_inf_nan=False)
    measure_clip: float = Field(gt=0, allow_inf_nan=False)
    rounds: int = Field(gt=0, le=10_000)
    measures: int = Field(ge=0)
    spares: int = Field(ge=0, le=10_000)
    measure_share: float = Field(ge=0, lt=1)
    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1)
    survivors: int = Field(gt=1)
    colluders: int = Field(ge=0)
    caps: dict[str, int]
    epoch_steps: int = Field(default=8, ge=1)
    trust: Literal["distributed", "local"] = "distributed"
    multiplier: float | None = Field(default=None, gt=1e-9, allow_inf_nan=False)
    measure_multiplier: float | None = Field(default=None, gt=1e-9, allow_inf_nan=False)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.colluders < self.survivors <= len(self.caps):
            raise ValueError(
                f"expected colluders < survivors <= members, found {self.colluders}, "
                f"{self.survivors} and {len(self.caps)}: register more members, or plan for fewer"
            )
        if min(self.caps.values()) < 1:
            raise ValueError("every member's cap must be at least 1 record")
        if (self.measures > 0) != (self.measure_share > 0):
            raise ValueError(
                f"measures = {self.measures} needs measure_share "
                f"{'above' if self.measures else 'equal to'} 0, found {self.measure_share}"
            )
        if self.measures and not self.measure_dimension:
            raise ValueError(f"agent {self.agent!r} measures nothing: plan measures = 0")
        if self.measures > self.rounds:
            raise ValueError(f"measures = {self.measures} exceed rounds = {self.rounds}")
        if self.delta > largest_delta(self.caps) * (1 + ROUNDING):
            raise ValueError(
                f"delta must be at most {largest_delta(self.caps):.3g} for caps that add up to "
                f"{sum(self.caps.values())} records, found {self.delta:g}"
            )
        return self

    def calibrate(self) -> Self:
        """Return the plan with the noise that its epsilon and delta ask for."""
        budget = budget_of(self.epsilon, self.delta)
        train = budget * (1 - self.measure_share) / (self.rounds + self.spares)
        measure = budget * self.measure_share / max(self.measures, 1)
        multipliers = {
            "multiplier": 1 / math.sqrt(train),
            "measure_multiplier": 1 / math.sqrt(measure) if measure else None,
        }
        # Not `model_copy`, which would take a digest along that was computed before.
        plan = self.model_validate({**self.model_dump(), **multipliers})
        for kind, release in plan._unpacked.items():
            if not SMALLEST_SIGMA <= release.share <= LARGEST_SIGMA:
                raise PlanError(
                    f"expected noise shares of {SMALLEST_SIGMA:g} to {LARGEST_SIGMA:g} units, the "
                    f"{kind} releases would have {release.share:.3g}: change epsilon or rounds"
                )
        return plan

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical plan, hexadecimal."""
        return digest_of("plan", self.model_dump(mode="json"))

    @cached_property
    def schedule(self) -> tuple[Kind, ...]:
        """The releases in order: see `schedule_of`."""
        return schedule_of(self.rounds, self.measures)

    def cost(self, kind: Kind) -> float:
        """Squared mu that one attempt at a release costs a record."""
        multiplier = self.multiplier if kind == "train" else self.measure_multiplier
        if multiplier is None:
            raise PlanError("the plan is not calibrated: call plan.calibrate() before using it")
        return float(multiplier**-2)

    @property
    def total_cost(self) -> float:
        """Squared mu of a member that takes part in everything, spare attempts included."""
        measures = self.measures * self.cost("measure") if self.measures else 0.0
        return (self.rounds + self.spares) * self.cost("train") + measures

    def affords(self, spent: float, steps_done: int) -> bool:
        """Tell whether the attempts so far leave enough for every release still scheduled."""
        left = self.schedule[steps_done:]
        ahead = sum(left.count(kind) * self.cost(kind) for kind in set(left))
        return spent + ahead <= self.total_cost * (1 + ROUNDING)

    def release(self, kind: Kind) -> Release:
        """Return how rows of a kind are clipped, scaled, noised and encrypted."""
        return self._releases[kind]

    def bare_release(self, kind: Kind) -> Release:
        """Return the same where nothing is encrypted, with as many members as may be simulated."""
        return self._unpacked[kind]

    @cached_property
    def parameters(self) -> Parameters:
        """Encryption parameters that hold every possible sum of every kind of release."""
        return self._encoding[1]

    @cached_property
    def _encoding(self) -> tuple[Packing, Parameters]:
        bound = max(release.bound for release in self._unpacked.values())
        longest = max(self.dimension, self.measure_dimension) + TALLY
        return best_packing(bound, len(self.caps), longest)

    @cached_property
    def _releases(self) -> dict[Kind, Release]:
        packing = self._encoding[0]
        return {
            kind: release.model_copy(update={"packing": packing})
            for kind, release in self._unpacked.items()
        }

    @cached_property
    def _unpacked(self) -> dict[Kind, Release]:
        kinds: tuple[Kind, ...] = ("train", "measure") if self.measures else ("train",)
        return {kind: self._release(kind) for kind in kinds}

    def _release(self, kind: Kind) -> Release:
        clip, dimension = (
            (self.clip, self.dimension)
            if kind == "train"
            else (self.measure_clip, self.measure_dimension)
        )
        scale = choose_scale(clip, dimension)
        sensitivity = integer_bound(clip, scale, dimension)
        sigma = sensitivity / math.sqrt(self.cost(kind))
        honest = 1 if self.trust == "local" else self.survivors - self.colluders
        share = sigma / math.sqrt(honest)
        tail = TAIL * share * math.sqrt(len(self.caps))
        return Release(
            dimension=dimension,
            clip=clip,
            scale=scale,
            sensitivity=sensitivity,
            sigma=sigma,
            share=share,
            bound=math.ceil(sum(self.caps.values()) * sensitivity + tail) + len(self.caps),
        )


class Policy(BaseModel):
    """What a member insists on, whatever plan it is offered.

    Parameters
    ----------
    epsilon, delta : float
        Lifetime budget of a record in this member's ledger.
    survivors : int
        Fewest members that a sum may be made of.
    colluders : int
        Colluders that a plan must withstand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float = Field(default=0.1, gt=0)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    survivors: int = Field(default=4, gt=1)
    colluders: int = Field(default=1, ge=0)

    @property
    def budget(self) -> float:
        """Squared mu that a record may spend in its life."""
        return budget_of(self.epsilon, self.delta)

    def admit(self, plan: Plan, member: str, records: int) -> None:
        """Refuse a plan that promises less than this policy.

        Raises
        ------
        PlanError
            Naming the first term that is laxer, the value found and the value insisted on.
        """
        terms = (
            ("epsilon", plan.epsilon, self.epsilon, plan.epsilon <= self.epsilon),
            ("delta", plan.delta, self.delta, plan.delta <= self.delta),
            ("colluders", plan.colluders, self.colluders, plan.colluders >= self.colluders),
            ("survivors", plan.survivors, self.survivors, plan.survivors >= self.survivors),
        )
        for term, found, own, kept in terms:
            if not kept:
                raise PlanError(
                    f"the plan has {term} = {found:g}, our policy insists on {own:g}: ask the "
                    "operator for a stricter plan"
                )
        if plan.total_cost > budget_of(plan.epsilon, plan.delta) * (1 + ROUNDING):
            raise PlanError(
                f"the plan's noise is too small for the epsilon = {plan.epsilon:g} that it claims: "
                "do not take part, and tell the operator"
            )
        cap = plan.caps.get(member)
        if cap is None:
            raise PlanError(f"the plan does not name member {member!r}: ask the operator to add us")
        if records > cap:
            raise PlanError(
                f"we have {records} records, but declared at most {cap}: run `mesh-client card "
                "--cap N` and give the new card to the operator"
            )


def schedule_of(rounds: int, measures: int) -> tuple[Kind, ...]:
    """Return releases in order: measures are spread evenly, the last one at the end."""
    after = [round((k + 1) * rounds / measures) for k in range(measures)]
    kinds: list[Kind] = []
    for done in range(1, rounds + 1):
        kinds += ["train", *(["measure"] * after.count(done))]  # type: ignore[list-item]
    return tuple(kinds)


@cache
def budget_of(epsilon: float, delta: float) -> float:
    """Return the squared mu that (epsilon, delta) allows, less the discrete Gaussian's slack."""
    return mu_of(DISCRETE_SLACK * epsilon, delta) ** 2


def part_of(epsilon: float, delta: float, share: float) -> float:
    """Return the epsilon of a plan that takes a share of the squared mu of another epsilon.

    Guarantee
    ---------
    Plans for the same records whose shares add up to at most 1 compose, as Gaussian mechanisms do,
    to at most the given epsilon at `delta`.
    """
    part = share * budget_of(epsilon, delta) * (1 - ROUNDING)
    return epsilon_of(math.sqrt(part), delta) / DISCRETE_SLACK


def largest_delta(caps: dict[str, int]) -> float:
    """Return the largest delta that still means something for so many records."""
    return min(1e-5, 1 / (10 * max(1, sum(caps.values()))))
