"""Trainings of a large cohort: who drops out when, servers that are killed, and what is opened."""

from collections.abc import Collection, Mapping

import numpy as np
import pytest
from large_network import (
    COHORT,
    PHASES,
    Cohort,
    Crowd,
    Spy,
    phase_of,
    silent,
    steps,
    tenth,
    totals_of,
)
from scipy.stats import chisquare
from small_network import Wire

from mesh_fl.messages import Ask, Keys, Reply, ToMember, ToServer
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.ledger import Charge
from mesh_fl.privacy.pipeline import Sealed
from mesh_fl.round import respond
from mesh_fl.training import Training
from mesh_fl.verification import sha256

NAMES = COHORT.names
LONGER = Cohort.of(24, survivors=8, epoch_steps=99)
ONCE = Cohort.of(24, survivors=14, rounds=1)
SHORT = Cohort.of(21, survivors=12, rounds=1)


def check_sums(crowd: Crowd, spy: Spy, training: Training) -> None:
    """Each opened total is the exact sum of what the survivors sealed."""
    totals, pendings = totals_of(training), crowd.pendings()
    assert totals.keys() == pendings.keys() == set(steps(training.checkpoint))
    for step, pending in pendings.items():
        np.testing.assert_array_equal(totals[step], spy.sum_of(pending))


