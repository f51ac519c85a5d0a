"""Large cohorts: whole attempts, who drops out of them, and servers and members that cheat."""

import dataclasses
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray
from scipy.stats import chisquare

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.circle import Advertised, Circle, Terms, mask_key, own_mask_key
from mesh_fl.privacy.masking import mask_of
from mesh_fl.privacy.recovery import Correction, correction
from mesh_fl.privacy.robust import Attempt, Revealed
from mesh_fl.privacy.sharing import combine
from mesh_fl.privacy.signing import public_bytes, sign

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
        return correction(self.circle, self.sealed, self.hidden, self.revealed, MODULUS, self.size)

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
        total = np.zeros(self.size, dtype=np.int64)
        for name in names:
            total += vectors[name]
        return total


def terms(survivors: int, colluders: int = 1, dropping: float = 0.3) -> Terms:
    return Terms(b"training 1, step 1, attempt 1", survivors, colluders, dropping)


def uniform(values: NDArray[np.int64]) -> bool:
    counts = np.bincount((values % MODULUS) * 32 // MODULUS, minlength=32)
    return bool(chisquare(counts).pvalue > 1e-6)


# Honest servers, and members that drop out.


@pytest.mark.parametrize("members", [7, 21, 22])
def test_the_sum_is_exact(members: int) -> None:
    run = Run(members, terms(members - 1)).whole()
    assert np.array_equal(run.total(), run.expected())
    assert len(run.hidden) == members


@pytest.mark.parametrize(("members", "fewest", "seed"), [(200, 120, 1), (60, 40, 2), (60, 40, 3)])
def test_a_tenth_drops_out_at_every_step(members: int, fewest: int, seed: int) -> None:
    run = Run(members, terms(fewest), tenth(seed)).whole()
    counts = [len(run.advertised), len(run.sealed), len(run.hidden), len(run.revealed)]
    assert counts == ([180, 162, 146, 132] if members == 200 else [54, 49, 45, 41])
    found = run.correction()
    assert np.array_equal(run.less(found.residues), run.expected())
    assert not found.wrong


def test_exact_or_refused() -> None:
    """Whoever drops out whenever: an exact sum, or an error that says what was expected."""
    rng = random.Random(1)
    refused = 0
    for _ in range(25):
        members = rng.randint(7, 24)
        run = Run(
            members, terms(members // 2), lambda names: [n for n in names if rng.random() > 0.1]
        )
        try:
            total = run.whole().total()
        except (EncryptionError, PlanError):
            refused += 1
        else:
            assert np.array_equal(total, run.expected())
    assert 3 <= refused <= 22


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
    with pytest.raises(EncryptionError, match="at least 15 members, found 14"):
        run.attempts["member 0"].receive(run.dealt_to("member 0"), list(run.sealed)[:14])
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
    with pytest.raises(EncryptionError, match=r"expected 15 members .* found 14"):
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
        own = [own_mask_key(run.attempts[name]._seed) for name in part]
        assert uniform(run.less(mask_of(own, [], MODULUS, run.size), part))


def test_attempts_do_not_repeat_keys_or_masks() -> None:
    first, second = (Run(12, terms(6)).whole() for _ in range(2))
    for name in first.hidden:
        ours, others = first.advertised[name].fields, second.advertised[name].fields
        assert not set(ours) & set(others)
        assert not np.array_equal(first.hidden[name], second.hidden[name])


def test_a_mask_belongs_to_two_members_and_one_list_of_dealers() -> None:
    north, south = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    public = south.public_key().public_bytes_raw()
    key = mask_key(north, "north", "south", public, "dealers")
    back = north.public_key().public_bytes_raw()
    assert mask_key(south, "south", "north", back, "dealers") == key
    assert mask_key(north, "north", "south", public, "others") != key
    assert mask_key(north, "north", "east", public, "dealers") != key


def test_the_dealers_and_the_survivors_are_what_is_confirmed() -> None:
    circle = Run(21, terms(15)).advertise().circle
    names = sorted(circle.advertised)
    digests = {
        circle.survived(names, names),
        circle.survived(names, names[1:]),
        circle.survived(names[1:], names[1:]),
    }
    assert len(digests) == 3
    assert circle.survived(names[::-1], set(names)) in digests


# Servers that cheat.


def without_quorum(attempt: Attempt) -> Attempt:
    """What a member would be that does not wait for confirmations."""
    attempt._circle = dataclasses.replace(attempt._circle, quorum=0)
    return attempt


def test_halves_that_are_told_different_survivors_reveal_nothing() -> None:
    """One colluder confirms both accounts, and still neither has enough."""
    run = Run(61, terms(20)).advertise().deal().hide()
    evil, *honest = sorted(run.hidden)
    halves = honest[:30], honest[30:]
    for half, other in (halves, halves[::-1]):
        survivors = [evil, *half, *other[10:]]
        given = {name: run.attempts[name].confirm(survivors) for name in half}
        given[evil] = sign(
            IDENTITIES[evil], "survivors", run.circle.survived(run.sealed, survivors)
        )
        assert len(given) == run.circle.quorum - 1
        for name in half:
            with pytest.raises(EncryptionError, match=r"32 members .* found 31: .* different ones"):
                run.attempts[name].reveal(given)


@pytest.mark.parametrize("colluders", [0, 1, 3])
def test_never_enough_shares_of_both_kinds(colluders: int) -> None:
    """Even if members did not wait for confirmations: each is told other survivors at random."""
    run = Run(60, terms(20, colluders)).advertise().deal().hide()
    rng = random.Random(colluders)
    victim, *others = sorted(run.hidden)
    peers = run.circle.neighbours[victim]
    evil = peers[:colluders]
    seeds, keys = set(evil), set(evil)
    for name in sorted(set(others) - set(evil)):
        told = {name, *rng.sample(others, 30)} | ({victim} if rng.random() < 0.5 else set())
        run.attempts[name].confirm(told)
        shares = without_quorum(run.attempts[name]).reveal({})
        seeds |= {name} if victim in shares.seeds else set()
        keys |= {name} if victim in shares.keys else set()
    assert len(seeds) + len(keys) == len(peers) + colluders
    assert min(len(seeds), len(keys)) < run.circle.threshold


def open_alone(run: Run, victim: str) -> NDArray[np.int64]:
    """Take all masks off one hidden vector, by what was revealed."""
    circle, bound = run.circle, run.circle.dealt(run.sealed)

    def secret(name: str, kind: str) -> bytes:
        holders = enumerate(circle.neighbours[name], 1)
        given = {i: getattr(run.revealed[h], kind).get(name) for i, h in holders}
        return combine({i: share for i, share in given.items() if share}, circle.threshold)

    plus, minus = [own_mask_key(secret(victim, "seeds"))], list[bytes]()
    for peer in circle.neighbours[victim]:
        own = X25519PrivateKey.from_private_bytes(secret(peer, "keys"))
        key = mask_key(own, peer, victim, run.advertised[victim].masking, bound)
        (plus if victim < peer else minus).append(key)
    return run.less(mask_of(plus, minus, MODULUS, run.size), [victim])


def test_a_member_cannot_be_cut_off_from_its_neighbours() -> None:
    """Neighbours hear that all other neighbours dropped out: confirmations are what stops it."""
    run = Run(61, terms(20)).advertise().deal().hide()
    victim = "member 7"
    peers = set(run.circle.neighbours[victim])
    for name in run.hidden:
        told = (run.hidden.keys() - peers) | {name}
        run.confirmations[name] = run.attempts[name].confirm(told)
    for attempt in run.attempts.values():
        with pytest.raises(EncryptionError, match="tells them different ones"):
            attempt.reveal(run.confirmations)
    run.revealed = {name: without_quorum(one).reveal({}) for name, one in run.attempts.items()}
    assert np.array_equal(open_alone(run, victim), run.values[victim])


def test_a_member_that_is_told_other_dealers_stays_masked() -> None:
    run = Run(24, terms(12), size=20_000).advertise().deal()
    run.values = {name: np.zeros(20_000, dtype=np.int64) for name in run.values}
    victim = "member 7"
    peers = run.circle.neighbours[victim]
    gone = set(peers[run.circle.threshold :])
    dealt = {n: blob for n, blob in run.dealt_to(victim).items() if n not in gone}
    run.attempts[victim].receive(dealt, run.sealed.keys() - gone)
    for name in run.sealed.keys() - {victim}:
        run.attempts[name].receive(run.dealt_to(name), run.sealed.keys())
    run.hidden = {n: run.attempts[n].hide(run.values[n], MODULUS) for n in run.sealed}
    witnesses = run.sealed.keys() - {victim}
    run.confirmations = {n: run.attempts[n].confirm(run.hidden.keys()) for n in witnesses}
    run.revealed = {n: run.attempts[n].reveal(run.confirmations) for n in witnesses}
    residues = run.correction().residues
    assert uniform(run.less(residues))
    assert uniform(run.less(residues, [victim]))
    run.attempts[victim].confirm(run.hidden.keys() - gone)
    with pytest.raises(EncryptionError, match="found 0"):
        run.attempts[victim].reveal(run.confirmations)


def test_shares_from_another_circle_do_not_open() -> None:
    """A colluder signs two sets of keys: who is shown the other set is alone with it."""
    run = Run(21, terms(15)).advertise()
    again = Attempt("member 3", IDENTITIES["member 3"], ROSTER, run.terms).advertise()
    victim = run.attempts["member 7"]
    apart = victim.deal(run.advertised | {"member 3": again})
    run.sealed = {n: run.attempts[n].deal(run.advertised) for n in run.attempts if n != "member 7"}
    run.sealed["member 7"] = apart
    for name in run.circle.neighbours["member 7"]:
        attempt = run.attempts[name]
        attempt.receive(run.dealt_to(name) | {"member 7": apart.get(name, b"")}, run.sealed.keys())
        assert "member 7" not in attempt._held
    ours = victim._circle.neighbours["member 7"]
    with pytest.raises(EncryptionError, match="found 0 that open"):
        victim.receive({n: run.sealed[n].get("member 7", b"") for n in ours}, run.sealed.keys())


def test_lists_that_contradict_each_other_are_refused() -> None:
    run = Run(21, terms(15)).advertise().deal()
    dealers = list(run.sealed)
    attempts = iter(run.attempts.items())
    for told, match in (
        ([*dealers, "member 99"], "found member 99: the server's lists"),
        (["member 99", *dealers[1:]], "found member 99: the server's lists"),
        ([n for n in dealers if n != "member 2"], "neighbours that dealt"),
    ):
        name, attempt = next(attempts)
        with pytest.raises(EncryptionError, match=match):
            attempt.receive(run.dealt_to(name), told)
    name, attempt = next(attempts)
    lost = dict(list(run.dealt_to(name).items())[1:])
    with pytest.raises(EncryptionError, match="the server lost some"):
        attempt.receive(lost, dealers)


def test_survivors_are_confirmed_once() -> None:
    run = Run(21, terms(15)).advertise().deal().hide()
    attempt, survivors = run.attempts["member 0"], list(run.hidden)
    with pytest.raises(EncryptionError, match="confirm survivors before"):
        attempt.reveal({})
    assert attempt.confirm(survivors) == attempt.confirm(survivors[::-1])
    with pytest.raises(EncryptionError, match="either share of a member, never both"):
        attempt.confirm(survivors[:20])
    for told, match in ((survivors[:1] + survivors[2:], "left us out"), ([], "found 0")):
        other = run.attempts["member 1" if told else "member 2"]
        with pytest.raises(EncryptionError, match=match):
            other.confirm(told)
        with pytest.raises(EncryptionError, match="ends with the first that fails"):
            other.confirm(survivors)


def test_reveal_may_be_repeated() -> None:
    run = Run(21, terms(15)).whole()
    assert run.attempts["member 4"].reveal(run.confirmations) == run.revealed["member 4"]


def test_confirmations_count_once_and_only_if_they_fit() -> None:
    run = Run(21, terms(15)).advertise().deal().hide()
    gone = "member 20"
    survivors = run.hidden.keys() - {gone}
    good = {n: run.attempts[n].confirm(survivors) for n in sorted(survivors)[:14]}
    spare = sorted(survivors)[14:]
    digest = run.circle.survived(run.sealed, survivors)
    bad = {
        spare[0]: good["member 0"],
        spare[1]: "no signature",
        spare[2]: sign(IDENTITIES[spare[2]], "advertised", digest),
        spare[3]: run.attempts[spare[3]].confirm(run.hidden.keys()),
        gone: sign(IDENTITIES[gone], "survivors", digest),
        "member 99": sign(IDENTITIES["member 99"], "survivors", digest),
        "nobody": good["member 0"],
    }
    with pytest.raises(EncryptionError, match=r"expected 15 members .* found 14"):
        run.attempts["member 0"].reveal(good | bad)
    good[spare[4]] = run.attempts[spare[4]].confirm(survivors)
    assert run.attempts["member 0"].reveal(good | bad).keys.keys() <= {gone}


def test_an_attempt_is_used_once() -> None:
    run = Run(21, terms(15)).whole()
    attempt = run.attempts["member 0"]
    for again in (
        lambda: attempt.deal(run.advertised),
        lambda: attempt.receive(run.dealt_to("member 0"), run.sealed.keys()),
        lambda: attempt.hide(run.values["member 0"], MODULUS),
    ):
        with pytest.raises(EncryptionError, match="takes each step once"):
            again()


@pytest.mark.parametrize("step", ["receive", "hide", "confirm", "reveal"])
def test_steps_come_in_order(step: str) -> None:
    attempt = Run(21, terms(15)).attempts["member 0"]
    steps: dict[str, Callable[[], object]] = {
        "receive": lambda: attempt.receive({}, ["member 0"]),
        "hide": lambda: attempt.hide(np.zeros(3, dtype=np.int64), MODULUS),
        "confirm": lambda: attempt.confirm(["member 0"]),
        "reveal": lambda: attempt.reveal({}),
    }
    with pytest.raises(EncryptionError, match="expected"):
        steps[step]()


# Members that cheat.


def test_keys_that_are_not_signed_for_this_attempt_are_refused() -> None:
    run = Run(7, terms(4)).advertise()
    other = dataclasses.replace(run.terms, context=b"training 1, step 1, attempt 0")
    theirs = run.advertised["member 3"]
    replay = Attempt("member 3", IDENTITIES["member 3"], ROSTER, other).advertise()
    swapped = theirs.model_copy(update={"masking": run.advertised["member 2"].masking})
    forged = theirs.model_copy(update={"signature": run.advertised["member 2"].signature})
    for name, bad in zip(run.attempts, (replay, swapped, forged), strict=False):
        with pytest.raises(EncryptionError, match="that member 3 signed"):
            run.attempts[name].deal(run.advertised | {"member 3": bad})
    stranger = Attempt("nobody", IDENTITIES["member 99"], ROSTER, run.terms).advertise()
    more = run.advertised | {"nobody": stranger}
    peers = Circle.of(more, run.terms).neighbours["nobody"]
    near = next(name for name in peers if name in list(run.attempts)[3:])
    with pytest.raises(EncryptionError, match="that nobody signed"):
        run.attempts[near].deal(more)


def test_our_own_keys_have_to_be_there() -> None:
    run = Run(7, terms(3)).advertise()
    with pytest.raises(EncryptionError, match="our own keys"):
        run.attempts["member 0"].deal(run.advertised | {"member 0": run.advertised["member 1"]})
    del run.advertised["member 1"]
    with pytest.raises(EncryptionError, match="our own keys"):
        run.attempts["member 1"].deal(run.advertised)


@pytest.mark.parametrize("kind", ["masking", "sealing"])
def test_the_server_can_tell_unusable_keys(kind: str) -> None:
    run = Run(5, terms(4)).advertise()
    good = run.advertised["member 3"]
    assert good.usable()
    bad = good.model_copy(update={kind: bytes(32)}).signed(
        "member 3", run.terms.context, IDENTITIES["member 3"]
    )
    assert bad.stands("member 3", run.terms.context, ROSTER["member 3"])
    assert not bad.usable()


def garbled(shares: Revealed) -> Revealed:
    return Revealed(
        seeds={name: bytes(31) + share[:1] for name, share in shares.seeds.items()},
        keys={name: bytes(31) + share[:1] for name, share in shares.keys.items()},
    )


def test_wrong_shares_are_got_over_and_their_holder_is_named() -> None:
    run = Run(40, terms(20), tenth(5)).whole()
    evil = next(iter(run.revealed))
    run.revealed[evil] = garbled(run.revealed[evil])
    found = run.correction()
    assert np.array_equal(run.less(found.residues), run.expected())
    # From the second secret on its shares are not needed any more.
    assert found.wrong == {evil: 1}


def test_a_wrong_share_of_a_key_is_got_over() -> None:
    run = Run(40, terms(20), tenth(5)).whole()
    for name, shares in run.revealed.items():
        gone = [one for one in shares.keys if run.circle.neighbours[one][0] == name]
        bad = dict.fromkeys(gone, b"\1" * 32)
        run.revealed[name] = Revealed(seeds=shares.seeds, keys=shares.keys | bad)
    found = run.correction()
    assert np.array_equal(run.less(found.residues), run.expected())
    assert found.wrong


def test_too_many_wrong_shares_are_noticed() -> None:
    run = Run(12, terms(6)).whole()
    for name in list(run.revealed)[:7]:
        run.revealed[name] = garbled(run.revealed[name])
    with pytest.raises(EncryptionError, match="secret, found fewer for member 0, member 1"):
        run.correction()


def test_shares_of_strangers_are_not_looked_at() -> None:
    run = Run(40, terms(20)).whole()
    for name, shares in run.revealed.items():
        far = run.hidden.keys() - set(run.circle.neighbours[name])
        more = dict.fromkeys(far, bytes(32))
        run.revealed[name] = Revealed(seeds=shares.seeds | more, keys=shares.keys | more)
    assert np.array_equal(run.total(), run.expected())


@pytest.mark.parametrize("spoilt", [3, 40])
def test_a_dealer_of_bad_shares_hurts_itself_only(spoilt: int) -> None:
    run = Run(40, terms(20)).advertise().deal()
    evil = "member 9"
    for peer in run.circle.neighbours[evil][:spoilt]:
        run.sealed[evil][peer] = run.sealed[evil][peer][::-1]
    run.hide().confirm().reveal()
    if spoilt == 3:
        assert np.array_equal(run.total(), run.expected())
    else:
        with pytest.raises(EncryptionError, match=r"found fewer for member 9: too many"):
            run.correction()


def test_shares_of_another_secret_are_noticed() -> None:
    """Its commitment is to another seed than the one that it shares."""
    run = Run(21, terms(15))
    run.attempts["member 9"]._seed = bytes(32)
    with pytest.raises(EncryptionError, match="found fewer for member 9: too many"):
        run.whole().correction()


@pytest.mark.parametrize(("survivors", "colluders"), [(1, 1), (0, 0), (5, -1)])
def test_terms_without_a_promise_are_refused(survivors: int, colluders: int) -> None:
    with pytest.raises(EncryptionError, match="colluders < survivors"):
        terms(survivors, colluders)


def test_too_many_colluders_for_a_small_cohort_are_refused() -> None:
    run = Run(8, terms(7, 6)).advertise()
    with pytest.raises(PlanError, match="invite more members"):
        run.attempts["member 0"].deal(run.advertised)
