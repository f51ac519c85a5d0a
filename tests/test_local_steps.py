import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.local_steps import steps_of

sizes = st.lists(st.integers(0, 23), min_size=1, max_size=8)


@given(sizes=sizes, batch=st.integers(1, 7), epochs=st.integers(1, 3), seed=st.integers(0, 9))
def test_every_client_takes_each_of_its_records_once_an_epoch(
    sizes: list[int], batch: int, epochs: int, seed: int
) -> None:
    steps = steps_of(sizes, batch, epochs, (seed,))
    ends = np.cumsum(sizes)
    for place, client in enumerate(steps.clients.tolist()):
        drawn = steps.records[:, place][steps.weights[:, place] > 0]
        own = np.arange(ends[client] - sizes[client], ends[client])
        np.testing.assert_array_equal(np.sort(drawn), np.repeat(own, epochs))


@given(sizes=sizes, batch=st.integers(1, 7), epochs=st.integers(1, 3))
def test_a_minibatch_weighs_one_and_holds_no_more_than_it_may(
    sizes: list[int], batch: int, epochs: int
) -> None:
    steps = steps_of(sizes, batch, epochs, (0,))
    for step in steps:
        active, weights = steps.active[step], steps.weights[step]
        np.testing.assert_allclose(weights[:active].sum(axis=1), 1.0, rtol=1e-6)
        assert not weights[active:].any()
    taken = [epochs * -(-sizes[client] // batch) for client in steps.clients]
    assert taken == sorted(taken, reverse=True)
    assert len(steps.active) == max(taken)


@given(sizes=sizes, other=sizes)
def test_the_order_of_a_client_depends_on_nobody_else(sizes: list[int], other: list[int]) -> None:
    """In a deployment every member trains alone."""
    together = steps_of([*sizes, *other], 4, 2, (1, 2))
    alone = steps_of([sizes[0]], 4, 2, (1, 2))
    place = together.clients.tolist().index(0)
    count = len(alone.active)
    np.testing.assert_array_equal(together.records[:count, place], alone.records[:, 0])
    np.testing.assert_array_equal(together.weights[:count, place], alone.weights[:, 0])


def test_the_order_changes_with_the_seed_and_from_epoch_to_epoch() -> None:
    one, other = (steps_of([50], 50, 2, (seed,)).records for seed in (0, 1))
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0], one[1])
