"""One training in one process and over Flower: the same members, the same integers."""

import functools
import threading

import numpy as np
import pytest

from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.client.app import make_app
from mesh_fl.client.supernode import serve_node
from mesh_fl.planning import make_plan
from mesh_fl.privacy.noise import SeededSource
from mesh_fl.privacy.plan import Policy
from mesh_fl.round import respond
from mesh_fl.server.app import make_app as make_server_app
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.members import Members
from mesh_fl.simulate.network import Founders, LocalExchange, member_of
from mesh_fl.state import load_state
from mesh_fl.store import write_durably
from mesh_fl.training import Training, begin

NAMES = ("msp-a", "msp-b", "msp-c", "msp-d")
SIZES = (20, 33, 47, 60)
AGENT = ClientHealth(
    features=(
        Feature(name="seats", kind="number", low=0, high=100),
        Feature(name="overdue", kind="flag"),
    ),
    records=256.0,
)
PLAN = make_plan(
    AGENT,
    "health",
    dict.fromkeys(NAMES, 64),
    rounds=3,
    measures=1,
    spares=1,
    survivors=3,
    colluders=1,
)


FOUNDERS = Founders.of(PLAN.caps, PLAN.colluders)


def people(seed=7):
    """Give members with the same data and, by their seeds, the same noise each time."""
    policy = Policy(epsilon=PLAN.epsilon, delta=PLAN.delta, survivors=3, colluders=1)
    found = {}
    for number, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        random = np.random.default_rng(number)
        x, y = random.uniform(-1, 1, (size, 3)), random.integers(0, 2, size).astype(float)
        source = SeededSource(1000 * seed + number)
        found[name] = member_of(name, AGENT, {"x": x, "y": y}, policy, source, FOUNDERS)
    return found


def in_process(seed=7):
    exchange = LocalExchange(people(seed), FOUNDERS.roster)
    return Training(AGENT, begin(AGENT, PLAN), exchange, {}, FOUNDERS.operator, quorum=4).run()


@pytest.fixture(scope="module")
def alone():
    return in_process()


@pytest.fixture
def over_flower(start_server, tmp_path, authority):
    """Train over TLS with a thread for each member."""
    link, members = start_server(), Members(tmp_path)
    write_durably(tmp_path / "roster.json", FOUNDERS.roster.dumps())
    exchange = FlowerExchange(link, members)
    stopped, threads, said = threading.Event(), [], []
    found = people()
    for name, member in found.items():
        key = FOUNDERS.identities[name]
        answer = functools.partial(respond, member=member)
        serve = functools.partial(
            serve_node,
            make_app(answer),
            f"127.0.0.1:{link.port}",
            ca=authority.ca,
            key=key,
            stopped=stopped,
            on_state=said.append,
        )
        threads.append(threading.Thread(target=serve, daemon=True))
    exchange.roster()
    for thread in threads:
        thread.start()
    training = Training(
        AGENT, begin(AGENT, PLAN), exchange, {}, FOUNDERS.operator, timeout_s=60, quorum=4
    )
    link.run(make_server_app(training))
    yield training.checkpoint, found, exchange
    stopped.set()
    for thread in threads:
        thread.join(20)


def test_the_integer_totals_are_the_same(alone, over_flower):
    checkpoint, found, exchange = over_flower
    assert (checkpoint.status, checkpoint.attempt) == ("finished", 4)
    assert checkpoint.training != alone.training
    assert checkpoint.digest == alone.digest
    scores = [str(one.history[-1].scores) for one in (checkpoint, alone)]
    assert scores[0] == scores[1]
    like = AGENT.init()
    ours, theirs = (load_state(one.state, like) for one in (checkpoint, alone))
    for block in like:
        np.testing.assert_array_equal(ours[block], theirs[block])
    assert {member.resume(checkpoint.training).digest for member in found.values()} == {
        checkpoint.digest
    }
    assert all(size_bytes > 0 for size_bytes in exchange.traffic)


def test_the_totals_depend_on_the_noise(alone):
    assert in_process(seed=8).digest != alone.digest
