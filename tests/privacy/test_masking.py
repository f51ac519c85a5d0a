import hashlib
import hmac
from itertools import combinations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy import masking
from mesh_fl.privacy.encryption import Parameters
from mesh_fl.privacy.masking import hide, mask_of, pair_key, reveal

CHUNK = 1 << 14
CONTEXT = b"training 7, round 3, attempt 0"
T = Parameters.for_range(2**33, 20).plain_modulus
MODULI = [
    *(Parameters.for_range(2**power, 20).plain_modulus for power in (11, 20, 29, 33, 43)),
    *(2, 3, 2**14 + 1, 2**32 - 5, 2**32, 2**32 + 1, 2**54 + 1, 2**55 - 1),
]
LOW_ORDER_POINTS = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def key(*name: object) -> bytes:
    return hashlib.sha256(repr(name).encode()).digest()


def masks_of(parties: int, modulus: int, size: int, name: object = 0) -> list[np.ndarray]:
    """Each pair shares a key, which the earlier one adds and the later one subtracts."""

    def mask(own: int) -> np.ndarray:
        plus = [key(name, own, peer) for peer in range(own + 1, parties)]
        minus = [key(name, peer, own) for peer in range(own)]
        return mask_of(plus, minus, modulus, size)

    return [mask(own) for own in range(parties)]


# --- an independent, slow implementation


def rotated(word: int, by: int) -> int:
    return ((word << by) | (word >> (32 - by))) & 0xFFFFFFFF


