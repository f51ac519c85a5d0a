"""What may be killed, removed or copied without anybody's help or harm."""

import signal
from collections import Counter

import pytest

from end_to_end.network import Terms, refusal
from end_to_end.process import nothing

KILLED, ASKED_TO_STOP = signal.SIGKILL, signal.SIGTERM


def start_all(network):
    server = network.start_server()
    return server, {name: network.start_member(name) for name in network.names}


def attempts(network, name):
    return [(charge["step"], charge["attempt"]) for charge in network.charges(name)]


def never_charged_twice(network):
    """Check that each attempt is charged once, and no step after a later one."""
    for name in network.names:
        found = attempts(network, name)
        assert max(Counter(found).values()) == 1, found
        assert found == sorted(found)
        assert len({attempt for _, attempt in found}) == len(found)


def one_training(network):
    return len({charge["training"] for name in network.names for charge in network.charges(name)})


def interrupt(network, server, number, moment, done):
    """End the server at a moment, and start it again."""
    server.await_event(moment, done=done)
    server.signal(number)
    status = server.ended()
    assert status == (-KILLED if number == KILLED else 0), server.err
    return network.start_server()


def goes_on_after(network, server, clients, terms):
    server.await_event("closed", timeout_s=60)
    assert server.stop() == 0
    assert network.report()["status"] == "finished"
    for name, client in clients.items():
        network.await_model(name, terms.rounds)
        assert client.status is None
    assert one_training(network) == 1
    never_charged_twice(network)


def nobody_was_told_the_end(clients):
    return not any(e["kind"] == "closed" for one in clients.values() for e in one.events())


def test_a_server_killed_again_and_again_goes_on(make_network):
    terms = Terms(rounds=4, measures=1, spares=2, quorum=4)
    network = make_network(4, terms)
    server, clients = start_all(network)
    server = interrupt(network, server, KILLED, "asked", done=0)
    server = interrupt(network, server, KILLED, "round", done=2)
    server = interrupt(network, server, ASKED_TO_STOP, "asked", done=3)
    assert network.report()["status"] == "running"
    assert nobody_was_told_the_end(clients)
    goes_on_after(network, server, clients, terms)
    # Each attempt was asked again after the restart, so none was lost either.
    assert network.report()["attempts"] == terms.rounds + terms.measures
    for name in network.names:
        assert attempts(network, name) == [(n, n) for n in range(1, 6)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [KILLED, ASKED_TO_STOP])
@pytest.mark.parametrize("moment", ["asked", "round"])
@pytest.mark.parametrize("done", [1, 3])
def test_a_server_may_end_at_any_moment(make_network, number, moment, done):
    terms = Terms(rounds=3, measures=1, spares=1, quorum=4)
    network = make_network(4, terms)
    server, clients = start_all(network)
    server = interrupt(network, server, number, moment, done)
    goes_on_after(network, server, clients, terms)


def kill_in_round(network, server, clients, name, done=1):
    server.await_event("asked", done=done)
    clients[name].kill()


def test_a_killed_client_is_gone_without_and_comes_back(make_network):
    terms = Terms(rounds=3, measures=1, spares=2, quorum=4, timeout_s=4)
    network = make_network(4, terms)
    server, clients = start_all(network)
    kill_in_round(network, server, clients, "msp-3")
    # Not before: a client that is quick to come back still answers the attempt.
    server.await_event("dead")
    again = network.start_member("msp-3")
    server.await_event("closed")
    report = network.report()
    assert report["status"] == "finished"
    assert report["attempts"] > report["releases"] == 4
    never_charged_twice(network)
    versions = {network.await_model(name, terms.rounds)["version"] for name in network.names}
    assert len(versions) == 1
    assert again.status is None
    for name in ("msp-0", "msp-1", "msp-2"):
        assert len(attempts(network, name)) == report["attempts"]
        assert network.budget(name)["spent"] < 0.1


