import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from small_network import (
    NAMES,
    Fuse,
    KilledError,
    Network,
    Wire,
    answer_with,
    check_invariants,
    plan_of,
)

from mesh_fl.checkpoint import BLOB, Checkpoint
from mesh_fl.errors import ConfigError
from mesh_fl.messages import Ask, Enrol, Enrolled, Refusal, Reply, ToMember, ToServer
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.pipeline import Sealed
from mesh_fl.privacy.plan import Policy
from mesh_fl.round import respond


def absent_from(step: int, *names: str) -> Callable[[Wire, Mapping[str, ToMember]], None]:
    """Have members fall silent when a step is asked for the first time."""

    def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
        asks = [m for m in messages.values() if isinstance(m, Ask) and m.phase != "close"]
        if asks and asks[0].step == step:
            wire.offline |= set(names)

    return before


class TestUndisturbed:
    @pytest.mark.parametrize("survivors", [4, 5])
    def test_everybody_holds_the_model_and_paid_for_each_release_once(self, survivors: int) -> None:
        network = Network(plan_of(survivors=survivors), make_cipher=Bfv)
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert training.state["steps"] == 3
        for name in NAMES:
            assert network.attempts(name) == [(1, 1), (2, 2), (3, 3), (4, 4)]

    def test_the_model_is_the_sum_of_the_data(self) -> None:
        """Noise of epsilon = 1000 is nothing, so the walk is that of the plain sums."""
        generous = {name: {"policy": Policy(epsilon=1000)} for name in NAMES}
        network = Network(plan_of(epsilon=1000.0), member_options=generous)
        training = network.run()
        everything = np.vstack([home.data["point"] for home in network.homes.values()])
        centre = np.zeros(3)
        for _ in range(3):
            towards = everything - centre
            rows = np.hstack([towards, np.ones((len(towards), 1))])
            length = np.linalg.norm(rows, axis=1)
            clipped = rows * np.minimum(1, 2.0 / length)[:, None]
            centre = centre + np.tanh(clipped.sum(axis=0)[:3] / len(everything))
        np.testing.assert_allclose(training.state["centre"], centre, atol=0.01)

    def test_a_measure_is_told_and_leaves_the_model_alone(self) -> None:
        network = Network(plan_of(rounds=1, measures=1))
        states: list[np.ndarray] = []

        def note_state(name: str, answer: ToServer) -> ToServer:
            if isinstance(answer, Reply):
                seat = network.wire.people[name].resume(answer.training)
                states.append(seat.state["centre"])
            return answer

        network.wire.change = note_state
        training = network.run()
        assert training.plan.schedule == ("train", "measure")
        after_training, after_measure = states[-6], states[-1]
        assert np.any(after_training != 0)
        np.testing.assert_array_equal(after_training, after_measure)
        assert training.state["steps"] == 1
        assert [record.kind for record in training.checkpoint.history] == ["train", "measure"]
        assert "near" in training.checkpoint.history[1].scores
        assert not training.checkpoint.history[0].scores

    def test_the_closing_ask_charges_nothing_and_contributes_nothing(self) -> None:
        network = Network()
        training = network.run()
        closes = [r for _, r in network.wire.answers if isinstance(r, Reply) and r.attempt == 0]
        assert len(closes) == len(NAMES)
        assert all(close.sealed is None for close in closes)
        assert training.checkpoint.applied == training.checkpoint.step == 4
        assert len(network.attempts("ash")) == 4


