"""What was known of a ticket's hours as it was opened, from those closed before."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.replay_history import History

Vector = NDArray[np.float64]

USUAL_LOG_H = 0.0
"""Before anything was closed: an hour."""

PRIOR_TICKETS = 5.0
"""A category's own mean counts half as soon as so many of it were closed."""


def foretold(history: History) -> Vector:
    """Predict each ticket by the geometric mean of its category's earlier ones.

    A category of few is drawn towards the mean of all. Nothing of a ticket closed after another
    was opened tells of that other's hours.

    Returns
    -------
    ndarray, shape (n,)
        Hours.
    """
    logs, ledger = np.log(history.hours), _Ledger()
    closing = np.argsort(history.closed_h, kind="stable").tolist()
    predicted, closed = np.empty(len(logs)), 0
    for ticket, opened in enumerate(history.opened_h.tolist()):
        while closed < len(closing) and history.closed_h[closing[closed]] < opened:
            done = closing[closed]
            ledger.note(history.category[done], float(logs[done]))
            closed += 1
        predicted[ticket] = ledger.mean(history.category[ticket])
    return np.exp(predicted)


@dataclass
class _Ledger:
    """Sums of logarithms of hours, of all and by category."""

    total: float = 0.0
    count: int = 0
    by_category: dict[str, tuple[float, int]] = field(default_factory=dict)

    def note(self, category: str, log: float) -> None:
        self.total, self.count = self.total + log, self.count + 1
        total, count = self.by_category.get(category, (0.0, 0))
        self.by_category[category] = total + log, count + 1

    def mean(self, category: str) -> float:
        every = (self.total + USUAL_LOG_H) / (self.count + 1)
        total, count = self.by_category.get(category, (0.0, 0))
        return (total + PRIOR_TICKETS * every) / (count + PRIOR_TICKETS)