@pytest.mark.slow
def test_a_killed_client_comes_back_with_the_real_heartbeats(make_network):
    terms = Terms(rounds=3, measures=1, spares=2, quorum=4)
    network = make_network(4, terms, prepare=nothing)
    server, clients = start_all(network)
    kill_in_round(network, server, clients, "msp-3")
    network.start_member("msp-3")
    server.await_event("closed", timeout_s=90)
    network.await_model("msp-3", terms.rounds, timeout_s=60)
    never_charged_twice(network)


def test_without_spare_attempts_training_ends_with_the_last_model(make_network):
    terms = Terms(rounds=5, measures=0, spares=0, quorum=4, timeout_s=4)
    network = make_network(4, terms)
    server, clients = start_all(network)
    kill_in_round(network, server, clients, "msp-3", done=2)
    assert "spare attempts are used up" in server.await_event("ended")["text"]
    server.await_event("closed")
    report = network.report()
    assert (report["status"], report["releases"], report["attempts"]) == ("exhausted", 2, 3)
    for name in ("msp-0", "msp-1", "msp-2"):
        assert network.await_model(name, 2)["rounds"] == 5
        assert network.ask(name)["churn_risk"] > 0
    never_charged_twice(network)
    assert server.stop() == 0
    assert "exhausted" in network.call("mesh-server", "start", network.server, "--once")


@pytest.fixture(scope="module")
def settled(make_network):
    """A network that has trained and stays online, and its server."""
    network = make_network(4, Terms(rounds=1, measures=0, quorum=4))
    server, clients = start_all(network)
    network.make_member("stranger", register=False)
    server.await_event("closed")
    network.copy_home("msp-0", "copy")
    # The copy takes a while to give up.
    clients |= {name: network.start_member(name) for name in ("stranger", "copy")}
    return network, clients


def test_a_second_process_on_a_home_is_refused(settled):
    network, clients = settled
    for command, home in (("mesh-client", network.home("msp-0")), ("mesh-server", network.server)):
        text = network.refused(command, "start", home)
        assert f"{home} is in use by another process" in text
    assert clients["msp-0"].status is None


def test_a_copied_home_is_refused_and_the_first_client_goes_on(settled):
    network, clients = settled
    assert "Another client is connected" in refusal(clients["copy"])
    assert clients["msp-0"].status is None
    assert network.get("msp-0")["connection"].startswith("connected to")
    assert network.ask("msp-0")["model"]["round"] == 1


def test_an_unregistered_client_is_told_what_to_do(settled):
    network, clients = settled
    text = clients["stranger"].await_event("connection")["text"]
    assert "no roster yet" in text
    assert "mesh-client members trust" in text
    assert "no roster" in network.get("stranger")["connection"]
    assert clients["stranger"].stop() == 0


def test_a_removed_member_is_shut_out_and_may_come_back(settled):
    network, clients = settled
    network.call("mesh-server", "members", "remove", network.server, "msp-2")
    assert "has removed us" in refusal(clients["msp-2"])
    status = network.call("mesh-server", "members", "list", network.server)
    assert "msp-2" not in status
    network.join("msp-2")
    back = network.start_member("msp-2")
    back.await_event("connection", text_with="connected to")
    assert network.await_model("msp-2", 1)["adapted"]


@pytest.mark.slow
def test_training_goes_on_without_removed_members_while_enough_are_left(make_network):
    network = make_network(4, Terms(rounds=60, measures=0, spares=4, quorum=4, timeout_s=4))
    server, clients = start_all(network)
    server.await_event("round", done=1)
    network.call("mesh-server", "members", "remove", network.server, "msp-3")
    assert "has removed us" in refusal(clients["msp-3"])
    step = server.await_event("round", text_with="with 3 members")["done"]
    server.await_event("round", done=step + 1)
    network.call("mesh-server", "members", "remove", network.server, "msp-0")
    short = "only 2 members can take part, the plan needs 3"
    waiting = server.await_event("waiting", text_with=short)
    assert "waits for members to come back" in waiting["text"]
    network.join("msp-0")
    network.start_member("msp-0")
    server.await_event("round", done=waiting["step"] + 1)
    server.stop()
    assert network.report()["status"] == "running"
    assert network.report()["rounds"][-1]["members"] == 3
    never_charged_twice(network)
