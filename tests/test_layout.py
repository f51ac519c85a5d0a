import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.layout import Layout, pack, size, unpack

layouts = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
    max_size=5,
)


@given(layouts)
def test_unpacking_and_packing_are_inverse(layout: Layout) -> None:
    vector = np.arange(size(layout), dtype=float)
    blocks = unpack(layout, vector)
    assert list(blocks) == list(layout)
    assert {name: block.shape for name, block in blocks.items()} == dict(layout)
    np.testing.assert_array_equal(pack(layout, blocks), vector)


def test_a_known_cut() -> None:
    blocks = unpack({"w": (2, 2), "b": (), "v": (1,)}, np.array([1.0, 2, 3, 4, 5, 6]))
    assert blocks["w"].tolist() == [[1, 2], [3, 4]]
    assert blocks["b"].shape == ()
    assert blocks["b"] == 5
    assert blocks["v"].tolist() == [6]


def test_blocks_are_copies() -> None:
    vector = np.zeros(3)
    unpack({"a": (3,)}, vector)["a"][0] = 7
    assert vector[0] == 0


@pytest.mark.parametrize("shape", [(5,), (7,), (6, 1), (1, 6), (0,), ()])
def test_another_length_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected a vector of length 6, got shape"):
        unpack({"a": (2, 3)}, np.zeros(shape))


@pytest.mark.parametrize(
    "blocks",
    [
        {},
        {"a": np.zeros(2)},
        {"b": np.zeros(1), "a": np.zeros(2)},
        {"a": np.zeros((2, 1)), "b": np.zeros(1)},
        {"a": np.zeros(2), "b": np.zeros(1), "c": np.zeros(0)},
    ],
    ids=lambda blocks: ",".join(f"{name}{block.shape}" for name, block in blocks.items()),
)
def test_other_blocks_are_refused(blocks: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="expected blocks"):
        pack({"a": (2,), "b": (1,)}, blocks)


def test_nothing_has_size_nothing() -> None:
    assert size({}) == 0
    assert size({"scalar": ()}) == 1
    assert size({"empty": (3, 0)}) == 0
    assert pack({}, {}).shape == (0,)
