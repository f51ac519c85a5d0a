"""A large cohort over Flower: masks whose members could drop out, BFV and TLS."""

import functools
import threading

import numpy as np
import pytest

from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.client.app import make_app
from mesh_fl.client.supernode import serve_node
from mesh_fl.planning import make_plan
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.plan import Policy
from mesh_fl.round import respond
from mesh_fl.server.app import make_app as make_server_app
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.members import Members
from mesh_fl.simulate.network import Founders, member_of
from mesh_fl.store import write_durably
from mesh_fl.training import Training, begin

NAMES = tuple(f"msp-{number:02}" for number in range(22))
AGENT = ClientHealth(features=(Feature(name="overdue", kind="flag"),), records=440.0)
PLAN = make_plan(
    AGENT, "health", dict.fromkeys(NAMES, 64), rounds=2, measures=0, survivors=14, colluders=1
)
FOUNDERS = Founders.of(PLAN.caps, PLAN.colluders)


def people():
    policy = Policy(epsilon=PLAN.epsilon, delta=PLAN.delta, survivors=14, colluders=1)
    found = {}
    for number, name in enumerate(NAMES):
        random = np.random.default_rng(number)
        x, y = random.uniform(-1, 1, (20, 2)), random.integers(0, 2, 20).astype(float)
        found[name] = member_of(name, AGENT, {"x": x, "y": y}, policy, SystemSource(), FOUNDERS)
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_two_members_train_over_flower(start_server, tmp_path, authority):
    link, members = start_server(), Members(tmp_path)
    write_durably(tmp_path / "roster.json", FOUNDERS.roster.dumps())
    exchange = FlowerExchange(link, members)
    stopped, threads, found = threading.Event(), [], people()
    for name, member in found.items():
        serve = functools.partial(
            serve_node,
            make_app(functools.partial(respond, member=member)),
            f"127.0.0.1:{link.port}",
            ca=authority.ca,
            key=FOUNDERS.identities[name],
            stopped=stopped,
            on_state=lambda state: None,
        )
        threads.append(threading.Thread(target=serve, daemon=True))
    exchange.roster()
    for thread in threads:
        thread.start()
    blobs, events = {}, []
    training = Training(
        AGENT,
        begin(AGENT, PLAN),
        exchange,
        blobs,
        FOUNDERS.operator,
        timeout_s=60,
        quorum=len(NAMES),
        on_event=events.append,
    )
    link.run(make_server_app(training))
    stopped.set()
    for thread in threads:
        thread.join(20)
    at = training.checkpoint
    assert at.status == "finished", [event.text for event in events]
    assert at.attempt == 2
    assert [record.members for record in at.history] == [22, 22]
    assert {member.resume(at.training).digest for member in found.values()} == {at.digest}
