import itertools
import secrets
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.errors import EncryptionError
from mesh_fl.privacy import sharing
from mesh_fl.privacy.sharing import MOST_TRIES, PRIME, Rebuilt, combine, rebuild, split

SECRETS = st.integers(0, PRIME - 1).map(lambda number: number.to_bytes(32, "big"))


def numbered(shares: tuple[bytes, ...]) -> dict[int, bytes]:
    return dict(enumerate(shares, 1))


def is_prime(number: int) -> bool:
    """Miller and Rabin, 40 random bases."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(40):
        power = pow(2 + secrets.randbelow(number - 3), odd, number)
        if power not in (1, number - 1) and not any(
            (power := power * power % number) == number - 1 for _ in range(twos - 1)
        ):
            return False
    return True


def test_the_field_is_the_largest_of_32_bytes() -> None:
    assert is_prime(PRIME)
    assert not any(is_prime(number) for number in range(PRIME + 2, 2**256, 2))


@settings(max_examples=60, deadline=None)
@given(secret=SECRETS, sizes=st.tuples(st.integers(1, 40), st.integers(0, 40)), data=st.data())
def test_any_shares_that_are_enough_give_the_secret(
    secret: bytes, sizes: tuple[int, int], data: st.DataObject
) -> None:
    threshold, spare = sizes
    shares = numbered(split(secret, threshold, threshold + spare))
    order = data.draw(st.permutations(list(shares)))
    assert combine({number: shares[number] for number in order[:threshold]}, threshold) == secret
    assert combine({number: shares[number] for number in order}, threshold) == secret


def test_known_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    coefficients = iter([7, PRIME - 3])
    monkeypatch.setattr(sharing, "_uniform", lambda: next(coefficients))
    # 7 x^2 - 3 x + 1000 at 1, 2 and 300.
    shares = split((1000).to_bytes(32, "big"), 3, 300)
    found = [int.from_bytes(shares[number - 1], "big") for number in (1, 2, 300)]
    assert found == [1004, 1022, 7 * 90000 - 900 + 1000]
    # By hand: the line through (2, 5) and (3, 7) meets 0 at 1; through (1, 1) and (3, 2) at 1/2.
    assert int.from_bytes(combine(points({2: 5, 3: 7}), 2), "big") == 1
    assert int.from_bytes(combine(points({1: 1, 3: 2}), 2), "big") == (PRIME + 1) // 2


def points(values: dict[int, int]) -> dict[int, bytes]:
    return {number: value.to_bytes(32, "big") for number, value in values.items()}


@pytest.mark.parametrize("threshold", [2, 3])
def test_too_few_shares_are_uniform_whatever_the_secret(
    monkeypatch: pytest.MonkeyPatch, threshold: int
) -> None:
    """All polynomials over a field of 11: every choice of values is seen equally often."""
    monkeypatch.setattr(sharing, "PRIME", 11)
    count = 5
    for secret in range(11):
        seen: dict[tuple[int, ...], Counter[tuple[bytes, ...]]] = {}
        for polynomial in itertools.product(range(11), repeat=threshold - 1):
            drawn = iter(polynomial)
            monkeypatch.setattr(sharing, "_uniform", lambda drawn=drawn: next(drawn))
            shares = split(secret.to_bytes(32, "big"), threshold, count)
            for few in itertools.combinations(range(count), threshold - 1):
                seen.setdefault(few, Counter())[tuple(shares[i] for i in few)] += 1
        for counts in seen.values():
            assert len(counts) == 11 ** (threshold - 1)
            assert set(counts.values()) == {1}


@settings(max_examples=30, deadline=None)
@given(secret=SECRETS, other=SECRETS, threshold=st.integers(2, 30))
def test_too_few_shares_fit_every_other_secret(secret: bytes, other: bytes, threshold: int) -> None:
    few = numbered(split(secret, threshold, threshold)[:-1])
    values = {number: int.from_bytes(share, "big") for number, share in few.items()}
    at_zero = values | {0: int.from_bytes(other, "big")}
    last = sharing._at(threshold, list(at_zero), at_zero)
    assert combine(few | points({threshold: last}), threshold) == other


def test_shares_are_fresh() -> None:
    secret = secrets.token_bytes(32)
    assert not set(split(secret, 2, 20)) & set(split(secret, 2, 20))


@pytest.mark.parametrize(("threshold", "count"), [(0, 5), (6, 5), (1, 0), (2, 2**16)])
def test_impossible_splits_are_refused(threshold: int, count: int) -> None:
    with pytest.raises(EncryptionError, match="threshold"):
        split(bytes(32), threshold, count)


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33), PRIME.to_bytes(32, "big")])
def test_malformed_secrets_and_shares_are_refused(secret: bytes) -> None:
    with pytest.raises(EncryptionError, match="a secret of 32 bytes"):
        split(secret, 2, 3)
    with pytest.raises(EncryptionError, match="a share of 32 bytes"):
        combine({1: bytes(32), 2: secret}, 2)


@pytest.mark.parametrize("threshold", [0, 4])
def test_too_few_shares_are_refused(threshold: int) -> None:
    shares = numbered(split(bytes(32), 3, 3))
    with pytest.raises(EncryptionError, match="found 3"):
        combine(shares, threshold)
    with pytest.raises(EncryptionError, match="found 3"):
        rebuild(shares, threshold, lambda secret: True)


@settings(max_examples=40, deadline=None)
@given(
    secret=SECRETS, threshold=st.integers(1, 12), spare=st.integers(1, 6), bad=st.integers(0, 100)
)
def test_one_wrong_share_is_got_over_and_found(
    secret: bytes, threshold: int, spare: int, bad: int
) -> None:
    shares = numbered(split(secret, threshold, threshold + spare))
    wrong = bad % len(shares) + 1
    shares[wrong] = secrets.token_bytes(32)
    found = rebuild(shares, threshold, lambda one: one == secret)
    assert found.secret == secret
    assert found.wrong == ({wrong} if wrong <= threshold else frozenset())


def test_a_malformed_share_is_a_wrong_one() -> None:
    secret = secrets.token_bytes(32)
    shares = numbered(split(secret, 3, 5)) | {2: b"", 4: b"\xff" * 32}
    assert rebuild(shares, 3, lambda one: one == secret) == Rebuilt(secret, frozenset({2, 4}))
    with pytest.raises(EncryptionError, match="found 2"):
        rebuild(shares | {1: b""}, 3, lambda one: one == secret)


def test_several_wrong_shares_are_got_over() -> None:
    secret = secrets.token_bytes(32)
    shares = numbered(split(secret, 5, 12))
    for number in (1, 4, 9):
        shares[number] = secrets.token_bytes(32)
    assert rebuild(shares, 5, lambda one: one == secret) == Rebuilt(secret, frozenset({1, 4, 9}))


@pytest.mark.parametrize("spare", [0, 1, 3, 10])
def test_the_search_ends(spare: int) -> None:
    tried = []

    def accepts(secret: bytes) -> bool:
        tried.append(secret)
        return False

    with pytest.raises(EncryptionError, match="too many wrong"):
        rebuild(numbered(split(bytes(32), 4, 4 + spare)), 4, accepts)
    assert len(tried) == (MOST_TRIES if spare else 1)


def test_the_largest_threshold_that_gets_over_one_wrong_share_is_in_reach() -> None:
    """At 254 of 255 the last run tried is the one that leaves out the last but one share."""
    numbers = list(range(255))
    runs = list(itertools.islice(sharing._choices(numbers, 254), MOST_TRIES))
    assert all(any(number not in run for run in runs[:256]) for number in numbers)
