import re
from collections.abc import Callable

import numpy as np
import pytest
from lying_operator import Mark
from small_network import (
    AGENT,
    FOUNDERS,
    NAMES,
    Centre,
    Network,
    lie,
    plan_of,
    recalled,
)

from mesh_fl.agent import Data, Rows, State
from mesh_fl.messages import Ask, Pending, Refusal, Reply, encode
from mesh_fl.opening import step_model
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.pipeline import hand_over, next_digest, seal
from mesh_fl.round import fits, server_turn
from mesh_fl.statements import Account, Call
from mesh_fl.verification import sha256

Forge = Callable[[Mark], dict[str, object]]


@pytest.fixture
def mark() -> Mark:
    return Mark()


def damaged(mark: Mark, blob: bytes) -> dict[str, object]:
    """Another sum, which the operator signs for."""
    pending = mark.pending.model_copy(update={"encrypted": blob})
    return {
        "pending": pending,
        "call": recalled(mark.ask.call, pending=sha256(blob)),
    }


WRONG: dict[str, tuple[Forge, str]] = {
    "attempt 0": (lambda mark: {"attempt": 0}, "counted from 1"),
    "attempt of the step before": (lambda mark: {"attempt": 1}, "not newer than attempt 1"),
    "another plan": (lambda mark: {"plan": "0" * 64}, "another plan than the one that we"),
    "another agent": (lambda mark: {"agent": "tickets"}, "another plan than the one that we"),
    "another training": (lambda mark: {"training": "f" * 32}, "not enrolled"),
    "cohort too small": (
        lambda mark: {"cohort": ("ash", "birch", "elm")},
        "cohort has 3 members, the plan's noise needs 4",
    ),
    "cohort of one, said four times": (lambda mark: {"cohort": ("ash",) * 4}, "twice"),
    "cohort with a stranger": (
        lambda mark: {"cohort": ("ash", "birch", "cedar", "oak")},
        "one that the plan does not know",
    ),
    "cohort without us": (
        lambda mark: {"cohort": ("birch", "cedar", "elm", "fir")},
        "not in the cohort",
    ),
    "no cohort": (lambda mark: {"cohort": ()}, "noise needs 4"),
    "a step ahead": (lambda mark: {"step": 3}, "expected step 2, got 3"),
    "the step before": (lambda mark: {"step": 1}, "expected step 2, got 1"),
    "beyond the schedule": (lambda mark: {"step": 2**60}, "expected step 2, got"),
    "a measure out of turn": (lambda mark: {"phase": "measure"}, "not to measure"),
    "no sum": (
        lambda mark: {"pending": None, "call": recalled(mark.ask.call, pending="")},
        "expected step 1, got 2",
    ),
    "a sum that was kept back": (lambda mark: {"pending": None}, "signed for another sum"),
    "a sum that was not signed for": (
        lambda mark: {"pending": mark.pending, "call": recalled(mark.ask.call, pending="")},
        "signed for another sum",
    ),
    "seen more": (lambda mark: {"seen": 1}, "expected the sum of step 2"),
    "seen beyond the schedule": (lambda mark: {"seen": 2**60}, "expected a model of step 0 to 4"),
    "a step that is left out": (
        lambda mark: {
            "pending": None,
            "call": recalled(mark.ask.call, pending="", seen=1),
        },
        "more than 1 members' signatures|totals that we missed",
    ),
    "truncated sum": (lambda mark: damaged(mark, mark.pending.encrypted[:-1]), "expected"),
    "empty sum": (lambda mark: damaged(mark, b""), "expected"),
    "another model": (lambda mark: {"model": "0" * 64}, "more than 1 members' signatures"),
    "another epoch": (lambda mark: {"epoch": "0" * 64}, "need the charter"),
    "closing beyond the schedule": (
        lambda mark: {"phase": "close", "attempt": 0, "seen": 4},
        "expected a model of step 0 to 4",
    ),
    "closing with strangers": (
        lambda mark: {"phase": "close", "attempt": 0, "cohort": ("ash", "oak")},
        "does not know",
    ),
}


