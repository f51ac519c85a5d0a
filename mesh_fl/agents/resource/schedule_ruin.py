"""Improving a plan by taking tasks out and putting them back where they cost least.

First one task at a time, until nothing gets better. Then a handful that lie near each other in
time (ruin and recreate: Schrimpf et al. 2000, J. Comp. Phys. 159; as strings: Christiaens and
Vanden Berghe 2020, Transp. Sci. 54), where a plan that is a little worse may be kept for a while.
"""

import math
from random import Random

from mesh_fl.agents.resource.schedule_effort import Clock
from mesh_fl.agents.resource.schedule_orders import Orders

FEWEST, MOST = 2, 12
"""Tasks taken out at once."""

WARMTH = 0.001
"""In the beginning, by about which share a worse plan may be worse and kept."""


def move_one_by_one(orders: Orders, clock: Clock, seed: int) -> None:
    """Move single tasks until none is better elsewhere, or time is up."""
    random = Random(seed)  # noqa: S311 - nothing secret
    tasks = [task for task, able in enumerate(orders.able) if able]
    before = math.inf
    while orders.total() < before:
        before = orders.total()
        random.shuffle(tasks)
        for task in tasks:
            if clock.is_over(orders.tried):
                return
            orders.take_out(task)
            orders.put_back(task)


def ruin_and_recreate(orders: Orders, clock: Clock, seed: int) -> None:
    """Move handfuls of tasks until time is up; the best plan seen stays."""
    random = Random(seed)  # noqa: S311 - nothing secret
    tasks = [task for task, able in enumerate(orders.able) if able]
    if len(tasks) < FEWEST:
        return
    best, kept = orders.total(), orders.saved()
    now = best
    while not clock.is_over(orders.tried):
        before = orders.saved()
        _ruin(orders, random, tasks)
        _recreate(orders, random)
        found = orders.total()
        warmth = WARMTH * (1 - clock.share(orders.tried)) ** 2
        if found <= now * (1 + warmth * random.expovariate(1.0)):
            now = found
        else:
            orders.restore(before)
        if now < best:
            best, kept = now, orders.saved()
    orders.restore(kept)


def _ruin(orders: Orders, random: Random, tasks: list[int]) -> None:
    """Take out tasks that begin at about the same time, and that the same people can do."""
    centre = random.choice(tasks)
    begins = orders.begins()
    at, able = begins.get(centre, 0), orders.able_sets[centre]
    near = [task for task in begins if not able.isdisjoint(orders.able_sets[task])]
    near.sort(key=lambda task: abs(begins[task] - at) * (0.5 + random.random()))
    for task in near[: random.randint(FEWEST, MOST)]:
        orders.take_out(task)


def _recreate(orders: Orders, random: Random) -> None:
    """Put back what is out, in one of three orders."""
    back = sorted(orders.out)
    random.shuffle(back)
    kind = random.random()
    if kind < 0.4:
        back.sort(key=lambda task: orders.work[task] / max(orders.flow[task], 1))
    elif kind < 0.7:
        back.sort(key=lambda task: -orders.work[task])
    for task in back[: 2 * MOST]:
        orders.put_back(task)
