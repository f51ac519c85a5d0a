"""What a member checks before it makes or enters an epoch, whatever the operator passes on."""

from collections.abc import Callable

import pytest
from epochs import PLAN, TRAINING, Party, parties, presences_of
from lying_operator import Mark
from small_network import FOUNDERS, NAMES, Home, changed, plan_of, recalled

from mesh_fl.errors import PeerError
from mesh_fl.messages import Ask, Convene, Convened, Enrol, KeyMade, MakeKey, Refusal, Reply
from mesh_fl.round import respond
from mesh_fl.statements import Call, Charter, Presence


class Door:
    """Ash in front of the first epoch; the others have keys only."""

    def __init__(self) -> None:
        self.home, self.people = Home("ash", 0), parties()
        self.member = self.home.start()
        enrol = Enrol(training=TRAINING, plan=PLAN, roster=FOUNDERS.roster.dumps(), latest=None)
        self.member.enrol(enrol)
        answer = respond(Convene(training=TRAINING, epoch=1), self.member)
        assert isinstance(answer, Convened)
        others = [one for name, one in self.people.items() if name != "ash"]
        self.presences = (answer.presence, *presences_of(others))

    def made(self, presences: tuple[Presence, ...] | None = None) -> tuple[Charter, bytes]:
        charter, sealed = Party("birch").make(presences or self.presences)
        return charter, sealed["ash"]

    def shown(self, charter: Charter, sealed_key: bytes, **fields: object) -> Reply | Refusal:
        terms: dict[str, object] = {
            "training": TRAINING,
            "agent": "centre",
            "plan": PLAN.digest,
            "phase": "close",
            "step": 1,
            "attempt": 0,
            "cohort": NAMES,
            "epoch": charter.digest,
            "model": self.member.resume(TRAINING).digest,
            "seen": 0,
            "pending": "",
        }
        call = Call.model_validate({**terms, **fields}).signed(FOUNDERS.operator)
        ask = Ask(call=call, charter=charter, sealed_key=sealed_key)
        answer = respond(ask, self.member)
        assert isinstance(answer, Reply | Refusal)
        return answer

    def replaced(self, name: str, alter: Callable[[Presence], Presence]) -> tuple[Presence, ...]:
        return tuple(alter(one) if one.by == name else one for one in self.presences)

    @property
    def why(self) -> str:
        return str(self.home.errors[-1])

    @property
    def entered(self) -> bool:
        return self.member.resume(TRAINING).keyring.term is not None


def another_key(one: Presence) -> Presence:
    return changed(one, masking="55" * 32)


class TestEntering:
    def test_a_sound_charter_is_entered(self) -> None:
        door = Door()
        assert isinstance(door.shown(*door.made()), Reply)
        assert door.entered

    def test_a_charter_that_the_operator_changed_is_not(self) -> None:
        """It put a key of its own in the place of elm's, to take off half of the masks."""
        door = Door()
        charter, sealed_key = door.made(door.replaced("elm", another_key))
        assert isinstance(door.shown(charter, sealed_key), Refusal)
        assert "elm (presence) has a forged signature" in door.why
        assert not door.entered

    def test_nor_another_than_the_call_names(self) -> None:
        door = Door()
        charter, sealed_key = door.made()
        other, _ = door.made()
        assert isinstance(door.shown(charter, sealed_key, epoch=other.digest), Refusal)
        assert "another epoch than the charter" in door.why
        assert not door.entered

    def test_nor_one_in_which_a_ledger_went_back(self) -> None:
        door = Door()
        word = changed(door.presences[3], lines=9).signed(FOUNDERS.signing["elm"])
        door.member.peers.note([word], FOUNDERS.roster)
        assert isinstance(door.shown(*door.made()), Refusal)
        assert isinstance(door.home.errors[-1], PeerError)
        assert "ledger of elm stood at 9 lines" in door.why
        assert not door.entered

    def test_a_cohort_with_members_who_hold_no_key_is_refused(self) -> None:
        door = Door()
        charter, sealed_key = door.made(door.presences[:4])
        assert isinstance(door.shown(charter, sealed_key), Refusal)
        assert "fir take no part in this epoch" in door.why
        assert isinstance(door.shown(charter, sealed_key, cohort=NAMES[:4]), Reply)

    def test_an_epoch_that_is_over_is_not_entered_again(self) -> None:
        mark = Mark(step=3, plan=plan_of(epoch_steps=2))
        charters = [m.charter for _, m in mark.network.wire.sent if isinstance(m, Ask)]
        first = next(charter for charter in charters if charter is not None)
        sent = [m for n, m in mark.network.wire.sent if n == "ash" and isinstance(m, Ask)]
        call = recalled(mark.ask.call, epoch=first.digest)
        ask = mark.ask.model_copy(
            update={"call": call, "charter": first, "sealed_key": sent[0].sealed_key}
        )
        assert isinstance(mark.sent(ask), Refusal)
        assert "lists other keys" in mark.why
        assert isinstance(mark.forged(), Reply)


class TestMaking:
    def order(self, presences: tuple[Presence, ...]) -> MakeKey:
        return MakeKey(training=TRAINING, epoch=1, presences=presences)

    def test_a_key_is_made_for_all_who_are_present(self) -> None:
        door = Door()
        answer = respond(self.order(door.presences), door.member)
        assert isinstance(answer, KeyMade)
        assert answer.sealed_keys.keys() == set(NAMES)
        assert answer.notice.verifies(FOUNDERS.roster.key_of("ash"))

    @pytest.mark.parametrize(
        ("alter", "message"),
        [
            (another_key, "elm (presence) has a forged signature"),
            (lambda one: changed(one, by="oak"), "oak is not on the roster"),
            (
                lambda one: changed(one, epoch=2).signed(FOUNDERS.signing["elm"]),
                "of another training or epoch",
            ),
        ],
        ids=["forged", "stranger", "another epoch"],
    )
    def test_none_is_sealed_to_keys_that_are_not_a_members(
        self, alter: Callable[[Presence], Presence], message: str
    ) -> None:
        door = Door()
        answer = respond(self.order(door.replaced("elm", alter)), door.member)
        assert isinstance(answer, Refusal)
        assert message in door.why

    def test_none_is_made_for_too_few_or_without_us(self) -> None:
        door = Door()
        for presences in (door.presences[:3], door.presences[1:], ()):
            assert isinstance(respond(self.order(presences), door.member), Refusal)
