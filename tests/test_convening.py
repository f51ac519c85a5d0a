import dataclasses
import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_network import (
    AGENT,
    FOUNDERS,
    NAMES,
    Home,
    Network,
    Wire,
    changed,
    check_invariants,
    plan_of,
    steps_of,
)

from mesh_fl.card import Card
from mesh_fl.errors import EncryptionError
from mesh_fl.keyring import Keyring
from mesh_fl.messages import Ask, Convened, KeyMade, MakeKey, Refusal, ToMember, ToServer
from mesh_fl.planning import make_plan
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.pipeline import open_sum
from mesh_fl.roster import Roster
from mesh_fl.statements import Charter

Change = Callable[[str, ToServer], ToServer | None]


def charters(network: Network) -> dict[int, Charter]:
    """Every epoch that anybody was asked to enter."""
    asks = [message for _, message in network.wire.sent if isinstance(message, Ask)]
    return {ask.charter.notice.epoch: ask.charter for ask in asks if ask.charter}


def epoch_of_each_step(network: Network, training_steps: int) -> list[int]:
    numbers = {charter.digest: number for number, charter in charters(network).items()}
    calls = [m.call for _, m in network.wire.sent if isinstance(m, Ask) and m.call.attempt]
    found = {call.step: numbers[call.epoch] for call in calls}
    return [found[step] for step in range(1, training_steps + 1)]


def removal(name: str, roster: Roster = FOUNDERS.roster) -> Roster:
    entry = roster.propose_removal([name])
    return roster.appended(entry.signed("operator", FOUNDERS.operator))


def at_step(step: int, act: Callable[[Wire], None]) -> Callable[..., None]:
    """Have something happen once, when a step is asked for."""
    done: list[int] = []

    def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
        if step in steps_of(messages) and not done:
            done.append(step)
            act(wire)

    return before


def made_by(name: str, alter: Callable[[KeyMade], KeyMade]) -> Change:
    return lambda who, answer: (
        alter(answer) if who == name and isinstance(answer, KeyMade) else answer
    )


