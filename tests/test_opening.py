import dataclasses

import numpy as np
import pytest
from lying_operator import Mark, Summed
from small_network import NAMES, Network, lie, recalled, resigned
from test_round import ASK, CALL, PLAN, TOTAL, account_of

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.errors import EncryptionError
from mesh_fl.messages import Ask, Refusal, Reply, ToMember
from mesh_fl.opening import TOLERANCE, liars, settle
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.pipeline import Sealed, add, hand_over, next_digest, open_sum
from mesh_fl.state import dump_state
from mesh_fl.verification import recounter, sha256

RELEASE = PLAN.release("train")
AFTER = next_digest("before", TOTAL)


def replies(names: tuple[str, ...] = NAMES) -> dict[str, Reply]:
    return {
        name: lie(
            Reply(sealed=None, opened=None, account=account_of(name)),
            opened=hand_over(TOTAL, AFTER, place, len(names)),
        )
        for place, name in enumerate(names)
    }


def ask_of(cohort: tuple[str, ...] = NAMES) -> Ask:
    return ASK.model_copy(update={"call": recalled(CALL, cohort=cohort)})


def dissenting(names: tuple[str, ...], *others: str) -> dict[str, Reply]:
    found = replies(names)
    return found | {name: lie(found[name], model="f" * 64) for name in others}


class TestSettle:
    def test_nothing_pending_settles_nothing(self) -> None:
        opening = settle(ASK.model_copy(update={"pending": None}), replies(), PLAN)
        assert (opening.model, opening.total, opening.dissenters) == ("", None, ())

    @pytest.mark.parametrize("names", [NAMES, NAMES[:4], NAMES[:2]])
    def test_slices_become_the_total(self, names: tuple[str, ...]) -> None:
        opening = settle(ask_of(names), replies(names), PLAN)
        assert opening.total is not None
        np.testing.assert_array_equal(opening.total, TOTAL)
        assert opening.model == AFTER
        assert tuple(one.by for one in opening.witnesses) == names

    def test_the_word_of_as_many_as_may_collude_settles_nothing(self) -> None:
        opening = settle(ask_of(NAMES[:1]), replies(NAMES[:1]), PLAN)
        assert (opening.model, opening.total, opening.dissenters) == ("", None, ())

    @pytest.mark.parametrize("missing", NAMES[:4])
    def test_a_missing_slice_leaves_the_total_open(self, missing: str) -> None:
        found = replies()
        del found[missing]
        opening = settle(ASK, found, PLAN)
        assert opening.model == AFTER
        assert opening.total is None

    def test_no_replies_settle_nothing(self) -> None:
        opening = settle(ASK, {}, PLAN)
        assert (opening.model, opening.total, opening.dissenters) == ("", None, ())

    @pytest.mark.parametrize("liar", NAMES)
    def test_a_wrong_slice_leaves_the_total_open_and_is_found(self, liar: str) -> None:
        found = replies()
        opened = found[liar].opened
        assert opened is not None
        wrong = opened.model_copy(update={"values": b"\1" * len(opened.values)})
        found[liar] = lie(found[liar], opened=wrong)
        opening = settle(ASK, found, PLAN)
        if opened.values:  # the fifth of four values is nobody's
            assert opening.total is None
            assert liars(found, TOTAL) == (liar,)
        assert liars(replies(), TOTAL) == ()

    @pytest.mark.parametrize("others", [("ash",), ("ash", "elm"), ("fir",)])
    def test_the_more_win_and_the_fewer_are_named(self, others: tuple[str, ...]) -> None:
        opening = settle(ASK, dissenting(NAMES, *others), PLAN)
        assert opening.model == AFTER
        assert opening.dissenters == others
        assert {one.by for one in opening.witnesses} == set(NAMES) - set(others)

    @pytest.mark.parametrize("others", [("ash", "birch"), ("ash", "elm")])
    def test_a_tie_is_a_split(self, others: tuple[str, ...]) -> None:
        opening = settle(ask_of(NAMES[:4]), dissenting(NAMES[:4], *others), PLAN)
        assert opening.model == ""
        assert opening.dissenters == NAMES[:4]

    def test_whoever_is_silent_may_still_decide_a_tie(self) -> None:
        """One liar and one honest reply, while three are away, end no training."""
        found = dissenting(NAMES, "birch")
        few = {name: found[name] for name in ("ash", "birch")}
        opening = settle(ASK, few, PLAN)
        assert (opening.model, opening.total, opening.dissenters) == ("", None, ())


