"""What a learned policy sees of each waiting ticket."""

import math

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Known
from mesh_fl.agents.resource.dispatching_crew import Crew
from mesh_fl.agents.resource.policy import Seen

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FEATURES = (
    "log_weight",
    "log_hours",
    "scarcity",
    "due_in_a_shift",
    "due_in_a_day",
    "due_in_days",
    "ends_in_shift",
    "is_late",
    "log_age",
    "log_hours_to_mean",
    "log_waiting",
    "log_others_waiting",
    "log_work_waiting",
    "left_of_shift",
)
"""Of a ticket, and then of the queue; hours are predicted ones."""

SCALES_H = np.array([8.0, 24.0, 72.0])
"""Of slack, by which something is due soon."""

SHIFT_H, FARTHEST_H = 8.0, 16_800.0


class Tickets:
    """Features of waiting tickets; what never changes of them is computed once.

    Parameters
    ----------
    known : Known
    crew : Crew
    """

    def __init__(self, known: Known, crew: Crew) -> None:
        hours, weight = known.predicted_h, np.maximum(known.weight, 1e-9)
        self.log_ratio = np.log(hours / weight)
        """By which WSPT ranks, shape (n,)."""
        self._people = len(crew.can)
        self._fixed = np.column_stack(
            [
                np.log(weight),
                np.log(hours),
                crew.scarcity[known.skill],
                np.minimum(known.due_h - hours, known.opened_h + FARTHEST_H),
                known.opened_h,
                hours,
            ]
        )

    def features(self, seen: Seen) -> Matrix:
        """Return the features of the waiting tickets, shape (waiting, features).

        There are few tickets at a time, so what counts here is the number of calls.
        """
        now, rows = seen.now_h, self._fixed[seen.waiting]
        tickets, others = len(rows), len(seen.others)
        left = min(seen.crew.calendars[seen.technician].left(now), 10 * SHIFT_H)
        slack, hours = rows[:, 3] - now, rows[:, 5]
        x = np.empty((tickets, len(FEATURES)))
        x[:, :3] = rows[:, :3]
        x[:, 3:6] = np.log1p(np.exp(-np.maximum(slack, 0.0)[:, None] / SCALES_H))
        x[:, 6] = np.tanh(left / hours - 1)
        x[:, 7] = slack < 0
        x[:, 8] = np.log1p(now - rows[:, 4]) / 4
        x[:, 9] = rows[:, 1] - rows[:, 1].sum() / tickets
        x[:, 10] = math.log(tickets + others) - 1.5
        x[:, 11] = math.log1p(others)
        x[:, 12] = math.log1p(float(hours.sum()) / (self._people * SHIFT_H))
        x[:, 13] = min(left, SHIFT_H) / SHIFT_H - 0.5
        return x
