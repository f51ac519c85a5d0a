import dataclasses

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_network import (
    FOUNDERS,
    NAMES,
    Centre,
    Home,
    Network,
    changed,
    plan_of,
    resigned,
)

from mesh_fl.agent import Data
from mesh_fl.errors import BudgetError, ConfigError, LedgerError, PlanError, ProtocolError
from mesh_fl.messages import Convene, Enrol, Reply
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.plan import Plan
from mesh_fl.round import respond
from mesh_fl.seat import Dataset, Holding
from mesh_fl.simulate.network import Founders
from mesh_fl.statements import Account, Call, Presence
from mesh_fl.training import begin

TRAINING = "ab" * 16
PLAN = plan_of()


def enrol_of(plan: Plan = PLAN, **fields: object) -> Enrol:
    roster = FOUNDERS.roster.dumps()
    return Enrol.model_validate(
        {"training": TRAINING, "plan": plan, "roster": roster, "latest": None, **fields}
    )


@pytest.fixture
def home() -> Home:
    return Home("ash", 0, Bfv)


class TestConsent:
    def test_an_agent_that_we_did_not_opt_into_is_refused(self, home: Home) -> None:
        other = Plan(**{**PLAN.model_dump(), "agent": "tickets"})
        with pytest.raises(PlanError, match=r"did not opt into agent 'tickets': add \[agents\."):
            home.start().enrol(enrol_of(other))

    @pytest.mark.parametrize(
        ("term", "value"),
        [
            ("unit", "client"),
            ("dimension", 5),
            ("clip", 1.0),
            ("measure_dimension", 2),
            ("measure_clip", 2.0),
        ],
    )
    def test_a_plan_that_is_not_the_agents_is_refused(
        self, home: Home, term: str, value: object
    ) -> None:
        other = Plan(**{**PLAN.model_dump(), term: value})
        with pytest.raises(PlanError, match=f"the plan has {term} = {value}, agent centre"):
            home.start().enrol(enrol_of(other))
        assert not home.ledger().charges

    @pytest.mark.parametrize(
        "terms", [{"epsilon": 0.2}, {"survivors": 3}, {"colluders": 0}], ids=str
    )
    def test_a_plan_laxer_than_our_policy_is_refused(
        self, home: Home, terms: dict[str, object]
    ) -> None:
        with pytest.raises(PlanError, match="our policy insists"):
            home.start().enrol(enrol_of(plan_of(**terms)))
        assert f"{TRAINING}.consent" not in home.blobs

    def test_more_records_than_our_cap_are_refused(self) -> None:
        with pytest.raises(PlanError, match="65 records, but declared at most 64"):
            Home("ash", 0, records=65).start().enrol(enrol_of())

    def test_records_that_outgrow_the_cap_while_we_are_down_are_refused(self, home: Home) -> None:
        home.start().enrol(enrol_of())
        home.records = 65
        with pytest.raises(PlanError, match="65 records, but declared at most 64"):
            home.start().resume(TRAINING)

    def test_a_plan_that_our_records_cannot_pay_is_refused_as_a_whole(self) -> None:
        network = Network(plan_of(rounds=1, measures=0, spares=1))
        network.run()
        member = network.wire.people["ash"]
        with pytest.raises(BudgetError, match=r"has spent epsilon = 0\.0\d+.* is left"):
            member.enrol(enrol_of())
        again = enrol_of(plan_of(rounds=1, measures=0, spares=1), training=member.trainings()[0])
        member.enrol(again)  # what this very training has already paid is not asked for twice

    def test_new_records_can_pay_for_a_second_training(self) -> None:
        network = Network(plan_of(rounds=1, measures=0))
        network.run()
        home = network.homes["ash"]
        home.table = "new points"
        home.start().enrol(enrol_of())

    def test_two_agents_on_one_table_share_its_budget(self) -> None:
        network = Network(plan_of(rounds=1, measures=0, spares=0))
        network.run()
        home = network.homes["ash"]
        member = home.start()
        holdings = {"other": member.holdings["centre"]}
        second = dataclasses.replace(member, holdings=holdings)
        other = Plan(**{**PLAN.model_dump(), "agent": "other"})
        with pytest.raises(BudgetError):
            second.enrol(enrol_of(other))

    def test_never_enrolled_means_no_seat(self, home: Home) -> None:
        with pytest.raises(ProtocolError, match=f"not enrolled in training {TRAINING}"):
            home.start().resume(TRAINING)

    def test_a_plan_for_more_colluders_than_the_roster_withstands_is_refused(self) -> None:
        """Two members could admit others of their own making, and outvote the rest."""
        home = Home("ash", 0)
        with pytest.raises(PlanError, match="2 colluders, but more than 1 members may admit"):
            home.start().enrol(enrol_of(plan_of(colluders=2)))

    def test_one_training_keeps_one_plan(self, home: Home) -> None:
        home.start().enrol(enrol_of())
        with pytest.raises(PlanError, match="began with another plan"):
            home.start().enrol(enrol_of(plan_of(rounds=2)))


