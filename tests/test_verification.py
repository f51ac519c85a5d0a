from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from epochs import PLAN, TRAINING, parties, presences_of
from lying_operator import Mark
from small_network import FOUNDERS, NAMES, changed, recalled, resigned

from mesh_fl.errors import MeshError, PlanError, ProtocolError
from mesh_fl.messages import Pending
from mesh_fl.roster import Roster
from mesh_fl.statements import Account, Charter, KeyNotice, Presence, presences_digest
from mesh_fl.verification import (
    check_charter,
    check_cohort,
    check_pending,
    check_recount,
    check_witnesses,
    recounter,
    sha256,
)

PRESENCES = presences_of(parties().values())
SOUND = {
    "by": "ash",
    "training": TRAINING,
    "epoch": 1,
    "presences": presences_digest(PRESENCES),
    "fingerprint": "f" * 64,
}


def without(name: str) -> Roster:
    entry = FOUNDERS.roster.propose_removal([name])
    return FOUNDERS.roster.appended(entry.signed("operator", FOUNDERS.operator))


def charter_of(present: tuple[Presence, ...] = PRESENCES, **fields: object) -> Charter:
    """A charter whose key notice fits its presences, but for what a field says."""
    terms = {**SOUND, "presences": presences_digest(present), **fields}
    notice = KeyNotice.model_validate(terms)
    return Charter(presences=present, notice=notice.signed(FOUNDERS.signing["ash"]))


def with_elm(**fields: object) -> tuple[Presence, ...]:
    """Elm says something else, and signs it."""
    return tuple(
        changed(one, **fields).signed(FOUNDERS.signing["elm"]) if one.by == "elm" else one
        for one in PRESENCES
    )


def forged_elm(**fields: object) -> tuple[Presence, ...]:
    """Somebody changes what elm said."""
    return tuple(changed(one, **fields) if one.by == "elm" else one for one in PRESENCES)


def aliased(key: str) -> str:
    """The same X25519 key, whose highest bit does not count (RFC 7748)."""
    raw = bytes.fromhex(key)
    return (raw[:-1] + bytes([raw[-1] ^ 128])).hex()


FOREIGN = changed(PRESENCES[0], by="oak").signed(Ed25519PrivateKey.generate())
ASHS = PRESENCES[0]
CHARTERS: dict[str, tuple[Callable[[], Charter], str]] = {
    "a presence that was changed": (
        lambda: charter_of(forged_elm(masking="3" * 64)),
        r"statement of elm \(presence\) has a forged signature",
    ),
    "a presence by another's key": (
        lambda: charter_of((PRESENCES[0].signed(FOUNDERS.signing["elm"]), *PRESENCES[1:])),
        "statement of ash",
    ),
    "a presence without signature": (lambda: charter_of(forged_elm(signature="")), "of elm"),
    "a stranger": (lambda: charter_of((*PRESENCES, FOREIGN)), "oak is not on the roster"),
    "another training": (
        lambda: charter_of(with_elm(training="c" * 32)),
        "presence of elm is of another training or epoch",
    ),
    "another plan": (lambda: charter_of(with_elm(plan="0" * 64)), "elm is of another"),
    "the epoch before": (lambda: charter_of(with_elm(epoch=2)), "elm is of another"),
    "a member who saw another roster": (
        lambda: charter_of(with_elm(roster="0" * 64)),
        "elm saw another roster than we did",
    ),
    "a member twice": (
        lambda: charter_of(tuple(sorted((*PRESENCES, ASHS), key=lambda one: one.by))),
        "names a member twice",
    ),
    "a member twice, by two keys": (
        lambda: charter_of(
            (ASHS, changed(ASHS, masking="1" * 64).signed(FOUNDERS.signing["ash"]), *PRESENCES[1:])
        ),
        "names a member twice",
    ),
    "out of order": (lambda: charter_of(PRESENCES[::-1]), "twice"),
    "too few": (lambda: charter_of(PRESENCES[:3]), "has 3 members, the plan needs 4"),
    "nobody": (lambda: charter_of(()), "stranger made its key"),
    "a key by one who is absent": (
        lambda: charter_of(PRESENCES[1:]),
        "stranger made its key",
    ),
    "a key by a stranger": (lambda: charter_of(by="oak"), "stranger made its key"),
    "a key signed for by another": (lambda: charter_of(by="birch"), r"birch \(key\)"),
    "a key notice that was changed": (
        lambda: Charter(
            presences=PRESENCES, notice=changed(charter_of().notice, fingerprint="0" * 64)
        ),
        r"ash \(key\)",
    ),
    "a key made for others": (
        lambda: charter_of(presences=presences_digest(PRESENCES[1:])),
        "made for other members",
    ),
    "a key for another training": (
        lambda: charter_of(training="c" * 32),
        "other members or another training",
    ),
    "a key for another epoch": (lambda: charter_of(epoch=2), "another training or epoch"),
    "a member with the masking key of another": (
        lambda: charter_of(with_elm(masking=ASHS.masking)),
        "keys of ash, elm are degenerate, or stated twice",
    ),
    "a member with the sealing key of another": (
        lambda: charter_of(with_elm(sealing=ASHS.sealing)),
        "keys of ash, elm are degenerate, or stated twice",
    ),
    "a key of another in other words": (
        lambda: charter_of(with_elm(masking=aliased(ASHS.masking))),
        "keys of ash, elm",
    ),
    "a degenerate masking key": (lambda: charter_of(with_elm(masking="0" * 64)), "keys of elm are"),
    "a degenerate sealing key": (
        lambda: charter_of(with_elm(sealing="01" + "0" * 62)),
        "keys of elm are",
    ),
}


