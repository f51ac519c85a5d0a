"""Dispatching policies on the same queues, seed by seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from mesh_fl.agents.resource.arrivals import Arrivals, QueueSetting, made_up_arrivals
from mesh_fl.agents.resource.dispatching import RULES, Atc, oracles
from mesh_fl.agents.resource.dispatching_figures import QueueFigures, figures
from mesh_fl.agents.resource.policy import DispatchPolicy
from mesh_fl.agents.resource.policy_training import cost
from mesh_fl.agents.resource.simulator import simulate_queue
from mesh_fl.simulate.statistics import Mean, paired, summarise

Told = Callable[[str], None]

LOOKAHEADS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
TUNING_SEED, TUNING_QUEUES = 3 * 10**6, 8
"""Queues that the lookahead of ATC is chosen on, for each load."""


@dataclass(frozen=True)
class Row:
    """One policy at one load.

    Parameters
    ----------
    policy : str
    load : float
    seeds : int
    figures : mapping of str to Mean
        Of `QueueFigures`, over seeds.
    saved_share : Mean
        By which share its cost is below that of FIFO in the same queues.
    beside_wspt_h : Mean
        Its cost less that of WSPT in the same queues.
    """

    policy: str
    load: float
    seeds: int
    figures: Mapping[str, Mean]
    saved_share: Mean
    beside_wspt_h: Mean


def compare_policies(
    setting: QueueSetting,
    extra: Sequence[DispatchPolicy],
    seeds: range,
    few: Sequence[DispatchPolicy],
    few_seeds: int,
    told: Told,
) -> Iterator[Row]:
    """Play each queue with every policy.

    Parameters
    ----------
    setting : QueueSetting
    extra : sequence of DispatchPolicy
        Beside FIFO, SPT, WSPT, EDD, ATC and those who know the hours.
    seeds : range
    few : sequence of DispatchPolicy
        Slow ones, which meet the first `few_seeds` queues alone.
    told : callable
        Is told how far it has come.
    """
    rules = {one.name: one for one in (*RULES, tuned_atc(setting), *extra)}
    found: dict[str, list[QueueFigures]] = {}
    for place, seed in enumerate(seeds):
        arrivals = made_up_arrivals(setting, seed)
        slow = few if place < few_seeds else ()
        for policy in (*rules.values(), *slow, *oracles(arrivals)):
            found.setdefault(policy.name, []).append(_figures(setting, arrivals, policy))
        told(f"load {setting.load:g}: queue {place + 1} of {len(seeds)}")
    for name in _in_order(found, few):
        yield _row(name, setting.load, found)


def tuned_atc(setting: QueueSetting) -> DispatchPolicy:
    """Return ATC with the lookahead that costs least on queues of its own."""
    spare = range(TUNING_SEED, TUNING_SEED + TUNING_QUEUES)
    margin = min(setting.margin_weeks, 1)
    shorter = replace(setting, weeks=min(setting.weeks, 8), margin_weeks=margin)
    return min(
        map(Atc, LOOKAHEADS), key=lambda one: sum(cost(one, shorter, seed) for seed in spare)
    )


def _figures(setting: QueueSetting, arrivals: Arrivals, policy: DispatchPolicy) -> QueueFigures:
    played = simulate_queue(arrivals, setting.crew, policy)
    return figures(arrivals, setting.crew, played, setting.counted_h)


def _in_order(found: Mapping[str, object], few: Sequence[DispatchPolicy]) -> list[str]:
    """Return the names, slow policies before those who know the hours."""
    slow = [one.name for one in few if one.name in found]
    knowing = [name for name in found if name.startswith("true")]
    return [*(name for name in found if name not in {*slow, *knowing}), *slow, *knowing]


def _row(name: str, load: float, found: Mapping[str, Sequence[QueueFigures]]) -> Row:
    own = found[name]
    costs = [one.cost_h for one in own]
    fifo, wspt = ([one.cost_h for one in found[rule][: len(own)]] for rule in ("FIFO", "WSPT"))
    parts = [asdict(one) for one in own]
    return Row(
        policy=name,
        load=load,
        seeds=len(own),
        figures={figure: summarise([one[figure] for one in parts]) for figure in parts[0]},
        saved_share=summarise([1 - a / b for a, b in zip(costs, fifo, strict=True)]),
        beside_wspt_h=paired(costs, wspt),
    )
