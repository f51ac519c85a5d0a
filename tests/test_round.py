import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from small_network import AGENT, NAMES, Centre, KilledError, Network, Wire, plan_of

from mesh_fl.agent import Data, Rows, State
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Pending, Refusal, Reply, ToMember, ToServer, decode, encode
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.pipeline import hand_over, next_digest, seal
from mesh_fl.round import Split, fits, respond, server_turn, settle, step_model
from mesh_fl.state import dump_state

Forge = Callable[[Ask], dict[str, object]]


def stopped_at(step: int) -> tuple[Network, dict[str, Ask]]:
    """A network whose server died when it was about to ask for a step, and the unsent asks."""
    network = Network(make_cipher=Bfv)
    unsent: dict[str, Ask] = {}

    def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
        asks = {name: message for name, message in messages.items() if isinstance(message, Ask)}
        if asks and max(ask.step for ask in asks.values()) == step:
            unsent.update(asks)
            raise KilledError

    network.wire.before = before
    with pytest.raises(KilledError):
        network.training().run()
    return network, unsent


class Mark:
    """One member in front of its second ask, which nobody sent yet."""

    def __init__(self) -> None:
        self.network, self.unsent = stopped_at(2)
        self.ask = self.unsent["ash"]
        self.member: Member = self.network.wire.people["ash"]

    def forged(self, **fields: object) -> ToServer:
        ask = Ask.model_validate({**dict(self.ask), **fields})
        return respond(decode(encode(ask)), self.member)

    @property
    def charged(self) -> int:
        return len(self.network.homes["ash"].ledger().charges)

    @property
    def why(self) -> str:
        """What the member told its own log last; the server hears the kind of cause only."""
        return str(self.network.homes["ash"].errors[-1])

    @property
    def place(self) -> tuple[str, int]:
        seat = self.member.resume(self.ask.training)
        return seat.digest, seat.step


@pytest.fixture
def mark() -> Mark:
    return Mark()


def pending_of(ask: Ask, **fields: object) -> Pending:
    assert ask.pending is not None
    return ask.pending.model_copy(update=fields)


WRONG: dict[str, tuple[Forge, str]] = {
    "attempt 0": (lambda ask: {"attempt": 0}, "counted from 1"),
    "attempt of the step before": (lambda ask: {"attempt": 1}, "not newer than attempt 1"),
    "another plan": (lambda ask: {"plan": "0" * 64}, "another plan than the one that we consented"),
    "another training": (lambda ask: {"training": "f" * 32}, "not enrolled"),
    "no training": (lambda ask: {"training": "../ledger"}, "not enrolled"),
    "cohort too small": (
        lambda ask: {"cohort": ("ash", "birch", "elm")},
        "cohort has 3 members, the plan's noise needs 4",
    ),
    "cohort of one, said four times": (lambda ask: {"cohort": ("ash",) * 4}, "twice"),
    "cohort with a stranger": (
        lambda ask: {"cohort": ("ash", "birch", "cedar", "oak")},
        "one that the plan does not know",
    ),
    "cohort without us": (
        lambda ask: {"cohort": ("birch", "cedar", "elm", "fir")},
        "not in the cohort",
    ),
    "no cohort": (lambda ask: {"cohort": ()}, "not in the cohort"),
    "a step ahead": (lambda ask: {"step": 3}, "expected step 2, got 3"),
    "the step before": (lambda ask: {"step": 1}, "expected step 2, got 1"),
    "beyond the schedule": (lambda ask: {"step": 2**60}, "expected step 2, got"),
    "a measure out of turn": (lambda ask: {"phase": "measure"}, "not to measure"),
    "no sum": (lambda ask: {"pending": None}, "expected step 1, got 2"),
    "sum of another step": (
        lambda ask: {"pending": pending_of(ask, step=2)},
        "expected the sum of step 1, got that of 2",
    ),
    "seen more": (lambda ask: {"seen": 1}, "expected the sum of step 2"),
    "seen beyond the schedule": (
        lambda ask: {"seen": 2**60, "pending": pending_of(ask, step=2**60 + 1)},
        "expected a model of step 0 to 4",
    ),
    "truncated sum": (
        lambda ask: {"pending": pending_of(ask, encrypted=ask.pending.encrypted[:-1])},
        "expected",
    ),
    "empty sum": (lambda ask: {"pending": pending_of(ask, encrypted=b"")}, "expected"),
    "another model": (lambda ask: {"digest": "0" * 64, "state": None}, "need the model sent along"),
    "a damaged model": (
        lambda ask: {"digest": "0" * 64, "state": b"nonsense"},
        "model in safetensors format",
    ),
    "a model of another shape": (
        lambda ask: {"digest": "0" * 64, "state": dump_state({"centre": np.zeros(9)})},
        "float64 blocks",
    ),
    "closing beyond the schedule": (
        lambda ask: {
            "phase": "close",
            "attempt": 0,
            "seen": 4,
            "pending": pending_of(ask, step=5),
        },
        "expected a model of step 0 to 4",
    ),
    "closing with strangers": (
        lambda ask: {"phase": "close", "attempt": 0, "cohort": ("ash", "oak")},
        "does not know",
    ),
}