class TestRosters:
    def roster_after_removal(self) -> bytes:
        entry = FOUNDERS.roster.propose_removal(["fir"])
        return FOUNDERS.roster.appended(entry.signed("operator", FOUNDERS.operator)).dumps()

    def test_a_newer_roster_is_followed_and_kept(self, home: Home) -> None:
        newer = self.roster_after_removal()
        home.start().enrol(enrol_of(roster=newer))
        assert home.roster.dumps() == newer
        assert "fir" not in home.start().roster.cards

    def test_no_older_roster_is_followed(self, home: Home) -> None:
        home.start().enrol(enrol_of(roster=self.roster_after_removal()))
        with pytest.raises(ProtocolError, match="does not follow from ours"):
            home.start().enrol(enrol_of())
        assert "fir" not in home.roster.cards

    def test_no_roster_of_another_network_is_followed(self, home: Home) -> None:
        other = Founders.of(dict.fromkeys(NAMES, 64), colluders=1).roster.dumps()
        for blob in (other, b"", b"nonsense", FOUNDERS.roster.dumps()[:-1]):
            with pytest.raises(ProtocolError):
                home.start().enrol(enrol_of(roster=blob))
        assert f"{TRAINING}.consent" not in home.blobs
        assert home.roster == FOUNDERS.roster

    def test_a_roster_with_another_key_of_ours_is_refused(self, home: Home) -> None:
        member = dataclasses.replace(home.start(), signing=Ed25519PrivateKey.generate())
        with pytest.raises(ProtocolError, match="another signing key for ash"):
            member.enrol(enrol_of(roster=self.roster_after_removal()))


class TestRestoredHome:
    """A ledger restored from a backup forgets what was spent; our own signature does not."""

    def after_one_round(self) -> tuple[Network, Account]:
        network = Network(plan_of(rounds=1, measures=0))
        network.run()
        replies = [r for n, r in network.wire.answers if n == "ash" and isinstance(r, Reply)]
        return network, replies[-1].account

    def test_our_own_word_betrays_it(self) -> None:
        network, account = self.after_one_round()
        home = network.homes["ash"]
        enrol = enrol_of(network.plan, training=account.training, latest=account)
        home.start().enrol(enrol)
        home.journal.lines = home.journal.lines.split(b"\n")[0] + b"\n"
        del home.blobs["head"]
        with pytest.raises(LedgerError, match="signed for a ledger of 2 lines"):
            home.start().enrol(enrol)

    def test_another_ledger_of_the_same_length_is_no_better(self) -> None:
        network, account = self.after_one_round()
        enrol = enrol_of(network.plan, training=account.training)
        member = network.homes["ash"].start()
        for word in (resigned(account, head="0" * 64), resigned(account, lines=3)):
            with pytest.raises(LedgerError, match="restored from a backup"):
                member.enrol(enrol.model_copy(update={"latest": word}))

    def test_a_word_that_we_did_not_sign_is_no_word_of_ours(self) -> None:
        network, account = self.after_one_round()
        enrol = enrol_of(network.plan, training=account.training)
        for word in (
            changed(account, lines=99),
            changed(account, lines=99).signed(FOUNDERS.signing["elm"]),
        ):
            with pytest.raises(ProtocolError, match="that we did not sign"):
                network.homes["ash"].start().enrol(enrol.model_copy(update={"latest": word}))

    def test_the_server_reminds_every_member_of_its_last_word(self) -> None:
        network = Network()
        training = network.run()
        home = network.homes["elm"]
        home.journal.lines = home.journal.lines.split(b"\n")[0] + b"\n"
        del home.blobs["head"]
        network.wire.restart("elm")
        anew = network.training()
        assert anew.enrolment.ready() == tuple(name for name in NAMES if name != "elm")
        assert list(anew.enrolment.excluded) == ["elm"]
        assert isinstance(home.errors[-1], LedgerError)
        assert isinstance(training.checkpoint.latest["elm"], Account)


