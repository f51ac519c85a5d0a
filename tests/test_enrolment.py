from collections.abc import Mapping

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from small_network import AGENT, NAMES, Home, Wire, answer_with, plan_of

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.enrolment import PING_S, Enrolment
from mesh_fl.messages import Enrol, Enrolled, Refusal, ToMember, ToServer
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.plan import Policy
from mesh_fl.training import begin

TIMEOUT_S = 30.0
REASON = Refusal(cause="plan", lasting=True).reason


class Desk(Wire):
    """A wire that remembers how long it was allowed to wait, and whom it asked what."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.waits_s: list[float] = []
        self.mute: set[str] = set()

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        self.waits_s.append(timeout_s)
        answers = super().send(messages, timeout_s)
        return {name: answer for name, answer in answers.items() if name not in self.mute}

    def asked(self) -> list[str]:
        names = [name for name, _ in self.sent]
        self.sent.clear()
        return names


class Case:
    def __init__(self, **homes: dict[str, object]) -> None:
        self.homes = {
            name: Home(name, number, Bfv, **homes.get(name, {}))  # type: ignore[arg-type]
            for number, name in enumerate(NAMES)
        }
        self.desk = Desk(self.homes)
        self.checkpoint: Checkpoint = begin(AGENT, plan_of())
        self.told: list[tuple[str, str]] = []
        self.enrolment = self.anew()

    def anew(self) -> Enrolment:
        """What a restarted server begins with."""
        tell = lambda name, reason: self.told.append((name, reason))  # noqa: E731
        return Enrolment(self.checkpoint, self.desk, tell, TIMEOUT_S)

    def fingerprints(self) -> set[bytes]:
        """What the ready members open one ciphertext to: a single entry where all hold one key."""
        seats = [
            self.desk.people[name].resume(self.checkpoint.training) for name in self.ready_names
        ]
        one = seats[0].cipher.encrypt(np.arange(5))
        return {seat.cipher.decrypt(one, 5).tobytes() for seat in seats}

    @property
    def ready_names(self) -> tuple[str, ...]:
        return tuple(sorted(self.enrolment.enrolled))


class TestKeys:
    def test_one_member_makes_the_key_and_all_hold_it(self) -> None:
        case = Case()
        assert case.enrolment.ready() == NAMES
        assert case.checkpoint.sealed_keys.keys() == set(NAMES)
        assert case.checkpoint.sealed_for == case.desk.members()
        assert len(case.fingerprints()) == 1
        first, *others = case.desk.asked()
        assert first == "ash"
        assert sorted(others) == list(NAMES)

    def test_ready_members_are_not_asked_again(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.desk.asked()
        assert case.enrolment.ready() == NAMES
        assert case.desk.asked() == []

    def test_if_the_first_keeps_silent_or_refuses_the_next_makes_the_key(self) -> None:
        case = Case(ash={"policy": Policy(epsilon=0.01)})
        case.desk.offline = {"birch"}
        assert case.enrolment.ready() == ("cedar", "elm", "fir")
        assert list(case.enrolment.excluded) == ["ash"]
        assert len(case.fingerprints()) == 1
        case.desk.offline = set()
        assert case.enrolment.ready() == ("birch", "cedar", "elm", "fir")
        assert len(case.fingerprints()) == 1

    def test_a_maker_whose_answer_was_lost_takes_over_the_key_that_counts(self) -> None:
        case = Case()
        case.desk.mute = {"ash"}
        assert case.enrolment.ready() == ("birch", "cedar", "elm", "fir")
        case.desk.mute = set()
        assert case.enrolment.ready() == NAMES
        assert len(case.fingerprints()) == 1

    def test_a_server_that_lost_the_sealed_keys_gets_the_same_key_again(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.checkpoint.sealed_keys.clear()
        case.checkpoint.sealed_for.clear()
        case.enrolment = case.anew()
        case.enrolment.ready()
        assert len(case.fingerprints()) == 1

    def test_a_changed_sealing_key_is_sealed_to_by_a_holder(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.homes["fir"].sealing_key = X25519PrivateKey.generate()
        case.homes["fir"].blobs.clear()
        case.homes["fir"].journal.lines = b""
        case.desk.restart("fir")
        case.enrolment.enrolled.discard("fir")
        case.desk.sent.clear()
        assert case.enrolment.ready() == NAMES
        sealing = [(n, m) for n, m in case.desk.sent if isinstance(m, Enrol) and m.seal_to]
        assert [name for name, _ in sealing] == ["ash"]
        assert [list(m.seal_to) for _, m in sealing if isinstance(m, Enrol)] == [["fir"]]
        assert len(case.fingerprints()) == 1

    def test_without_a_holder_in_reach_a_newcomer_waits_and_makes_no_second_key(self) -> None:
        case = Case()
        case.desk.offline = {"fir"}
        first = case.enrolment.ready()
        assert first == NAMES[:4]
        case.homes["fir"].sealing_key = X25519PrivateKey.generate()
        case.desk.restart("fir")
        case.desk.offline = set(NAMES) - {"fir"}
        keys = dict(case.checkpoint.sealed_keys)
        assert case.enrolment.ready() == ()
        assert case.checkpoint.sealed_keys == keys
        case.desk.offline = set()
        for _ in range(4):
            case.enrolment.ready()
        assert "fir" in case.enrolment.ready()
        assert len(case.fingerprints()) == 1

    @pytest.mark.parametrize("sealed", [{}, {"ash": b"x"}, dict.fromkeys((*NAMES, "oak"), b"x")])
    def test_a_holder_that_seals_to_others_than_asked_is_passed_over(
        self, sealed: dict[str, bytes]
    ) -> None:
        case = Case()
        case.desk.change = lambda name, answer: (
            answer_with(answer, sealed_keys=sealed)
            if name == "ash" and isinstance(answer, Enrolled) and answer.sealed_keys
            else answer
        )
        assert case.enrolment.ready() == NAMES
        assert case.checkpoint.sealed_keys.keys() == set(NAMES)
        assert len(case.fingerprints()) == 1

    def test_strangers_to_the_plan_get_no_key(self) -> None:
        case = Case()
        case.desk.homes = {**case.homes, "oak": Home("oak", 9, Bfv)}
        case.desk.restart("oak")
        assert case.enrolment.ready() == NAMES
        assert "oak" not in case.checkpoint.sealed_keys
        assert "oak" not in {name for name, _ in case.desk.sent}


class TestSilence:
    def test_a_silent_member_is_asked_ever_less_often_and_waited_for_briefly(self) -> None:
        case = Case()
        case.desk.mute = {"elm"}
        case.enrolment.ready()
        case.desk.asked()
        case.desk.waits_s.clear()
        chances = [bool(case.desk.asked()) for _ in range(40) if case.enrolment.ready() or True]
        assert [k + 1 for k, asked in enumerate(chances) if asked] == [1, 2, 4, 8, 16, 32]
        assert set(case.desk.waits_s) == {PING_S}

    def test_once_it_answers_it_is_ready_and_its_past_forgotten(self) -> None:
        case = Case()
        case.desk.mute = {"elm"}
        for _ in range(4):
            case.enrolment.ready()
        case.desk.mute = set()
        while "elm" not in case.enrolment.ready():
            pass
        case.enrolment.lost(["elm"])
        assert "elm" in case.enrolment.ready()

    def test_whoever_is_new_is_waited_for_as_long_as_it_takes(self) -> None:
        case = Case()
        case.enrolment.ready()
        assert set(case.desk.waits_s) == {TIMEOUT_S}


class TestStrikes:
    def test_whoever_killed_two_attempts_is_left_out_where_the_others_suffice(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.enrolment.strike(["elm"])
        assert case.enrolment.ready(enough=4) == NAMES
        case.enrolment.strike(["elm"])
        assert case.enrolment.ready(enough=4) == ("ash", "birch", "cedar", "fir")
        assert case.enrolment.ready(enough=5) == NAMES
        assert case.enrolment.ready() == NAMES


class TestRefusals:
    def test_a_lasting_refusal_excludes_and_is_told(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.enrolment.note({"elm": Refusal(cause="plan", lasting=True)})
        assert case.enrolment.excluded == {"elm": REASON}
        assert case.told == [("elm", REASON)]
        assert case.enrolment.candidates() == set(NAMES) - {"elm"}
        assert "elm" not in case.enrolment.ready()
        assert "elm" not in case.desk.asked()[6:]

    def test_another_refusal_asks_for_consent_again(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.desk.asked()
        case.enrolment.note({"elm": Refusal(cause="order", lasting=False)})
        assert case.enrolment.excluded == {}
        assert case.enrolment.ready() == NAMES
        assert case.desk.asked() == ["elm"]

    def test_whoever_keeps_refusing_is_asked_ever_less_often(self) -> None:
        case = Case()
        case.desk.change = lambda name, answer: (
            Refusal(cause="setup", lasting=False) if name == "elm" else answer
        )
        for _ in range(33):
            case.enrolment.ready()
        assert 4 <= len([name for name, _ in case.told if name == "elm"]) <= 8

    def test_other_answers_change_nothing(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.enrolment.note({"elm": Enrolled(sealed_keys={})})
        assert case.enrolment.ready() == NAMES
        assert case.told == []
