import errno
import hashlib
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgpack
import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy import encryption, framing
from mesh_fl.privacy.encryption import Bfv, Parameters, generate_key
from mesh_fl.privacy.memory_file import MemoryFile

PARAMETERS = Parameters.for_range(2**33, 20, size=10)
KEY = generate_key(PARAMETERS)
MEMBER = Bfv(PARAMETERS, KEY)
ADDER = Bfv(PARAMETERS)
DEGREE = PARAMETERS.degree
T = PARAMETERS.plain_modulus
VALUES = np.arange(-5, 4, dtype=np.int64)
CIPHERTEXT = MEMBER.encrypt(VALUES)


def sealed_again(body: bytes, parameters: Parameters = PARAMETERS) -> bytes:
    """What somebody who knows the format sends: hostile content under a correct digest."""
    tag = f"mesh_fl/bfv\0{parameters}\0".encode()
    return hashlib.sha256(tag + body).digest() + body


def block_of(ciphertext: bytes) -> bytes:
    blocks: list[bytes] = msgpack.unpackb(ciphertext[32:])
    return blocks[0]


def largest_prime(bits: int, degree: int) -> int:
    top = (1 << bits) - ((1 << bits) - 1) % (2 * degree)
    candidates = range(top, 1, -2 * degree)
    return next((p for p in candidates if seal.Modulus(p).is_prime()), 0)


# --- parameters


@pytest.mark.parametrize("power", range(10, 45, 2))
@pytest.mark.parametrize("members", [1, 2, 20, 77, 200, 1000])
@pytest.mark.parametrize("size", [10, 10**6])
def test_worst_case_noise_fits_with_a_bit_to_spare(power: int, members: int, size: int) -> None:
    bound = 2**power
    try:
        chosen = Parameters.for_range(bound, members, size)
    except PlanError:
        assert 88 * members * 2 * bound > 2**58
        return
    q = largest_prime(chosen.modulus_bits, chosen.degree)
    assert chosen.modulus == q
    assert chosen.plain_modulus > 2 * bound
    assert members * (21 + 0.5 + 0.5) * 2 * 2 * chosen.plain_modulus < q
    assert chosen.most_additions >= members


@pytest.mark.parametrize(("bound", "members"), [(2**10, 2), (2**21, 20), (2**33, 20), (2**40, 200)])
@pytest.mark.parametrize("size", [10, 10**6])
def test_the_modulus_is_the_smallest_that_fits(bound: int, members: int, size: int) -> None:
    chosen = Parameters.for_range(bound, members, size)
    smaller = largest_prime(chosen.modulus_bits - 1, chosen.degree)
    assert 88 * members * chosen.plain_modulus >= smaller
    assert largest_prime(chosen.plain_modulus.bit_length() - 1, chosen.degree) <= 2 * bound


@pytest.mark.parametrize("bound", [2**33 - 1, 2**33, 2**34 - 1, 2**34 - 100])
def test_plain_modulus_exceeds_the_range_next_to_a_power_of_two(bound: int) -> None:
    assert Parameters.for_range(bound, 3).plain_modulus > 2 * bound


def test_degree_follows_modulus_and_length() -> None:
    for size in (1, 2**15 - 1):
        assert Parameters.for_range(2**40, 20, size).degree == 2048
        assert Parameters.for_range(2**44, 20, size).degree == 4096
    assert Parameters.for_range(2**10, 20, 2**15).degree == 4096
    assert Parameters.for_range(2**10, 20) == Parameters.for_range(2**10, 20, 2**15)


def test_impossible_range_says_bound_bits_and_way_out() -> None:
    with pytest.raises(PlanError, match=rf"{2**50} .*51 bits.*lower the scale"):
        Parameters.for_range(2**50, 1000)


@pytest.mark.parametrize(("bound", "members"), [(0, 1), (-1, 1), (1, 0), (2**70, 2), (2**400, 2)])
def test_senseless_ranges_are_refused(bound: int, members: int) -> None:
    with pytest.raises(PlanError):
        Parameters.for_range(bound, members)