class TestMissingMembers:
    def test_an_attempt_without_a_member_is_dead_and_the_next_goes_on_without_it(self) -> None:
        network = Network()
        network.wire.before = absent_from(2, "birch")
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert any("nothing to add from birch" in text for text in network.told("dead"))
        assert network.attempts("ash") == [(1, 1), (2, 2), (2, 3), (3, 4), (4, 5)]
        assert network.attempts("birch") == [(1, 1)]
        assert [r.members for r in training.checkpoint.history] == [5, 4, 4, 4]
        assert [r.attempts for r in training.checkpoint.history] == [1, 2, 1, 1]

    def test_a_member_that_comes_back_catches_up_and_takes_part(self) -> None:
        network = Network(plan_of(rounds=6))

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            steps = [m.step for m in messages.values() if isinstance(m, Ask)]
            wire.offline = {"birch"} if steps and max(steps) in (2, 3) else wire.offline
            wire.offline = wire.offline - {"birch"} if steps and max(steps) > 3 else wire.offline

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        assert {step for step, _ in network.attempts("birch")} >= {1, 5, 6, 7}
        assert 3 not in {step for step, _ in network.attempts("birch")}

    def test_spare_attempts_run_out_and_the_last_model_stands(self) -> None:
        network = Network(plan_of(spares=1))
        network.wire.change = lambda name, answer: (
            None
            if name == "elm" and isinstance(answer, Reply) and answer.step == 2 and answer.attempt
            else answer
        )
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "exhausted"
        assert any("spare attempts are used up" in text for text in network.told("ended"))
        assert training.checkpoint.applied == 1
        assert training.state["steps"] == 1
        assert network.attempts("elm") == network.attempts("ash") == [(1, 1), (2, 2), (2, 3)]

    def test_fewer_than_the_survivors_wait(self) -> None:
        network = Network()
        network.wire.offline = {"ash", "birch"}
        network.options["stopped"] = lambda: len(network.told("waiting")) > 3
        training = network.run()
        assert training.checkpoint.status == "running"
        assert training.checkpoint.attempt == 0
        assert network.told("waiting")[-1] == "3 of 4 members are ready; absent: ash, birch"
        network.wire.offline = set()
        network.options.clear()
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"

    def test_the_quorum_is_waited_for_before_the_first_round_only(self) -> None:
        network = Network(options={"quorum": 5})
        network.wire.offline = {"fir"}
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 20
        assert network.run().checkpoint.attempt == 0
        network.wire.offline = set()
        network.wire.before = absent_from(2, "fir")
        del network.options["stopped"]
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert [r.members for r in training.checkpoint.history] == [5, 4, 4, 4]

    def test_a_quorum_does_not_wait_for_a_member_that_refuses_for_good(self) -> None:
        strict = {"ash": {"policy": Policy(epsilon=0.05)}}
        network = Network(options={"quorum": 5}, member_options=strict)
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 200
        assert network.run().checkpoint.status == "finished"

    def test_members_that_refuse_for_good_are_named_and_left_out(self) -> None:
        strict = {"ash": {"policy": Policy(epsilon=0.05)}}
        network = Network(member_options=strict)
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert network.attempts("ash") == []
        assert list(training.enrolment.excluded) == ["ash"]
        assert any("ash refuses: it does not accept the plan" in t for t in network.told("refused"))
        assert "epsilon = 0.1, our policy insists on 0.05" in str(network.homes["ash"].errors[0])

    def test_too_few_willing_members_end_the_training(self) -> None:
        strict = {name: {"policy": Policy(epsilon=0.05)} for name in ("ash", "birch")}
        network = Network(member_options=strict)
        training = network.run()
        assert training.checkpoint.status == "exhausted"
        assert any("only 3 members can take part" in text for text in network.told("ended"))
        assert all(network.attempts(name) == [] for name in NAMES)

    def test_a_second_training_that_the_records_cannot_pay_is_refused_by_all(self) -> None:
        network = Network()
        network.run()
        spent = [network.attempts(name) for name in NAMES]
        del network.blobs[BLOB]
        training = network.run()
        assert training.checkpoint.status == "exhausted"
        assert training.enrolment.excluded.keys() == set(NAMES[:5])
        assert all("cannot pay" in reason for reason in training.enrolment.excluded.values())
        assert all("lifetime" in str(home.errors[-1]) for home in network.homes.values())
        assert [network.attempts(name) for name in NAMES] == spent


class TestLatecomers:
    def test_a_member_with_a_new_sealing_key_gets_the_key_from_a_holder(self) -> None:
        network = Network(make_cipher=Bfv)

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            steps = [m.step for m in messages.values() if isinstance(m, Ask)]
            if steps == [2] * 5 and "fir" not in wire.offline:
                wire.offline = {"fir"}
            elif "fir" in wire.offline and max(steps, default=0) == 3:
                home = wire.homes["fir"]
                home.sealing_key = X25519PrivateKey.generate()
                wire.restart("fir")
                wire.offline = set()

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        reseals = [
            (name, message)
            for name, message in network.wire.sent
            if isinstance(message, Enrol) and list(message.seal_to) == ["fir"]
        ]
        assert len(reseals) == 1
        assert reseals[0][0] != "fir"
        assert (4, 5) in network.attempts("fir")

    def test_a_member_that_was_never_there_gets_the_last_model_when_closing(self) -> None:
        network = Network()
        network.wire.offline = {"fir"}
        training = network.run()
        assert training.checkpoint.status == "finished"
        network.wire.offline = set()
        training.close()
        check_invariants(network, training)
        assert network.attempts("fir") == []


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
            if name == "cedar" and isinstance(answer, Reply) and answer.attempt == 1
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
            if name == "elm" and isinstance(answer, Reply) and answer.attempt == 1
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
            if name != "elm" or not isinstance(answer, Reply) or answer.attempt != attempt:
                return answer
            size = network.plan.release(network.plan.schedule[answer.step - 1]).dimension
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
            if not isinstance(answer, Reply) or answer.attempt != 2:
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
            if not isinstance(answer, Reply) or answer.attempt or next(closing) >= len(NAMES):
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