class TestPresence:
    def test_it_tells_where_the_ledger_stands(self, home: Home) -> None:
        member = home.start()
        member.enrol(enrol_of())
        one = member.convene(Convene(training=TRAINING, epoch=3)).presence
        assert (one.by, one.training, one.plan, one.epoch) == ("ash", TRAINING, PLAN.digest, 3)
        assert (one.lines, one.head) == (1, home.ledger().head)
        assert one.roster == FOUNDERS.roster.head
        assert one.verifies(FOUNDERS.roster.key_of("ash"))

    def test_it_is_the_same_word_after_a_restart(self, home: Home) -> None:
        home.start().enrol(enrol_of())
        words = [home.start().convene(Convene(training=TRAINING, epoch=1)) for _ in range(3)]
        assert words[0] == words[1] == words[2]
        assert isinstance(words[0].presence, Presence)


class TestDamagedHome:
    def member_after_a_training(self) -> tuple[Network, str]:
        network = Network()
        training = network.run()
        return network, training.checkpoint.training

    @pytest.mark.parametrize("damage", [b"", b"\xc1", b"nonsense", b"\x80", b"\x93\1\2\3"])
    def test_a_damaged_model_is_as_good_as_none(self, damage: bytes) -> None:
        network, training = self.member_after_a_training()
        home = network.homes["ash"]
        assert home.start().resume(training).step == 4
        home.blobs[f"{training}.model"] = damage
        seat = home.start().resume(training)
        assert seat.step == 0
        np.testing.assert_array_equal(seat.state["centre"], np.zeros(3))

    def test_a_truncated_model_is_as_good_as_none(self) -> None:
        network, training = self.member_after_a_training()
        home = network.homes["ash"]
        home.blobs[f"{training}.model"] = home.blobs[f"{training}.model"][:-3]
        assert home.start().resume(training).step == 0
        network.wire.restart("ash")
        server = network.training()
        server.close()
        assert home.start().resume(training).digest == server.checkpoint.digest

    @pytest.mark.parametrize("blob", ["consent", "reply"])
    def test_a_damaged_message_is_a_protocol_error(self, blob: str) -> None:
        network, training = self.member_after_a_training()
        home = network.homes["ash"]
        home.blobs[f"{training}.{blob}"] = b"nonsense"
        member = home.start()
        with pytest.raises(ProtocolError):
            member.resume(training) if blob == "consent" else member.stored_reply(call_of(training))


def call_of(training: str, **fields: object) -> Call:
    terms: dict[str, object] = {
        "training": training,
        "agent": "centre",
        "plan": PLAN.digest,
        "phase": "train",
        "step": 1,
        "attempt": 1,
        "cohort": NAMES,
        "epoch": "",
        "model": "d",
        "seen": 0,
        "pending": "",
    }
    return Call.model_validate({**terms, **fields}).signed(FOUNDERS.operator)


