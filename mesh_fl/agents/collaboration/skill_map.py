"""The network's skills: what is had and what is needed, as far as the noise lets it be seen."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mesh_fl.agents._histogram import Band, Histogram
from mesh_fl.agents.collaboration.answer import Figure, Network, SkillBalance
from mesh_fl.agents.collaboration.learned import Learned

SURE = 2.0
"""Bands that a figure must be away from 0 to be told of one skill among fifty: 3.4 standard
deviations, so that among all of them a false one comes up in some tenth of all maps."""

UNTRAINED = "no training has counted the network's skills yet"
HIDDEN = "the noise hides the network's {}: it has too few records with them"


def skill_map(learned: Learned, names: Sequence[str]) -> tuple[SkillBalance, ...]:
    """Return the skills whose share is surely above nothing, the scarcest first."""
    supply, demand = _bands(learned.supply), _bands(learned.demand)
    found = [
        _balance(name, has, needs)
        for name, has, needs in zip(names, supply, demand, strict=True)
        if any(one is not None and one.value > SURE * _reach(one) for one in (has, needs))
    ]
    return tuple(sorted(found, key=lambda one: (-(one.gap or 0.0), one.skill)))


def network_of(learned: Learned) -> Network:
    """Return how many records there are."""
    return Network(
        technicians=_records(learned.supply),
        needs=_records(learned.demand),
        introductions=_told(learned.introductions) if learned.introductions.low > 0 else None,
    )


def unseen(learned: Learned) -> dict[str, str]:
    """Say what of the map could not be told."""
    if learned.state["round"] == 0:
        names = ("skill_map", "network.technicians", "network.needs", "network.introductions")
        return dict.fromkeys(names, UNTRAINED)
    hidden = {
        "network.technicians": (learned.supply.is_seen, "technicians"),
        "network.needs": (learned.demand.is_seen, "needs"),
        "network.introductions": (learned.introductions.low > 0, "introductions"),
    }
    found = {name: HIDDEN.format(what) for name, (seen, what) in hidden.items() if not seen}
    if not learned.supply.is_seen:
        found["skill_map.supply"] = found["network.technicians"]
    if not learned.demand.is_seen:
        found["skill_map.demand"] = found["network.needs"]
    if not (learned.supply.is_seen or learned.demand.is_seen):
        found["skill_map"] = HIDDEN.format("technicians and needs")
    return found


def _bands(histogram: Histogram) -> list[Band | None]:
    cells = np.eye(len(histogram.counts))
    return [histogram.share(cell) if histogram.is_seen else None for cell in cells]


def _records(histogram: Histogram) -> Figure | None:
    return _told(histogram.records) if histogram.is_seen else None


def _told(band: Band) -> Figure:
    return Figure(value=band.value, low=band.low, high=band.high)


def _reach(band: Band) -> float:
    """Return half of a band, also where an end of it was cut off at 0 or 1."""
    return max(band.high - band.value, band.value - band.low)


def _balance(name: str, supply: Band | None, demand: Band | None) -> SkillBalance:
    gap = reach = None
    if supply is not None and demand is not None:
        gap = demand.value - supply.value
        reach = math.hypot(_reach(supply), _reach(demand))
    return SkillBalance(
        skill=name,
        supply=None if supply is None else _told(supply),
        demand=None if demand is None else _told(demand),
        gap=gap,
        gap_low=gap - reach if gap is not None and reach is not None else None,
        gap_high=gap + reach if gap is not None and reach is not None else None,
        verdict=_verdict(gap, reach) if gap is not None and reach is not None else None,
    )


def _verdict(gap: float, reach: float) -> Literal["scarce", "plentiful", "even"]:
    if abs(gap) <= SURE * reach:
        return "even"
    return "scarce" if gap > 0 else "plentiful"
