import itertools
from collections.abc import Callable

import numpy as np
import pytest
from lying_operator import Mark
from small_network import (
    FOUNDERS,
    NAMES,
    Network,
    changed,
    check_invariants,
    lie,
    plan_of,
)

from mesh_fl.messages import Convened, Refusal, Reply, ToServer
from mesh_fl.peers import Peers
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.pipeline import Opened, Sealed, slots_of

Lie = Callable[[Reply], Reply]


def lying(names: set[str], tell: Lie, when: Callable[[Reply], bool]) -> Callable[..., ToServer]:
    """Change what some members answer."""

    def change(name: str, answer: ToServer) -> ToServer:
        lies = name in names and isinstance(answer, Reply) and when(answer)
        return tell(answer) if lies and isinstance(answer, Reply) else answer

    return change


def opens(reply: Reply) -> bool:
    return reply.opened is not None


def at_attempt(number: int) -> Callable[[Reply], bool]:
    return lambda reply: reply.account.attempt == number


def opened(reply: Reply, **fields: object) -> Opened:
    assert reply.opened is not None
    return reply.opened.model_copy(update=fields)


def another_total(reply: Reply) -> Reply:
    return lie(reply, opened=opened(reply, digest="0" * 64), model="0" * 64)


class TestWrongTotals:
    def test_one_dissenter_is_named_and_the_others_go_on(self) -> None:
        network = Network()
        network.wire.change = lying({"cedar"}, another_total, opens)
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert training.enrolment.excluded.keys() == {"cedar"}
        assert "signed for another total" in training.enrolment.excluded["cedar"]
        assert [record.members for record in training.checkpoint.history] == [5, 4, 4, 4]
        # Its word cost everybody one attempt: rows from another model do not cancel its masks.
        assert network.attempts("ash") == [(1, 1), (2, 2), (2, 3), (3, 4), (4, 5)]
        assert len(network.attempts("cedar")) == 2
        network.wire.change = lambda name, answer: answer
        training.enrolment.excluded.clear()
        training.close()
        check_invariants(network, training)

    def test_a_tie_stops_the_training(self) -> None:
        network = Network()
        network.wire.offline = {"fir"}
        network.wire.change = lying({"ash", "elm"}, another_total, opens)
        training = network.run()
        assert training.checkpoint.status == "split"
        assert "signed for different totals" in network.told("ended")[0]
        assert training.checkpoint.applied == 0
        asked = len(network.wire.sent)
        assert network.run().checkpoint.status == "split"
        assert len(network.wire.sent) == asked

    def test_a_wrong_slice_under_the_right_digest_is_found_and_blamed(self) -> None:
        network = Network()
        wrong = lambda reply: lie(  # noqa: E731
            reply, opened=opened(reply, values=bytes(len(opened(reply).values)))
        )
        network.wire.change = lying({"cedar"}, wrong, opens)
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert training.enrolment.excluded.keys() == {"cedar"}
        assert "its slice is not of the total" in training.enrolment.excluded["cedar"]
        # Its contribution was sound, so nothing was lost.
        assert network.attempts("ash") == [(1, 1), (2, 2), (3, 3), (4, 4)]
        network.wire.change = lambda name, answer: answer
        training.enrolment.excluded.clear()
        training.close()
        check_invariants(network, training)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"opened": None},
            {"size": 10**15},
            {"step": 10**18},
            {"first": -1},
            {"first": 0},
            {"step": 4},
            {"values": b""},
            {"values": b"x"},
            {"digest": "0" * 64},
        ],
        ids=str,
    )
    def test_a_misplaced_slice_excludes_its_member_and_nobody_else(
        self, wrong: dict[str, object]
    ) -> None:
        network = Network()
        tell = lambda reply: lie(  # noqa: E731
            reply, opened=None if "opened" in wrong else opened(reply, **wrong)
        )
        network.wire.change = lying({"cedar"}, tell, opens)
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert list(training.enrolment.excluded) == ["cedar"]
        assert [r.members for r in training.checkpoint.history] == [5, 4, 4, 4]


class TestWrongReplies:
    @pytest.mark.parametrize(
        "fields",
        [
            {"by": "elm"},
            {"call": "0" * 64},
            {"attempt": 7},
            {"step": 2},
            {"training": "f" * 32},
            {"plan": "0" * 64},
            {"operator": ""},
            {"sealed": None},
        ],
        ids=str,
    )
    def test_an_account_of_something_else_excludes_its_member(
        self, fields: dict[str, object]
    ) -> None:
        network = Network()
        tell = lambda reply: lie(reply, **fields)  # noqa: E731
        network.wire.change = lying({"cedar"}, tell, at_attempt(1))
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert list(training.enrolment.excluded) == ["cedar"]
        assert training.checkpoint.attempt == 5

    @pytest.mark.parametrize("part", ["sealed", "opened", "signature"])
    def test_what_was_changed_on_its_way_does_not_count(self, part: str) -> None:
        network = Network()

        def change(name: str, answer: ToServer) -> ToServer:
            if name != "cedar" or not isinstance(answer, Reply) or answer.account.attempt != 2:
                return answer
            if part == "sealed":
                return answer.model_copy(update={"sealed": Sealed(ciphertext=bytes(48))})
            if part == "opened":
                values = bytes(len(opened(answer).values))
                return answer.model_copy(update={"opened": opened(answer, values=values)})
            account = answer.account.model_copy(update={"lines": answer.account.lines + 1})
            return answer.model_copy(update={"account": account})

        network.wire.change = change
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert list(training.enrolment.excluded) == ["cedar"]
        assert [r.attempts for r in training.checkpoint.history] == [1, 2, 1, 1]

    @pytest.mark.parametrize("damage", [b"", b"nonsense", b"\0" * 20_000])
    def test_bytes_that_do_not_add_make_a_dead_attempt(self, damage: bytes) -> None:
        network = Network(make_cipher=Bfv)
        tell = lambda reply: lie(reply, sealed=Sealed(ciphertext=damage))  # noqa: E731
        network.wire.change = lying({"elm"}, tell, at_attempt(1))
        training = network.run()
        check_invariants(network, training)
        assert any("nothing to add from elm" in text for text in network.told("dead"))
        assert training.checkpoint.status == "finished"


