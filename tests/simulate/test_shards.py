import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.errors import DataError
from mesh_fl.simulate.shards import Shards

sizes = st.lists(st.integers(0, 6), min_size=1, max_size=9)


def dealt(sizes: list[int]) -> Shards:
    places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return Shards.deal({"x": np.arange(sum(sizes)) * 10, "y": np.arange(sum(sizes))}, places)


@given(sizes=sizes)
def test_a_shard_holds_what_was_dealt_to_it(sizes: list[int]) -> None:
    shards = dealt(sizes)
    assert [len(shard["x"]) for _, shard in shards.items()] == sizes
    again = Shards.of(dict(shards.items()))
    assert again.names == shards.names
    np.testing.assert_array_equal(again.data["x"], np.arange(sum(sizes)) * 10)
    assert len(set(shards.names)) == len(shards) == len(sizes)


@given(sizes=sizes, data=st.data())
def test_the_records_of_some_clients(sizes: list[int], data: st.DataObject) -> None:
    shards = dealt(sizes)
    chosen = data.draw(st.lists(st.integers(0, len(sizes) - 1), unique=True))
    places = shards.records_of(np.array(chosen, dtype=np.int64))
    expected = [record for client in chosen for record in shards[client]["y"].tolist()]
    assert places.tolist() == expected


def test_records_are_not_copied() -> None:
    shards = dealt([3, 4])
    assert np.shares_memory(shards[1]["x"], shards.data["x"])


def test_caps_are_at_least_one() -> None:
    assert list(dealt([0, 5]).caps.values()) == [1, 5]


@pytest.mark.parametrize(
    ("shards", "told"),
    [
        ({}, "at least one client"),
        ({"a": {"x": np.zeros(2), "y": np.zeros(3)}}, "a: expected arrays .* of one length"),
        ({"a": {"x": np.zeros(2)}, "b": {"z": np.zeros(2)}}, "b: expected arrays"),
    ],
)
def test_what_does_not_fit_together_is_refused(shards: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Shards.of(shards)


def test_names_are_unique_and_sizes_those_of_the_data() -> None:
    with pytest.raises(DataError, match="a name of its own"):
        Shards(("a", "a"), {"x": np.zeros(4)}, (2, 2))
    with pytest.raises(DataError, match="arrays of 5 records for 2 clients"):
        Shards(("a", "b"), {"x": np.zeros(4)}, (2, 3))
