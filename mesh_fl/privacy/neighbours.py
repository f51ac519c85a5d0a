"""Who shares masks and secrets with whom in a large cohort: each with k neighbours, not with all.

The cohort stands on a circle in an order that nobody chose, and each member's neighbours are the
k / 2 members on either side: the Harary graph of Bell, Bonawitz, Gascón, Lepoint and Raykova 2020,
"Secure Single-Server Aggregation with (Poly)Logarithmic Overhead" (eprint 2020/704), section 3.
"""

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mesh_fl.errors import PlanError

FAILURE_BITS = 30
"""An attempt that fails is charged; once in 2^30 it fails for want of shares alone."""


class Graph(NamedTuple):
    """How many neighbours a member has, and how many of them open one of its secrets."""

    degree: int
    threshold: int


@functools.lru_cache(maxsize=64)
def choose(members: int, colluders: int, dropping: float = 0.3) -> Graph:
    """Return the smallest graph that keeps its promise and lasts.

    Parameters
    ----------
    members : int
        Size of the cohort.
    colluders : int
        Members that may act together with the server (T).
    dropping : float
        Fraction of the cohort that may drop out without stopping the attempt.

    Returns
    -------
    Graph
        Even degree k with threshold t = k/2 + T + 1; or, if no such k is below ``members - 1``,
        the complete graph with the smallest t > (k + T) / 2.

    Raises
    ------
    PlanError
        If an argument is out of range, or even the complete graph has no `threshold` live
        neighbours.

    Notes
    -----
    Guarantee
    ---------
    Holds for any places of the T colluders on the circle and any choice of who drops out, because
    neither is a matter of chance for a server that cheats. Every secret is shared among k
    neighbours with threshold t.

    1. One kind: t > (k + T) / 2. Honest neighbours each give one kind of share of a member, so
       even a server that tells them different survivors, with T neighbours that give both kinds,
       holds fewer than 2t: never t of both. (Same counting as in Bonawitz et al. 2017, section
       6.1, threshold against an active server.)
    2. One sum: t > k/2 + T. If t neighbours open a member's own mask, more than k/2 of them are
       honest survivors, so there is one on either side of it, within k/2 places. Going from one to
       the next leads around the whole circle, and every honest survivor is a neighbour of one
       that was passed. So the honest survivors whose masks are opened are connected, or the sum
       stays masked: no part of them has a sum of its own. (Bell et al. need this with probability
       1 - 2^-sigma over the drawn order, section 3; here it follows from the threshold. A complete
       graph is connected anyway.) It takes survivors on which all honest members agree:
       `mesh_fl.privacy.robust`.

    More than T colluders break both. The order is drawn for liveness only: with D members dropped,
    chosen without regard to it, a member's live neighbours are hypergeometric, and k is the
    smallest for which the union bound over all members of "fewer than t live neighbours" is below
    2^-30 (computed exactly, so that all machines agree).
    """
    dropped = round(members * dropping)
    if members < 2 or colluders < 0 or not 0 <= dropping < 1:
        raise PlanError(
            f"expected 2 members or more, 0 colluders or more and a fraction that drops out from "
            f"0 to 1, found {members}, {colluders} and {dropping}"
        )
    for degree in range(2, members - 1, 2):
        graph = Graph(degree, degree // 2 + colluders + 1)
        if graph.threshold <= degree and _lasts(graph, members, dropped):
            return graph
    whole = Graph(members - 1, (members - 1 + colluders) // 2 + 1)
    if members - 1 - dropped < whole.threshold:
        raise PlanError(
            f"expected a cohort in which {whole.threshold} neighbours stay, found {members} "
            f"members of which {dropped} may drop out and {colluders} collude: invite more "
            "members, or plan for fewer colluders or more survivors"
        )
    return whole


def neighbours(cohort: Sequence[str], seed: bytes, degree: int) -> Mapping[str, tuple[str, ...]]:
    """Return each member's neighbours; equal on all machines, whatever the order of the cohort.

    Parameters
    ----------
    cohort : sequence of str
        Names, none twice.
    seed : bytes
        From which the order on the circle follows.
    degree : int
        Even and below ``len(cohort)``, or ``len(cohort) - 1`` for the complete graph.

    Returns
    -------
    mapping of str to tuple of str
        Symmetric, each tuple `degree` long and in one order for everybody.

    Raises
    ------
    PlanError
        If there is no such graph.

    Notes
    -----
    The order is that of SHA-256(seed, name): uniform for a seed that nobody controls. Whoever gives
    the last bit of it can choose among orders, which costs liveness only (`choose`).
    """
    size = len(cohort)
    if len(set(cohort)) != size or not 0 < degree < size or (degree % 2 and degree != size - 1):
        raise PlanError(
            f"expected different names, and an even number of neighbours below their number, "
            f"found {size} names and {degree} neighbours"
        )
    order = sorted(cohort, key=lambda name: hashlib.sha256(seed + name.encode()).digest())
    # With an odd degree the graph is complete: one more on the right is all that is missing.
    left, right = degree // 2, degree - degree // 2
    around = (*order, *order, *order)
    return {
        name: around[i - left : i] + around[i + 1 : i + 1 + right]
        for i, name in enumerate(order, size)
    }


def _lasts(graph: Graph, members: int, dropped: int) -> bool:
    """Tell whether n · P[a member has fewer than t live neighbours] is below 2^-30."""
    live, degree = members - 1 - dropped, graph.degree
    fewest = max(0, degree - dropped)
    bad = sum(
        math.comb(live, j) * math.comb(dropped, degree - j) for j in range(fewest, graph.threshold)
    )
    return members * bad << FAILURE_BITS < math.comb(members - 1, degree)
