from collections.abc import Mapping

from small_network import AGENT, FOUNDERS, NAMES, Home, Network, Wire, changed, plan_of

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.enrolment import PING_S, Enrolment
from mesh_fl.messages import Enrol, Enrolled, Refusal, ToMember, ToServer
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.plan import Policy
from mesh_fl.statements import Presence
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


class TestConsent:
    def test_everybody_is_asked_once(self) -> None:
        case = Case()
        assert case.enrolment.ready() == NAMES
        assert sorted(case.desk.asked()) == list(NAMES)
        assert case.enrolment.ready() == NAMES
        assert case.desk.asked() == []

    def test_whoever_refuses_or_is_away_is_not_ready(self) -> None:
        case = Case(ash={"policy": Policy(epsilon=0.01)})
        case.desk.offline = {"birch"}
        assert case.enrolment.ready() == ("cedar", "elm", "fir")
        assert list(case.enrolment.excluded) == ["ash"]
        case.desk.offline = set()
        assert case.enrolment.ready() == ("birch", "cedar", "elm", "fir")

    def test_strangers_to_plan_or_roster_are_not_asked(self) -> None:
        removal = FOUNDERS.roster.propose_removal(["fir"])
        case = Case()
        case.desk.newest = FOUNDERS.roster.appended(removal.signed("operator", FOUNDERS.operator))
        case.enrolment = case.anew()
        assert case.enrolment.ready() == NAMES[:4]
        assert "fir" not in {name for name, _ in case.desk.sent}
        case.checkpoint.plan.caps.pop("elm")
        assert case.enrolment.ready() == NAMES[:3]

    def test_a_new_roster_asks_everybody_for_consent_again(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.desk.asked()
        case.enrolment.follow_roster()
        assert case.enrolment.ready() == NAMES
        assert case.desk.asked() == []
        removal = FOUNDERS.roster.propose_removal(["fir"])
        case.desk.newest = FOUNDERS.roster.appended(removal.signed("operator", FOUNDERS.operator))
        case.enrolment.follow_roster()
        assert case.enrolment.ready() == NAMES[:4]
        assert sorted(case.desk.asked()) == list(NAMES[:4])
        assert {home.roster.head for home in case.homes.values()} == {
            FOUNDERS.roster.head,
            case.desk.newest.head,
        }

    def test_what_is_unfinished_is_finished_by_the_roster_that_it_began_with(self) -> None:
        removal = FOUNDERS.roster.propose_removal(["fir"])
        newest = FOUNDERS.roster.appended(removal.signed("operator", FOUNDERS.operator))
        assert newest.until(FOUNDERS.roster.head) == FOUNDERS.roster
        assert newest.until(newest.head) == newest.until("0" * 64) == newest
        network = Network()
        network.options["stopped"] = lambda: bool(network.told("round"))
        pending = network.run().checkpoint
        assert pending.pending is not None
        network.wire.newest = newest
        assert network.training().enrolment.roster == FOUNDERS.roster
        case = Case()
        case.desk.newest = newest
        assert case.anew().roster == newest

    def test_everybody_says_how_far_its_model_is(self) -> None:
        network = Network()
        network.wire.before = lambda wire, messages: None
        training = network.run()
        assert network.training().enrolment.ready() == NAMES
        case = Case()
        case.checkpoint, case.desk = training.checkpoint, Desk(network.homes)
        case.enrolment = case.anew()
        case.enrolment.ready()
        assert case.enrolment.enrolled == dict.fromkeys(NAMES, 4)

    def test_only_a_last_word_by_the_present_key_is_passed_on(self) -> None:
        case = Case()
        word = Presence(
            by="elm",
            training=case.checkpoint.training,
            plan=case.checkpoint.plan.digest,
            roster=FOUNDERS.roster.head,
            epoch=1,
            sealing="0" * 64,
            masking="0" * 64,
            lines=1,
            head=case.homes["elm"].ledger().head,
        ).signed(FOUNDERS.signing["elm"])
        case.checkpoint.latest = {"elm": word, "ash": changed(word, by="ash")}
        assert case.enrolment.ready() == NAMES
        enrols = {name: m.latest for name, m in case.desk.sent if isinstance(m, Enrol)}
        assert enrols["elm"] == word
        assert enrols["ash"] is None

    def test_whoever_is_blamed_is_left_out_as_long_as_it_stays(self) -> None:
        case = Case()
        case.enrolment.ready()
        case.enrolment.blame("elm", "it lied")
        assert case.enrolment.ready() == ("ash", "birch", "cedar", "fir")
        assert case.told == [("elm", "it lied")]
        case.desk.offline = {"elm"}
        case.enrolment.ready()
        case.desk.offline = set()
        assert case.enrolment.ready() == NAMES


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
        assert "elm" not in case.desk.asked()[5:]

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
        case.enrolment.note({"elm": Enrolled(step=0)})
        assert case.enrolment.ready() == NAMES
        assert case.told == []
