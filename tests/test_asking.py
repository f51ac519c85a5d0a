from collections import defaultdict
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_network import (
    FOUNDERS,
    NAMES,
    Network,
    Wire,
    absent_from,
    check_invariants,
    plan_of,
    resigned,
    steps_of,
)

from mesh_fl.messages import Ask, Reply, ToMember, decode
from mesh_fl.verification import recounter, sha256

OPERATOR = FOUNDERS.roster.operator


def asks_of(network: Network) -> list[tuple[str, Ask]]:
    return [(name, m) for name, m in network.wire.sent if isinstance(m, Ask)]


def last_reply(network: Network, name: str, training: str) -> Reply:
    reply = decode(network.homes[name].blobs[f"{training}.reply"])
    assert isinstance(reply, Reply)
    return reply


class TestCalls:
    def test_one_attempt_has_one_call_for_all(self) -> None:
        network = Network(plan_of(epoch_steps=2))
        network.run()
        calls = defaultdict(set)
        for _, ask in asks_of(network):
            assert ask.call.verifies(OPERATOR)
            if ask.call.attempt:
                calls[ask.call.attempt].add((ask.call.digest, ask.call.signature))
        assert sorted(calls) == [1, 2, 3, 4]
        assert all(len(found) == 1 for found in calls.values())

    def test_attempts_are_never_numbered_twice(self) -> None:
        network = Network()
        network.wire.before = absent_from(2, "birch")
        network.run()
        steps = {ask.call.attempt: ask.call.step for _, ask in asks_of(network)}
        assert steps == {0: 4, 1: 1, 2: 2, 3: 2, 4: 3, 5: 4}


class TestWhatComesAlong:
    def test_whose_turn_it_is_gets_all_that_was_sealed_and_nobody_else(self) -> None:
        network = Network()
        network.run()
        turns = []
        for name, ask in asks_of(network):
            if ask.pending is None:
                assert ask.recount == ()
                continue
            turn = recounter(ask.call.cohort, ask.call.step) == name
            assert len(ask.recount) == (5 if turn else 0)
            if turn:
                turns.append(name)
                told = [account.sealed for account in ask.pending.accounts]
                assert [sha256(part) for part in ask.recount] == told
        assert turns == ["cedar", "elm", "fir", "fir"]

    def test_nothing_is_kept_of_sums_that_were_opened_long_ago(self) -> None:
        network = Network(plan_of(rounds=6))
        training = network.run()
        parts = {name for name in network.blobs if ".parts." in name}
        assert parts == {f"{training.checkpoint.training}.parts.{step}" for step in (6, 7)}

    def test_totals_are_sent_to_those_who_missed_them(self) -> None:
        network = Network(plan_of(rounds=6))

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            steps = steps_of(messages)
            wire.offline = {"birch"} if steps and max(steps) in (2, 3) else wire.offline
            wire.offline = wire.offline - {"birch"} if steps and max(steps) > 3 else wire.offline

        network.wire.before = before
        training = network.run()
        check_invariants(network, training)
        missed = {(n, len(a.missed), len(a.witnesses)) for n, a in asks_of(network) if a.missed}
        assert missed == {("birch", 3, 4)}
        assert all(not a.witnesses for n, a in asks_of(network) if not a.missed)

    def test_keys_are_sent_once_an_epoch_and_each_to_its_member(self) -> None:
        network = Network(plan_of(epoch_steps=2))
        network.run()
        sent = defaultdict(list)
        for name, ask in asks_of(network):
            assert (ask.charter is None) == (ask.sealed_key is None)
            if ask.charter is not None:
                sent[name].append((ask.charter.notice.epoch, ask.sealed_key))
        assert sent.keys() == set(NAMES)
        assert all([epoch for epoch, _ in found] == [1, 2] for found in sent.values())
        keys = [key for found in sent.values() for _, key in found]
        assert len(set(keys)) == 10


class TestReceipts:
    def test_they_verify_and_are_kept(self) -> None:
        network = Network()
        training = network.run().checkpoint.training
        for name, home in network.homes.items():
            account = last_reply(network, name, training).account
            assert account.attempt == 4
            receipt = home.blobs[f"{training}.receipt"].decode()
            assert account.receipted(receipt, OPERATOR)

    def test_they_come_with_the_next_ask(self) -> None:
        network = Network()
        network.run()
        replies = {
            (name, answer.account.attempt): answer.account
            for name, answer in network.wire.answers
            if isinstance(answer, Reply)
        }
        receipts = [(n, a.call.attempt, a.receipt) for n, a in asks_of(network) if a.receipt]
        assert {attempt for _, attempt, _ in receipts} == {0, 2, 3, 4}
        for name, attempt, receipt in receipts:
            assert replies[name, (attempt or 5) - 1].receipted(receipt, OPERATOR)

    @pytest.mark.parametrize("wrong", ["another key", "another account", "nonsense"])
    def test_what_is_none_is_not_kept(self, wrong: str) -> None:
        network = Network()

        def forge(name: str, message: ToMember) -> ToMember:
            if not isinstance(message, Ask) or not message.receipt:
                return message
            account = last_reply(network, name, message.call.training).account
            forged = {
                "another key": account.receipt(Ed25519PrivateKey.generate()),
                "another account": resigned(account, head="0").receipt(FOUNDERS.operator),
                "nonsense": "é",
            }[wrong]
            return message.model_copy(update={"receipt": forged})

        network.wire.forge = forge
        training = network.run().checkpoint
        assert training.status == "finished"
        assert all(f"{training.training}.receipt" not in h.blobs for h in network.homes.values())