class TestRestoredLedgers:
    @pytest.mark.parametrize(
        "told", [{"lines": 1}, {"lines": 2, "head": "0" * 64}, {"lines": 0}], ids=str
    )
    def test_whoever_signs_for_one_is_left_out_before_the_others_see_it(
        self, told: dict[str, object]
    ) -> None:
        network = Network()
        tell = lambda reply: lie(reply, **told)  # noqa: E731
        network.wire.change = lying({"elm"}, tell, at_attempt(2))
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert list(training.enrolment.excluded) == ["elm"]
        assert [r.attempts for r in training.checkpoint.history] == [1, 2, 1, 1]

    def test_an_epoch_begins_without_it(self) -> None:
        network = Network(plan_of(epoch_steps=2))

        def change(name: str, answer: ToServer) -> ToServer:
            if name != "elm" or not isinstance(answer, Convened) or answer.presence.epoch == 1:
                return answer
            word = changed(answer.presence, lines=1).signed(FOUNDERS.signing["elm"])
            return answer.model_copy(update={"presence": word})

        network.wire.change = change
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert [r.members for r in training.checkpoint.history] == [5, 5, 4, 4]

    def test_the_others_refuse_it_even_where_the_operator_does_not(self) -> None:
        mark = Mark(step=3)
        for told in ({"lines": 1}, {"lines": 0}, {"lines": 2, "head": "0" * 64}):
            answer = mark.forged(pending=mark.with_accounts(elm=told))
            assert isinstance(answer, Refusal)
            assert (answer.cause, answer.lasting) == ("peer", False)
            assert "ledger of elm stood at 2 lines" in mark.why


class TestMembersWhomOthersRemember:
    def test_one_restored_before_a_server_without_memory_is_left_out(self) -> None:
        network = Network()
        network.run()
        word = next(
            answer.account
            for name, answer in reversed(network.wire.answers)
            if name == "elm" and isinstance(answer, Reply)
        )
        later = changed(word, lines=word.lines + 9, head="9" * 64)
        signed = later.signed(FOUNDERS.signing["elm"])
        again = Network()
        for name, home in again.homes.items():
            if name != "elm":
                Peers(home.blobs).note([signed], FOUNDERS.roster)
            again.wire.restart(name)
        training = again.run()
        assert training.checkpoint.status == "finished"
        assert "elm" in training.enrolment.excluded
        assert [record.members for record in training.checkpoint.history] == [4, 4, 4, 4]
        assert again.attempts("elm") == []


class TestSumsThatNobodyCanOpen:
    @pytest.mark.parametrize("attempt", [1, 3, 4])
    def test_they_are_given_up_and_their_release_repeated(self, attempt: int) -> None:
        """One member sealed under another key; its last chance is the last release."""
        network = Network(make_cipher=Bfv)
        foreign = Bfv(network.plan.parameters, generate_key(network.plan.parameters))

        def garbage(reply: Reply) -> Reply:
            release = network.plan.release(network.plan.schedule[reply.account.step - 1])
            ciphertext = foreign.encrypt(np.zeros(slots_of(release), np.int64))
            return lie(reply, sealed=Sealed(ciphertext=ciphertext))

        network.wire.change = lying({"elm"}, garbage, at_attempt(attempt))
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert training.state["steps"] == 3
        assert any("cannot be opened by any member" in text for text in network.told("dead"))
        assert [record.step for record in training.checkpoint.history] == [1, 2, 3, 4]

    def test_one_broken_key_does_not_give_up_a_sum_that_the_silent_ones_opened(self) -> None:
        network = Network(make_cipher=Bfv)

        def change(name: str, answer: ToServer) -> ToServer | None:
            if not isinstance(answer, Reply) or answer.account.attempt != 2:
                return answer
            return Refusal(cause="key", lasting=False) if name == "birch" else None

        network.wire.change = change
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert training.checkpoint.attempt == 5
        assert not any("cannot be opened by any" in text for text in network.told("dead"))

    def test_a_single_member_that_cannot_open_the_last_sum_does_not_give_it_up(self) -> None:
        network = Network(make_cipher=Bfv)
        closing = itertools.count()

        def change(name: str, answer: ToServer) -> ToServer | None:
            last = isinstance(answer, Reply) and not answer.account.attempt and answer.opened
            if not last or next(closing) >= len(NAMES):
                return answer
            return Refusal(cause="key", lasting=False) if name == "ash" else None

        network.wire.change = change
        training = network.run()
        training.close()
        check_invariants(network, training)
        assert training.checkpoint.attempt == 4
        assert training.checkpoint.applied == 4
