"""Large cohorts: whole attempts, who drops out of them, and servers and members that cheat."""

import dataclasses
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.circle import Advertised, Circle, Terms, was_signed
from mesh_fl.privacy.recovery import Correction, correction
from mesh_fl.privacy.robust import Attempt, Revealed
from mesh_fl.privacy.sharing import combine
from mesh_fl.privacy.signing import public_bytes

MODULUS = 2**34 - 41
SIZE = 20
IDENTITIES = {f"member {i}": Ed25519PrivateKey.generate() for i in range(200)}
ROSTER = {name: public_bytes(key) for name, key in IDENTITIES.items()}
Drop = Callable[[Collection[str]], list[str]]


def nobody(names: Collection[str]) -> list[str]:
    return list(names)


def tenth(seed: int) -> Drop:
    rng = random.Random(seed)
    return lambda names: sorted(rng.sample(sorted(names), len(names) - len(names) // 10))


@dataclass
class Run:
    """One attempt with an honest server; a test steps in where it likes."""

    members: int
    terms: Terms
    drop: Drop = nobody
    size: int = SIZE
    advertised: dict[str, Advertised] = field(default_factory=dict)
    hidden: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    sealed: dict[str, dict[str, bytes]] = field(default_factory=dict)
    confirmations: dict[str, str] = field(default_factory=dict)
    revealed: dict[str, Revealed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = list(IDENTITIES)[: self.members]
        self.attempts = {n: Attempt(n, IDENTITIES[n], ROSTER, self.terms) for n in names}
        rng = np.random.default_rng(self.members)
        self.values = {n: rng.integers(-(2**20), 2**20, self.size) for n in names}

    @property
    def circle(self) -> Circle:
        return Circle.of(self.advertised, self.terms)

    def advertise(self) -> "Run":
        names = self.drop(self.attempts)
        self.advertised = {n: self.attempts[n].advertise() for n in names}
        return self

    def deal(self) -> "Run":
        self.sealed = {
            n: self.attempts[n].deal(self.advertised) for n in self.drop(self.advertised)
        }
        return self

    def dealt_to(self, name: str) -> dict[str, bytes]:
        return {n: shares[name] for n, shares in self.sealed.items() if name in shares}

    def hide(self) -> "Run":
        for name in self.sealed:
            self.attempts[name].receive(self.dealt_to(name), self.sealed.keys())
        for name in self.drop(self.sealed):
            self.hidden[name] = self.attempts[name].hide(self.values[name], MODULUS)
        return self

    def confirm(self) -> "Run":
        survivors = self.hidden.keys()
        self.confirmations = {n: self.attempts[n].confirm(survivors) for n in survivors}
        return self

    def reveal(self) -> "Run":
        for name in self.drop(self.hidden):
            self.revealed[name] = self.attempts[name].reveal(self.confirmations)
        return self

    def whole(self) -> "Run":
        return self.advertise().deal().hide().confirm().reveal()

    def correction(self) -> Correction:
        return correction(
            self.circle, self.sealed, self.hidden, self.revealed, MODULUS, self.size
        )

    def total(self, names: Collection[str] | None = None) -> NDArray[np.int64]:
        """The sum of some hidden vectors (of all, if not told) less the correction, centred."""
        return self.less(self.correction().residues, names)

    def less(
        self, residues: NDArray[np.int64], names: Collection[str] | None = None
    ) -> NDArray[np.int64]:
        added = self.sum_of(self.hidden, names or self.hidden)
        plain = (added - residues) % MODULUS
        return np.where(plain > MODULUS // 2, plain - MODULUS, plain)

    def expected(self) -> NDArray[np.int64]:
        return self.sum_of(self.values, self.hidden)

    def sum_of(
        self, vectors: Mapping[str, NDArray[np.int64]], names: Collection[str]
    ) -> NDArray[np.int64]:
        return np.sum([vectors[name] for name in names], axis=0, dtype=np.int64)


def terms(survivors: int, colluders: int = 1, dropping: float = 0.3) -> Terms:
    return Terms(b"training 1, step 1, attempt 1", survivors, colluders, dropping)


def uniform(values: NDArray[np.int64]) -> bool:
    counts = np.bincount((values % MODULUS) * 32 // MODULUS, minlength=32)
    return bool(chisquare(counts).pvalue > 1e-6)


# Honest servers, and members that drop out.


@pytest.mark.parametrize("members", [5, 21, 22])
def test_the_sum_is_exact(members: int) -> None:
    run = Run(members, terms(members - 1)).whole()
    assert np.array_equal(run.total(), run.expected())
    assert len(run.hidden) == members


def test_200_members_of_whom_a_tenth_drops_out_at_every_step() -> None:
    for seed in range(2):
        run = Run(200, terms(120), tenth(seed)).whole()
        assert (len(run.advertised), len(run.sealed), len(run.hidden)) == (180, 162, 146)
        assert len(run.revealed) == 132
        found = run.correction()
        assert np.array_equal(run.less(found.residues), run.expected())
        assert not found.wrong


@settings(max_examples=25, deadline=None)
@given(members=st.integers(6, 24), seed=st.integers(0, 2**32))
def test_exact_or_refused(members: int, seed: int) -> None:
    """Whoever drops out whenever: an exact sum, or an error that says so."""
    rng = random.Random(seed)

    def drop(names: Collection[str]) -> list[str]:
        return [name for name in names if rng.random() > 0.08]

    run = Run(members, terms(max(3, members // 2)), drop)
    try:
        total = run.whole().total()
    except (EncryptionError, PlanError) as error:
        assert "expected" in str(error)
    else:
        assert np.array_equal(total, run.expected())


def test_members_derive_the_same_circle_in_any_order() -> None:
    run = Run(21, terms(15)).advertise()
    mixed = dict(random.Random(3).sample(sorted(run.advertised.items()), 21))
    assert Circle.of(mixed, run.terms) == run.circle
    for other in (terms(16), terms(15, 2), dataclasses.replace(run.terms, context=b"other")):
        assert Circle.of(mixed, other).digest != run.circle.digest


def test_too_few_members_are_refused_at_every_step() -> None:
    run = Run(21, terms(15)).advertise()
    few = dict(list(run.advertised.items())[:14])
    with pytest.raises(EncryptionError, match="keys of 15 members, found 14"):
        run.attempts["member 0"].deal(few)
    run.attempts["member 0"] = Attempt("member 0", IDENTITIES["member 0"], ROSTER, run.terms)
    run.advertise().deal()
    ours = run.circle.neighbours["member 0"]
    dealers = [n for n in run.sealed if n == "member 0" or n not in ours[:2]][:14]
    with pytest.raises(EncryptionError, match="at least 15 members, found 14"):
        run.attempts["member 0"].receive({}, ["member 0", *dealers[-13:]])
    run.sealed.pop("member 0")
    run.hide()
    with pytest.raises(EncryptionError, match="at least 15 members, found 14"):
        run.attempts["member 1"].confirm(list(run.hidden)[:14])


def test_too_few_neighbours_that_dealt_are_refused() -> None:
    run = Run(60, terms(10)).advertise().deal()
    peers = run.circle.neighbours["member 0"]
    gone = set(peers[run.circle.threshold - 1 :])
    dealers = run.sealed.keys() - gone
    dealt = {n: blob for n, blob in run.dealt_to("member 0").items() if n not in gone}
    with pytest.raises(EncryptionError, match=f"found {run.circle.threshold - 1} that open"):
        run.attempts["member 0"].receive(dealt, dealers)


def test_too_few_confirmations_and_shares_are_refused() -> None:
    run = Run(21, terms(15)).advertise().deal().hide().confirm()
    assert run.circle.quorum == 15
    some = dict(list(run.confirmations.items())[:14])
    with pytest.raises(EncryptionError, match="expected 15 members .* found 14"):
        run.attempts["member 0"].reveal(some)
    run.reveal()
    for name in list(run.revealed)[: 21 - run.circle.threshold + 1]:
        del run.revealed[name]
    with pytest.raises(EncryptionError, match="found fewer for member 0, member 1, "):
        run.correction()


def test_one_kind_of_share_for_each_neighbour() -> None:
    run = Run(40, terms(20), tenth(5)).whole()
    for name, shares in run.revealed.items():
        assert shares.seeds.keys() | shares.keys.keys() == (
            set(run.circle.neighbours[name]) & run.sealed.keys()
        )
        assert shares.seeds.keys() <= run.hidden.keys()
        assert not shares.keys.keys() & run.hidden.keys()
        assert str(next(iter(shares.seeds.values()))) not in repr(shares)


# What the server sees.


def test_what_is_left_without_a_correction_is_uniform() -> None:
    run = Run(12, terms(6), size=20_000)
    run.values = {name: np.zeros(20_000, dtype=np.int64) for name in run.values}
    run.whole()
    assert not run.total().any()
    assert uniform(run.sum_of(run.hidden, run.hidden))
    for hidden in run.hidden.values():
        assert uniform(hidden)


def test_part_of_the_sum_is_uniform_though_all_own_masks_are_known() -> None:
    run = Run(12, terms(6), size=20_000)
    run.values = {name: np.zeros(20_000, dtype=np.int64) for name in run.values}
    run.whole()
    survivors = list(run.hidden)
    for left_out in (1, 4, 11):
        part = survivors[left_out:]
        own = [n for n in survivors if n in part]
        residues = correction(run.circle, survivors, survivors, run.revealed, MODULUS, 20_000)
        assert uniform(run.less(residues.residues, part))
        assert len(own) == 12 - left_out


def test_attempts_do_not_repeat_keys_or_masks() -> None:
    first, second = (Run(12, terms(6)).whole() for _ in range(2))
    for name in first.hidden:
        ours, others = first.advertised[name].fields, second.advertised[name].fields
        assert not set(ours) & set(others)
        assert not np.array_equal(first.hidden[name], second.hidden[name])


# Servers that cheat.


def test_halves_that_are_told_different_survivors_reveal_nothing() -> None:
    """One colluder confirms both accounts, and still neither has enough."""
    run = Run(61, terms(20)).advertise().deal().hide()
    names = sorted(run.hidden)
    evil, honest = names[0], names[1:]
    halves = honest[:30], honest[30:]
    told = [[evil, *half, *other[10:]] for half, other in (halves, halves[::-1])]
    clone = [IDENTITIES[evil], IDENTITIES[evil]]
    for half, survivors, key in zip(halves, told, clone, strict=True):
        given = {n: run.attempts[n].confirm(survivors) for n in half}
        accomplice = run.attempts[half[0]]
        digest = accomplice._circle.survived(run.sealed, survivors)
        from mesh_fl.privacy.signing import sign

        given[evil] = sign(key, "survivors", digest)
        assert was_signed(ROSTER[evil], "survivors", digest, given[evil])
        assert len(given) == run.circle.quorum - 1
        for name in half:
            with pytest.raises(EncryptionError, match="tells them different ones"):
                run.attempts[name].reveal(given)
