"""What a forecast says of training an agent for so many rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

Verdict = Literal["gain", "no gain at this crowd", "too few seeds"]

NEARLY = 0.95
"""Share of the best forecast's gain that fewer rounds must keep to be preferred."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A forecast for one number of rounds.

    Parameters
    ----------
    rounds : int
    metric : str
    higher_is_better : bool
    expected : float
        Of the better of the federated and the adapted model.
    rival : float
        The better of what is public and what a member learns alone.
    verdict : str
    enough_members : int, optional
        The smallest crowd tried that gains, where this one does not.
    """

    rounds: int
    metric: str
    higher_is_better: bool
    expected: float
    rival: float
    verdict: Verdict
    enough_members: int | None = None

    @classmethod
    def of(cls, rounds: int, facts: Mapping[str, object]) -> "Outlook | None":
        """Read a forecast's facts; None where they tell no quality."""
        names = ("public", "alone", "federated", "adapted")
        found = {name: _number(facts.get(name)) for name in names}
        verdict, metric = facts.get("verdict"), facts.get("metric")
        known = [value for value in found.values() if value is not None]
        if len(known) < len(names) or verdict not in ("gain", "no gain at this crowd"):
            return None
        best = max if facts.get("higher_is_better", True) else min
        enough = _number(facts.get("enough_members"))
        return cls(
            rounds=rounds,
            metric=str(metric),
            higher_is_better=best is max,
            expected=best(known[2:]),
            rival=best(known[:2]),
            verdict="gain" if verdict == "gain" else "no gain at this crowd",
            enough_members=None if enough is None else int(enough),
        )

    @property
    def closed(self) -> float:
        """Return the share that is closed of what the rival lacks to perfection, below 0 if worse.

        Perfection is 1 for what rises and 0 for what falls, so agents with different metrics can be
        put in an order.
        """
        missing = 1 - self.rival if self.higher_is_better else self.rival
        gain = self.expected - self.rival if self.higher_is_better else self.rival - self.expected
        return gain / missing if missing > 0 else min(0.0, gain)


def best_of(outlooks: Sequence[Outlook]) -> Outlook | None:
    """Return the forecast with the fewest rounds that gains nearly as much as the best."""
    if not outlooks:
        return None
    gaining = [one for one in outlooks if one.verdict == "gain"] or list(outlooks)
    most = max(one.closed for one in gaining)
    enough = most * NEARLY if most > 0 else most
    return min((one for one in gaining if one.closed >= enough), key=lambda one: one.rounds)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)