class TestReplies:
    @pytest.mark.parametrize(("step", "attempt"), [(1, 2), (2, 1), (2, 2)])
    def test_a_reply_is_given_again_for_its_own_attempt_only(
        self, home: Home, step: int, attempt: int
    ) -> None:
        member = home.start()
        member.enrol(enrol_of())
        account = member.account(call_of(TRAINING), member.resume(TRAINING))
        stored = Reply(sealed=None, opened=None, account=account)
        member.store_reply(stored)
        assert member.stored_reply(call_of(TRAINING)) == stored
        assert member.stored_reply(call_of(TRAINING, step=step, attempt=attempt)) is None
        assert member.stored_reply(call_of("cd" * 16)) is None

    def test_closing_is_never_charged(self, home: Home) -> None:
        member = home.start()
        member.enrol(enrol_of())
        with pytest.raises(ProtocolError, match="closing ask is never charged"):
            member.charge(call_of(TRAINING, phase="close"), member.resume(TRAINING))

    def test_whoever_serves_predictions_hears_of_every_model(self) -> None:
        network = Network(plan_of(rounds=2, measures=0))
        heard: list[int] = []
        member = network.wire.people["ash"]
        member.on_model = lambda seat: heard.append(seat.step)
        network.run()
        assert heard == [0, 0, 1, 2]

    def test_trainings_are_told_oldest_first(self) -> None:
        network = Network(plan_of(epsilon=0.05))
        first = network.run().checkpoint.training
        network.blobs.clear()
        second = network.run().checkpoint.training
        assert network.homes["ash"].start().trainings() == (first, second)


class Mean(Centre):
    """One row in all: the client is what is protected."""

    unit = "client"

    def contribute(self, state: object, data: Data) -> np.ndarray:
        return np.append(data["point"].mean(axis=0), 1.0)[None, :]

    def measure(self, state: object, data: Data) -> np.ndarray:
        return np.ones((1, 1))


class TestClientUnit:
    def test_a_record_pays_for_moving_the_row_from_one_side_to_the_other(self) -> None:
        """Protecting the client with mu protects its records with 2 mu, four times mu squared."""
        plan = plan_of(Mean(), epsilon=0.045)
        assert set(plan.caps.values()) == {1}
        options = {name: {"agent": Mean} for name in NAMES}
        network = Network(plan, member_options=options)
        training = network.training()
        training = type(training)(
            Mean(),
            begin(Mean(), plan),
            network.wire,
            network.blobs,
            FOUNDERS.operator,
            make_cipher=training.make_cipher,
        )
        assert training.run().status == "finished"
        ledger = network.homes["ash"].ledger()
        assert [charge.step for charge in ledger.charges] == [1, 2, 3, 4]
        spent = ledger.spent(ledger.records("points", ["ash-0"]))
        assert spent == pytest.approx(4 * sum(plan.cost(kind) for kind in plan.schedule))
        assert 0.07 < ledger.most_spent < 0.1

    def test_a_plan_that_records_cannot_pay_fourfold_is_refused(self) -> None:
        home = Home("ash", 0, agent=Mean)
        with pytest.raises(BudgetError):
            home.start().enrol(enrol_of(plan_of(Mean(), epsilon=0.06)))


def test_a_member_does_not_show_its_keys() -> None:
    member = Home("ash", 0).start()
    member.enrol(enrol_of())
    member.convene(Convene(training=TRAINING, epoch=1))
    shown = repr(member) + repr(member.resume(TRAINING).keyring)
    secrets = [member.signing.private_bytes_raw(), member.blobs[f"{TRAINING}.pair"][-32:]]
    for secret in secrets:
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_data_that_cannot_be_read_now_is_no_lasting_refusal() -> None:
    """The file may be back at the next chance; a plan that is wrong stays wrong."""

    def missing(agent: object) -> Dataset:
        raise ConfigError("cannot read customers.csv")

    member = Home("ash", 0).start()
    build = member.holdings["centre"].build
    away = dataclasses.replace(member, holdings={"centre": Holding(build, missing)})
    answers = respond(enrol_of(), away), respond(enrol_of(plan_of(epsilon=0.2)), member)
    assert [answer.lasting for answer in answers if answer.type == "refusal"] == [False, True]