class TestForgedAsks:
    @pytest.mark.parametrize("forgery", WRONG)
    def test_they_are_refused_and_charge_nothing(self, mark: Mark, forgery: str) -> None:
        forge, message = WRONG[forgery]
        answer = mark.forged(**forge(mark.ask))
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

    def test_one_attempt_cannot_be_asked_on_another_model(self, mark: Mark) -> None:
        assert isinstance(mark.forged(), Reply)
        state = dump_state({"centre": np.ones(3), "steps": np.ones(1)})
        answer = mark.forged(digest="0" * 64, state=state)
        assert isinstance(answer, Refusal)
        assert mark.charged == 2

    def test_the_same_ask_gets_the_same_bytes_also_after_a_restart(self, mark: Mark) -> None:
        first = mark.forged()
        again = mark.forged()
        mark.network.wire.restart("ash")
        mark.member = mark.network.wire.people["ash"]
        assert encode(first) == encode(again) == encode(mark.forged())
        assert mark.charged == 2

    def test_an_older_ask_neither_charges_nor_takes_the_model_back(self, mark: Mark) -> None:
        assert isinstance(mark.forged(), Reply)
        place = mark.place
        old = next(m for n, m in mark.network.wire.sent if n == "ash" and isinstance(m, Ask))
        assert old.step == 1
        assert old.state is not None
        for phase in ("train", "close"):
            attempt = 0 if phase == "close" else old.attempt
            answer = respond(
                old.model_copy(update={"phase": phase, "attempt": attempt}), mark.member
            )
            assert isinstance(answer, Refusal)
            assert mark.place == place
        assert mark.charged == 2

    def test_a_closing_ask_opens_the_sum_and_charges_nothing(self, mark: Mark) -> None:
        answer = mark.forged(phase="close", attempt=0, cohort=("ash",))
        assert isinstance(answer, Reply)
        assert answer.sealed is None
        assert answer.opened is not None
        assert mark.charged == 1
        assert mark.place == (answer.opened.digest, 1)

    def test_a_refusal_repeats_nothing_of_what_was_wrong(self, mark: Mark) -> None:
        answer = mark.forged(training="x" * 5000)
        assert isinstance(answer, Refusal)
        assert "xxx" in mark.why
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


def replies(names: tuple[str, ...] = NAMES, digest: str = "before") -> dict[str, Reply]:
    after = next_digest(digest, TOTAL)
    return {
        name: Reply(
            training="a" * 32,
            step=2,
            attempt=2,
            sealed=None,
            opened=hand_over(TOTAL, after, place, len(names)),
        )
        for place, name in enumerate(names)
    }


class TestSettle:
    pending = Pending(step=1, encrypted=b"")

    def test_nothing_pending_settles_nothing(self) -> None:
        assert settle(None, replies(), "before", PLAN) is None

    @pytest.mark.parametrize("names", [NAMES, NAMES[:4], NAMES[:1]])
    def test_slices_become_the_total(self, names: tuple[str, ...]) -> None:
        total = settle(self.pending, replies(names), "before", PLAN)
        assert isinstance(total, np.ndarray)
        np.testing.assert_array_equal(total, TOTAL)

    @pytest.mark.parametrize("missing", NAMES)
    def test_a_missing_slice_settles_nothing(self, missing: str) -> None:
        """Also the fifth, which is empty: its member did not confirm the total."""
        found = replies()
        del found[missing]
        assert settle(self.pending, found, "before", PLAN) is None

    def test_no_replies_settle_nothing(self) -> None:
        assert settle(self.pending, {}, "before", PLAN) is None

    def test_members_who_disagree_are_grouped_by_what_they_state(self) -> None:
        found = replies()
        for name in ("ash", "elm"):
            opened = found[name].opened
            assert opened is not None
            other = opened.model_copy(update={"digest": "f" * 64})
            found[name] = found[name].model_copy(update={"opened": other})
        split = settle(self.pending, found, "before", PLAN)
        assert isinstance(split, Split)
        assert sorted(split.groups.values()) == [("ash", "elm"), ("birch", "cedar", "fir")]
        assert "ffffffffffff: ash, elm" in str(split)
        assert "birch, cedar, fir" in str(split)

    def test_a_split_is_noticed_before_all_have_answered(self) -> None:
        found = replies(NAMES)
        opened = found["ash"].opened
        assert opened is not None
        liar = opened.model_copy(update={"digest": "f" * 64})
        two = {"ash": found["ash"].model_copy(update={"opened": liar}), "fir": found["fir"]}
        assert isinstance(settle(self.pending, two, "before", PLAN), Split)