class TestCharters:
    def test_a_sound_one_is_accepted(self) -> None:
        check_charter(charter_of(), TRAINING, PLAN, FOUNDERS.roster)
        check_charter(charter_of(PRESENCES[:4]), TRAINING, PLAN, FOUNDERS.roster)

    @pytest.mark.parametrize("case", CHARTERS)
    def test_all_others_are_refused(self, case: str) -> None:
        make, message = CHARTERS[case]
        with pytest.raises(MeshError, match=message):
            check_charter(make(), TRAINING, PLAN, FOUNDERS.roster)

    def test_whoever_left_the_roster_is_a_stranger(self) -> None:
        with pytest.raises(ProtocolError, match="ash saw another roster"):
            check_charter(charter_of(), TRAINING, PLAN, without("elm"))


@pytest.fixture(scope="module")
def mark() -> Mark:
    return Mark()


def swapped(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    return (accounts[1], accounts[0], *accounts[2:])


PENDINGS: dict[str, tuple[Callable[[Mark], Pending], str]] = {
    "an account is missing": (lambda mark: pending(mark, mark.pending.accounts[1:]), "4 members"),
    "all are missing": (lambda mark: pending(mark, ()), "0 members"),
    "one comes twice": (
        lambda mark: pending(mark, (mark.pending.accounts[1], *mark.pending.accounts[1:])),
        "one of each",
    ),
    "one is too many": (
        lambda mark: pending(mark, (*mark.pending.accounts, mark.pending.accounts[0])),
        "one of each",
    ),
    "they are out of order": (
        lambda mark: pending(mark, swapped(mark.pending.accounts)),
        "one of each",
    ),
    "one is forged": (
        lambda mark: pending(mark, forged_account(mark, lines=9)),
        r"elm \(account\) has a forged",
    ),
    "one is by another's key": (
        lambda mark: pending(
            mark,
            tuple(
                changed(mark.pending.accounts[0], by=one.by).signed(FOUNDERS.signing["ash"])
                for one in mark.pending.accounts
            ),
        ),
        r"birch \(account\) has a forged",
    ),
    "one answered another call": (
        lambda mark: mark.with_accounts(elm={"call": "0" * 64}),
        "elm answered another call",
    ),
    "one is of another attempt": (
        lambda mark: mark.with_accounts(elm={"attempt": 2}),
        "elm answered another call",
    ),
    "one is of another step": (
        lambda mark: mark.with_accounts(elm={"step": 2}),
        "elm answered another call",
    ),
    "one sealed nothing": (
        lambda mark: mark.with_accounts(elm={"sealed": ""}),
        "account of elm holds no contribution",
    ),
    "the call was signed by a member": (
        lambda mark: recall(mark, key="elm"),
        "not signed by the operator",
    ),
    "the call was changed": (lambda mark: recall(mark, attempt=2), "answered another call"),
    "the cohort was smaller": (lambda mark: recall(mark, cohort=NAMES[:3]), "3 members"),
    "the cohort had a stranger": (
        lambda mark: recall(mark, cohort=(*NAMES, "oak")),
        "does not know",
    ),
    "another training": (lambda mark: recall(mark, training="c" * 32), "another training"),
    "another plan": (lambda mark: recall(mark, plan="0" * 64), "another training or plan"),
    "a closing call": (lambda mark: recall(mark, phase="close"), "of no release of the plan"),
    "another phase": (lambda mark: recall(mark, phase="measure"), "of no release of the plan"),
    "a step beyond the plan": (lambda mark: recall(mark, step=9), "of no release of the plan"),
}


def pending(mark: Mark, accounts: tuple[Account, ...]) -> Pending:
    return mark.pending.model_copy(update={"accounts": accounts})


def forged_account(mark: Mark, **fields: object) -> tuple[Account, ...]:
    return tuple(
        changed(one, **fields) if one.by == "elm" else one for one in mark.pending.accounts
    )


def recall(mark: Mark, key: str = "", **fields: object) -> Pending:
    call = recalled(mark.pending.call, **fields)
    call = call.signed(FOUNDERS.signing[key]) if key else call
    return mark.pending.model_copy(update={"call": call})


class TestPendingSums:
    def test_a_sound_one_is_accepted(self, mark: Mark) -> None:
        check_pending(mark.pending, mark.ask.call, PLAN, FOUNDERS.roster)

    @pytest.mark.parametrize("case", PENDINGS)
    def test_all_others_are_refused(self, mark: Mark, case: str) -> None:
        make, message = PENDINGS[case]
        with pytest.raises(MeshError, match=message):
            check_pending(make(mark), mark.ask.call, PLAN, FOUNDERS.roster)

    @pytest.mark.parametrize("case", PENDINGS)
    def test_and_no_member_opens_them(self, mark: Mark, case: str) -> None:
        make, _ = PENDINGS[case]
        place = mark.place
        answer = mark.forged(pending=make(mark))
        assert answer.type == "refusal"
        assert mark.place == place
        assert mark.charged == 1


class TestCohorts:
    def test_whoever_left_the_roster_is_a_stranger(self, mark: Mark) -> None:
        check_cohort(mark.ask.call, PLAN, FOUNDERS.roster)
        with pytest.raises(PlanError, match="names elm, who is not on the roster"):
            check_cohort(mark.ask.call, PLAN, without("elm"))

    def test_only_closing_goes_with_few(self, mark: Mark) -> None:
        few = {"cohort": NAMES[:1]}
        check_cohort(recalled(mark.ask.call, phase="close", **few), PLAN, FOUNDERS.roster)
        for phase in ("train", "measure"):
            with pytest.raises(PlanError, match="has 1 members"):
                check_cohort(recalled(mark.ask.call, phase=phase, **few), PLAN, FOUNDERS.roster)


class TestWitnesses:
    def words(self, mark: Mark) -> dict[str, Account]:
        return {one.by: resigned(one, model="d" * 64) for one in mark.pending.accounts}

    def check(self, mark: Mark, words: tuple[Account, ...]) -> None:
        check_witnesses(words, mark.ask.call, "d" * 64, PLAN, FOUNDERS.roster)

    def test_more_than_the_colluders_suffice(self, mark: Mark) -> None:
        words = self.words(mark)
        self.check(mark, (words["birch"], words["elm"]))
        self.check(mark, tuple(words.values()))

    @pytest.mark.parametrize(
        "second",
        [
            None,
            {"model": "0" * 64},
            {"training": "c" * 32},
            {"plan": "0" * 64},
            {"by": "fir"},
            {"by": "oak"},
            "forged",
            "the same member again",
        ],
        ids=str,
    )
    def test_fewer_do_not(self, mark: Mark, second: Mapping[str, object] | str | None) -> None:
        words = self.words(mark)
        others: dict[object, tuple[Account, ...]] = {
            None: (),
            "forged": (changed(words["birch"], lines=77),),
            "the same member again": (resigned(words["elm"], lines=77),),
        }
        told = others.get(second) if not isinstance(second, Mapping) else None
        more = told if told is not None else (resigned(words["birch"], **second),)  # type: ignore[arg-type]
        with pytest.raises(ProtocolError, match=r"more than 1 members' signatures.*found 1"):
            self.check(mark, (words["elm"], *more))


class TestRecounts:
    def pending(self, mark: Mark) -> Pending:
        return mark.with_accounts(**{name: {"sealed": sha256(name.encode())} for name in NAMES})

    def test_what_members_signed_for_is_accepted(self, mark: Mark) -> None:
        check_recount(self.pending(mark), [name.encode() for name in NAMES])

    @pytest.mark.parametrize(
        "parts",
        [
            [],
            NAMES[:4],
            (*NAMES, "fir"),
            ("ash", "ash", "cedar", "elm", "fir"),
            ("birch", "ash", "cedar", "elm", "fir"),
            ("ash", "birch", "cedar", "elm", "oak"),
        ],
        ids=str,
    )
    def test_anything_else_is_not(self, mark: Mark, parts: tuple[str, ...]) -> None:
        with pytest.raises(ProtocolError, match=r"our turn|added another contribution"):
            check_recount(self.pending(mark), [name.encode() for name in parts])

    def test_everybody_has_its_turn(self) -> None:
        assert {recounter(NAMES, step) for step in range(1, 6)} == set(NAMES)
        assert recounter(("ash",), 10**9) == "ash"
