import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.encryption import LONG, Bfv, Parameters, generate_key
from mesh_fl.privacy.masking import hide, mask_of, reveal
from mesh_fl.privacy.packing import Packing, best_packing, packing_for

BOUNDS = st.integers(1, 2**44) | st.integers(1, 43).map(lambda power: 2**power)


def fitting(bound: int) -> list[Packing]:
    width = (2 * bound).bit_length()
    return [packing_for(bound, per_slot) for per_slot in range(1, 5) if per_slot * width <= 64]


def parts_of(total: np.ndarray, members: int, seed: int) -> np.ndarray:
    """Random vectors whose sum is `total`: members have no bound, only sums have."""
    draw = np.random.default_rng(seed)
    most = int(np.abs(total).max(initial=1))
    others = draw.integers(-most, most, (members - 1, total.size), endpoint=True) // members
    return np.vstack([total - others.sum(axis=0), others])


# --- exactness


@settings(max_examples=150, deadline=None)
@given(
    bound=BOUNDS, size=st.integers(0, 23), members=st.integers(1, 20), seed=st.integers(0, 2**32)
)
def test_sums_unpack_exactly(bound: int, size: int, members: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    inside = draw.integers(-bound, bound, size, endpoint=True)
    total = np.where(draw.integers(0, 3, size) == 0, inside, bound * draw.choice([-1, 1], size))
    for packing in fitting(bound):
        packed = [packing.pack(part) for part in parts_of(total, members, seed)]
        slots = sum(packed, np.zeros(packing.slots(size), np.int64))
        np.testing.assert_array_equal(packing.unpack(slots, size), total)


@pytest.mark.parametrize(("per_slot", "width"), [(1, 64), (2, 32), (3, 21), (4, 16), (2, 2)])
def test_extremes_fit_their_fields(per_slot: int, width: int) -> None:
    packing = Packing(per_slot=per_slot, width=width)
    bound = 2 ** (width - 1) - 1
    grid = np.array(np.meshgrid(*[[-bound, -1, 0, 1, bound]] * per_slot))
    values = grid.reshape(-1)
    slots = packing.pack(values)
    np.testing.assert_array_equal(packing.unpack(slots, values.size), values)
    assert max(abs(slot) for slot in slots.tolist()) == bound * packing.bound_factor < 2**63


@settings(max_examples=100, deadline=None)
@given(BOUNDS, st.lists(st.integers(-1000, 1000), max_size=12))
def test_layout_is_the_stated_one(bound: int, values: list[int]) -> None:
    for packing in fitting(bound):
        count = -(-len(values) // packing.per_slot)
        padded = values + [0] * (count * packing.per_slot - len(values))
        expected = [
            sum(padded[i * count + j] << i * packing.width for i in range(packing.per_slot))
            for j in range(count)
        ]
        bound_factor = sum(2 ** (i * packing.width) for i in range(packing.per_slot))
        if all(abs(v) <= bound for v in values):
            assert packing.slots(len(values)) == count
            assert packing.bound_factor == bound_factor
            assert packing.pack(np.array(values, dtype=np.int64)).tolist() == expected
            assert all(abs(slot) <= bound * bound_factor for slot in expected)


@pytest.mark.parametrize("per_slot", [1, 2, 3, 4])
def test_unused_fields_are_zero(per_slot: int) -> None:
    packing = Packing(per_slot=per_slot, width=10)
    for size in range(9):
        slots = packing.pack(np.full(size, -7))
        whole = packing.unpack(slots, slots.size * per_slot)
        assert whole.tolist() == [-7] * size + [0] * (whole.size - size)


def test_one_per_slot_changes_nothing() -> None:
    values = np.array([0, 5, -(2**62), 2**62])
    plain = Packing(per_slot=1, width=4)
    assert plain.bound_factor == 1
    np.testing.assert_array_equal(plain.pack(values), values)
    np.testing.assert_array_equal(plain.unpack(values, 4), values)


@pytest.mark.parametrize("per_slot", [1, 2, 3, 4])
def test_input_is_neither_changed_nor_shared(per_slot: int) -> None:
    packing = Packing(per_slot=per_slot, width=8)
    values = np.arange(-6, 6)
    slots = packing.pack(values)
    kept = slots.copy()
    opened = packing.unpack(slots, 12)
    assert not np.shares_memory(values, slots)
    assert not np.shares_memory(slots, opened)
    np.testing.assert_array_equal(values, np.arange(-6, 6))
    np.testing.assert_array_equal(slots, kept)


def test_values_beyond_their_field_are_not_refused() -> None:
    packing = Packing(per_slot=4, width=16)
    for value in (2**15, -(2**63), 2**63 - 1):
        values = np.array([value, 1, 2, 3])
        assert packing.unpack(packing.pack(values), 4).shape == (4,)


# --- together with masks and encryption


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bound", [1000, 2**16, 2**22 - 1, 2**33])
def test_masked_and_encrypted_sums_of_extremes_are_exact(bound: int, sign: int) -> None:
    members, size = 4, 101
    packing, parameters = best_packing(bound, members)
    cipher = Bfv(parameters, generate_key(parameters))
    total = np.full(size, sign * bound)
    total[::7] *= -1
    keys = [bytes([member]) * 32 for member in range(members)]
    modulus, slots = parameters.plain_modulus, packing.slots(size)
    uploads = []
    for member, part in enumerate(parts_of(total, members, 1)):
        # A ring: each member adds the mask that the next one subtracts.
        mask = mask_of([keys[member]], [keys[member - 1]], modulus, slots)
        uploads.append(cipher.encrypt(hide(packing.pack(part), mask, modulus)))
    opened = cipher.decrypt(cipher.add(uploads), slots)
    revealed = reveal(opened, np.zeros(slots, np.int64), modulus)
    np.testing.assert_array_equal(packing.unpack(revealed, size), total)


# --- choosing


@settings(max_examples=200, deadline=None)
@given(BOUNDS, st.integers(1, 4))
def test_fields_are_as_narrow_as_possible(bound: int, per_slot: int) -> None:
    width = packing_for(bound, 1).width
    assert 2 ** (width - 1) <= 2 * bound < 2**width
    if per_slot * width <= 64:
        assert packing_for(bound, per_slot) == Packing(per_slot=per_slot, width=width)
    else:
        with pytest.raises(PlanError, match="fewer values"):
            packing_for(bound, per_slot)


@pytest.mark.parametrize(("bound", "per_slot"), [(0, 1), (-3, 2), (2**63, 1), (5, 0), (5, 5)])
def test_senseless_packings_are_refused(bound: int, per_slot: int) -> None:
    with pytest.raises(PlanError):
        packing_for(bound, per_slot)


@pytest.mark.parametrize(
    ("bound", "per_slot"),
    [(2**10, 4), (2**14, 3), (2**16, 2), (2**20, 2), (2**23 - 1, 2), (2**23, 1), (2**33, 1)],
)
def test_best_packing_of_twenty_members(bound: int, per_slot: int) -> None:
    packing, parameters = best_packing(bound, 20)
    assert packing == packing_for(bound, per_slot)
    assert parameters == Parameters.for_range(bound * packing.bound_factor, 20, LONG)
    assert parameters.most_additions >= 20


@pytest.mark.parametrize("bound", [2**10, 2**16, 2**20, 2**26])
@pytest.mark.parametrize("size", [None, 64, 3000, 20_000, 65536])
def test_no_other_packing_is_shorter(bound: int, size: int | None) -> None:
    def bits(packing: Packing, parameters: Parameters) -> float:
        if size is None:
            return parameters.modulus_bits / packing.per_slot
        blocks = -(-packing.slots(size) // parameters.degree)
        return float(blocks * parameters.degree * parameters.modulus_bits)

    best = best_packing(bound, 20, size)
    for packing in fitting(bound):
        try:
            slots = LONG if size is None else packing.slots(size)
            other = (packing, Parameters.for_range(bound * packing.bound_factor, 20, slots))
        except PlanError:
            continue
        assert (bits(*best), best[0].per_slot) <= (bits(*other), packing.per_slot)


@pytest.mark.parametrize(("size", "bound"), [(64, 2**10), (3000, 2**10), (40_000, 2**20)])
def test_best_packing_of_a_size_shortens_what_is_sent(size: int, bound: int) -> None:
    def sent(packing: Packing, parameters: Parameters) -> int:
        cipher = Bfv(parameters, generate_key(parameters))
        values = np.random.default_rng(size).integers(-bound // 20, bound // 20, size)
        return len(cipher.encrypt(packing.pack(values)))

    best = best_packing(bound, 20, size)
    unpacked = sent(packing_for(bound, 1), Parameters.for_range(bound, 20, size))
    if best[0].per_slot == 1:
        assert unpacked < sent(*best_packing(bound, 20))
    else:
        assert sent(*best) < unpacked


def test_short_vectors_are_not_packed() -> None:
    assert best_packing(2**20, 20, 64)[0].per_slot == 1
    assert best_packing(2**20, 20, 10**6)[0].per_slot == 2


@pytest.mark.parametrize("size", [None, 9])
@pytest.mark.parametrize(("bound", "members"), [(2**50, 1000), (2**62, 1), (5, 0)])
def test_what_cannot_be_encrypted_is_refused_as_if_unpacked(
    bound: int, members: int, size: int | None
) -> None:
    with pytest.raises(PlanError) as unpacked:
        Parameters.for_range(bound, members)
    with pytest.raises(PlanError) as refused:
        best_packing(bound, members, size)
    assert str(refused.value) == str(unpacked.value)


@pytest.mark.parametrize("bound", [-1, 0, 2**63, 2**70])
def test_senseless_bounds_are_refused(bound: int) -> None:
    with pytest.raises(PlanError):
        best_packing(bound, 2)


# --- what is refused


@pytest.mark.parametrize(("per_slot", "width"), [(0, 8), (5, 8), (2, 33), (4, 17), (1, 65), (2, 1)])
def test_impossible_fields_are_refused(per_slot: int, width: int) -> None:
    with pytest.raises(ValidationError):
        Packing(per_slot=per_slot, width=width)


@pytest.mark.parametrize("change", [-1, 1])
def test_other_number_of_slots_is_refused(change: int) -> None:
    packing = Packing(per_slot=3, width=8)
    with pytest.raises(EncryptionError, match="expected 4 slots for 10 values"):
        packing.unpack(np.zeros(4 + change, dtype=np.int64), 10)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.zeros(4), np.zeros(4, np.int32)])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    packing = Packing(per_slot=1, width=8)
    with pytest.raises(EncryptionError, match="vector of int64"):
        packing.pack(array)
    with pytest.raises(EncryptionError, match="vector of int64"):
        packing.unpack(array, 4)


def test_packing_survives_json_and_is_frozen() -> None:
    packing = Packing(per_slot=2, width=22)
    assert Packing.model_validate_json(packing.model_dump_json()) == packing
    with pytest.raises(ValidationError):
        packing.width = 5  # type: ignore[misc]