class TestServerTurn:
    key = generate_key(PLAN.parameters)

    def ask(self, cohort: tuple[str, ...] = NAMES) -> Ask:
        return Ask(
            training="a" * 32,
            plan=PLAN.digest,
            phase="train",
            step=2,
            attempt=2,
            cohort=cohort,
            digest="before",
            seen=0,
            pending=Pending(step=1, encrypted=b""),
            state=None,
        )

    def sealed(self) -> dict[str, Reply]:
        cipher = Bfv(PLAN.parameters, self.key)
        sealed = seal(np.ones((3, 4)), RELEASE, cipher, SystemSource())
        return {
            name: reply.model_copy(update={"sealed": sealed}) for name, reply in replies().items()
        }

    def test_a_whole_cohort_becomes_an_encrypted_sum(self) -> None:
        outcome = server_turn(self.ask(), self.sealed(), PLAN, Bfv(PLAN.parameters))
        assert isinstance(outcome, Pending)
        assert outcome.step == 2

    @pytest.mark.parametrize("missing", [("ash",), ("birch", "fir"), NAMES])
    def test_whoever_is_missing_is_named(self, missing: tuple[str, ...]) -> None:
        found = {name: reply for name, reply in self.sealed().items() if name not in missing}
        assert server_turn(self.ask(), found, PLAN, Bfv(PLAN.parameters)) == missing

    def test_strangers_are_not_added(self) -> None:
        found = self.sealed()
        less = self.ask(NAMES[:4])
        outcome = server_turn(less, found, PLAN, Bfv(PLAN.parameters))
        four = server_turn(
            less, {name: found[name] for name in NAMES[:4]}, PLAN, Bfv(PLAN.parameters)
        )
        assert isinstance(outcome, Pending)
        cipher = Bfv(PLAN.parameters, self.key)
        assert isinstance(four, Pending)
        np.testing.assert_array_equal(
            cipher.decrypt(outcome.encrypted, 4), cipher.decrypt(four.encrypted, 4)
        )

    def test_whoever_cannot_be_added_is_named(self) -> None:
        found = self.sealed()
        for name in ("birch", "fir"):
            sealed = found[name].sealed
            assert sealed is not None
            cut = sealed.model_copy(update={"ciphertext": sealed.ciphertext[:-2]})
            found[name] = found[name].model_copy(update={"sealed": cut})
        outcome = server_turn(self.ask(), found, PLAN, Bfv(PLAN.parameters))
        assert outcome == ("birch", "fir")

    def test_only_what_was_asked_for_fits(self) -> None:
        ask, found = self.ask(), self.sealed()
        assert all(fits(found[name], ask, name, PLAN) for name in NAMES)
        assert not fits(found["ash"], ask, "birch", PLAN)
        for field, value in {"step": 3, "attempt": 1, "training": "", "sealed": None}.items():
            assert not fits(found["ash"].model_copy(update={field: value}), ask, "ash", PLAN)
        bare = found["ash"].model_copy(update={"opened": None})
        assert not fits(bare, ask, "ash", PLAN)
        assert fits(bare, ask.model_copy(update={"pending": None}), "ash", PLAN)
        close = ask.model_copy(update={"phase": "close"})
        assert not fits(found["ash"], close, "ash", PLAN)


def test_a_measure_steps_nowhere() -> None:
    state = AGENT.init()
    assert step_model(AGENT, PLAN, "measure", state, np.array([10**6])) is state
    moved = step_model(AGENT, PLAN, "train", state, TOTAL)
    expected = np.tanh(TOTAL[:3] / RELEASE.scale / AGENT.points)
    np.testing.assert_allclose(moved["centre"], expected, rtol=1e-12)
