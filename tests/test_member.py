import dataclasses

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError
from small_network import AGENT, NAMES, Centre, Home, Network, plan_of

from mesh_fl.agent import Data
from mesh_fl.errors import BudgetError, ConfigError, EncryptionError, PlanError, ProtocolError
from mesh_fl.member import Member, context_of
from mesh_fl.messages import Ask, Enrol, Reply
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.epoch import open_epoch
from mesh_fl.privacy.plan import Plan, Policy
from mesh_fl.round import respond
from mesh_fl.seat import Dataset, Holding, Seat
from mesh_fl.training import begin

TRAINING = "ab" * 16
PLAN = plan_of()


def enrol_of(plan: Plan = PLAN, **fields: object) -> Enrol:
    terms = {"training": TRAINING, "plan": plan, "sealed_key": None, "seal_to": {}, **fields}
    return Enrol.model_validate(terms)


def public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


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


class TestKeys:
    def test_whoever_has_no_key_makes_one_and_seals_it(self, home: Home) -> None:
        keys = {name: X25519PrivateKey.generate() for name in ("birch", "elm")}
        seal_to = {name: public(key) for name, key in keys.items()}
        sealed = home.start().enrol(enrol_of(seal_to=seal_to)).sealed_keys
        epochs = [
            open_epoch(sealed[name], key, context_of(TRAINING, name)) for name, key in keys.items()
        ]
        assert epochs[0] == epochs[1]
        assert epochs[0].parameters == PLAN.parameters

    def test_a_sealed_key_opens_for_its_member_and_training_only(self, home: Home) -> None:
        key = X25519PrivateKey.generate()
        sealed = home.start().enrol(enrol_of(seal_to={"elm": public(key)})).sealed_keys["elm"]
        for context in (context_of(TRAINING, "fir"), context_of("cd" * 16, "elm")):
            with pytest.raises(EncryptionError):
                open_epoch(sealed, key, context)

    def test_the_key_survives_restarts_and_further_sealing(self, home: Home) -> None:
        key = X25519PrivateKey.generate()
        epochs = []
        for _ in range(3):
            sealed = home.start().enrol(enrol_of(seal_to={"elm": public(key)})).sealed_keys["elm"]
            epochs.append(open_epoch(sealed, key, context_of(TRAINING, "elm")))
        assert epochs[0] == epochs[1] == epochs[2]

    def test_the_key_that_the_server_hands_over_replaces_one_that_we_made(self, home: Home) -> None:
        home.start().enrol(enrol_of())
        maker = Home("elm", 1, Bfv)
        seal_to = {"ash": public(home.sealing_key)}
        sealed = maker.start().enrol(enrol_of(seal_to=seal_to)).sealed_keys["ash"]
        home.start().enrol(enrol_of(sealed_key=sealed))
        ours, theirs = home.start().resume(TRAINING), maker.start().resume(TRAINING)
        np.testing.assert_array_equal(
            ours.cipher.decrypt(theirs.cipher.encrypt(np.arange(4)), 4), np.arange(4)
        )

    @pytest.mark.parametrize("sealed", [b"", b"nonsense", bytes(4000)])
    def test_a_key_that_does_not_open_is_refused(self, home: Home, sealed: bytes) -> None:
        with pytest.raises(EncryptionError):
            home.start().enrol(enrol_of(sealed_key=sealed))
        assert f"{TRAINING}.consent" not in home.blobs

    def test_a_recipient_without_a_usable_key_is_refused(self, home: Home) -> None:
        answer = respond(enrol_of(seal_to={"elm": bytes(32)}), home.start())
        assert answer.type == "refusal"
        for key in (b"", bytes(31), bytes(33)):
            with pytest.raises(ValidationError, match="32 bytes"):
                enrol_of(seal_to={"elm": key})

    def test_stored_consents_hold_no_open_key(self, home: Home) -> None:
        member = home.start()
        key = X25519PrivateKey.generate()
        sealed = member.enrol(enrol_of(seal_to={"elm": public(key)})).sealed_keys["elm"]
        secret = open_epoch(sealed, key, context_of(TRAINING, "elm")).secret_key
        assert len(secret) > 100
        stored = b"".join(home.blobs.values()) + home.journal.read()
        assert secret[40:80] not in stored
        assert secret.hex() not in repr(member)


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
            member.resume(training) if blob == "consent" else member.stored_reply(ask_of(training))


def ask_of(training: str, **fields: object) -> Ask:
    terms: dict[str, object] = {
        "training": training,
        "plan": PLAN.digest,
        "phase": "train",
        "step": 1,
        "attempt": 1,
        "cohort": NAMES,
        "digest": "d",
        "seen": 0,
        "pending": None,
        "state": None,
    }
    return Ask.model_validate({**terms, **fields})


class TestReplies:
    @pytest.mark.parametrize(("step", "attempt"), [(1, 2), (2, 1), (2, 2)])
    def test_a_reply_is_given_again_for_its_own_attempt_only(
        self, home: Home, step: int, attempt: int
    ) -> None:
        member = home.start()
        stored = Reply(training=TRAINING, step=1, attempt=1, sealed=None, opened=None)
        member.store_reply(stored)
        assert member.stored_reply(ask_of(TRAINING)) == stored
        assert member.stored_reply(ask_of(TRAINING, step=step, attempt=attempt)) is None
        assert member.stored_reply(ask_of("cd" * 16)) is None

    def test_closing_is_never_charged(self, home: Home) -> None:
        member = home.start()
        member.enrol(enrol_of())
        with pytest.raises(ProtocolError, match="closing ask is never charged"):
            member.charge(ask_of(TRAINING, phase="close"), member.resume(TRAINING))

    def test_whoever_serves_predictions_hears_of_every_model(self) -> None:
        network = Network(plan_of(rounds=2, measures=0))
        heard: list[int] = []
        member = network.wire.people["ash"]
        member.on_model = lambda seat: heard.append(seat.step)
        network.run()
        assert heard == [0, 1, 2]

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
    home = Home("ash", 0, policy=Policy())
    shown = repr(home.start())
    assert home.sealing_key.private_bytes_raw().hex() not in shown
    assert repr(home.sealing_key.private_bytes_raw()) not in shown


def test_data_that_cannot_be_read_now_is_no_lasting_refusal() -> None:
    """The file may be back at the next chance; a plan that is wrong stays wrong."""

    def missing(agent: object) -> Dataset:
        raise ConfigError("cannot read customers.csv")

    member = Home("ash", 0).start()
    build = member.holdings["centre"].build
    away = dataclasses.replace(member, holdings={"centre": Holding(build, missing)})
    answers = respond(enrol_of(), away), respond(enrol_of(plan_of(epsilon=0.2)), member)
    assert [answer.lasting for answer in answers if answer.type == "refusal"] == [False, True]


def test_a_seat_refuses_to_jump_without_the_model() -> None:
    member: Member = Home("ash", 0).start()
    member.enrol(enrol_of())
    seat: Seat = member.resume(TRAINING)
    seat.start_from(seat.digest, 0, None)
    with pytest.raises(ProtocolError, match="need the model sent along"):
        seat.start_from("elsewhere", 1, None)
    assert seat.state["centre"].tolist() == AGENT.init()["centre"].tolist()
