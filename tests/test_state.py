import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mesh_fl.agent import State
from mesh_fl.errors import ProtocolError
from mesh_fl.state import dump_state, first_digest, load_state

STATE: State = {"weights": np.arange(6.0).reshape(2, 3), "bias": np.array(0.5), "none": np.zeros(0)}

states = st.dictionaries(
    st.text("abcxyz.-", min_size=1, max_size=8),
    arrays(np.float64, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
    max_size=4,
)


@given(states)
def test_round_trip_keeps_order_and_every_bit(state: State) -> None:
    again = load_state(dump_state(state), state)
    assert list(again) == list(state)
    for name, block in state.items():
        assert again[name].shape == block.shape
        assert again[name].tobytes() == block.tobytes()


def test_special_values_survive() -> None:
    state = {"a": np.array([math.inf, -math.inf, -0.0, 5e-324, math.nan])}
    assert load_state(dump_state(state), state)["a"].tobytes() == state["a"].tobytes()


def test_memory_layout_does_not_matter() -> None:
    """safetensors writes memory as it lies: a transposed block must not come back transposed."""
    block = np.arange(6.0).reshape(2, 3)
    for twisted in (
        np.asfortranarray(block),
        block.T.copy().T,
        np.repeat(block, 2, axis=1)[:, ::2],
    ):
        assert dump_state({"a": twisted}) == dump_state({"a": block})
        np.testing.assert_array_equal(
            load_state(dump_state({"a": twisted}), {"a": block})["a"], block
        )


@pytest.mark.parametrize(
    "other",
    [
        {"weights": np.zeros((2, 3))},
        {**STATE, "more": np.zeros(1)},
        {**STATE, "weights": np.zeros((3, 2))},
        {**STATE, "weights": np.zeros(6)},
        {**STATE, "bias": np.zeros(1)},
        {**STATE, "weights": np.zeros((2, 3), np.float32)},
        {**STATE, "weights": np.zeros((2, 3), np.int64)},
        {},
    ],
    ids=lambda state: ",".join(f"{k}{v.shape}{v.dtype}" for k, v in state.items()),
)
def test_another_shape_name_or_type_is_refused(other: State) -> None:
    with pytest.raises(ProtocolError, match="expected a model with float64 blocks"):
        load_state(dump_state(other), STATE)


@given(data=st.data())
def test_truncated_models_are_refused(data: st.DataObject) -> None:
    whole = dump_state(STATE)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ProtocolError):
        load_state(whole[:cut], STATE)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(ProtocolError):
        load_state(blob, STATE)


@given(data=st.data())
def test_damaged_models_never_raise_anything_else(data: st.DataObject) -> None:
    whole = bytearray(dump_state(STATE))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = load_state(bytes(whole), STATE)
    except ProtocolError:
        return
    assert {name: block.shape for name, block in found.items()} == {
        name: np.shape(block) for name, block in STATE.items()
    }


def test_a_header_that_claims_the_moon_is_refused() -> None:
    with pytest.raises(ProtocolError):
        load_state((2**63).to_bytes(8, "little") + b"{}", STATE)


def test_the_first_digest_binds_plan_and_state() -> None:
    other = {**STATE, "bias": np.array(0.5000000001)}
    digests = {first_digest("p", STATE), first_digest("q", STATE), first_digest("p", other)}
    assert len(digests) == 3
    assert first_digest("p", {name: block.copy() for name, block in STATE.items()}) in digests
