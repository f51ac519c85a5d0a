import itertools

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from epochs import TRAINING, Party, entered, parties, presences_of
from numpy.typing import NDArray
from scipy import stats
from small_network import FOUNDERS, NAMES, changed, recalled

from mesh_fl.errors import EncryptionError, ProtocolError
from mesh_fl.keyring import Pair, Term
from mesh_fl.privacy.encryption import Bfv, Parameters, generate_key
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.pipeline import add, open_sum, seal, slots_of
from mesh_fl.privacy.plan import Plan
from mesh_fl.statements import Call

WIDE = Plan(
    agent="sums",
    config="{}",
    dimension=20_000,
    measure_dimension=0,
    clip=1.0,
    measure_clip=1.0,
    rounds=10,
    measures=0,
    measure_share=0.0,
    spares=1,
    epsilon=0.1,
    delta=1e-5,
    survivors=4,
    colluders=1,
    caps=dict.fromkeys(NAMES, 64),
).calibrate()
RELEASE, MODULUS = WIDE.release("train"), WIDE.parameters.plain_modulus

IMPLAUSIBLE = 1e-7
"""Keys are fresh in every run: a sound mask falls below this once in ten million tests."""


def call_of(**fields: object) -> Call:
    terms: dict[str, object] = {
        "training": TRAINING,
        "agent": "sums",
        "plan": WIDE.digest,
        "phase": "train",
        "step": 1,
        "attempt": 1,
        "cohort": NAMES,
        "epoch": "e",
        "model": "m",
        "seen": 0,
        "pending": "",
    }
    return Call.model_validate({**terms, **fields}).signed(FOUNDERS.operator)


CALL = call_of()


class TestPairs:
    def test_the_same_epoch_gets_the_same_keys_also_after_a_restart(self) -> None:
        ash = Party("ash")
        assert ash.keyring().convene(3) == ash.keyring().convene(3)
        assert ash.keyring().convene(3) != ash.keyring().convene(4)

    def test_sealing_and_masking_keys_are_two(self) -> None:
        sealing, masking = Party("ash").keyring().convene(1)
        assert sealing != masking

    def test_two_members_never_share_keys(self) -> None:
        keys = [key for party in parties().values() for key in party.keyring().convene(1)]
        assert len(set(keys)) == 10

    @pytest.mark.parametrize("epoch", [1, 2])
    def test_an_epoch_that_has_begun_or_is_over_is_not_convened_again(self, epoch: int) -> None:
        people = parties()
        entered(people, epoch=2)
        with pytest.raises(ProtocolError, match="expected a later one"):
            people["elm"].keyring().convene(epoch)

    def test_private_keys_are_not_shown(self) -> None:
        pair = Pair.fresh(1)
        for key in (pair.sealing, pair.masking):
            assert key.private_bytes_raw().hex() not in repr(pair)
            assert repr(key.private_bytes_raw()) not in repr(pair)