@pytest.fixture
def mark() -> Mark:
    """Everybody in front of step 1, with nothing opened yet."""
    return Mark(step=1)


class TestTwoFacedOperator:
    def test_who_shows_two_cohorts_for_one_attempt_gets_a_sum_that_nobody_can_open(
        self, mark: Mark
    ) -> None:
        smaller = recalled(mark.ask.call, cohort=NAMES[:4])
        asks = {name: mark.unsent[name] for name in NAMES}
        asks["elm"] = asks["elm"].model_copy(update={"call": smaller})
        found = {name: mark.network.wire.people[name] for name in NAMES}
        sealed = {}
        for name, ask in asks.items():
            mark.name = name
            answer = mark.sent(ask)
            assert isinstance(answer, Reply)
            sealed[name] = answer
        seat = found["ash"].resume(mark.ask.call.training)
        whole = add([one.sealed for one in sealed.values() if one.sealed], RELEASE, seat.cipher)
        with pytest.raises(EncryptionError, match="masks do not cancel"):
            open_sum(whole, RELEASE, seat.cipher, 5)
        accounts = tuple(one.account for one in sealed.values())
        pending = mark.summed(attempt=2).pending
        honest = pending.model_copy(
            update={"encrypted": whole, "call": mark.ask.call, "accounts": accounts}
        )
        mark.name = "ash"
        assert isinstance(mark.shows(Summed(honest, ()), "birch"), Refusal)
        assert "elm answered another call" in str(mark.network.homes["birch"].errors[-1])

    def test_a_second_sum_of_a_step_is_not_opened(self, mark: Mark) -> None:
        """Both attempts were complete, and charged; each member opens one of them."""
        first, second = mark.summed(), mark.summed(attempt=2)
        assert isinstance(mark.shows(first), Reply)
        place = mark.place
        for fields in ({}, {"phase": "close", "attempt": 0}):
            answer = mark.shows(second, **{"attempt": 10, **fields})
            assert isinstance(answer, Refusal)
            assert "another sum of step 1 was opened" in mark.why
        assert mark.place == place
        assert isinstance(mark.shows(first), Reply)

    def test_not_after_a_restart_either(self, mark: Mark) -> None:
        first, second = mark.summed(), mark.summed(attempt=2)
        assert isinstance(mark.shows(first), Reply)
        mark.network.wire.restart("ash")
        assert isinstance(mark.shows(second, attempt=10), Refusal)
        assert "another sum of step 1 was opened" in mark.why

    def test_a_sum_is_not_shown_again_as_that_of_the_next_step(self, mark: Mark) -> None:
        first = mark.summed()
        replied = {name: mark.shows(first, name, attempt=3) for name in NAMES}
        model = mark.place[0]
        call = recalled(mark.ask.call, step=2, attempt=3, pending=sha256(first.pending.encrypted))
        accounts = tuple(one.account for one in replied.values() if isinstance(one, Reply))
        assert len(accounts) == 5
        again = first.pending.model_copy(update={"call": call, "accounts": accounts})
        for name in NAMES:
            mark.name = name
            answer = mark.shows(Summed(again, first.parts), name, model=model, seen=1)
            assert isinstance(answer, Refusal)
            assert "shown again" in mark.why
            assert mark.place == (model, 1)

    def test_a_sum_is_opened_again_for_the_same_members_only(self, mark: Mark) -> None:
        first = mark.summed()
        one = mark.shows(first, phase="close", attempt=0)
        again = mark.shows(first, phase="close", attempt=0)
        assert isinstance(one, Reply)
        assert isinstance(again, Reply)
        assert one.opened == again.opened
        assert mark.charged == 1

    def test_nothing_is_handed_over_on_a_model_that_was_made_up(self, mark: Mark) -> None:
        first = mark.summed()
        assert isinstance(mark.shows(first), Reply)
        for model in ("0" * 64, mark.place[0]):
            answer = mark.shows(first, phase="close", attempt=0, model=model)
            assert isinstance(answer, Refusal)
            assert "not the one that others opened" in mark.why


