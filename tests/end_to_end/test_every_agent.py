"""All agents in one network, trained in one run over real sockets."""

import json

import numpy as np
import pytest

from end_to_end.network import Terms, short_heartbeats
from end_to_end.whole_network import ABSENT, CAPS, WholeNetwork
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.registry import build
from mesh_fl.server.programme import training_folder
from mesh_fl.state import load_state

pytestmark = pytest.mark.timeout(600)

MEMBERS = 5
TERMS = Terms(rounds=2, measures=1, epsilon=8.0, quorum=4, timeout_s=30)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The network after one run of `mesh-server start`, with its members still running."""
    network = WholeNetwork(tmp_path_factory.mktemp("whole"), TERMS, prepare=short_heartbeats)
    network.make_server()
    for number in range(MEMBERS):
        network.make_member(f"msp-{number}")
    network.found()
    for name in network.names:
        network.clients[name] = network.start_member(name)
    for name in network.names:
        network.clients[name].await_event("serving", timeout_s=120)
    server = network.start_server("--once")
    assert server.ended(480) == 0, server.err
    yield network
    network.end()


@pytest.fixture(scope="module")
def reports(trained):
    told = json.loads((trained.server / "report.json").read_text())
    return {one["agent"]: one for one in told["trainings"]}


def checkpoint(network, agent):
    return Checkpoint.load(training_folder(network.server, agent))


def test_all_of_the_plan_are_trained_in_its_order(reports) -> None:
    assert list(reports) == list(CAPS)
    assert {one["status"] for one in reports.values()} == {"finished"}


@pytest.mark.parametrize("agent", CAPS)
def test_every_agent_changes_its_state_over_the_wire(trained, agent) -> None:
    found = checkpoint(trained, agent)
    made = build(agent, json.loads(found.plan.config))
    first = made.init()
    last = load_state(found.state, first)
    changed = [name for name in first if not np.array_equal(first[name], last[name])]
    assert set(changed) - {"round"}
    assert all(np.isfinite(values).all() for values in last.values())


@pytest.mark.parametrize("agent", CAPS)
def test_every_member_serves_what_it_takes_part_in(trained, reports, agent) -> None:
    trained.agent = agent
    takes_part = [one for one in trained.names if agent != ABSENT or one != trained.names[-1]]
    assert set(checkpoint(trained, agent).plan.caps) == set(takes_part)
    for name in takes_part:
        card = trained.await_model(name, TERMS.rounds)
        assert card["training"] == reports[agent]["training"]
    for name in set(trained.names) - set(takes_part):
        assert agent not in trained.get(name)["models"]


def test_a_clip_is_chosen_by_what_was_counted(trained) -> None:
    counted, health = checkpoint(trained, "federation"), checkpoint(trained, "health")
    counting = build("federation", json.loads(counted.plan.config))
    chosen = counting.chosen(load_state(counted.state, counting.init()))
    assert json.loads(health.plan.config)["clip"] == pytest.approx(chosen)


def test_no_record_pays_more_than_its_budget_and_dealt_ones_pay_once(trained) -> None:
    for name in trained.names:
        told = trained.budget(name)
        assert told["spent"] <= told["epsilon"]
        sets = {}
        for charge in trained.charges(name):
            sets.setdefault(charge["agent"], set()).add(charge["records"])
        assert sets["federation"] == sets["health"]
        assert not sets["health"] & sets["revenue"]
        ids = [
            set(np.frombuffer((trained.home(name) / "ledger" / one).read_bytes(), "<u8").tolist())
            for one in (*sets["health"], *sets["revenue"])
        ]
        assert not ids[0] & ids[1]
        assert len(ids[0] | ids[1]) <= CAPS["health"]


def test_rows_that_records_were_made_of_are_charged_too(trained) -> None:
    charges = [one for one in trained.charges("msp-0") if one["agent"] == "health"]
    assert {one["table"] for one in charges} == {"clients"}
    parts = {one["part_tables"] for one in charges}
    assert parts == {json.dumps(["agreements", "invoices"])}


def test_a_member_tells_what_its_trainings_came_to(trained) -> None:
    trained.path = "/federated"
    told = trained.ask("msp-0", {"agent": "health", "client_id": "c1"})
    (training,) = told["trainings"]
    assert training["agent"] == "health"
    assert training["round"] == TERMS.rounds
    assert 0 < training["epsilon_spent"] <= 8.0
    assert training["measures_after"]
    assert training["own_after"]
