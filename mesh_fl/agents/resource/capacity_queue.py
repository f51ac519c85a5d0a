"""How long tasks wait for somebody to begin, in a queue of several people (M/G/c, GI/G/c).

The mean wait of c people is that of Erlang C, times half the variability of arrivals and of work
(Allen 1990, Probability, statistics, and queueing theory, 2nd ed., section 5.3, after Cunneen);
exact for M/M/c, and for M/G/1 (Pollaczek and Khinchine).
"""

import math

from mesh_fl.agents.resource.capacity_demand import Demand


def erlang_c(people: int, load: float) -> float:
    """Return how probable it is that a task has to wait.

    Parameters
    ----------
    people : int
    load : float
        Work that comes in an hour, in hours; 1 is returned if it is not below `people`.
    """
    if load >= people:
        return 1.0
    blocked = 1.0
    for one in range(1, people + 1):
        blocked = load * blocked / (one + load * blocked)
    return blocked / (1 - load / people * (1 - blocked))


def mean_wait_h(demand: Demand, free_hours_week: float, week_h: float) -> float:
    """Return the mean wait, in working hours; infinity if the work is more than can be done.

    Free hours count as whole people, rounded down: shared hours are not there at every moment.
    """
    if demand.hours_week == 0:
        return 0.0
    if free_hours_week <= demand.hours_week:
        return math.inf
    people = max(1, math.floor(free_hours_week / week_h + 1e-9))
    busy = demand.hours_week / free_hours_week
    variability = (demand.arrival_scv + demand.service_scv) / 2
    queue = erlang_c(people, busy * people) / (people * (1 - busy))
    return variability * demand.mean_hours * queue


def hours_for_wait(demand: Demand, wait_h: float, week_h: float) -> float:
    """Return the fewest free hours a week with which tasks wait no longer on average."""
    low, high = demand.hours_week, demand.hours_week + week_h
    while mean_wait_h(demand, high, week_h) > wait_h:
        low, high = high, 2 * high
        if high > 1e15:
            return math.inf
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if mean_wait_h(demand, middle, week_h) > wait_h:
            low = middle
        else:
            high = middle
    return high