@pytest.mark.parametrize(
    ("degree", "bits", "plain"),
    [
        (1024, 27, 12289),
        (2048, 55, T),
        (4096, 61, 40961),
        (2048, 35, T),
        (2048, 46, T + 4096),
        (2048, 46, T + 2),
        (2048, 46, 1),
        (2048, 46, 0),
        (2048, 46, -4095),
        (0, 46, T),
    ],
)
def test_insecure_or_impossible_parameters_are_refused(degree: int, bits: int, plain: int) -> None:
    with pytest.raises(PlanError, match="for_range"):
        Parameters(degree, bits, plain)


def test_security_table_is_not_laxer_than_seal() -> None:
    for degree, bits in encryption.LARGEST_MODULUS_BITS.items():
        assert bits <= seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128)


# --- exactness


@pytest.mark.parametrize("members", [2, 20, 200])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_sums_are_exact(members: int, sign: int) -> None:
    bound = 2**33
    chosen = Parameters.for_range(bound, members)
    member = Bfv(chosen, generate_key(chosen))
    values = np.full(5, sign * (bound // members), dtype=np.int64)
    total = Bfv(chosen).add([member.encrypt(values) for _ in range(members)])
    np.testing.assert_array_equal(member.decrypt(total, 5), members * values)


def test_sum_may_use_the_whole_centred_range() -> None:
    half = T // 2
    for end, step in ((half, 7), (-half, -7)):
        parts = [np.array([end - step, 3]), np.array([step, 4])]
        total = ADDER.add([MEMBER.encrypt(part) for part in parts])
        assert MEMBER.decrypt(total, 2).tolist() == [end, 7]


def test_most_additions_of_the_largest_plaintext_are_exact() -> None:
    most = PARAMETERS.most_additions
    ciphertexts = [MEMBER.encrypt(np.full(DEGREE, T - 1)) for _ in range(most)]
    total = MEMBER.decrypt(ADDER.add(ciphertexts), DEGREE)
    np.testing.assert_array_equal(total, np.full(DEGREE, -most))
    with pytest.raises(EncryptionError, match=f"expected 1 to {most} ciphertexts"):
        ADDER.add([*ciphertexts, ciphertexts[0]])


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([0, 1, 9, DEGREE - 1, DEGREE, DEGREE + 1, 2 * DEGREE + 5]),
    members=st.integers(1, 5),
    seed=st.integers(0, 2**32),
)
def test_random_sums_are_exact(size: int, members: int, seed: int) -> None:
    limit = 2**33 // members
    parts = np.random.default_rng(seed).integers(-limit, limit, (members, size), endpoint=True)
    total = ADDER.add([MEMBER.encrypt(part) for part in parts])
    np.testing.assert_array_equal(MEMBER.decrypt(total, size), parts.sum(axis=0))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(T // 2), T - 1), max_size=20))
def test_residues_and_centred_values_are_taken_modulo_t(values: list[int]) -> None:
    opened = MEMBER.decrypt(MEMBER.encrypt(np.array(values, dtype=np.int64)), len(values))
    assert np.all(np.abs(opened) <= T // 2)
    assert [(int(o) - v) % T for o, v in zip(opened, values, strict=True)] == [0] * len(values)


def test_input_is_not_changed() -> None:
    values = VALUES.copy()
    MEMBER.encrypt(values)
    np.testing.assert_array_equal(values, VALUES)


@pytest.mark.parametrize("value", [T, -(T // 2) - 1, 2**63 - 1, -(2**63)])
def test_value_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(EncryptionError, match="out of range"):
        MEMBER.encrypt(np.array([0, value, 1]))


@pytest.mark.parametrize("values", [np.zeros((2, 2), np.int64), np.zeros(3), np.zeros(3, np.int32)])
def test_other_arrays_are_refused(values: np.ndarray) -> None:
    with pytest.raises(EncryptionError, match="vector of int64"):
        MEMBER.encrypt(values)


def test_threads_do_not_disturb_each_other() -> None:
    def check(seed: int) -> bool:
        own = Bfv(PARAMETERS, KEY)
        values = np.random.default_rng(seed).integers(-(2**30), 2**30, DEGREE + 3)
        total = own.add([own.encrypt(values), MEMBER.encrypt(values)])
        return bool(np.array_equal(own.decrypt(total, values.size), 2 * values))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, range(32)))


# --- public vectors


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([0, 1, 9, DEGREE, DEGREE + 1, 2 * DEGREE + 5]),
    seed=st.integers(0, 2**32),
)
def test_public_vectors_are_added_modulo_t(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    secret = rng.integers(-(T // 2), T // 2, size, endpoint=True)
    public = rng.integers(-(T // 2), T, size)
    for ciphertext in (MEMBER.encrypt(secret), ADDER.add([MEMBER.encrypt(secret)])):
        opened = MEMBER.decrypt(ADDER.add_plain(ciphertext, public), size)
        assert np.all(np.abs(opened) <= T // 2)
        np.testing.assert_array_equal((opened - secret - public) % T, np.zeros(size))


def test_as_many_public_vectors_as_ciphertexts_are_exact() -> None:
    most = PARAMETERS.most_additions
    total = ADDER.add([MEMBER.encrypt(np.full(DEGREE, T - 1)) for _ in range(most)])
    for _ in range(most):
        total = ADDER.add_plain(total, np.full(DEGREE, T - 1))
    np.testing.assert_array_equal(MEMBER.decrypt(total, DEGREE), np.full(DEGREE, -2 * most))


def test_a_public_vector_hides_nothing_and_changes_nothing_else() -> None:
    kept, public = bytes(CIPHERTEXT), VALUES.copy()
    first, second = (ADDER.add_plain(CIPHERTEXT, public) for _ in range(2))
    assert first == second
    assert kept == CIPHERTEXT
    np.testing.assert_array_equal(public, VALUES)


@pytest.mark.parametrize("size", [0, DEGREE + 1, 3 * DEGREE])
def test_public_vector_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(EncryptionError, match=r"expected .* blocks, found"):
        ADDER.add_plain(CIPHERTEXT, np.zeros(size, dtype=np.int64))


@pytest.mark.parametrize("values", [np.array([T]), np.zeros(3), np.zeros((9, 1), np.int64)])
def test_unusable_public_vector_is_refused(values: np.ndarray) -> None:
    with pytest.raises(EncryptionError, match=r"out of range|vector of int64"):
        ADDER.add_plain(CIPHERTEXT, values)


def test_public_vector_is_not_added_to_what_is_damaged_or_foreign() -> None:
    other = Parameters.for_range(2**32, 20, size=10)
    foreign = Bfv(other, generate_key(other)).encrypt(VALUES)
    for blob in (CIPHERTEXT[:-1] + b"\0", CIPHERTEXT[:-1], foreign, sealed_again(foreign[32:])):
        with pytest.raises(EncryptionError):
            ADDER.add_plain(blob, VALUES)


# --- secrecy


def test_same_vector_encrypts_differently() -> None:
    seen = {MEMBER.encrypt(VALUES) for _ in range(20)}
    assert len(seen) == 20


def test_wrong_key_does_not_decrypt() -> None:
    with pytest.raises(EncryptionError, match="found noise"):
        Bfv(PARAMETERS, generate_key(PARAMETERS)).decrypt(CIPHERTEXT, VALUES.size)


@pytest.mark.parametrize("size", [DEGREE, 3 * DEGREE])
def test_one_ciphertext_under_another_key_spoils_the_sum(size: int) -> None:
    values = np.ones(size, dtype=np.int64)
    stranger = Bfv(PARAMETERS, generate_key(PARAMETERS))
    total = ADDER.add([MEMBER.encrypt(values), stranger.encrypt(values)])
    with pytest.raises(EncryptionError, match="found noise"):
        MEMBER.decrypt(total, size)


def test_adder_holds_no_key() -> None:
    with pytest.raises(EncryptionError, match="expected a key to decrypt with"):
        ADDER.decrypt(CIPHERTEXT, VALUES.size)
    with pytest.raises(EncryptionError, match="expected a key to encrypt with"):
        ADDER.encrypt(VALUES)


def test_upload_is_seeded() -> None:
    values = np.zeros(DEGREE, dtype=np.int64)
    upload = MEMBER.encrypt(values)
    assert len(upload) < 0.55 * len(ADDER.add([upload]))


def test_repr_hides_the_key() -> None:
    shown = repr(MEMBER) + str(MEMBER) + repr(ADDER)
    assert "has_key=True" in shown
    assert "has_key=False" in shown
    assert KEY.hex()[:16] not in shown
    assert repr(KEY)[10:30] not in shown
    assert not any(isinstance(held, bytes) for held in vars(MEMBER).values())


def test_keys_differ() -> None:
    assert generate_key(PARAMETERS) != generate_key(PARAMETERS)


def test_key_never_touches_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "the test forbids files on disk")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    assert Bfv(PARAMETERS, generate_key(PARAMETERS)).encrypt(VALUES)
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_without_memory_files_a_private_file_is_used_and_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    modes: list[int] = []
    unlink = Path.unlink

    def watched(path: Path) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        unlink(path)

    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "unlink", watched)
    member = Bfv(PARAMETERS, generate_key(PARAMETERS))
    np.testing.assert_array_equal(member.decrypt(member.encrypt(VALUES), 9), VALUES)
    with pytest.raises(EncryptionError):
        Bfv(PARAMETERS, b"garbage")
    assert set(modes) == {0o600}
    assert list(tmp_path.iterdir()) == []


# --- what comes from the wire


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(CIPHERTEXT) - 1), st.integers(1, 255))
def test_flipped_bits_are_found(position: int, flip: int) -> None:
    damaged = bytearray(CIPHERTEXT)
    damaged[position] ^= flip
    for use in (lambda b: MEMBER.decrypt(b, 9), lambda b: ADDER.add([CIPHERTEXT, b])):
        with pytest.raises(EncryptionError):
            use(bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(CIPHERTEXT) - 1))
def test_truncation_is_found(length: int) -> None:
    with pytest.raises(EncryptionError):
        MEMBER.decrypt(CIPHERTEXT[:length], 9)
    with pytest.raises(EncryptionError):
        ADDER.add([CIPHERTEXT[:length]])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    for blob in (garbage, sealed_again(garbage), sealed_again(msgpack.packb([garbage * 30]))):
        with pytest.raises(EncryptionError):
            MEMBER.decrypt(blob, 9)
    with pytest.raises(EncryptionError):
        ADDER.add([CIPHERTEXT, sealed_again(msgpack.packb([garbage * 30]))])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_blocks_under_a_right_digest_never_crash(data: st.DataObject) -> None:
    block = bytearray(block_of(CIPHERTEXT))
    for _ in range(data.draw(st.integers(1, 6))):
        reach = data.draw(st.sampled_from([24, 160, len(block)]))
        block[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    blob = sealed_again(msgpack.packb([bytes(block)]))
    # SEAL takes some of them, for ciphertexts are malleable; whatever else it does is refused.
    with suppress(EncryptionError):
        opened = MEMBER.decrypt(ADDER.add([CIPHERTEXT, blob]), 9)
        assert opened.shape == (9,)


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff" + b"\0" * 12_000,
        b"\xdd\x00\x00\x00\x01" + b"\xc6\xff\xff\xff\xff" + b"\0" * 12_000,
        b"\x91" * 12_000,
        msgpack.packb(["text" * 3000]),
        msgpack.packb({"a": b"x" * 12_000}),
        msgpack.packb([b"x" * 6000, b"y" * 6000]),
        msgpack.packb([b"x" * 12_000]) + b"\0",
    ],
)
def test_hostile_frames_are_refused(body: bytes) -> None:
    blob = sealed_again(body)
    with pytest.raises(EncryptionError):
        MEMBER.decrypt(blob, 9)
    with pytest.raises(EncryptionError):
        ADDER.add([blob])
    with pytest.raises(EncryptionError):
        ADDER.add([CIPHERTEXT, blob])


@pytest.mark.parametrize("kept", [20, 100, 6000, -64, -1])
def test_a_cut_block_is_not_completed_by_the_block_before(kept: int) -> None:
    block = block_of(CIPHERTEXT)
    blob = sealed_again(msgpack.packb([block, block[:kept]]))
    for use in (lambda: ADDER.add([blob]), lambda: MEMBER.decrypt(blob, DEGREE + 1)):
        with pytest.raises(EncryptionError, match="under these parameters"):
            use()


def test_oversized_blob_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(framing, "_digest")
    with pytest.raises(EncryptionError, match="bytes for 1 blocks"):
        MEMBER.decrypt(sealed_again(msgpack.packb([b"\0" * 10**6])), 9)


def test_other_lengths_are_refused() -> None:
    longer = MEMBER.encrypt(np.zeros(DEGREE + 1, dtype=np.int64))
    for ciphertext, size in ((CIPHERTEXT, DEGREE + 1), (longer, 9), (CIPHERTEXT, 0)):
        with pytest.raises(EncryptionError):
            MEMBER.decrypt(ciphertext, size)
        with pytest.raises(EncryptionError):
            ADDER.add([ciphertext], size=size)
    with pytest.raises(EncryptionError):
        ADDER.add([CIPHERTEXT, longer])
    with pytest.raises(EncryptionError, match="found 0"):
        ADDER.add([])


def test_ciphertext_of_other_parameters_is_refused() -> None:
    other = Parameters.for_range(2**32, 20, size=10)
    foreign = Bfv(other, generate_key(other)).encrypt(VALUES)
    with pytest.raises(EncryptionError, match="under these parameters"):
        ADDER.add([CIPHERTEXT, foreign])
    relabelled = sealed_again(foreign[32:])
    with pytest.raises(EncryptionError, match="under these parameters"):
        ADDER.add([CIPHERTEXT, relabelled])


def test_ciphertext_that_cancels_the_randomness_is_refused() -> None:
    context = encryption._context(PARAMETERS)
    with MemoryFile() as file:
        cipher = seal.Ciphertext()
        file.load(cipher, context, block_of(CIPHERTEXT))
        seal.Evaluator(context).negate_inplace(cipher)
        negated = sealed_again(msgpack.packb([file.save(cipher)]))
    with pytest.raises(EncryptionError, match="can be added"):
        ADDER.add([CIPHERTEXT, negated])


def test_ciphertext_of_three_polynomials_is_refused() -> None:
    context = encryption._context(PARAMETERS)
    with MemoryFile() as file:
        cipher = seal.Ciphertext()
        file.load(cipher, context, block_of(CIPHERTEXT))
        cipher.resize(context, 3)
        larger = sealed_again(msgpack.packb([file.save(cipher)]))
    with pytest.raises(EncryptionError, match="2 polynomials"):
        ADDER.add([CIPHERTEXT, larger])


@pytest.mark.parametrize(
    "key",
    [b"", b"garbage", KEY[:-1], KEY[:100], KEY * 4, CIPHERTEXT],
    ids=["empty", "garbage", "cut", "start", "four times", "ciphertext"],
)
def test_damaged_key_is_refused(key: bytes) -> None:
    with pytest.raises(EncryptionError):
        Bfv(PARAMETERS, key)


def test_key_of_other_parameters_is_refused() -> None:
    with pytest.raises(EncryptionError, match="secret key for these parameters"):
        Bfv(PARAMETERS, generate_key(Parameters.for_range(2**32, 20, size=10)))
