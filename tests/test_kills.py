import itertools
from collections.abc import Mapping

import pytest
from small_network import (
    NAMES,
    KilledError,
    Network,
    Wire,
    absent_from,
    check_invariants,
    plan_of,
    steps_of,
)

from mesh_fl.messages import Ask, Reply, ToMember, ToServer
from mesh_fl.round import respond

PLAN = plan_of(rounds=2, epoch_steps=2)
"""Three releases; a new epoch begins before the last."""


class TestKilledServer:
    @pytest.mark.parametrize(
        "after",
        # All that a server does passes the fuse: before one step is stored what was after the last.
        [pytest.param(False, id="before", marks=pytest.mark.slow), pytest.param(True, id="after")],
    )
    def test_killed_at_every_write_and_every_send(self, after: bool) -> None:
        for at in itertools.count(1):
            network = Network(PLAN)
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
        for first, second in itertools.product((2, 9, 17), repeat=2):
            network = Network(PLAN)
            network.arm_server(first, after=True)
            with pytest.raises(KilledError):
                network.training().run()
            network.arm_server(second, after=False)
            training = network.run()
            check_invariants(network, training)
            assert training.checkpoint.status == "finished"

    def test_killed_while_a_member_is_away(self) -> None:
        """The open attempt is asked again; it dies, and the next one goes on."""
        for at in itertools.count(1, 2):
            network = Network(PLAN)
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
            if isinstance(answer, Reply) and answer.account.step == 2 and answer.account.attempt:
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
        opened = [network.seat(name, stopping).step for name in NAMES]
        assert opened == [1] * 5
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
    @pytest.mark.parametrize(
        ("name", "after"),
        [("ash", True), ("birch", False), ("elm", True)],
        ids=["maker-after", "second-maker-before", "after"],
    )
    def test_killed_at_every_write(self, name: str, after: bool) -> None:
        """ash makes the first epoch's key, birch the second's; elm is handed both."""
        for at in itertools.count(1):
            network = Network(PLAN)
            fuse = network.homes[name].rearm(at, after)
            training = network.run()
            training.close()
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
            if name == "elm" and isinstance(answer, Reply) and answer.account.attempt:
                training = answer.account.training
                del network.homes["elm"].blobs[f"{training}.reply"]
                network.wire.restart("elm")
                ask = [m for who, m in network.wire.sent if who == "elm" and isinstance(m, Ask)][-1]
                again = network.wire.people["elm"]
                assert again.stored_reply(ask.call) is None
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
            steps = steps_of(messages)
            blobs.full = max(steps, default=0) in (2, 3) or (blobs.full and not steps)

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert not training.enrolment.excluded
        assert network.attempts("elm")[-1] == network.attempts("ash")[-1]