class TestForgedAsks:
    @pytest.mark.parametrize("forgery", WRONG)
    def test_they_are_refused_and_charge_nothing(self, mark: Mark, forgery: str) -> None:
        forge, message = WRONG[forgery]
        answer = mark.forged(**forge(mark))
        assert isinstance(answer, Refusal), answer
        assert re.search(message, mark.why), mark.why
        assert mark.charged == 1
        honest = mark.forged()
        assert isinstance(honest, Reply)
        assert honest.sealed is not None
        assert mark.charged == 2

    @pytest.mark.parametrize(
        "other",
        [
            {"cohort": ("ash", "birch", "cedar", "elm")},
            {"cohort": tuple(reversed(NAMES))},
        ],
        ids=str,
    )
    def test_one_attempt_cannot_be_asked_of_two_cohorts(
        self, mark: Mark, other: dict[str, object]
    ) -> None:
        assert isinstance(mark.forged(), Reply)
        answer = mark.forged(**other)
        assert isinstance(answer, Refusal)
        assert "one attempt may stand for one ask only" in mark.why
        assert (answer.cause, answer.lasting) == ("ledger", True)
        assert mark.charged == 2

    def test_a_call_that_the_operator_did_not_sign_is_refused(self, mark: Mark) -> None:
        honest = mark.ask.call
        for call in (
            honest.model_copy(update={"signature": ""}),
            honest.model_copy(update={"signature": honest.signature[:-8] + "AAAAAA=="}),
            honest.signed(FOUNDERS.signing["birch"]),
            honest.signed(FOUNDERS.signing["ash"]),
            type(honest)(**{**honest.model_dump(), "attempt": 3}),
        ):
            assert isinstance(mark.sent(mark.ask.model_copy(update={"call": call})), Refusal)
            assert "not signed by the operator" in mark.why
        assert mark.charged == 1

    def test_the_same_ask_gets_the_same_bytes_also_after_a_restart(self, mark: Mark) -> None:
        first = mark.forged()
        again = mark.forged()
        mark.network.wire.restart("ash")
        assert encode(first) == encode(again) == encode(mark.forged())
        assert mark.charged == 2

    def test_an_older_ask_neither_charges_nor_takes_the_model_back(self, mark: Mark) -> None:
        assert isinstance(mark.forged(), Reply)
        place = mark.place
        asks = [m for n, m in mark.network.wire.sent if n == "ash" and isinstance(m, Ask)]
        assert [ask.call.phase for ask in asks] == ["close", "train"]
        older = [recalled(asks[1].call, phase="close", attempt=0), *(ask.call for ask in asks)]
        for call in older:
            assert isinstance(mark.sent(asks[1].model_copy(update={"call": call})), Refusal)
            assert mark.place == place
        assert mark.charged == 2

    def test_a_closing_ask_opens_the_sum_and_charges_nothing(self, mark: Mark) -> None:
        answer = mark.forged(phase="close", attempt=0, cohort=("ash", "birch", "cedar"))
        assert isinstance(answer, Reply)
        assert answer.sealed is None
        assert answer.opened is not None
        assert mark.charged == 1
        assert mark.place == (answer.opened.digest, 1)

    def test_a_refusal_repeats_nothing_of_what_was_wrong(self, mark: Mark) -> None:
        answer = mark.forged(training="e" * 32)
        assert isinstance(answer, Refusal)
        assert "eee" in mark.why
        assert encode(answer) == encode(Refusal(cause="order", lasting=False))

    def test_an_agent_with_a_row_too_few_is_refused(self) -> None:
        network = Network(member_options={"ash": {"records": 30, "agent": Short}})
        training = network.run()
        assert list(training.enrolment.excluded) == ["ash"]
        assert "expected 30 rows from contribute, got 29" in str(network.homes["ash"].errors[-1])
        assert training.checkpoint.status == "finished"


class Short(Centre):
    def contribute(self, state: State, data: Data) -> Rows:
        return super().contribute(state, data)[:-1]


PLAN = plan_of()
RELEASE = PLAN.release("train")
TOTAL = np.array([5, -7, 11, 200])
CALL = Call(
    training="a" * 32,
    agent="centre",
    plan=PLAN.digest,
    phase="train",
    step=2,
    attempt=2,
    cohort=NAMES,
    epoch="e" * 64,
    model="before",
    seen=0,
    pending=sha256(b"sum"),
).signed(FOUNDERS.operator)
ASK = Ask(
    call=CALL,
    pending=Pending(
        encrypted=b"sum", call=recalled(CALL, step=1, attempt=1, pending=""), accounts=()
    ),
)


def account_of(name: str) -> Account:
    return Account(
        by=name,
        training=CALL.training,
        plan=CALL.plan,
        step=2,
        attempt=2,
        call=CALL.digest,
        operator=CALL.signature,
        sealed="",
        model=next_digest("before", TOTAL),
        slice="",
        lines=3,
        head="h",
    )