class TestEntering:
    def test_all_hold_one_key_also_after_a_restart(self) -> None:
        people = parties()
        terms = entered(people)
        assert len({term.secret_key for term in terms.values()}) == 1
        again = {name: one.keyring().term for name, one in people.items()}
        assert {name: term.secret_key for name, term in terms.items()} == {
            name: term.secret_key for name, term in again.items() if term is not None
        }

    def test_nobody_opens_what_was_sealed_to_another(self) -> None:
        people = parties()
        charter, sealed = people["ash"].make(presences_of(people.values()))
        with pytest.raises(EncryptionError, match="sealed to our key"):
            people["elm"].keyring().enter(charter, sealed["fir"])
        assert people["elm"].keyring().term is None
        people["elm"].keyring().enter(charter, sealed["elm"])

    @pytest.mark.parametrize("other", [{"training": "cd" * 16}, {"epoch": 2}], ids=str)
    def test_a_key_opens_in_its_training_and_epoch_only(self, other: dict[str, object]) -> None:
        people = parties()
        presences = presences_of(people.values())
        charter, sealed = people["ash"].make(presences, **other)  # type: ignore[arg-type]
        with pytest.raises(EncryptionError, match="sealed to our key and this context"):
            people["elm"].keyring().enter(charter, sealed["elm"])

    @pytest.mark.parametrize("blob", [b"", b"nonsense", bytes(4000)])
    def test_a_key_that_does_not_open_is_refused(self, blob: bytes) -> None:
        people = parties()
        charter, _ = people["ash"].make(presences_of(people.values()))
        with pytest.raises(EncryptionError):
            people["elm"].keyring().enter(charter, blob)
        assert people["elm"].keyring().term is None

    def test_a_maker_cannot_give_some_another_key_than_it_signed_for(self) -> None:
        people = parties()
        presences = presences_of(people.values())
        charter, _ = people["ash"].make(presences)
        _, others = people["ash"].make(presences)
        with pytest.raises(EncryptionError, match="not the one that ash signed for"):
            people["elm"].keyring().enter(charter, others["elm"])
        assert people["elm"].keyring().term is None

    def test_a_key_for_other_parameters_is_refused_before_anything_is_charged(self) -> None:
        people = parties()
        people["ash"].parameters = Parameters.for_range(2**33, 20)
        assert people["ash"].parameters != people["elm"].parameters
        charter, sealed = people["ash"].make(presences_of(people.values()))
        with pytest.raises(EncryptionError, match="ash has to make another"):
            people["elm"].keyring().enter(charter, sealed["elm"])

    @pytest.mark.parametrize("key", ["sealing", "masking"])
    def test_a_charter_with_another_key_of_ours_is_refused(self, key: str) -> None:
        people = parties()
        other = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        presences = presences_of(people.values())
        swapped = tuple(
            changed(one, **{key: other}) if one.by == "elm" else one for one in presences
        )
        charter, sealed = people["ash"].make(swapped)
        with pytest.raises(ProtocolError, match="lists other keys"):
            people["elm"].keyring().enter(charter, sealed["elm"])

    def test_an_epoch_is_not_entered_twice(self) -> None:
        people = parties()
        charter, sealed = people["ash"].make(presences_of(people.values()))
        people["elm"].keyring().enter(charter, sealed["elm"])
        people["elm"].presence(2)
        with pytest.raises(ProtocolError, match="lists other keys"):
            people["elm"].keyring().enter(charter, sealed["elm"])

    def test_keys_of_an_epoch_that_is_over_exist_nowhere(self) -> None:
        people = parties()
        first = entered(people, epoch=1)["elm"]
        sealed = people["ash"].make(presences_of(people.values(), 2), 2)[1]["elm"]
        second = entered(people, epoch=2, maker="birch")["elm"]
        stored = b"".join(people["elm"].blobs.values())
        for term in (first, second):
            assert term.secret_key[40:72] not in stored
        for key in (first.pair.sealing, first.pair.masking):
            assert key.private_bytes_raw() not in stored
        assert second.pair.sealing.private_bytes_raw() in stored
        assert sealed not in stored
        assert [name for name in people["elm"].blobs if name.endswith("pair")] == []


