import hashlib
import itertools
import random
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from mesh_fl.errors import PlanError
from mesh_fl.privacy.neighbours import Graph, choose, neighbours

Neighbours = Mapping[str, tuple[str, ...]]


def names(count: int) -> list[str]:
    return [f"member {i}" for i in range(count)]


def component(graph: Neighbours, start: str, among: Collection[str]) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        fresh = (set(graph[todo.pop()]) & set(among)) - found
        found |= fresh
        todo += fresh
    return found


@settings(max_examples=60, deadline=None)
@given(size=st.integers(3, 60), half=st.integers(1, 29), seed=st.binary(max_size=40))
def test_the_graph_is_regular_symmetric_and_connected(size: int, half: int, seed: bytes) -> None:
    degree = min(2 * half, size - 1)
    graph = neighbours(names(size), seed, degree)
    assert graph.keys() == set(names(size))
    for name, peers in graph.items():
        assert len(peers) == len(set(peers)) == degree
        assert name not in peers
        assert all(name in graph[peer] for peer in peers)
    assert component(graph, "member 0", graph) == set(graph)


def test_the_graph_is_the_same_everywhere() -> None:
    graph = neighbours(names(30), b"seed", 6)
    mixed = random.Random(1).sample(names(30), 30)
    assert neighbours(mixed, b"seed", 6) == graph
    assert neighbours(names(30), b"sees", 6) != graph
    told = "\n".join(f"{name}: {', '.join(graph[name])}" for name in sorted(graph))
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "1c83d83146429a9a"


def test_the_order_is_that_of_the_hashes() -> None:
    def place(name: str) -> bytes:
        return hashlib.sha256(b"seed" + name.encode()).digest()

    order = sorted(names(9), key=place)
    graph = neighbours(names(9), b"seed", 4)
    for i, name in enumerate(order):
        assert graph[name] == tuple(order[(i + step) % 9] for step in (-2, -1, 1, 2))


def test_every_pair_is_neighbours_equally_often() -> None:
    """Of 7 members each has 2 neighbours, so a pair meets with probability 1/3."""
    met = 0
    for draw in range(3000):
        met += "member 1" in neighbours(names(7), draw.to_bytes(4, "big"), 2)["member 0"]
    assert abs(met - 1000) < 5 * (3000 * 2 / 9) ** 0.5


@pytest.mark.parametrize(("size", "degree"), [(6, 3), (6, 6), (6, 0), (6, -2), (1, 0), (6, 8)])
def test_impossible_graphs_are_refused(size: int, degree: int) -> None:
    with pytest.raises(PlanError, match="neighbours"):
        neighbours(names(size), b"", degree)
    with pytest.raises(PlanError, match="different names"):
        neighbours([*names(size), "member 0"], b"", 2)


@pytest.mark.parametrize("dropping", [0.1, 0.3])
@pytest.mark.parametrize("colluders", [0, 1, 3])
@pytest.mark.parametrize("members", [21, 22, 60, 200, 1000])
def test_choice(members: int, colluders: int, dropping: float) -> None:
    degree, threshold = choose(members, colluders, dropping)
    assert 2 * (threshold - 1) <= degree + colluders < 2 * threshold
    dropped = round(dropping * members)
    assert fails(Graph(degree, threshold), members, dropped) < 2**-30
    if degree == members - 1:
        assert threshold <= degree - dropped
        return
    assert degree % 2 == 0
    smaller = Graph(degree - 2, threshold - 1)
    assert smaller.threshold > smaller.degree or fails(smaller, members, dropped) >= 2**-30


def fails(graph: Graph, members: int, dropped: int) -> float:
    """An independent calculation of what the docstring states."""
    live = hypergeom(members - 1, members - 1 - dropped, graph.degree)
    return float(members * live.cdf(graph.threshold - 1))


def test_known_choices() -> None:
    assert choose(200, 1) == (108, 55)
    assert choose(1000, 1) == (222, 112)
    assert choose(21, 1) == (14, 8)
    assert choose(12, 2) == (11, 7)


@pytest.mark.parametrize(
    ("members", "colluders", "dropping"),
    [(1, 0, 0.1), (21, -1, 0.1), (21, 1, 1.0), (21, 1, -0.1), (21, 12, 0.3), (21, 1, 0.6)],
)
def test_impossible_cohorts_are_refused(members: int, colluders: int, dropping: float) -> None:
    with pytest.raises(PlanError, match="expected"):
        choose(members, colluders, dropping)


def opened_apart(
    graph: Neighbours, honest: Collection[str], live: Collection[str], threshold: int
) -> bool:
    """Tell whether a part of the honest survivors is opened that others are not connected to.

    Colluders give shares whether they survived or not.
    """
    survivors = set(honest) & set(live)
    for start in survivors:
        part = component(graph, start, survivors)
        opened = all(
            sum(peer in survivors or peer not in honest for peer in graph[name]) >= threshold
            for name in part
        )
        if opened and part != survivors:
            return True
    return False


@pytest.mark.parametrize(
    ("size", "degree", "colluders"), [(10, 4, 0), (11, 4, 1), (12, 6, 1), (12, 4, 2)]
)
def test_no_part_of_the_honest_survivors_is_opened(size: int, degree: int, colluders: int) -> None:
    """All sets of survivors, all places of the colluders; one share less, and it fails."""
    graph = neighbours(names(size), b"any", degree)
    threshold = (degree + colluders) // 2 + 1
    caught = False
    # Turning the circle changes nothing, so the first colluder stands anywhere.
    for others in itertools.combinations(names(size)[1:], max(0, colluders - 1)):
        bad = {*names(size)[: min(1, colluders)], *others}
        honest = set(names(size)) - bad
        for keep in itertools.product([False, True], repeat=size - colluders):
            live = {name for name, kept in zip(sorted(honest), keep, strict=True) if kept}
            assert not opened_apart(graph, honest, live, threshold)
            caught = caught or opened_apart(graph, honest, live, threshold - 1)
    assert caught


@settings(max_examples=40, deadline=None)
@given(gaps=st.tuples(st.integers(0, 40), st.integers(0, 40)), data=st.data())
def test_two_gaps_do_not_cut_the_circle(gaps: tuple[int, int], data: st.DataObject) -> None:
    """The worst for a circle: two gaps as wide as a side, colluders at their edges."""
    degree, threshold = choose(100, 3)
    graph = neighbours(names(100), b"", degree)
    order = [next(iter(graph))]
    while len(order) < 100:
        order.append(graph[order[-1]][degree // 2])
    first, second = gaps
    dropped = {order[i % 100] for i in range(first, first + degree // 2)}
    dropped |= {order[i % 100] for i in range(50 + second, 50 + second + degree // 2)}
    bad = data.draw(st.sets(st.sampled_from(sorted(graph)), min_size=3, max_size=3))
    assert not opened_apart(graph, set(graph) - bad, set(graph) - dropped, threshold)
