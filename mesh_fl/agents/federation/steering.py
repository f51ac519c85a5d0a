"""Which agents to train next, in which order, for how many rounds, with how many members.

Nothing is read or sent here: forecasts, budgets and members are told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from mesh_fl.agents.federation.attendance import USUAL, most_sure
from mesh_fl.agents.federation.outlook import Outlook, best_of

TRIED_ROUNDS = (4, 8, 16, 32)
"""To forecast an agent with that takes steps."""

COUNTING_LOSS = 1.25
"""Variance that spare releases may add to a histogram, beside a training without any."""

UNTOLD_ROUNDS = 16
"""Of an agent that takes steps, where no forecast tells better."""

ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The least that every member's policy asks for.

    Parameters
    ----------
    survivors : int
        Members that a sum is made of, at least.
    colluders : int
        Members that may act together with the operator.
    """

    survivors: int = 4
    colluders: int = 1

    @property
    def fewest(self) -> int:
        """Members that a plan must ask for."""
        return max(2, self.survivors, self.colluders + 1)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An agent that could be trained.

    Parameters
    ----------
    agent : str
    caps : mapping of str to int
        Declared caps of the members who would take part.
    attendance : mapping of str to float
        How often each of them is there, 0 to 1; `USUAL` where it is not told.
    outlooks : tuple of Outlook
        A forecast for each number of rounds that was tried, such as `TRIED_ROUNDS`.
    counts : bool
        Whether the agent only averages a histogram, so that more rounds teach it nothing.
    spares : int
        Spare releases that its plan pays for.
    cost, left : float
        What its training costs a record, and what is left to the record that spent most, of all
        members who would take part; in a unit that adds up, such as squared mu.
    own : float
        What is left of the part which it may take of a budget that it shares.
    epsilon_of : callable
        Returns the epsilon that so much of a budget is, to be told.
    usual_rounds : int
        For an agent that takes steps, where no forecast tells better.
    table : str
        Where its records stand: agents of one table share a budget. Its own where empty.
    floor : Floor, optional
        The least that is asked for it, where that is not the same for all.
    """

    agent: str
    caps: Mapping[str, int]
    attendance: Mapping[str, float] = field(default_factory=dict)
    outlooks: tuple[Outlook, ...] = ()
    counts: bool = False
    spares: int = 2
    cost: float = 0.0
    left: float = inf
    own: float = inf
    epsilon_of: Callable[[float], float] = float
    usual_rounds: int = UNTOLD_ROUNDS
    table: str = ""
    floor: Floor | None = None

    @property
    def records(self) -> int:
        """The members' caps together."""
        return sum(self.caps.values())

    @property
    def purse(self) -> str:
        """What it shares its budget by."""
        return f"table {self.table}" if self.table else f"agent {self.agent}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do with one agent.

    Parameters
    ----------
    agent : str
    trains : bool
        Whether it is worth training now.
    rounds : int
        0 where it is not to be trained.
    survivors : int
        Members that a round waits for at least; 0 where it is not to be trained.
    reason : str
    share : float
        Part of the budget, as squared mu, to plan it with.
    """

    agent: str
    trains: bool
    rounds: int
    survivors: int
    reason: str
    share: float = 1.0


def rounds_to_try(candidate: Candidate) -> tuple[int, ...]:
    """Return the numbers of rounds that are worth a forecast."""
    return (counting_rounds(candidate.spares),) if candidate.counts else TRIED_ROUNDS


def counting_rounds(spares: int) -> int:
    """Return how many rounds a histogram takes: one, and more where spare releases cost as much.

    Its variance is that of one release without spares, times (rounds + spares) / rounds.
    """
    rounds = 1
    while (rounds + spares) / rounds > COUNTING_LOSS:
        rounds *= 2
    return rounds


def survivors_for(candidate: Candidate, floor: Floor) -> int | None:
    """Return the fewest members that a sum shall be made of: as many as are surely there.

    Each member adds noise of variance sigma^2 / (survivors - colluders), so more survivors mean
    less noise in all. None where policy asks for more members than are surely there.
    """
    sure = most_sure(candidate.attendance.get(name, USUAL) for name in candidate.caps)
    return sure if sure >= floor.fewest else None


def steer(candidates: Sequence[Candidate], floor: Floor) -> tuple[Step, ...]:
    """Put agents in the order in which to train them; those not to be trained come last.

    First those that a forecast says gain, by the share that they close of what is missing to
    perfection; then those of which no forecast tells. An agent whose table's budget an earlier one
    would use up waits, as does one that too few members are surely there for.
    """
    ranked = sorted(candidates, key=_rank)
    left: dict[str, float] = {}
    for one in ranked:
        left[one.purse] = min(one.left, left.get(one.purse, inf))
    steps = []
    for one in ranked:
        step = _step(one, one.floor or floor, left[one.purse])
        if step.trains:
            left[one.purse] -= one.cost
        steps.append(step)
    return tuple(sorted(steps, key=lambda step: not step.trains))


def _rank(candidate: Candidate) -> tuple[int, float]:
    best = best_of(candidate.outlooks)
    if best is None:
        return 1, 0.0
    return (0 if best.verdict == "gain" else 2), -best.closed


def _step(candidate: Candidate, floor: Floor, left: float) -> Step:
    best = best_of(candidate.outlooks)
    if refusal := _refusal(candidate, floor, left):
        return Step(agent=candidate.agent, trains=False, rounds=0, survivors=0, reason=refusal)
    return Step(
        agent=candidate.agent,
        trains=True,
        rounds=_rounds(candidate, best),
        survivors=survivors_for(candidate, floor) or floor.fewest,
        reason=_gain(best) if best else "no forecast tells what it would gain",
    )


def _rounds(candidate: Candidate, best: Outlook | None) -> int:
    if candidate.counts:
        return counting_rounds(candidate.spares)
    return best.rounds if best else candidate.usual_rounds


def _refusal(candidate: Candidate, floor: Floor, left: float) -> str:
    """Say why an agent is not to be trained now; empty where nothing speaks against it."""
    best, members = best_of(candidate.outlooks), len(candidate.caps)
    whose = "left to"
    if candidate.own < left:
        left, whose = candidate.own, "left of its part of the budget of"
    if candidate.cost > left * (1 + ROUNDING):
        return (
            f"it would cost a record epsilon {candidate.epsilon_of(candidate.cost):.3g}, and "
            f"{candidate.epsilon_of(max(0.0, left)):.3g} is {whose} {candidate.purse}"
        )
    if survivors_for(candidate, floor) is None:
        return (
            f"of {members} members too few are surely there at once: a sum takes {floor.fewest} at "
            "least"
        )
    if best is not None and best.verdict != "gain":
        return f"{_gain(best)}: no gain with these {members} members; {_enough(best)}"
    return ""


def _gain(best: Outlook) -> str:
    return (
        f"forecast {best.metric} {best.expected:.3f} after {best.rounds} rounds, against "
        f"{best.rival:.3f} without a training"
    )


def _enough(best: Outlook) -> str:
    if best.enough_members is None:
        return "no crowd tried would gain"
    return f"about {best.enough_members} would gain"