def quarter_round(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for into, other, turned, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[into] = (s[into] + s[other]) & 0xFFFFFFFF
        s[turned] = rotated(s[turned] ^ s[into], by)


def chacha20_block(secret: bytes, counter: int, nonce: bytes = bytes(12)) -> bytes:
    parts = b"expand 32-byte k" + secret + counter.to_bytes(4, "little") + nonce
    start = [int.from_bytes(parts[i : i + 4], "little") for i in range(0, 64, 4)]
    s = list(start)
    for _ in range(10):
        for i in range(4):
            quarter_round(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    words = ((a + b) & 0xFFFFFFFF for a, b in zip(s, start, strict=True))
    return b"".join(word.to_bytes(4, "little") for word in words)


def slow_stream(secret: bytes, modulus: int, size: int) -> list[int]:
    bits = (modulus - 1).bit_length()
    width = 4 if bits <= 32 else 8
    residues: list[int] = []
    counter = 0
    while len(residues) < size:
        block = chacha20_block(secret, counter)
        words = (int.from_bytes(block[i : i + width], "little") for i in range(0, 64, width))
        residues += [word % 2**bits for word in words if word % 2**bits < modulus]
        counter += 1
    return residues[:size]


def slow_mask(plus: list[bytes], minus: list[bytes], modulus: int, size: int) -> list[int]:
    added = [slow_stream(secret, modulus, size) for secret in plus]
    subtracted = [slow_stream(secret, modulus, size) for secret in minus]
    return [
        (sum(s[i] for s in added) - sum(s[i] for s in subtracted)) % modulus for i in range(size)
    ]


def test_slow_implementation_agrees_with_rfc_8439() -> None:
    block = chacha20_block(bytes(range(32)), 1, bytes.fromhex("000000090000004a00000000"))
    assert block.hex().startswith(
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
    )
    assert block.hex().endswith("b5129cd1de164eb9cbd083e8a2503c4e")


# --- keys


def test_pair_key_is_known() -> None:
    """X25519 from RFC 7748, section 6.1, then RFC 5869 by hand."""
    bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    alice = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    own = X25519PrivateKey.from_private_bytes(bytes.fromhex(bob))
    extracted = hmac.digest(bytes(32), bytes.fromhex(shared), "sha256")
    expected = hmac.digest(extracted, b"mesh_fl/mask\0" + CONTEXT + b"\x01", "sha256")
    assert pair_key(own, bytes.fromhex(alice), CONTEXT) == expected


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary())
def test_both_sides_agree(first: bytes, second: bytes, context: bytes) -> None:
    one, other = (X25519PrivateKey.from_private_bytes(raw) for raw in (first, second))
    there = pair_key(one, other.public_key().public_bytes_raw(), context)
    assert there == pair_key(other, one.public_key().public_bytes_raw(), context)
    assert len(there) == 32
    assert pair_key(one, other.public_key().public_bytes_raw(), context + b"\0") != there


@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
def test_degenerate_points_are_refused(point: bytes) -> None:
    with pytest.raises(EncryptionError, match="check the roster"):
        pair_key(X25519PrivateKey.generate(), point, CONTEXT)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_public_keys_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(EncryptionError, match="check the roster"):
        pair_key(X25519PrivateKey.generate(), b"\x09" * length, CONTEXT)


# --- known answers


@pytest.mark.parametrize("modulus", MODULI)
def test_masks_are_those_of_the_slow_implementation(modulus: int) -> None:
    plus, minus = [key("a"), key("b")], [key("c"), key("d"), key("e")]
    assert mask_of(plus, minus, modulus, 60).tolist() == slow_mask(plus, minus, modulus, 60)


@pytest.mark.parametrize("modulus", [T, 2**32 + 1, 3])
def test_stream_is_the_same_across_chunks(modulus: int) -> None:
    """Words that were rejected are replaced by those that follow, also from the next chunk."""
    size = CHUNK + 40
    fast = mask_of([key("long")], [], modulus, size)
    assert fast.tolist() == slow_stream(key("long"), modulus, size)


@pytest.mark.parametrize("modulus", [T, 2**14 + 1, 2**32 + 1])
def test_mask_does_not_depend_on_chunks(modulus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plus, minus = [key(0)], [key(1), key(2)]
    expected = mask_of(plus, minus, modulus, 3 * CHUNK + 5)
    for chunk in (1 << 10, CHUNK - 7):
        monkeypatch.setattr(masking, "_CHUNK", chunk)
        np.testing.assert_array_equal(mask_of(plus, minus, modulus, 3 * CHUNK + 5), expected)


@pytest.mark.parametrize("modulus", [T, 2**14 + 1])
def test_shorter_mask_begins_a_longer_one(modulus: int) -> None:
    longest = mask_of([key(0)], [key(1)], modulus, 2 * CHUNK + 1)
    for size in (0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1):
        np.testing.assert_array_equal(mask_of([key(0)], [key(1)], modulus, size), longest[:size])


def test_many_residues_of_the_largest_modulus_do_not_overflow() -> None:
    """2^63 / 2^55 = 256 residues fill an int64, and 600 more than fill it."""
    modulus = 2**55 - 1
    keys = [key("many", i) for i in range(600)]
    streams = [mask_of([one], [], modulus, 20).tolist() for one in keys]
    expected = [sum(column) % modulus for column in zip(*streams, strict=True)]
    assert mask_of(keys, [], modulus, 20).tolist() == expected
    assert mask_of([], keys, modulus, 20).tolist() == [-value % modulus for value in expected]


# --- cancellation


@settings(max_examples=40, deadline=None)
@given(
    parties=st.integers(2, 20),
    modulus=st.sampled_from(MODULI),
    size=st.sampled_from([0, 1, 7, 300]),
    seed=st.integers(0, 2**32),
)
def test_masks_cancel_and_the_sum_is_exact(
    parties: int, modulus: int, size: int, seed: int
) -> None:
    most = (modulus - 1) // 2 // parties
    draw = np.random.default_rng(seed)
    values = draw.integers(-most, most, (parties, size), endpoint=True)
    masks = masks_of(parties, modulus, size, seed)
    hidden = [hide(v, m, modulus) for v, m in zip(values, masks, strict=True)]
    assert all(((h >= 0) & (h < modulus)).all() for h in hidden)
    total = sum(hidden, np.zeros(size, np.int64)) % modulus
    opened = reveal(total, np.zeros(size, np.int64), modulus)
    np.testing.assert_array_equal(opened, values.sum(axis=0))


def test_masks_cancel_over_chunks_with_real_keys() -> None:
    members = [X25519PrivateKey.generate() for _ in range(5)]
    publics = [member.public_key().public_bytes_raw() for member in members]
    total = np.zeros(CHUNK + 9, dtype=np.int64)
    for own, member in enumerate(members):
        keys = [pair_key(member, p, CONTEXT) if i != own else b"" for i, p in enumerate(publics)]
        total += mask_of(keys[own + 1 :], keys[:own], T, total.size)
    assert not (total % T).any()


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(MODULI))
def test_reveal_undoes_hide(data: st.DataObject, modulus: int) -> None:
    centred = st.integers(-((modulus - 1) // 2), (modulus - 1) // 2)
    values = np.array(data.draw(st.lists(centred, max_size=9)), dtype=np.int64)
    mask = mask_of([key(0)], [key(1)], modulus, values.size)
    np.testing.assert_array_equal(reveal(hide(values, mask, modulus), mask, modulus), values)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(MODULI), st.integers(0, 2**55))
def test_any_integer_is_hidden_modulo(value: int, modulus: int, raw: int) -> None:
    values, mask = np.array([value]), np.array([raw % modulus])
    assert hide(values, mask, modulus).tolist() == [(value + raw) % modulus]
    (opened,) = reveal(values, mask, modulus).tolist()
    assert -modulus < 2 * opened <= modulus
    assert (opened - (value - raw)) % modulus == 0


def test_input_is_not_changed() -> None:
    values, mask = np.arange(-5, 5), mask_of([key(0)], [], T, 10)
    kept = mask.copy()
    hide(values, mask, T)
    reveal(values, mask, T)
    np.testing.assert_array_equal(values, np.arange(-5, 5))
    np.testing.assert_array_equal(mask, kept)


# --- uniformity (fixed keys, so a test cannot fail by chance)


def chi_square(values: np.ndarray, modulus: int, bins: int) -> float:
    """The p-value of residues sorted into `bins` equal parts of the range."""
    edges = [-(-modulus * i // bins) for i in range(bins + 1)]
    expected = values.size * np.diff(edges) / modulus
    counts = np.bincount(values * bins // modulus, minlength=bins)
    return float(stats.chisquare(counts, expected).pvalue)


@pytest.mark.parametrize("modulus", [2, 3, 17, 2**8 + 1])
def test_small_residues_are_uniform(modulus: int) -> None:
    mask = mask_of([key("small", modulus)], [key("minus", modulus)], modulus, 10**6)
    assert chi_square(mask, modulus, modulus) > 1e-3


@pytest.mark.parametrize(
    "modulus",
    [
        Parameters.for_range(2**28, 20).plain_modulus,
        2**29 + 11,
        3 * 2**28,
        2**32 + 1,
        3 * 2**43,
    ],
)
def test_top_and_low_bits_are_uniform(modulus: int) -> None:
    """A remainder in place of the rejection would favour a third of the range 2 to 1 at 3·2^k."""
    mask = mask_of([key("one stream", modulus)], [], modulus, 10**6)
    assert chi_square(mask, modulus, 256) > 1e-3
    assert stats.chisquare(np.bincount(mask % 256, minlength=256)).pvalue > 1e-3
    assert mask.max() > modulus * (1 - 1e-4)
    assert mask.min() < modulus * 1e-4


def test_neighbouring_values_are_independent() -> None:
    mask = mask_of([key("pairs")], [], 17, 10**6)
    assert chi_square(mask[::2] * 17 + mask[1::2], 17**2, 17**2) > 1e-3


@pytest.mark.parametrize("modulus", [17, T])
def test_sums_of_some_members_are_uniform(modulus: int) -> None:
    """Equal inputs, and whoever adds up all but one or two of them sees noise."""
    parties, size = 5, 100_000
    value = np.full(size, 3)
    hidden = [hide(value, mask, modulus) for mask in masks_of(parties, modulus, size)]
    for count in range(1, parties):
        for chosen in combinations(hidden, count):
            assert chi_square(sum(chosen) % modulus, modulus, 17) > 1e-4
    assert set(sum(hidden) % modulus) == {15}


# --- what breaks it


def test_one_wrong_context_leaves_garbage() -> None:
    one, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    here = pair_key(one, other.public_key().public_bytes_raw(), b"cohort of 20")
    there = pair_key(other, one.public_key().public_bytes_raw(), b"cohort of 19")
    total = (mask_of([here], [], T, 1000) + mask_of([], [there], T, 1000)) % T
    assert len(set(total.tolist())) > 990
    assert np.mean(total == 0) < 0.01


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255))
def test_each_bit_of_a_key_counts(bit: int) -> None:
    tampered = (int.from_bytes(key(0), "little") ^ 1 << bit).to_bytes(32, "little")
    assert np.mean(mask_of([key(0)], [], T, 200) == mask_of([tampered], [], T, 200)) < 0.05


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_of_other_lengths_are_refused(length: int) -> None:
    for plus, minus in (([bytes(length)], []), ([key(0)], [bytes(length)])):
        with pytest.raises(EncryptionError, match="32 bytes"):
            mask_of(plus, minus, T, 5)


def test_key_that_occurs_twice_is_refused() -> None:
    """Otherwise somebody who poses as two members could take a mask away."""
    for plus, minus in (([key(0)], [key(0)]), ([key(0)] * 2, []), ([], [key(0)] * 2)):
        with pytest.raises(EncryptionError, match="one twice"):
            mask_of(plus, minus, T, 5)


@pytest.mark.parametrize("modulus", [-5, 0, 1, 2**55, 2**64])
def test_other_moduli_are_refused(modulus: int) -> None:
    vector = np.zeros(3, dtype=np.int64)
    with pytest.raises(PlanError, match="expected a modulus"):
        mask_of([key(0)], [], modulus, 5)
    for use in (hide, reveal):
        with pytest.raises(PlanError, match="expected a modulus"):
            use(vector, vector, modulus)


def test_negative_size_is_refused() -> None:
    with pytest.raises(PlanError, match="found -1"):
        mask_of([key(0)], [], T, -1)


@pytest.mark.parametrize("size", [0, 1, 2, 4])
def test_mask_of_another_size_is_refused(size: int) -> None:
    """One value must not be spread over three: numpy would do that."""
    for use in (hide, reveal):
        with pytest.raises(EncryptionError, match=f"mask of 3 values, found {size}"):
            use(np.arange(3), np.zeros(size, dtype=np.int64), T)


@pytest.mark.parametrize("mask", [np.zeros((3, 3), np.int64), np.zeros(3), np.zeros(3, np.int32)])
def test_other_arrays_are_refused(mask: np.ndarray) -> None:
    for use in (hide, reveal):
        with pytest.raises(EncryptionError, match="vectors of int64"):
            use(np.arange(3), mask, T)
        with pytest.raises(EncryptionError, match="vectors of int64"):
            use(mask, np.arange(3), T)
