import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from small_network import (
    NAMES,
    Centre,
    Network,
    Wire,
    absent_from,
    check_invariants,
    plan_of,
    steps_of,
)

from mesh_fl.checkpoint import BLOB, Checkpoint
from mesh_fl.errors import ConfigError
from mesh_fl.messages import Reply, ToMember, ToServer
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.plan import Policy


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

    def test_what_the_noise_does_not_tell_is_said_in_words(self, monkeypatch) -> None:
        monkeypatch.setattr(Centre, "score", lambda self, total: {"near": float("nan")})
        network = Network(plan_of(rounds=1, measures=1))
        network.run()
        assert network.told("measured") == ["near not told by the noise"]

    def test_a_measure_is_told_and_leaves_the_model_alone(self) -> None:
        network = Network(plan_of(rounds=1, measures=1))
        states: list[np.ndarray] = []

        def note_state(name: str, answer: ToServer) -> ToServer:
            if isinstance(answer, Reply):
                seat = network.wire.people[name].resume(answer.account.training)
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
        replies = [reply for _, reply in network.wire.answers if isinstance(reply, Reply)]
        closes = [reply for reply in replies if reply.account.attempt == 0]
        assert all(close.sealed is None and not close.account.sealed for close in closes)
        assert [bool(close.opened) for close in closes] == [False] * 5 + [True] * 5
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
            steps = steps_of(messages)
            wire.offline = {"birch"} if steps and max(steps) in (2, 3) else wire.offline
            wire.offline = wire.offline - {"birch"} if steps and max(steps) > 3 else wire.offline

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        assert {step for step, _ in network.attempts("birch")} >= {1, 5, 6, 7}
        assert 3 not in {step for step, _ in network.attempts("birch")}

    def test_spare_attempts_run_out_and_the_last_model_stands(self) -> None:
        network = Network(plan_of(spares=1))
        silent = {(2, 2), (2, 3)}
        network.wire.change = lambda name, answer: (
            None
            if name == "elm"
            and isinstance(answer, Reply)
            and (answer.account.step, answer.account.attempt) in silent
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
    def test_whoever_comes_after_the_epoch_began_is_let_in_by_the_next(self) -> None:
        network = Network(plan_of(rounds=5), make_cipher=Bfv)
        network.wire.offline = {"fir"}

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            if 3 in steps_of(messages):
                wire.offline = set()

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert len(network.told("epoch")) == 2
        assert [step for step, _ in network.attempts("fir")] == [4, 5, 6]
        assert training.checkpoint.attempt == 6

    def test_a_member_that_went_away_gets_the_last_model_when_closing(self) -> None:
        network = Network()
        network.wire.before = absent_from(1, "fir")
        training = network.run()
        assert training.checkpoint.status == "finished"
        network.wire.before = lambda wire, messages: None
        network.wire.offline = set()
        training.close()
        check_invariants(network, training)
        assert network.attempts("fir") == []


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