class TestRotation:
    @pytest.mark.parametrize("steps", [1, 2, 3, 8])
    def test_keys_are_made_anew_after_so_many_releases(self, steps: int) -> None:
        network = Network(plan_of(rounds=4, epoch_steps=steps))
        training = network.run()
        check_invariants(network, training)
        assert epoch_of_each_step(network, 5) == [1 + k // steps for k in range(5)]
        makers = [charter.notice.by for _, charter in sorted(charters(network).items())]
        assert makers == list(NAMES[: len(makers)])

    def test_no_epoch_shares_a_key_with_another(self) -> None:
        network = Network(plan_of(rounds=3, epoch_steps=1))
        network.run()
        found = charters(network).values()
        keys = [key for c in found for one in c.presences for key in (one.sealing, one.masking)]
        assert len(set(keys)) == len(keys) == 2 * 5 * 4
        assert len({charter.notice.fingerprint for charter in found}) == 4

    def test_keys_of_epochs_that_are_over_exist_nowhere(self) -> None:
        network = Network(plan_of(rounds=3, epoch_steps=2))
        private: dict[int, set[bytes]] = {}

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            for message in messages.values():
                if isinstance(message, Ask) and message.call.attempt:
                    for member in wire.people.values():
                        pair = member.resume(message.call.training).term.pair
                        keys = (pair.sealing, pair.masking)
                        found = private.setdefault(pair.epoch, set())
                        found.update(key.private_bytes_raw() for key in keys)

        network.wire.before = before
        network.run()
        stored = b"".join(blob for home in network.homes.values() for blob in home.blobs.values())
        assert {number: len(keys) for number, keys in private.items()} == {1: 10, 2: 10}
        assert not any(key in stored for key in private[1])
        assert all(key in stored for key in private[2])

    def test_epochs_are_charged_nothing(self) -> None:
        network = Network(plan_of(rounds=3, epoch_steps=1))
        training = network.run()
        assert training.checkpoint.attempt == 4
        assert network.attempts("ash") == [(1, 1), (2, 2), (3, 3), (4, 4)]

    def test_nothing_is_charged_before_the_members_hold_the_key(self) -> None:
        network = Network()
        network.wire.change = made_by(
            "ash", lambda made: made.model_copy(update={"sealed_keys": {}})
        )
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 0
        training = network.run()
        assert training.checkpoint.attempt == 0
        assert training.checkpoint.charter is None
        assert all(network.attempts(name) == [] for name in NAMES)


class TestRosterChanges:
    def test_who_is_removed_takes_no_part_and_opens_nothing_later(self) -> None:
        network = Network(plan_of(rounds=4), make_cipher=Bfv)
        network.wire.before = at_step(3, lambda wire: setattr(wire, "newest", removal("fir")))
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert len(network.told("epoch")) == 2
        assert [r.members for r in training.checkpoint.history] == [5, 5, 5, 4, 4]
        assert charters(network)[2].members == set(NAMES[:4])
        gone = network.wire.people["fir"].resume(training.checkpoint.training)
        assert gone.term.charter == charters(network)[1]
        later = [
            m.pending
            for _, m in network.wire.sent
            if isinstance(m, Ask)
            and m.pending
            and m.pending.call.epoch == charters(network)[2].digest
        ]
        assert later
        for pending in later:
            release = network.plan.release(pending.kind)
            with pytest.raises(EncryptionError):
                open_sum(pending.encrypted, release, gone.cipher, 4)

    def test_who_joins_is_in_the_next_epoch_and_has_no_key_of_the_one_before(self) -> None:
        key = Ed25519PrivateKey.generate()
        card = Card.make("gum", 64, ec.generate_private_key(ec.SECP384R1()), key)
        joined = FOUNDERS.roster.propose_join([card])
        for name in ("ash", "birch"):
            joined = FOUNDERS.roster.sign(joined, name, FOUNDERS.signing[name])
        founders = dataclasses.replace(FOUNDERS, signing={**FOUNDERS.signing, "gum": key})
        caps = dict.fromkeys((*NAMES, "gum"), 64)
        network = Network(make_plan(AGENT, "centre", caps, rounds=4))
        network.homes["gum"] = Home("gum", 9, founders=founders)
        network.wire = Wire(network.homes)
        network.wire.before = at_step(
            2, lambda wire: setattr(wire, "newest", FOUNDERS.roster.appended(joined))
        )
        training = network.run()
        check_invariants(network, training)
        assert [r.members for r in training.checkpoint.history] == [5, 5, 6, 6, 6]
        assert charters(network)[2].members == caps.keys()
        seat = network.wire.people["gum"].resume(training.checkpoint.training)
        assert seat.term.charter == charters(network)[2]
        assert seat.state["steps"] == 4

    @pytest.mark.parametrize("when", ["round", "asked"])
    def test_a_removal_while_the_server_is_down_excludes_nobody_else(self, when: str) -> None:
        """With a sum pending, or an attempt open, that the removed member has a part in."""
        network = Network(plan_of(rounds=3))
        network.options["stopped"] = lambda: len(network.told(when)) == 2
        if when == "asked":
            network.wire.before = at_step(2, lambda wire: setattr(wire, "offline", set(NAMES)))
        stopped = network.run()
        assert stopped.checkpoint.step < 4
        network.wire.before = lambda wire, messages: None
        network.wire.offline = set()
        network.wire.newest = removal("fir")
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 300
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert training.enrolment.excluded.keys() <= {"fir"}
        assert training.checkpoint.history[-1].members == 4


class TestDishonestMakers:
    def others(self, network: Network, made: KeyMade, *names: str) -> dict[str, bytes]:
        """Sealed to some: another key than the maker signed for."""
        order = next(m for _, m in network.wire.sent if isinstance(m, MakeKey))
        forger = Keyring("ash", order.training, network.plan.parameters, {})
        sealed, _ = forger.make_key(made.notice, order.presences)
        return {**made.sealed_keys, **{name: sealed[name] for name in names}}

    @pytest.mark.parametrize("victims", [("elm",), ("cedar", "elm"), ("birch", "cedar", "elm")])
    def test_different_keys_for_some_are_noticed_before_anything_is_charged(
        self, victims: tuple[str, ...]
    ) -> None:
        network = Network(make_cipher=Bfv)

        def alter(made: KeyMade) -> KeyMade:
            if made.notice.epoch > 1:
                return made
            sealed = self.others(network, made, *victims)
            return made.model_copy(update={"sealed_keys": sealed})

        network.wire.change = made_by("ash", alter)
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 300
        training = network.run()
        assert training.checkpoint.status == "finished"
        for victim in victims:
            errors = network.homes[victim].errors
            assert any("not the one that ash signed" in str(error) for error in errors)
        # Another maker's turn came, and nobody was charged for what ash did.
        assert training.checkpoint.attempt == 4
        assert training.checkpoint.charter is not None
        assert training.checkpoint.charter.notice.by != "ash"
        check_invariants(network, training)

    @pytest.mark.parametrize(
        "alter",
        [
            lambda made: made.model_copy(
                update={"sealed_keys": dict.fromkeys(made.sealed_keys, bytes(99))}
            ),
            lambda made: made.model_copy(update={"sealed_keys": {}}),
            lambda made: made.model_copy(update={"sealed_keys": {"ash": b"x"}}),
            lambda made: made.model_copy(update={"sealed_keys": {**made.sealed_keys, "oak": b"x"}}),
            lambda made: made.model_copy(
                update={"notice": changed(made.notice, fingerprint="0" * 64)}
            ),
            lambda made: made.model_copy(
                update={
                    "notice": changed(made.notice, presences="0" * 64).signed(
                        FOUNDERS.signing["ash"]
                    )
                }
            ),
            lambda made: made.model_copy(
                update={"notice": changed(made.notice, epoch=7).signed(FOUNDERS.signing["ash"])}
            ),
            lambda made: Refusal(cause="key", lasting=False),
            lambda made: None,
        ],
        ids=[
            "garbage",
            "to nobody",
            "to itself only",
            "to a stranger too",
            "forged notice",
            "for others",
            "for another epoch",
            "refuses",
            "falls silent",
        ],
    )
    def test_a_maker_that_does_not_deliver_is_replaced(
        self, alter: Callable[[KeyMade], KeyMade]
    ) -> None:
        network = Network(make_cipher=Bfv)
        network.wire.change = made_by("ash", alter)
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 300
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert network.attempts("elm") == [(1, 1), (2, 2), (3, 3), (4, 4)]
        assert training.checkpoint.charter is not None
        assert training.checkpoint.charter.notice.by != "ash"

    def test_a_key_for_other_parameters_is_noticed_before_anything_is_charged(self) -> None:
        network = Network(make_cipher=Bfv)
        wide = plan_of(epsilon=0.01).parameters
        assert wide != network.plan.parameters
        ash = network.wire.people["ash"]
        original = ash.make_key

        def other_parameters(order: MakeKey) -> KeyMade:
            keyring = ash.resume(order.training).keyring
            kept, keyring._parameters = keyring._parameters, wide
            made = original(order)
            keyring._parameters = kept
            return made

        ash.make_key = other_parameters  # type: ignore[method-assign]
        training = network.run()
        check_invariants(network, training)
        assert training.checkpoint.status == "finished"
        assert training.checkpoint.attempt == 4
        assert training.checkpoint.charter is not None
        assert training.checkpoint.charter.notice.by != "ash"


class TestUnsoundPresences:
    @pytest.mark.parametrize(
        "fields",
        [
            {"by": "cedar"},
            {"training": "c" * 32},
            {"plan": "0" * 64},
            {"roster": "0" * 64},
            {"epoch": 99},
            {"masking": "0" * 64},
            {"sealing": "0" * 64},
            {"signature": ""},
        ],
        ids=str,
    )
    def test_the_epoch_begins_without_them(self, fields: dict[str, object]) -> None:
        network = Network()

        def change(name: str, answer: ToServer) -> ToServer:
            if name != "elm" or not isinstance(answer, Convened):
                return answer
            told = changed(answer.presence, **fields)
            if "signature" not in fields:
                told = told.signed(FOUNDERS.signing["elm"])
            return answer.model_copy(update={"presence": told})

        network.wire.change = change
        polls = itertools.count()
        network.options["stopped"] = lambda: next(polls) > 300
        training = network.run()
        assert training.checkpoint.status == "finished"
        assert all(c.members == set(NAMES) - {"elm"} for c in charters(network).values())
        assert network.attempts("elm") == []
        assert [r.members for r in training.checkpoint.history] == [4, 4, 4, 4]

    def test_too_few_begin_nothing(self) -> None:
        network = Network()
        network.wire.change = lambda name, answer: (
            None if name in ("ash", "elm") and isinstance(answer, Convened) else answer
        )
        network.options["stopped"] = lambda: len(network.told("waiting")) > 3
        training = network.run()
        assert training.checkpoint.attempt == 0
        assert charters(network) == {}
        assert not [m for _, m in network.wire.sent if isinstance(m, MakeKey)]


def test_a_model_is_the_same_whatever_the_length_of_an_epoch() -> None:
    states = [
        Network(plan_of(rounds=3, epoch_steps=steps), seeded=True).run().state["centre"]
        for steps in (1, 8)
    ]
    np.testing.assert_array_equal(states[0], states[1])
