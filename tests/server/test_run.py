"""Which training a server goes on with."""

from types import SimpleNamespace

import pytest
from small_network import AGENT, FOUNDERS, Network, plan_of

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.server import run


@pytest.fixture
def stored(monkeypatch):
    network = Network()
    network.run()
    monkeypatch.setattr(run, "plan_for", lambda settings, roster: (AGENT, plan_of(rounds=2)))
    return network.blobs


def opened(blobs, new):
    members = SimpleNamespace(roster=lambda: FOUNDERS.roster)
    return run.open_training(None, members, blobs, new)[1]


def test_a_new_training_remembers_what_members_signed_in_the_last(stored):
    last = Checkpoint.load(stored)
    fresh = opened(stored, new=True)
    assert fresh.training != last.training
    assert fresh.step == 0
    assert fresh.latest == last.latest
    assert set(fresh.latest) == set(FOUNDERS.roster.cards)


def test_the_last_training_is_kept_beside_the_new_one(stored):
    before = stored["training"]
    opened(stored, new=True)
    kept = [name for name in stored if name.startswith("training.")]
    assert [stored[name] for name in kept] == [before]
