"""Which value is placed: the one that was told, else the median of one's own records."""

from dataclasses import dataclass

from mesh_fl.agent import State
from mesh_fl.agents.market.network import Network
from mesh_fl.agents.market.request import Request

OWN = "median of your own records"


@dataclass(frozen=True)
class Value:
    """A value to place.

    Parameters
    ----------
    value : float or None
    source : str or None
        Who told it.
    refused : str
        Why there is none, where something is in its way.
    """

    value: float | None = None
    source: str | None = None
    refused: str = ""


def value_of(name: str, request: Request, own: Value) -> Value:
    """Return what the request tells, or why that does not count; else one's own.

    Something that was told and does not count is never replaced: it would be taken for it.
    """
    if name in request.values:
        return Value(request.values[name], "request")
    if name in request.refused:
        return Value(refused=request.refused[name])
    return own


def own_median(state: State, number: int, network: Network) -> Value:
    """Return the median of one's own records in the segment that the network's are of.

    Parameters
    ----------
    state : State
        After `adapt`; any other has no median.
    number : int
        Of the figure.
    network : Network
    """
    if "own_medians" not in state:
        return Value()
    if network.place is None:
        return _median(*state["own_medians"][number].tolist())
    if "own_segment_medians" in state:
        found = _median(*state["own_segment_medians"][number, network.place].tolist())
        if found.value is not None:
            return found
    segment = network.told_segment
    return Value(refused=f"none of your own records falls into {segment}, which was asked for")


def _median(median: float, count: float) -> Value:
    return Value(median, OWN) if count > 0 else Value()
