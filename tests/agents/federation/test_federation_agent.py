import json
import math
from datetime import date

import numpy as np
import pytest

from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.clip import exact_clip
from mesh_fl.agents.federation.target import target_agent
from mesh_fl.agents.health import ClientHealth
from mesh_fl.agents.threat.agent import ThreatIntelligence
from mesh_fl.check import check_agent
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.planning import make_plan
from mesh_fl.registry import config_of
from mesh_fl.simulate.engine import simulate
from mesh_fl.simulate.shards import Shards

TABLE = {
    "text": np.array(["ransomware encrypted it all", "a printer", "", "lost laptop"], dtype=object),
    "severity": np.array(["high", "low", "", "medium"]),
}


def of_threats(**config) -> FederatedLearning:
    return FederatedLearning(target="threat", target_config=config)


def test_it_keeps_the_contract() -> None:
    report = check_agent(of_threats(), FederatedLearning.example(), table=TABLE)
    assert report.passed, str(report)
    assert {one.check for one in report.findings if one.outcome != "passed"} == set()


def test_its_configuration_survives_a_plan() -> None:
    agent = of_threats(clip=2.0)
    again = FederatedLearning(**json.loads(config_of(agent)))
    assert again == agent
    assert config_of(again) == config_of(agent)
    assert again.chosen(again.init()) == 2.0


def test_lengths_are_those_of_the_rows_that_the_other_agent_gives_first() -> None:
    threat = ThreatIntelligence()
    rows = threat.contribute(threat.init(), threat.prepare(TABLE))
    found = of_threats().prepare({**TABLE, "agent": np.array([""] * 4, dtype=object)})
    np.testing.assert_allclose(found["norm"], np.linalg.norm(rows, axis=1))
    assert found["norm"][2] == 0


def test_a_record_that_lacks_what_is_needed_is_no_record() -> None:
    agent = FederatedLearning(target="query")
    table = {
        "query": np.array(["how many tickets are open"], dtype=object),
        "as_of": np.array([math.nan]),
        "intent": np.array([""]),
    }
    assert agent.prepare(table)["norm"].tolist() == [0]  # optional fields may be missing
    needy = agent.contribute(agent.init(), {"norm": np.array([math.nan, 1.0])})
    assert not needy[0].any()
    assert needy[1].sum() == 1


def test_its_schema_is_optional_throughout_and_borrowed() -> None:
    agent = of_threats()
    names = [one.name for one in agent.schema]
    assert names == ["agent", *(one.name for one in ThreatIntelligence().schema)]
    assert all(one.optional for one in agent.schema)
    assert agent.borrows == "threat"
    assert agent.reads == ThreatIntelligence().reads


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"target": "os:system"}, "expected one of"),
        ({"target": "nobody"}, "expected one of"),
        ({"target": "threat", "target_config": {"colour": 1}}, "cannot be configured"),
        ({"target": "threat", "target_config": {"clip": -1.0}}, "clip"),
        ({"target": "threat", "target_config": {"clip": math.nan}}, "JSON"),
        ({"target": "threat", "target_config": {"clip": {1, 2}}}, "JSON"),
        ({"target": "threat", "cells_per_octave": 0}, "cells_per_octave"),
        ({"target": "threat", "octaves_above": 64, "cells_per_octave": 64}, "cells at most"),
        ({"target": "threat", "clip": math.inf}, "clip"),
    ],
)
def test_what_cannot_train_is_refused(config, told) -> None:
    with pytest.raises(ConfigError, match=told):
        FederatedLearning(**config)


def test_what_is_not_installed_as_an_agent_is_not_even_imported() -> None:
    with pytest.raises(ConfigError, match="expected one of"):
        target_agent("mesh_fl.agents.threat.agent:ThreatIntelligence", {}, 1.0)


def test_arrays_of_another_agent_are_refused() -> None:
    agent = of_threats()
    with pytest.raises(DataError, match="prepared lengths"):
        agent.contribute(agent.init(), {"x": np.zeros((3, 2))})


def test_odd_lengths_are_answered() -> None:
    agent = of_threats()
    odd = {"norm": np.array([math.nan, math.inf, 0.0, 1e-300, 1e300, 1.0])}
    state = agent.adapt(agent.init(), odd)
    kept = agent.predict(state, odd)
    assert ((kept >= 0) & (kept <= 1)).all()
    assert math.isfinite(agent.evaluate(agent.init(), odd)["total_variation"])


def test_without_records_no_quality_is_told() -> None:
    agent = of_threats()
    for norms in (np.empty(0), np.full(3, math.nan)):
        assert all(map(math.isnan, agent.evaluate(agent.init(), {"norm": norms}).values()))
    idle = agent.evaluate(agent.init(), {"norm": np.zeros(9)})
    assert math.isnan(idle["clip_error"])


def test_three_percent_of_the_budget_find_the_clip() -> None:
    agent = of_threats()
    random = np.random.default_rng(1)
    norms = random.lognormal(-1.0, 0.5, 100 * 60)
    parts = {f"m{number}": {"norm": part} for number, part in enumerate(np.array_split(norms, 100))}
    caps = dict.fromkeys(parts, 64)
    errors = []
    for seed in range(10):
        plan = make_plan(
            agent, "threat", caps, rounds=8, measures=0, survivors=90, colluders=10, epsilon=0.0143
        )
        state = simulate(agent, plan, Shards.of(parts), seed=seed).state
        errors.append(math.log(agent.chosen(state) / exact_clip(norms)))
    assert np.sqrt(np.mean(np.square(errors))) < 0.12
    assert abs(math.log(1.0 / exact_clip(norms))) > 0.5  # the configured clip is far off


def test_one_record_more_adds_one_row_of_the_clip() -> None:
    agent = FederatedLearning(target="threat", clip=2.5)
    rows = agent.contribute(agent.init(), {"norm": np.array([0.0, 1.0, 1e9])})
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 2.5)
    total = {"lengths": rows.sum(axis=0)}
    assert agent.apply(agent.init(), total)["lengths"].sum() == pytest.approx(3)


def test_made_up_records_come_from_the_other_agent() -> None:
    agent = of_threats()
    found = agent.simulated(500, seed=3)
    assert found["norm"].shape == (500,)
    assert (found["norm"] > 0).any()


def test_at_home_the_other_agent_is_as_it_is_at_home() -> None:
    today = date(2026, 11, 23)
    other = FederatedLearning(target="health").at_home(today)._target.agent
    assert other == ClientHealth(records=1000.0).at_home(today)