class TestKilledServer:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_killed_at_every_write_and_every_send(self, after: bool) -> None:
        for at in itertools.count(1):
            network = Network(plan_of(rounds=2))
            network.arm_server(at, after)
            training = network.run()
            check_invariants(network, training)
            assert training.checkpoint.status == "finished"
            assert training.checkpoint.attempt == 3, f"killed at {at}: an attempt was wasted"
            assert network.kills == network.fuse.blown
            if not network.fuse.blown:
                break
        assert at > 12

    def test_killed_twice(self) -> None:
        for first, second in itertools.product(range(1, 16, 5), repeat=2):
            network = Network(plan_of(rounds=2))
            network.arm_server(first, after=True)
            with pytest.raises(KilledError):
                network.training().run()
            network.arm_server(second, after=False)
            training = network.run()
            check_invariants(network, training)
            assert training.checkpoint.status == "finished"

    def test_killed_while_a_member_is_away(self) -> None:
        """The open attempt is asked again; it dies, and the next one goes on."""
        for at in itertools.count(1):
            network = Network(plan_of(rounds=2))
            network.wire.before = absent_from(2, "fir")
            network.arm_server(at, after=True)
            training = network.run()
            assert training.checkpoint.status == "finished"
            assert [r.members for r in training.checkpoint.history[1:]] == [4, 4]
            blown = network.fuse.blown
            network.arm_server(at=0, after=True)
            network.wire.offline = set()
            training.close()
            check_invariants(network, training)
            if not blown:
                break
        assert at > 12

    def test_stopped_in_an_open_attempt_that_was_closed_meanwhile(self) -> None:
        """Stopping hands out the last sum, so the stored replies hold slices nobody needs."""
        network = Network()

        def swallow(name: str, answer: ToServer) -> ToServer:
            if isinstance(answer, Reply) and answer.step == 2 and answer.attempt:
                raise KilledError
            return answer

        network.wire.change = swallow
        with pytest.raises(KilledError):
            network.training().run()
        network.wire.change = lambda name, answer: answer
        stopping = network.training()
        assert stopping.checkpoint.cohort == NAMES
        assert stopping.checkpoint.pending is not None
        stopping.close()
        assert stopping.checkpoint.pending is None
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.attempt == 4
        assert not training.enrolment.excluded

    def test_the_operator_stops_and_goes_on(self) -> None:
        network = Network()
        network.options["stopped"] = lambda: bool(network.told("round"))
        assert network.run().checkpoint.step == 1
        network.options.clear()
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.attempt == 4


class TestKilledMember:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("name", ["ash", "elm"])
    def test_killed_at_every_write(self, name: str, after: bool) -> None:
        """ash makes the training's key; elm is handed it."""
        for at in itertools.count(1):
            network = Network(plan_of(rounds=2))
            fuse = Fuse(at, after)
            home = network.homes[name]
            home.fuse = home.blobs.fuse = home.journal.fuse = fuse
            training = network.run()
            check_invariants(network, training)
            assert training.checkpoint.status == "finished"
            assert training.checkpoint.attempt <= 4
            if not fuse.blown:
                break
        assert at > 12

    def test_killed_between_charge_and_reply_and_asked_the_same_attempt_again(self) -> None:
        """Charged but nothing stored: nothing left, so it is sealed anew, free."""
        network = Network(plan_of(rounds=1, measures=0))
        seen: list[Reply] = []

        def change(name: str, answer: ToServer) -> ToServer:
            if name == "elm" and isinstance(answer, Reply) and answer.attempt:
                training = answer.training
                del network.homes["elm"].blobs[f"{training}.reply"]
                network.wire.restart("elm")
                ask = [m for who, m in network.wire.sent if who == "elm" and isinstance(m, Ask)][-1]
                again = network.wire.people["elm"]
                assert again.stored_reply(ask) is None
                before = len(again.ledger.charges)
                reply = respond(ask, again)
                assert isinstance(reply, Reply)
                assert len(again.ledger.charges) == before
                seen.extend([answer, reply])
                return reply
            return answer

        network.wire.change = change
        assert network.run().checkpoint.status == "finished"
        assert seen[0].sealed != seen[1].sealed

    def test_a_full_disk_delays_a_member_and_does_not_bar_it(self) -> None:
        network = Network(plan_of(rounds=6, spares=3))
        blobs = network.homes["elm"].blobs

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            steps = [m.step for m in messages.values() if isinstance(m, Ask)]
            blobs.full = max(steps, default=0) in (2, 3) or (blobs.full and not steps)

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert not training.enrolment.excluded
        assert network.attempts("elm")[-1] == network.attempts("ash")[-1]


def test_a_damaged_checkpoint_is_refused_with_a_remedy() -> None:
    network = Network()
    network.run()
    sound = network.blobs[BLOB]
    for damage in (b"", b"\xc1", sound[:-1], sound + b"x", sound[1:], b"\x93\x01\x02\x03"):
        with pytest.raises(ConfigError, match="mesh-server start --new"):
            Checkpoint.load({BLOB: damage})
    loaded = Checkpoint.load({BLOB: sound})
    assert loaded is not None
    assert loaded.model_dump() == network.training().checkpoint.model_dump()
    assert Checkpoint.load({}) is None