class TestRecount:
    """Whoever's turn it is adds everything up again; the others rely on it."""

    def tampered(self, mark: Mark, honest: Summed) -> Summed:
        """The operator and a colluder, who has the key, add something of their own."""
        seat = mark.member.resume(mark.ask.call.training)
        extra = np.zeros(6, dtype=np.int64)
        extra[0] = 1000
        slots = RELEASE.packing.pack(extra)
        own = Sealed(ciphertext=seat.cipher.encrypt(slots))
        parts = [Sealed(ciphertext=one) for one in honest.parts]
        cipher = Bfv(dataclasses.replace(mark.network.plan.parameters), seat.term.secret_key)
        # Added to one contribution, for no more ciphertexts than members may be added.
        first = seat.cipher.decrypt(parts[0].ciphertext, len(slots)) + seat.cipher.decrypt(
            own.ciphertext, len(slots)
        )
        parts[0] = Sealed(ciphertext=cipher.encrypt(first))
        whole = add(parts, RELEASE, cipher)
        return Summed(honest.pending.model_copy(update={"encrypted": whole}), honest.parts)

    def test_an_honest_sum_adds_up_for_all(self, mark: Mark) -> None:
        honest = mark.summed()
        for name in NAMES:
            assert isinstance(mark.shows(honest, name), Reply)

    def test_something_of_the_operators_own_is_noticed_by_the_one_whose_turn_it_is(
        self, mark: Mark
    ) -> None:
        tampered = self.tampered(mark, mark.summed())
        turn = recounter(NAMES, 2)
        answers = {name: mark.shows(tampered, name) for name in NAMES}
        assert [name for name, one in answers.items() if isinstance(one, Refusal)] == [turn]
        why = str(mark.network.homes[turn].errors[-1])
        assert "not the sum of what the members sealed" in why
        assert mark.network.homes[turn].ledger().charges[-1].attempt == 1

    def test_parts_that_add_up_are_not_those_that_were_signed_for(self, mark: Mark) -> None:
        honest, other = mark.summed(), mark.summed(attempt=2)
        swapped = (other.parts[0], *honest.parts[1:])
        twice = (honest.parts[1], *honest.parts[1:])
        mark.name = recounter(NAMES, 2)
        for parts, message in (
            (swapped, "added another contribution than ash sealed"),
            (twice, "added another contribution than ash sealed"),
            (honest.parts[:4], "all 5 contributions again, and 4 came along"),
            ((), "all 5 contributions again, and 0 came along"),
        ):
            answer = mark.shows(Summed(honest.pending, parts), mark.name)
            assert isinstance(answer, Refusal)
            assert message in mark.why
            assert mark.place[1] == 0
        assert isinstance(mark.shows(honest, mark.name), Reply)

    def test_a_sum_that_has_one_contribution_twice_opens_for_nobody(self, mark: Mark) -> None:
        honest = mark.summed()
        seat = mark.member.resume(mark.ask.call.training)
        parts = (*honest.parts[:4], honest.parts[0])
        whole = add([Sealed(ciphertext=one) for one in parts], RELEASE, seat.cipher)
        pending = honest.pending.model_copy(update={"encrypted": whole})
        for name in NAMES:
            answer = mark.shows(Summed(pending, parts), name)
            assert isinstance(answer, Refusal)
            assert answer.cause == "key"


