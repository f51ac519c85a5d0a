import math

import numpy as np

from mesh_fl.agents._histogram import REACH, Histogram
from mesh_fl.agents.collaboration.agent import CollaborationMatching
from mesh_fl.agents.collaboration.learned import Learned
from mesh_fl.agents.collaboration.skill_map import skill_map
from mesh_fl.schema import table_of

AGENT = CollaborationMatching()
NAMES = AGENT.vocabulary.names
CELLS = len(NAMES)


def trained(supply, demand, sd: float, seed: int = 0):
    """Return a state that one release with these counts and this noise gives."""
    random, state = np.random.default_rng(seed), AGENT.init()
    exact = {"supply": supply, "demand": demand}
    total = {
        name: exact.get(name, 0.0) + random.normal(0, sd, shape)
        if sd
        else exact.get(name, 0.0) + np.zeros(shape)
        for name, shape in AGENT.layout(state).items()
    }
    return AGENT.apply(state, total)


def counts(**told: float):
    found = np.zeros(CELLS)
    for name, value in told.items():
        found[NAMES.index(name.replace("_", " "))] = value
    return found


def asked(state):
    empty = table_of(AGENT.schema, [{one.name: one.parse(None) for one in AGENT.schema}])
    return AGENT.answer(state, empty)[0]


def test_scarce_and_plentiful_skills_are_told() -> None:
    state = trained(counts(printing=800, firewalls=200), counts(printing=100, firewalls=900), 5.0)
    answer = asked(state)
    found = {one.skill: one.verdict for one in answer.skill_map}
    assert found["firewalls"] == "scarce"
    assert found["printing"] == "plentiful"
    assert answer.skill_map[0].skill == "firewalls"
    assert answer.network.needs.low < 1000 < answer.network.needs.high
    assert "skill_map" not in answer.unavailable


def test_what_the_noise_hides_is_not_told() -> None:
    state = trained(counts(printing=30), counts(printing=30), 40.0)
    answer = asked(state)
    assert answer.skill_map == ()
    assert answer.network.needs is None
    assert "the noise hides" in answer.unavailable["skill_map"]
    assert "the noise hides" in answer.unavailable["network.introductions"]


def test_one_side_alone_is_told_without_a_gap() -> None:
    answer = asked(trained(np.zeros(CELLS), counts(printing=5000, Linux=5000), 40.0, seed=3))
    assert {"printing", "Linux"} <= {one.skill for one in answer.skill_map}
    for one in answer.skill_map:
        assert one.supply is one.gap is one.verdict is None
    assert "technicians" in answer.unavailable["skill_map.supply"]


def test_before_any_training_it_says_so() -> None:
    answer = asked(AGENT.init())
    assert "no training" in answer.unavailable["skill_map"]
    assert answer.score_source == "set by hand"


def test_bounds_of_gaps_hold_and_false_alarms_are_rare() -> None:
    random = np.random.default_rng(1)
    shares = random.dirichlet(np.full(CELLS, 0.2))
    false, told = [], 0
    for seed in range(200):
        found = skill_map(
            Learned(trained(4000 * shares, 20_000 * shares, 40.0, seed), 2000.0), NAMES
        )
        told += len(found)
        false.append(any(one.verdict != "even" for one in found))
        held = [one.gap_low <= 0 <= one.gap_high for one in found]
        assert np.mean(held) > 0.5
    assert told > 500
    # Shares are the same on both sides, so every verdict is false.
    assert np.mean(false) < 0.15


def test_a_members_own_counts_stand_in_where_nothing_is_seen() -> None:
    own = {"own_demand": counts(printing=3, Linux=1), "own_supply": counts(Linux=2)}
    hidden = Learned({**trained(np.zeros(CELLS), np.zeros(CELLS), 40.0, seed=4), **own}, 2000.0)
    assert hidden.shares("demand")[NAMES.index("printing")] == 0.75
    seen = Learned({**trained(counts(AWS=9000), counts(AWS=9000), 40.0), **own}, 2000.0)
    assert seen.shares("demand")[NAMES.index("AWS")] > 0.9


def test_shares_of_a_small_network_hold_their_bounds_where_they_are_told() -> None:
    random = np.random.default_rng(5)
    shares = random.dirichlet(np.full(CELLS, 0.5))
    held, told = [], []
    for size in (500, 900, 1500, 2500):
        for seed in range(150):
            demand = Learned(trained(np.zeros(CELLS), size * shares, 50.0, seed), 2000.0).demand
            told.append(demand.is_seen)
            if demand.is_seen:
                bands = [demand.share(cell) for cell in np.eye(CELLS)]
                held += [
                    one.low <= share <= one.high for one, share in zip(bands, shares, strict=True)
                ]
    assert np.mean(told[:150]) < 0.02
    assert np.mean(told[-150:]) > 0.9
    assert np.mean(held) > 0.87


def test_a_sum_is_seen_from_three_bands_on() -> None:
    spread = np.full(CELLS, 1.0)
    reach = REACH * math.sqrt(CELLS)
    for times, seen in ((2.99, False), (3.01, True)):
        histogram = Histogram(spread * times * reach / CELLS, 1.0)
        assert histogram.is_seen is seen
    assert not Histogram(np.zeros(CELLS), 0.0).is_seen
    assert Histogram(spread, 0.0).is_seen
