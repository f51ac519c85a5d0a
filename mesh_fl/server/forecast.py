"""What a training is expected to be good for, told before it spends anybody's budget."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mesh_fl.errors import MeshError
from mesh_fl.privacy.plan import Plan
from mesh_fl.server.settings import ServerSettings
from mesh_fl.terminal import Narrator

REMEDY = "[expect] in server.toml names the records that it is made from"


@dataclass(frozen=True)
class Forecast:
    """A forecast, or why there is none.

    Parameters
    ----------
    text : str
        One line.
    facts : mapping
        The same for programs; empty where there is none.
    warns : bool
        Whether it says that the budget would be spent for nothing.
    """

    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    warns: bool = False


def forecast(settings: ServerSettings, plan: Plan, *, larger: bool = False) -> Forecast | None:
    """Forecast a training from public or made-up records; None where nobody wants to know.

    It never fails: what is wrong is told in the forecast's place, since a server that could train
    must not stop for want of one.

    Parameters
    ----------
    settings : ServerSettings
        Says from which records.
    plan : Plan
        The terms.
    larger : bool
        Whether to look for a crowd that would gain, where this one does not.
    """
    wanted = settings.expect_of(plan.agent)
    if wanted.data == "none":
        return None
    try:
        # Trials are what simulations are made of; a server that needs none of them loads none.
        from mesh_fl.simulate.expectation import expect

        found = expect(
            plan,
            settings.agents[plan.agent].config,
            plan.caps,
            data=wanted.data,
            columns=Path(wanted.map) if wanted.map else None,
            records=wanted.records,
            larger=larger,
        )
    except MeshError as error:
        return Forecast(f"no forecast: {' '.join(str(error).split())} ({REMEDY})")
    except Exception as error:
        return Forecast(f"no forecast: {type(error).__name__}: {error} ({REMEDY})")
    warns = found.comparison.verdict == "no gain at this crowd"
    return Forecast(f"forecast: {found.sentence}", found.facts(), warns)


def announce(found: Forecast | None, narrator: Narrator) -> None:
    """Tell a forecast; a bad one loudly, but members decide whether they go on."""
    if found is None:
        return
    text = found.text
    if found.warns:
        text = f"WARNING: {text}; `mesh-sim crowd` says how many members it takes"
    narrator.say(text, kind="forecast", forecast=found.facts, warns=found.warns)