class TestDropping:
    def test_one_in_ten_drops_out_of_every_exchange(self, monkeypatch: pytest.MonkeyPatch) -> None:
        crowd = Crowd(drop=tenth(1))
        spy = Spy(monkeypatch, crowd)
        training = crowd.finished()
        check_sums(crowd, spy, training)
        assert training.checkpoint.attempt == 2
        members = [record.members for record in training.checkpoint.history]
        assert members == [len(one.accounts) for one in crowd.pendings().values()]
        assert max(members) < 22

    @pytest.mark.parametrize("phase", PHASES)
    def test_too_many_drop_out_and_another_attempt_begins(
        self, phase: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crowd = Crowd(cohort=ONCE, drop=silent(phase, absent=11))
        spy = Spy(monkeypatch, crowd)
        training = crowd.finished()
        check_sums(crowd, spy, training)
        assert len(crowd.told("dead")) == 1
        assert training.checkpoint.attempt == 2
        assert training.checkpoint.spent == pytest.approx(2 * crowd.plan.cost("train"))
        assert training.checkpoint.history[0].attempts == 2
        paid = {"advertise": 0, "deal": 0, "ask": 13}.get(phase, 24)
        assert sum((1, 1) in crowd.attempts(name) for name in ONCE.names) == paid
        made = [one.keys for _, one in crowd.wire.answers if isinstance(one, Keys)]
        for part in ("masking", "sealing", "commitment"):
            assert len({getattr(keys, part) for keys in made}) == len(made)

    def test_missing_slices_are_handed_over_by_one_member(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crowd = Crowd(drop=silent("ask", absent=5, at=2))
        spy = Spy(monkeypatch, crowd)
        check_sums(crowd, spy, crowd.finished())
        asks = [ask for ask in crowd.asked(Ask) if isinstance(ask, Ask) and ask.pending]
        alone = [ask for ask in asks if len(ask.call.cohort) == 1]
        assert alone
        assert not any(ask.recount for ask in alone)
        assert any(ask.recount for ask in asks)

    def test_a_total_that_nobody_hands_over_whole_is_asked_for_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next sum never takes the place of one that was not opened."""
        crowd = Crowd(drop=silent("ask", absent=5, at=2))
        spy, earlier = Spy(monkeypatch, crowd), crowd.wire.before

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            earlier(wire, messages)
            if crowd.counts["ask"] == 2 and len(messages) == 1:
                wire.offline |= messages.keys()

        crowd.wire.before = before
        training = crowd.finished()
        check_sums(crowd, spy, training)
        assert training.checkpoint.attempt == 3

    def test_too_few_neighbours_of_everybody_are_no_reason_to_give_a_sum_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crowd = Crowd(cohort=LONGER, drop=silent("deal", absent=11, at=2))
        spy = Spy(monkeypatch, crowd)
        training = crowd.finished()
        check_sums(crowd, spy, training)
        assert crowd.told("dead") == ["attempt 2 is dead: nothing to add from anybody"]
        assert not any((2, 2) in crowd.attempts(name) for name in NAMES)

    def test_a_cohort_that_shrinks_goes_on_by_pairwise_masks(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crowd = Crowd()
        spy = Spy(monkeypatch, crowd)

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            crowd.counts[phase_of(messages) or "ask"] += 1
            crowd.wire.gone = set(NAMES[:6] if crowd.counts["reveal"] else ())
            wire.offline |= crowd.wire.gone if phase_of(messages) != "reveal" else set()

        crowd.wire.before = before
        training = crowd.run()
        check_sums(crowd, spy, training)
        calls = {step: one.call for step, one in crowd.pendings().items()}
        assert [bool(call.circle) for call in calls.values()] == [True, False]
        assert [len(call.cohort) for call in calls.values()] == [24, 18]


class TestComingBack:
    @pytest.mark.parametrize(("phase", "paid"), [("deal", 1), ("ask", 1), ("confirm", 2)])
    def test_who_restarts_has_dropped_out_and_comes_back(
        self, phase: str, paid: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crowd = Crowd()
        spy, earlier, name = Spy(monkeypatch, crowd), crowd.wire.before, NAMES[5]

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            earlier(wire, messages)
            if phase_of(messages) == phase and crowd.counts[phase] == 1:
                wire.restart(name)

        crowd.wire.before = before
        check_sums(crowd, spy, crowd.finished())
        assert crowd.attempts_paid[name] == paid
        assert crowd.attempts_paid[NAMES[6]] == 2
        assert "we have no keys for attempt 1" in str(crowd.homes[name].errors[0])
        assert name in crowd.pendings()[2].call.cohort

    def test_who_misses_the_beginning_of_an_epoch_is_let_in(self) -> None:
        crowd, late, closes = Crowd(), set(NAMES[:3]), []

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            wire.offline.clear()
            if isinstance(next(iter(messages.values())), Ask) and not phase_of(messages):
                closes.append(messages)
                wire.offline |= late if len(closes) == 1 else set()

        crowd.wire.before = before
        training = crowd.finished()
        assert training.checkpoint.epoch == 1
        assert [record.members for record in training.checkpoint.history] == [21, 24]

    def test_messages_may_arrive_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A slow member is sent the same again: the later answer counts."""
        crowd = Crowd(cohort=ONCE)
        spy = Spy(monkeypatch, crowd)

        def twice(name: str, message: ToMember) -> ToMember:
            respond(message, crowd.wire.people[name])
            return message

        crowd.wire.forge = twice
        training = crowd.finished()
        check_sums(crowd, spy, training)
        assert [record.members for record in training.checkpoint.history] == [24]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_server_that_is_killed_gives_its_open_attempt_up(
    after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the next write or send after each of the exchanges of an attempt."""
    crowd = Crowd(cohort=Cohort.of(21, survivors=12, rounds=1, spares=5, epoch_steps=99))
    spy, earlier, phases = Spy(monkeypatch, crowd), crowd.wire.before, list(PHASES)

    def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
        earlier(wire, messages)
        survived = crowd.kills == len(PHASES) - len(phases)
        if phases and survived and phase_of(messages) == phases[0]:
            crowd.arm_server(1, after)
            phases.pop(0)

    crowd.wire.before = before
    training = crowd.finished()
    check_sums(crowd, spy, training)
    assert crowd.kills == 5
    assert len(crowd.told("dead")) == 5
    assert training.checkpoint.attempt == 6
    assert len({charge.training for charge in charges(crowd)}) == 1


def charges(crowd: Crowd) -> list[Charge]:
    return [charge for home in crowd.homes.values() for charge in home.ledger().charges]


def test_a_ciphertext_that_is_none_leaves_out_its_member_only() -> None:
    crowd = Crowd(cohort=SHORT, make_cipher=Bfv)
    evil = SHORT.names[4]

    def change(name: str, answer: ToServer) -> ToServer:
        if name != evil or not isinstance(answer, Reply) or answer.sealed is None:
            return answer
        fields = {k: getattr(answer.account, k) for k in type(answer.account).model_fields}
        account = type(answer.account)(**{**fields, "sealed": sha256(b"none")})
        signed = account.signed(SHORT.founders.signing[evil])
        return answer.model_copy(update={"sealed": Sealed(ciphertext=b"none"), "account": signed})

    crowd.wire.change = change
    training = crowd.run()
    assert training.checkpoint.status == "finished"
    assert training.checkpoint.attempt == 1
    assert evil not in {one.by for one in crowd.pendings()[1].accounts}
    assert training.checkpoint.history[0].members == 20


def uniform(residues: Collection[int], modulus: int) -> bool:
    counts = np.bincount(np.array(residues) * 6 // modulus, minlength=6)
    return bool(chisquare(counts).pvalue > 1e-6)


def test_what_anybody_could_open_alone_is_uniform() -> None:
    """Contributions, sums of all but one, and both without what was taken off the whole sum."""
    crowd = Crowd(drop=tenth(3))
    crowd.finished()
    modulus = crowd.plan.parameters.plain_modulus
    singles, rests, opened = [], [], []
    for pending in crowd.pendings().values():
        whole = np.frombuffer(pending.encrypted, dtype="<i8")
        parts = [
            np.frombuffer(blob, dtype="<i8")
            for one in pending.accounts
            for (name, _, attempt), blobs in crowd.wire.sealed.items()
            if (name, attempt) == (one.by, pending.call.attempt)
            for blob in blobs
        ]
        assert len(parts) == len(pending.accounts)
        masks = (np.sum(parts, axis=0) - whole) % modulus
        for part in parts:
            singles += [*part, *((part - masks) % modulus)]
            rests += [*((whole - part) % modulus), *((whole + masks - part) % modulus)]
        opened += [*whole]
    assert len(singles) > 150
    assert uniform(singles, modulus)
    assert uniform(rests, modulus)
    assert not uniform([*opened] * 20, modulus)