class TestDamage:
    @pytest.mark.parametrize("damage", [b"", b"\xc1", b"nonsense", b"\x93\1\2\3", b"\x80"])
    def test_a_damaged_copy_is_as_good_as_none(self, damage: bytes) -> None:
        people = parties()
        entered(people, epoch=1)
        people["elm"].blobs[f"{TRAINING}.term"] = damage
        assert people["elm"].keyring().term is None
        people["elm"].presence(2)
        people["elm"].blobs[f"{TRAINING}.pair"] = damage
        second = entered(people, epoch=2)
        assert len({term.secret_key for term in second.values()}) == 1

    def test_a_cut_copy_too(self) -> None:
        people = parties()
        entered(people)
        whole = people["elm"].blobs[f"{TRAINING}.term"]
        for length in (1, 40, len(whole) // 2, len(whole) - 1):
            people["elm"].blobs[f"{TRAINING}.term"] = whole[:length]
            assert people["elm"].keyring().term is None


def slots(values: int = 0) -> NDArray[np.int64]:
    return np.full(20_000, values, dtype=np.int64)


def hidden(terms: dict[str, Term], call: Call = CALL, model: str = "m") -> dict[str, NDArray]:
    """Zero, as each of the cohort hides it."""
    return {name: terms[name].hide(name, call, model, MODULUS)(slots()) for name in call.cohort}


def uniform(residues: NDArray[np.int64]) -> float:
    """p-value of the chi-square test with 64 cells of equal width."""
    cells = (residues % MODULUS).astype(object) * 64 // MODULUS
    counts = np.bincount(cells.astype(int), minlength=64)
    return float(stats.chisquare(counts).pvalue)


@pytest.fixture(scope="module")
def terms() -> dict[str, Term]:
    return entered(parties())


class TestMasks:
    def test_the_test_can_tell_what_is_not_uniform(self) -> None:
        rng = np.random.default_rng(1)
        assert uniform(rng.integers(0, MODULUS, 20_000)) > IMPLAUSIBLE
        assert uniform(rng.integers(0, MODULUS * 9 // 10, 20_000)) < IMPLAUSIBLE
        assert uniform(rng.normal(0, MODULUS / 8, 20_000).astype(np.int64)) < IMPLAUSIBLE

    def test_they_cancel_in_the_whole_sum(self, terms: dict[str, Term]) -> None:
        total = sum(hidden(terms).values())
        np.testing.assert_array_equal(total % MODULUS, slots())

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_any_smaller_sum_is_uniform(self, terms: dict[str, Term], size: int) -> None:
        parts = hidden(terms)
        for some in itertools.combinations(NAMES, size):
            assert uniform(sum(parts[name] for name in some)) > IMPLAUSIBLE

    @pytest.mark.parametrize("twice", NAMES)
    def test_a_sum_with_one_twice_is_uniform(self, terms: dict[str, Term], twice: str) -> None:
        parts = hidden(terms)
        assert uniform(sum(parts.values()) + parts[twice]) > IMPLAUSIBLE

    @pytest.mark.parametrize(
        "other",
        [
            {"training": "c" * 32},
            {"plan": "p"},
            {"agent": "other"},
            {"phase": "measure"},
            {"step": 2},
            {"attempt": 2},
            {"cohort": tuple(reversed(NAMES))},
            {"epoch": "f"},
            {"circle": "c"},
        ],
        ids=str,
    )
    def test_another_attempt_has_another_mask(
        self, terms: dict[str, Term], other: dict[str, object]
    ) -> None:
        one, two = hidden(terms), hidden(terms, call_of(**other))
        assert uniform(one["elm"] - two["elm"]) > IMPLAUSIBLE
        assert uniform(sum(one.values()) - one["elm"] + two["elm"]) > IMPLAUSIBLE

    def test_members_who_hold_different_models_do_not_cancel(self, terms: dict[str, Term]) -> None:
        one, two = hidden(terms), hidden(terms, model="n")
        assert uniform(sum(one.values()) - one["elm"] + two["elm"]) > IMPLAUSIBLE

    def test_a_member_that_was_shown_a_smaller_cohort_does_not_cancel(
        self, terms: dict[str, Term]
    ) -> None:
        smaller = call_of(cohort=NAMES[:4])
        one, two = hidden(terms), hidden(terms, smaller)
        mixed = [one[name] for name in NAMES[1:]] + [two["ash"]]
        assert uniform(sum(mixed)) > IMPLAUSIBLE

    def test_how_the_last_sum_travelled_makes_no_other_mask(self, terms: dict[str, Term]) -> None:
        again = recalled(CALL, seen=7, pending="x", model="elsewhere")
        one, two = hidden(terms), hidden(terms, again)
        np.testing.assert_array_equal(one["elm"], two["elm"])

    def test_another_epoch_has_other_masks(self, terms: dict[str, Term]) -> None:
        later = entered(parties())
        assert uniform(hidden(terms)["elm"] - hidden(later)["elm"]) > IMPLAUSIBLE

    def test_one_member_more_in_the_cohort_than_in_the_charter_is_refused(
        self, terms: dict[str, Term]
    ) -> None:
        with pytest.raises(ProtocolError, match="oak is in the cohort, but not in the epoch's"):
            terms["elm"].hide("elm", call_of(cohort=(*NAMES, "oak")), "m", MODULUS)

    def test_who_holds_the_epochs_key_opens_nothing_less_than_the_whole_sum(
        self, terms: dict[str, Term]
    ) -> None:
        rows = np.ones((64, WIDE.dimension)) / np.sqrt(WIDE.dimension)
        cipher = Bfv(WIDE.parameters, generate_key(WIDE.parameters))
        sealed = {
            name: seal(
                rows,
                RELEASE,
                cipher,
                SystemSource(),
                term.hide(name, CALL, "m", MODULUS),
            )
            for name, term in terms.items()
        }
        for some in (NAMES[:1], NAMES[1:4], NAMES[:4]):
            whole = add([sealed[name] for name in some], RELEASE, cipher)
            assert uniform(cipher.decrypt(whole, slots_of(RELEASE))) > IMPLAUSIBLE
            with pytest.raises(EncryptionError, match="masks do not cancel"):
                open_sum(whole, RELEASE, cipher, len(some))
        whole = add([sealed[name] for name in (*NAMES[:4], "ash")], RELEASE, cipher)
        with pytest.raises(EncryptionError, match="masks do not cancel"):
            open_sum(whole, RELEASE, cipher, 5)
        total = open_sum(add(list(sealed.values()), RELEASE, cipher), RELEASE, cipher, 5)
        assert abs(total.mean() / RELEASE.scale - 320 / np.sqrt(WIDE.dimension)) < 100
