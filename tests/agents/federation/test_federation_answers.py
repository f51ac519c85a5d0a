import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.desk import Desk
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.training_facts import TrainingFacts

FORECAST = {
    "metric": "auc",
    "higher_is_better": True,
    "public": 0.5,
    "alone": 0.8,
    "federated": 0.84,
    "adapted": 0.85,
    "verdict": "gain",
    "enough_members": None,
}
HEALTH = TrainingFacts(
    agent="health",
    training="0123456789abcdef",
    round=16,
    rounds=16,
    members=100,
    epsilon_plan=0.05,
    epsilon_spent=0.05,
    epsilon_left=0.08,
    delta=1e-5,
    version="01234567-17",
    scores=((9, "auc", 0.71), (17, "auc", 0.83), (17, "brier", 0.14)),
    own_before={"auc": 0.5},
    own_after={"auc": 0.86},
    finished=True,
    forecast=FORECAST,
)
MARKET = dataclasses.replace(
    HEALTH,
    agent="market",
    round=3,
    finished=False,
    scores=(),
    own_before={},
    own_after={},
    forecast={},
    version="89abcdef-3",
)


def ask(*facts, agent="", state=None, federation=None):
    federation = federation or FederatedLearning(target="threat")
    desk = dataclasses.replace(federation._desk(tuple), trainings=lambda: facts)
    question = {"agent": np.array([agent], dtype=object)}
    return desk.answer(state or federation.init(), question)[0]


def test_a_training_is_told_with_what_it_cost_and_brought() -> None:
    answer = ask(MARKET, HEALTH)
    assert (answer.agent, answer.round, answer.participants) == ("health", 16, 100)
    assert (answer.epsilon_spent, answer.delta) == (0.05, 1e-5)
    assert answer.measures_before == {"auc": 0.71}
    assert answer.measures_after == {"auc": 0.83, "brier": 0.14}
    assert answer.model_version == "01234567-17"
    last = answer.trainings[-1]
    assert (last.own_before, last.own_after) == ({"auc": 0.5}, {"auc": 0.86})
    assert last.expected is not None
    assert "auc 0.850, against 0.800" in last.expected
    assert last.unavailable == {}


def test_the_agent_asked_about_is_found_in_any_case() -> None:
    answer = ask(MARKET, HEALTH, agent=" Market ")
    assert (answer.agent, len(answer.trainings)) == ("market", 1)
    reasons = answer.trainings[0].unavailable
    assert set(reasons) == {
        "measures_before", "measures_after", "own_before", "own_after", "expected",
    }  # fmt: skip
    assert answer.unavailable["measures_after"] == reasons["measures_after"]


def test_one_measure_is_an_end_and_no_beginning() -> None:
    once = dataclasses.replace(HEALTH, scores=((17, "auc", 0.83),))
    answer = ask(once)
    assert (answer.measures_before, answer.measures_after) == ({}, {"auc": 0.83})
    assert "less than twice" in answer.unavailable["measures_before"]


def test_what_to_do_next_follows_from_the_facts() -> None:
    def of(**changed):
        (found,) = ask(dataclasses.replace(HEALTH, **changed)).next_recommended
        return found

    again = of()
    assert (again.action, again.rounds) == ("train", 16)
    assert again.survivors is not None
    assert again.survivors > 80
    assert of(epsilon_left=0.01).action == "do not train"
    assert "0.01 is left" in of(epsilon_left=0.01).reason
    idle = {**FORECAST, "verdict": "no gain at this crowd", "enough_members": 300}
    assert "about 300 would gain" in of(forecast=idle).reason
    assert "round 3 of 16" in of(finished=False, round=3).reason
    assert of(members=1).action == "do not train"
    strict = of(survivors=95)
    assert strict.action == "do not train"
    assert "takes 95 at least" in strict.reason
    assert of(members=9, colluders=9).action == "do not train"


def test_what_one_training_insists_on_does_not_bind_another() -> None:
    small = dataclasses.replace(HEALTH, agent="market", members=12)
    found = ask(dataclasses.replace(HEALTH, survivors=60), small).next_recommended
    assert [one.action for one in found] == ["train", "train"]


def test_where_nothing_is_known_it_is_said() -> None:
    answer = ask()
    assert answer.agent is None
    assert answer.trainings == ()
    named = {name for name, value in answer if value in (None, {}, ())} - {"unavailable"}
    assert named == set(answer.unavailable)
    untrained = ask(HEALTH, agent="market")
    assert "no training of market" in untrained.unavailable["round"]


@pytest.mark.parametrize("agent", ["nope", "health, market", "../x", "\u017f"])
def test_an_agent_that_nobody_knows_is_refused_with_those_that_are_known(agent) -> None:
    own = dataclasses.replace(HEALTH, agent="acme.own:Agent")
    with pytest.raises(DataError, match=r"expected one of acme\.own:Agent, .*threat.*; found"):
        ask(own, agent=agent)
    assert ask(own, agent="ACME.own:agent").agent == "acme.own:Agent"


def test_a_training_without_a_forecast_is_planned_as_long_again() -> None:
    (found,) = ask(dataclasses.replace(HEALTH, rounds=5, round=5, forecast={})).next_recommended
    assert found.rounds == 5


def test_every_missing_field_has_its_reason_and_no_other() -> None:
    for answer in (ask(HEALTH), ask(MARKET), ask(HEALTH, agent="market")):
        missing = {name for name, value in answer if value in (None, {}, ())} - {"unavailable"}
        assert missing == set(answer.unavailable)


def test_the_clip_is_told_once_lengths_were_counted() -> None:
    federation = FederatedLearning(target="threat", target_config={"clip": 8.0})
    assert "no training has counted" in ask(federation=federation).unavailable["clip"]
    state = federation.adapt(federation.init(), FederatedLearning.example())
    clip = ask(federation=federation, state=state).clip
    assert clip is not None
    assert (clip.action, clip.configured) == ("lower", 8.0)
    assert ask(federation=federation, state=state, agent="health").clip is None
    hidden = {**federation.init(), "round": np.array(1.0)}
    told = ask(federation=federation, state=hidden).clip
    assert told is not None
    assert (told.action, told.clip) == ("not enough data", None)


def test_an_agent_that_cannot_be_built_is_told(monkeypatch) -> None:
    desk = Desk(trainings=tuple, target="health", configured=None, lengths=None)
    (answer,) = desk.answer({"round": np.array(0.0)}, {"agent": np.array([""], dtype=object)})
    assert "target_config" in answer.unavailable["clip"]


@settings(max_examples=25)
@given(st.text(max_size=200))
def test_whatever_is_asked_is_answered_or_refused(agent) -> None:
    try:
        json.dumps(ask(HEALTH, agent=agent).model_dump(mode="json"))
    except DataError as error:
        json.dumps(str(error))


def test_a_megabyte_is_not_told_again() -> None:
    with pytest.raises(DataError) as found:
        ask(HEALTH, agent="x" * 1_000_000)
    assert len(str(found.value)) < 1000


def test_reference_files_are_refused(tmp_path) -> None:
    from mesh_fl.site import Site

    with pytest.raises(ConfigError, match="no reference files"):
        FederatedLearning(target="threat").answering(Site(files={"x": tmp_path}))