class TestServerTurn:
    key = generate_key(PLAN.parameters)
    cipher = Bfv(PLAN.parameters, key)
    public = Bfv(PLAN.parameters)

    def replies(self) -> dict[str, Reply]:
        sealed = seal(np.ones((3, 4)), RELEASE, self.cipher, SystemSource())
        after = next_digest("before", TOTAL)
        return {
            name: lie(
                Reply(sealed=None, opened=None, account=account_of(name)),
                sealed=sealed,
                opened=hand_over(TOTAL, after, place, len(NAMES)),
            )
            for place, name in enumerate(NAMES)
        }

    def test_a_whole_cohort_becomes_an_encrypted_sum(self) -> None:
        replies = self.replies()
        outcome = server_turn(ASK, replies, PLAN, self.public)
        assert isinstance(outcome, Pending)
        assert (outcome.step, outcome.kind) == (2, "train")
        assert outcome.call == CALL
        assert outcome.accounts == tuple(replies[name].account for name in NAMES)

    @pytest.mark.parametrize("missing", [("ash",), ("birch", "fir"), NAMES])
    def test_whoever_is_missing_is_named(self, missing: tuple[str, ...]) -> None:
        found = {name: reply for name, reply in self.replies().items() if name not in missing}
        assert server_turn(ASK, found, PLAN, self.public) == missing

    def test_strangers_are_not_added(self) -> None:
        found = self.replies()
        less = ASK.model_copy(update={"call": recalled(CALL, cohort=NAMES[:4])})
        outcome = server_turn(less, found, PLAN, self.public)
        four = server_turn(less, {name: found[name] for name in NAMES[:4]}, PLAN, self.public)
        assert isinstance(outcome, Pending)
        assert isinstance(four, Pending)
        np.testing.assert_array_equal(
            self.cipher.decrypt(outcome.encrypted, 6), self.cipher.decrypt(four.encrypted, 6)
        )

    def test_whoever_cannot_be_added_is_named(self) -> None:
        found = self.replies()
        for name in ("birch", "fir"):
            sealed = found[name].sealed
            assert sealed is not None
            cut = sealed.model_copy(update={"ciphertext": sealed.ciphertext[:-2]})
            found[name] = lie(found[name], sealed=cut)
        assert server_turn(ASK, found, PLAN, self.public) == ("birch", "fir")

    def test_what_was_asked_for_fits(self) -> None:
        for name, reply in self.replies().items():
            assert fits(reply, ASK, name, PLAN, FOUNDERS.roster.key_of(name))

    @pytest.mark.parametrize(
        "lies",
        [
            {"by": "birch"},
            {"training": "b" * 32},
            {"plan": "0" * 64},
            {"step": 1},
            {"attempt": 1},
            {"call": "0" * 64},
            {"operator": ""},
            {"model": "0" * 64},
        ],
        ids=str,
    )
    def test_an_account_of_something_else_does_not(self, lies: dict[str, object]) -> None:
        forged = lie(self.replies()["ash"], **lies)
        assert not fits(forged, ASK, "ash", PLAN, FOUNDERS.roster.key_of("ash"))

    def test_a_part_that_is_missing_or_another_does_not(self) -> None:
        replies = self.replies()
        ash, key = replies["ash"], FOUNDERS.roster.key_of("ash")
        assert not fits(replies["birch"], ASK, "ash", PLAN, key)
        assert not fits(ash, ASK, "ash", PLAN, FOUNDERS.roster.key_of("birch"))
        for part in ("sealed", "opened"):
            assert not fits(ash.model_copy(update={part: None}), ASK, "ash", PLAN, key)
            assert not fits(lie(ash, **{part: None}), ASK, "ash", PLAN, key)
        other = replies["birch"].opened
        assert not fits(ash.model_copy(update={"opened": other}), ASK, "ash", PLAN, key)
        assert not fits(lie(ash, opened=other), ASK, "ash", PLAN, key)
        closing = ASK.model_copy(update={"call": recalled(CALL, phase="close", attempt=0)})
        told = {"call": closing.call.digest, "operator": closing.call.signature, "attempt": 0}
        assert fits(lie(ash, sealed=None, **told), closing, "ash", PLAN, key)
        assert not fits(lie(ash, **told), closing, "ash", PLAN, key)


def test_a_measure_steps_nowhere() -> None:
    state = AGENT.init()
    assert step_model(AGENT, PLAN, "measure", state, np.array([10**6])) is state
    moved = step_model(AGENT, PLAN, "train", state, TOTAL)
    expected = np.tanh(TOTAL[:3] / RELEASE.scale / AGENT.points)
    np.testing.assert_allclose(moved["centre"], expected, rtol=1e-12)
