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
        Even degree k, or the complete graph, with the smallest threshold t > (k + T) / 2.

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

    1. One kind: honest neighbours each give one kind of share of a member, and 2t > k + T, so even
       a server that tells them different survivors, with T neighbours that give both kinds, never
       holds t of both. (The counting of Bonawitz et al. 2017 against an active server.)
    2. One sum: let R be the honest survivors, and A a part of R whose own masks are all opened and
       that no edge joins to the rest of R. Going clockwise from a member of A to the next of R
       within k/2 places, and on, one stops at a last member v, for the rest is not reached; and
       counterclockwise at a last member w. Neither the k/2 places behind v nor those before w hold
       a member of R, and the two stretches are disjoint, for the rest of R lies between. So v has t
       shares given only if t - k/2 colluders stand in the one, and w if as many stand in the other:
       2t <= k + T, a contradiction. Hence the honest survivors open as a whole or not at all, as
       they do in a complete graph.
       (Bell et al. have this with probability 1 - 2^-sigma over the drawn order, section 3, for
       drops that do not depend on it; here it follows from the threshold.) It takes survivors on
       which all honest members agree: `mesh_fl.privacy.robust`.

    More than T colluders break both. The order is drawn for liveness only: with D members dropped,
    chosen without regard to it, a member's live neighbours are hypergeometric, and k is the
    smallest for which the union bound over all members of "fewer than t live neighbours" is below
    2^-30 (computed exactly, so that all machines agree).
    """
    if members < 2 or colluders < 0 or not 0 <= dropping < 1:
        raise PlanError(
            f"expected 2 members or more, 0 colluders or more and a fraction that drops out from "
            f"0 to 1, found {members}, {colluders} and {dropping}"
        )
    dropped = round(members * dropping)
    for degree in (*range(2, members - 1, 2), members - 1):
        graph = Graph(degree, (degree + colluders) // 2 + 1)
        if graph.threshold <= degree and _lasts(graph, members, dropped):
            return graph
    raise PlanError(
        f"expected a cohort in which {(members - 1 + colluders) // 2 + 1} neighbours stay, found "
        f"{members} members of which {dropped} may drop out and {colluders} collude: invite more "
        "members, or plan for fewer colluders"
    )


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
