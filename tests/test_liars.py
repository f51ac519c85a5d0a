import itertools

import numpy as np
import pytest
from small_network import NAMES, Network, check_invariants, lie

from mesh_fl.messages import Refusal, Reply, ToServer
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.pipeline import Sealed


class TestLiars:
    def test_members_who_open_different_totals_stop_the_training(self) -> None:
        network = Network()

        def change(name: str, answer: ToServer) -> ToServer:
            if name in ("ash", "fir") and isinstance(answer, Reply) and answer.opened:
                return answer_with(answer, opened=answer_with(answer.opened, digest="0" * 64))
            return answer

        network.wire.change = change
        training = network.run()
        assert training.checkpoint.status == "split"
        ended = " ".join(network.told("ended"))
        assert "000000000000: ash, fir" in ended
        assert "birch, cedar, elm" in ended
        assert training.checkpoint.applied == 0
        asked = len(network.wire.sent)
        assert network.run().checkpoint.status == "split"
        assert len(network.wire.sent) == asked

    def test_a_wrong_slice_under_the_right_digest_stops_the_training(self) -> None:
        network = Network()

        def change(name: str, answer: ToServer) -> ToServer:
            if name == "cedar" and isinstance(answer, Reply) and answer.opened:
                wrong = bytes(len(answer.opened.values))
                return answer_with(answer, opened=answer_with(answer.opened, values=wrong))
            return answer

        network.wire.change = change
        training = network.run()
        assert training.checkpoint.status == "split"
        assert "wrong about its slice" in " ".join(network.told("ended"))
        assert training.checkpoint.applied == 0

    @pytest.mark.parametrize(
        "lie",
        [
            {"opened": None},
            {"size": 10**15},
            {"step": 10**18},
            {"first": -1},
            {"first": 0},
            {"step": 4},
            {"values": b""},
            {"values": b"x"},
        ],
        ids=str,
    )
    def test_a_misplaced_slice_excludes_its_member_and_nobody_else(
        self, lie: dict[str, object]
    ) -> None:
        network = Network()

        def change(name: str, answer: ToServer) -> ToServer:
            if name != "cedar" or not isinstance(answer, Reply) or answer.opened is None:
                return answer
            if "opened" in lie:
                return answer_with(answer, opened=None)
            return answer_with(answer, opened=answer_with(answer.opened, **lie))

        network.wire.change = change
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert list(training.enrolment.excluded) == ["cedar"]
        assert [r.members for r in training.checkpoint.history] == [5, 4, 4, 4]
        network.wire.change = lambda name, answer: answer
        training.close()

    @pytest.mark.parametrize(
        "lie", [{"attempt": 7}, {"step": 2}, {"training": "f" * 32}, {"sealed": None}], ids=str
    )
    def test_a_reply_to_something_else_excludes_its_member(self, lie: dict[str, object]) -> None:
        network = Network()
        network.wire.change = lambda name, answer: (
            answer_with(answer, **lie)
            if name == "cedar" and isinstance(answer, Reply) and answer.account.attempt == 1
            else answer
        )
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert list(training.enrolment.excluded) == ["cedar"]

    @pytest.mark.parametrize("damage", [b"", b"nonsense", b"\0" * 20_000])
    def test_bytes_that_do_not_add_make_a_dead_attempt(self, damage: bytes) -> None:
        network = Network(make_cipher=Bfv)
        network.wire.change = lambda name, answer: (
            answer_with(answer, sealed=Sealed(ciphertext=damage))
            if name == "elm" and isinstance(answer, Reply) and answer.account.attempt == 1
            else answer
        )
        training = network.run()
        check_invariants(network, training)
        assert any("nothing to add from elm" in text for text in network.told("dead"))
        assert training.checkpoint.status == "finished"


class TestForeignKeys:
    @pytest.mark.parametrize("attempt", [1, 3, 4])
    def test_a_sum_that_nobody_can_open_is_given_up_and_its_release_repeated(
        self, attempt: int
    ) -> None:
        """One member sealed under another key; its last chance is the last release."""
        network = Network(make_cipher=Bfv)
        foreign = Bfv(network.plan.parameters, generate_key(network.plan.parameters))

        def change(name: str, answer: ToServer) -> ToServer:
            if name != "elm" or not isinstance(answer, Reply) or answer.account.attempt != attempt:
                return answer
            size = network.plan.release(network.plan.schedule[answer.account.step - 1]).dimension
            garbage = foreign.encrypt(np.zeros(size, np.int64))
            return answer_with(answer, sealed=Sealed(ciphertext=garbage))

        network.wire.change = change
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert training.state["steps"] == 3
        assert any("cannot be opened by any member" in text for text in network.told("dead"))
        assert [record.step for record in training.checkpoint.history] == [1, 2, 3, 4]

    def test_a_member_whose_card_has_another_key_keeps_nobody_from_training(self) -> None:
        network = Network(make_cipher=Bfv)
        home = network.homes["birch"]
        network.wire.people["birch"].sealing_key = X25519PrivateKey.generate()
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 200
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert network.attempts("birch") == []
        assert "sealed to our key" in str(home.errors[0])

    def test_a_member_that_mends_its_key_is_let_in_however_long_that_took(self) -> None:
        network = Network(make_cipher=Bfv, options={"quorum": 5})
        network.wire.people["birch"].sealing_key = X25519PrivateKey.generate()
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 100
        training = network.training()
        training.run()
        assert training.checkpoint.attempt == 0
        network.wire.restart("birch")
        polls = itertools.count()
        assert training.run().status == "finished"
        assert [record.members for record in training.checkpoint.history] == [5] * 4
        assert not [text for text in network.told("refused") if not text.startswith("birch")]

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
            if not isinstance(answer, Reply) or answer.account.attempt or next(closing) >= len(NAMES):
                return answer
            return Refusal(cause="key", lasting=False) if name == "ash" else None

        network.wire.change = change
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.attempt == 4
        assert training.checkpoint.applied == 4

    def test_a_maker_that_seals_garbage_is_replaced(self) -> None:
        network = Network(make_cipher=Bfv)
        network.wire.change = lambda name, answer: (
            answer_with(answer, sealed_keys={one: bytes(99) for one in answer.sealed_keys})
            if name == "ash" and isinstance(answer, Enrolled) and answer.sealed_keys
            else answer
        )
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert network.attempts("elm") == [(1, 1), (2, 2), (3, 3), (4, 4)]


