"""Figures of quality by their names: which of several leads, and whether more of it is better."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

RISING = ("auc", "accuracy", "r2", "spearman", "hit_at_1")
FALLING = ("total_variation", "mase", "smape", "brier", "calibration_error", "loss")


@dataclass(frozen=True)
class Metric:
    """A figure that models are compared by.

    Parameters
    ----------
    name : str
        As `Agent.evaluate` and `Agent.score` call it.
    higher_is_better : bool
    """

    name: str
    higher_is_better: bool

    @property
    def sign(self) -> int:
        """Return 1 where more is better, else -1."""
        return 1 if self.higher_is_better else -1


def headline(names: Collection[str]) -> Metric | None:
    """Return the figure that leads among several, None where none of them is known."""
    for name in (*RISING, *FALLING):
        if name in names:
            return Metric(name, name in RISING)
    return None


def told(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that are known: noise or too few records leave some of them NaN."""
    return {name: float(value) for name, value in scores.items() if math.isfinite(value)}
