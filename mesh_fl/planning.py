"""From what an operator wants and who is registered to a calibrated plan."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from mesh_fl.agent import Agent
from mesh_fl.errors import PlanError
from mesh_fl.layout import size
from mesh_fl.privacy.plan import Plan, largest_delta, part_of
from mesh_fl.registry import agent_class, build, config_of


def configure(name: str, config: Mapping[str, object], caps: Mapping[str, int]) -> Agent:
    """Build an agent; where its configuration lacks them, it gets public numbers of the crowd.

    These are `records`, the sum of the members' caps, and `clients`, how many they are.

    Parameters
    ----------
    name : str
        Registered name or package.module:Class.
    config : mapping
        As in server.toml.
    caps : mapping of str to int
        Each member's declared public cap.
    """
    cls = agent_class(name)
    names: tuple[dataclasses.Field[object], ...] = (
        dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    )
    fields = {field.name for field in names}
    public = {"records": float(sum(caps.values())), "clients": float(len(caps))}
    return build(name, {key: public[key] for key in public.keys() & fields} | dict(config))


def make_plan(
    agent: Agent,
    name: str,
    caps: Mapping[str, int],
    *,
    rounds: int,
    measures: int = 1,
    measure_share: float = 0.07,
    spares: int = 2,
    epoch_steps: int = 8,
    survivors: int = 4,
    colluders: int = 1,
    epsilon: float = 0.1,
    delta: float | None = None,
    share: float = 1.0,
    trust: Literal["distributed", "local"] = "distributed",
) -> Plan:
    """Return a calibrated plan for an agent and its members.

    Parameters
    ----------
    agent : Agent
        As it will be trained.
    name : str
        Under which members know it.
    caps : mapping of str to int
        Each member's declared public cap of records.
    rounds, measures, measure_share, spares, epoch_steps, survivors, colluders
        See `Plan`.
    epsilon, delta, trust
        See `Plan`; `delta` is the largest sensible one when left out.
    share : float
        Part of the budget of `epsilon`, as squared mu, that the plan takes: plans whose shares add
        up to one promise `epsilon` together.

    Raises
    ------
    PlanError
        If the terms contradict each other, one line for each contradiction.
    """
    counted = {member: 1 if agent.unit == "client" else cap for member, cap in caps.items()}
    delta = largest_delta(counted) if delta is None else delta
    try:
        plan = Plan(
            agent=name,
            config=config_of(agent),
            unit=agent.unit,
            dimension=size(agent.layout(agent.init())),
            measure_dimension=size(agent.measure_layout()),
            clip=float(agent.clip),
            measure_clip=float(agent.measure_clip),
            rounds=rounds,
            measures=measures,
            measure_share=measure_share if measures else 0.0,
            spares=spares,
            epoch_steps=epoch_steps,
            epsilon=epsilon if share == 1 else part_of(epsilon, delta, share),
            delta=delta,
            survivors=survivors,
            colluders=colluders,
            caps=counted,
            trust=trust,
        )
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, p['loc'])) or 'plan'}: {p['msg']}" for p in error.errors()]
        raise PlanError("\n".join(["this plan is impossible:", *lines])) from None
    return plan.calibrate()