class TestMissedTotals:
    """Ash lost its model, so it is brought up to date by the others' word."""

    def mark(self) -> Mark:
        mark = Mark(step=4)
        training = mark.ask.call.training
        del mark.network.homes["ash"].blobs[f"{training}.model"]
        mark.network.wire.restart("ash")
        checkpoint = Checkpoint.load(mark.network.blobs)
        assert checkpoint is not None
        totals = [mark.network.blobs[f"{training}.total.{step}"] for step in range(2)]
        mark.ask = mark.ask.model_copy(
            update={"missed": tuple(totals), "witnesses": checkpoint.witnesses}
        )
        assert mark.place[1] == 0
        return mark

    def test_what_enough_members_signed_for_is_believed(self) -> None:
        mark = self.mark()
        answer = mark.forged()
        assert isinstance(answer, Reply)
        assert answer.opened is not None
        assert mark.place == (answer.account.model, 3)
        mark.name = "elm"
        assert isinstance(mark.sent(mark.unsent["elm"]), Reply)
        assert mark.place == (answer.account.model, 3)

    def test_altered_totals_are_refused(self) -> None:
        mark = self.mark()
        first, second = mark.ask.missed
        flipped = bytes([first[0] ^ 1]) + first[1:]
        for missed, message in (
            ((flipped, second), "do not lead to the model that others have"),
            ((first, flipped), "do not lead to the model that others have"),
            ((second, first), "do not lead to the model that others have"),
            ((first[:-8], second), "expected a total of 4 values"),
            ((first + bytes(8), second), "expected a total of 4 values"),
            ((second,), "expected 2 totals that we missed, got 1"),
            ((), "expected 2 totals that we missed, got 0"),
        ):
            assert isinstance(mark.forged(missed=missed), Refusal)
            assert message in mark.why
            assert mark.place[1] == 0
        assert isinstance(mark.forged(), Reply)

    def test_too_few_or_forged_witnesses_are_refused(self) -> None:
        mark = self.mark()
        words = mark.ask.witnesses
        assert len(words) == 5
        forged = words[1].model_copy(update={"signature": words[0].signature})
        elsewhere = resigned(words[1], model="0" * 64)
        for told in (
            (),
            words[:1],
            (words[0], words[0]),
            (words[0], forged),
            (words[0], elsewhere),
        ):
            assert isinstance(mark.forged(witnesses=told), Refusal)
            assert "more than 1 members' signatures" in mark.why
            assert mark.place[1] == 0
        assert isinstance(mark.forged(witnesses=words[:2]), Reply)

    def test_totals_of_the_operators_own_need_colluders_to_be_believed(self) -> None:
        mark = self.mark()
        seat = mark.member.resume(mark.ask.call.training)
        digest, made_up = seat.digest, []
        for _ in range(2):
            total = np.array([10**6, 0, 0, 1])
            made_up.append(total.astype("<i8").tobytes())
            digest = next_digest(digest, total)
        answer = mark.forged(missed=tuple(made_up), model=digest)
        assert isinstance(answer, Refusal)
        assert mark.place[1] == 0


class TestOperatorsModel:
    @pytest.mark.parametrize(("tolerances", "refused"), [(2, True), (1000, True), (1e-3, False)])
    def test_it_has_to_be_what_the_totals_lead_to(self, tolerances: float, refused: bool) -> None:
        network = Network()
        training = network.run()
        centre = training.state["centre"]
        # The noise is drawn anew each time, and what is allowed grows with the value.
        by = tolerances * TOLERANCE * (1 + abs(float(centre[1])))
        altered = {
            "centre": centre + np.array([0.0, by, 0.0]),
            "steps": training.state["steps"],
        }

        def forge(name: str, message: ToMember) -> ToMember:
            if not isinstance(message, Ask) or message.model is None:
                return message
            return message.model_copy(update={"model": dump_state(altered)})

        network.wire.forge = forge
        before = [dump_state(network.seat(name, training).state) for name in NAMES]
        network.wire.answers.clear()
        training.close()
        assert {a.type for _, a in network.wire.answers} == {"refusal" if refused else "reply"}
        for name, state in zip(NAMES, before, strict=True):
            assert dump_state(network.seat(name, training).state) == state
            errors = [str(error) for error in network.homes[name].errors]
            told = [one for one in errors if "model differs from ours in 'centre'" in one]
            assert bool(told) == refused

    def test_one_of_another_shape_is_refused(self) -> None:
        network = Network()
        training = network.run()
        network.wire.forge = lambda name, message: (
            message.model_copy(update={"model": b"nonsense"})
            if isinstance(message, Ask) and message.model
            else message
        )
        network.wire.answers.clear()
        training.close()
        assert {answer.type for _, answer in network.wire.answers} == {"refusal"}
