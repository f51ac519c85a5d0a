import dataclasses
import json
import math
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sklearn.metrics import roc_auc_score

from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.layout import size
from mesh_fl.registry import build, config_of
from mesh_fl.schema import table_of

NAME = "mesh_fl.agents.health:ClientHealth"
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "health.md"
FEATURES = (
    Feature(
        name="term",
        kind="category",
        levels=("monthly", "yearly", "longer"),
        action="Offer a longer term.",
    ),
    Feature(name="tenure", kind="number", low=0, high=72, scale="log"),
    Feature(
        name="satisfaction",
        kind="number",
        low=1,
        high=5,
        optional=True,
        description="the satisfaction score",
    ),
    Feature(name="paperless", kind="flag"),
)
AGENT = ClientHealth(features=FEATURES, records=400)
TRUTH = np.array([-2.0, -1.5, -1.0, 0.3, -0.5])

records = st.fixed_dictionaries(
    {
        "term": st.sampled_from(FEATURES[0].levels),
        "tenure": st.floats(0, 72),
        "satisfaction": st.floats(1, 5) | st.just(math.nan),
        "paperless": st.sampled_from([0.0, 1.0]),
        "churned": st.sampled_from([0.0, 1.0]),
    }
)


def crowd(n=400, seed=0):
    rng = np.random.default_rng(seed)
    table = {
        "term": rng.choice(FEATURES[0].levels, n),
        "tenure": rng.uniform(0, 72, n),
        "satisfaction": np.where(rng.random(n) < 0.1, np.nan, rng.uniform(1, 5, n)),
        "paperless": rng.integers(0, 2, n).astype(float),
    }
    margin = AGENT.prepare(table)["x"] @ TRUTH
    return table | {"churned": (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)}


def clipped_total(agent, state, data):
    rows = agent.contribute(state, data)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows * np.minimum(1, agent.clip / np.maximum(norms, 1e-12))).sum(axis=0)


def trained(agent, data, rounds=16):
    state = agent.init()
    for _ in range(rounds):
        state = agent.apply(state, {"gradient": clipped_total(agent, state, data)})
    return state


def frozen(arrays):
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


# Configuration


def test_configuration_survives_json():
    config = json.loads(config_of(AGENT))
    assert build(NAME, config) == AGENT
    assert TypeAdapter(ClientHealth).validate_json(json.dumps(config)) == AGENT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ()}, "features: expected at least one"),
        ({"features": (FEATURES[0], FEATURES[0])}, "features: expected a different name"),
        ({"label": "term"}, "label: expected a name that no feature has, found 'term'"),
        ({"label": ""}, "label: expected"),
        ({"records": 0}, "records: expected a number above 0, found 0"),
        ({"records": math.inf}, "records: expected"),
        ({"clip": -1.0}, "clip: expected"),
        ({"learning_rate": math.nan}, "learning_rate: expected"),
        ({"momentum": 1.0}, "momentum: expected a number from 0 up to below 1, found 1.0"),
        ({"prior_precision": 0.0}, "prior_precision: expected a number, at least"),
        ({"own_precision": 0.0}, "own_precision: expected"),
        ({"measure_bins": 1}, "measure_bins: expected"),
        ({"thresholds": (0.5, 0.25, 0.75)}, "thresholds: expected three rising numbers"),
        ({"thresholds": (0.0, 0.5, 0.75)}, "thresholds: expected"),
    ],
)
def test_a_configuration_that_cannot_train_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"client health, {message}"):
        dataclasses.replace(AGENT, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rte": 1.0}, "learning_rte"),
        ({"features": [{"name": "x", "kind": "number"}]}, "features.0: .*finite low and high"),
        ({"thresholds": [0.5]}, "thresholds.1: Field required"),
    ],
)
def test_a_mistyped_configuration_names_the_field(changes, message):
    with pytest.raises(AgentError, match=message):
        build(NAME, {**json.loads(config_of(AGENT)), **changes})


def test_the_guide_declares_a_sound_agent_and_maps_its_every_column():
    declared, mapped, scored = (
        tomllib.loads(block)
        for block in re.findall(r"```toml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    )
    agent = build(NAME, declared)
    assert [field.name for field in agent.schema] == list(mapped["columns"])
    score = build(NAME, scored)
    told = {"csat": 2.0, "open_urgent_tickets": 3.0}
    (answer,) = score.answer(score.init(), table_of(score.schema[:-1], [told]))
    assert answer.model_used == "rule score"
    assert log_odds(answer.churn_risk) == pytest.approx(log_odds(0.05) + 1.5)


# Data


@given(st.lists(records, min_size=1, max_size=6), st.randoms())
def test_prepare_and_rows_are_record_by_record(rows, random):
    table = table_of(AGENT.schema, rows)
    order = random.sample(range(len(rows)), random.randint(1, len(rows)))
    state = trained(AGENT, AGENT.prepare(crowd()), rounds=1)
    whole = AGENT.prepare(table)
    part = AGENT.prepare({name: column[order] for name, column in table.items()})
    for name, array in whole.items():
        assert np.array_equal(part[name], array[order])
    for row_of in (AGENT.contribute, AGENT.measure):
        assert row_of(state, part) == pytest.approx(row_of(state, whole)[order], abs=1e-14)


@given(st.lists(records, max_size=5))
def test_encoded_features_stay_in_range_with_a_bias(rows):
    data = AGENT.prepare(table_of(AGENT.schema, rows))
    assert data["x"].shape == (len(rows), 5)
    assert (np.abs(data["x"]) <= 1).all()
    assert (data["x"][:, -1] == 1).all()


def test_without_a_label_there_is_only_x_and_no_training():
    table = crowd(3)
    del table["churned"]
    data = AGENT.prepare(table)
    assert list(data) == ["x"]
    for train in (AGENT.contribute, AGENT.measure, AGENT.adapt):
        with pytest.raises(AgentError, match="expected labelled records, found none"):
            train(AGENT.init(), data)


@pytest.mark.parametrize("label", [[0.0, 1.0, 2.0], [0.0, 1.0, math.nan], [0.0, 1.0]])
def test_a_bad_label_is_refused(label):
    with pytest.raises(DataError, match="churned: expected yes or no for each of 3 records"):
        AGENT.prepare(crowd(3) | {"churned": np.array(label)})


# Training


def test_layouts_match_rows():
    data = AGENT.prepare(crowd(7))
    state = AGENT.init()
    assert AGENT.contribute(state, data).shape == (7, size(AGENT.layout(state)))
    assert AGENT.measure(state, data).shape == (7, size(AGENT.measure_layout()))
    assert np.linalg.norm(AGENT.measure(state, data), axis=1).max() <= AGENT.measure_clip


def test_apply_by_hand():
    agent = dataclasses.replace(AGENT, records=10, learning_rate=1.0, momentum=0.5)
    state = agent.init()
    for _ in range(3):
        state = agent.apply(state, {"gradient": np.full(5, -10.0)})
    # Velocities 1, 1.5, 1.75; weights 1, 2.5, 4.25; their mean weighted by 1, 2, 3.
    assert state["velocity"] == pytest.approx(np.full(5, 1.75))
    assert state["weights"] == pytest.approx(np.full(5, 4.25))
    assert state["mean"] == pytest.approx(np.full(5, (1 + 2 * 2.5 + 3 * 4.25) / 6))
    assert state["round"] == 3


def test_nothing_is_mutated_and_apply_repeats_itself():
    table = frozen(crowd(20))
    data = frozen(dict(AGENT.prepare(table)))
    state = frozen(dict(trained(AGENT, data, rounds=2)))
    total = frozen({"gradient": clipped_total(AGENT, state, data)})
    first, again = AGENT.apply(state, total), AGENT.apply(state, total)
    assert all(np.array_equal(first[name], again[name]) for name in state)
    assert all(isinstance(block, np.ndarray) for block in first.values())
    assert {name: block.dtype for name, block in first.items()} == dict.fromkeys(state, np.float64)
    AGENT.measure(state, data)
    AGENT.adapt(state, data)
    AGENT.answer(state, table)
    assert AGENT.init() is not AGENT.init()


def test_no_records_add_nothing():
    data = AGENT.prepare(table_of(AGENT.schema, []))
    state = trained(AGENT, AGENT.prepare(crowd(50)), rounds=2)
    assert AGENT.contribute(state, data).shape == (0, 5)
    assert AGENT.measure(state, data).shape == (0, 12)
    assert AGENT.predict(state, data).shape == (0,)
    assert AGENT.answer(state, table_of(FEATURES, [])) == []
    assert AGENT.adapt(state, data)["mean"] == pytest.approx(state["mean"])


def test_before_learning_everybody_is_at_one_half():
    assert (AGENT.predict(AGENT.init(), AGENT.prepare(crowd(5))) == 0.5).all()


def test_training_without_noise_finds_the_signal():
    test = AGENT.prepare(crowd(2000, seed=1))
    best = roc_auc_score(test["y"], test["x"] @ TRUTH)
    state = trained(AGENT, AGENT.prepare(crowd()))
    found = roc_auc_score(test["y"], AGENT.predict(state, test))
    assert found > best - 0.02
    assert best > 0.8


def test_score_reads_the_measured_rows():
    data = AGENT.prepare(crowd())
    state = trained(AGENT, data)
    quality = AGENT.score({"counts": AGENT.measure(state, data).sum(axis=0).reshape(6, 2)})
    risk = AGENT.predict(state, data)
    assert quality["records"] == 400
    assert quality["auc"] == pytest.approx(roc_auc_score(data["y"], risk), abs=0.03)
    assert quality["brier"] == pytest.approx(np.mean((risk - data["y"]) ** 2), abs=0.01)


def test_score_bears_counts_below_zero():
    quality = AGENT.score({"counts": np.full((6, 2), -3.0)})
    assert quality["records"] == 0
    assert math.isnan(quality["auc"])


# Adaptation


def test_a_firmer_prior_stays_closer_to_the_global_model():
    own = AGENT.prepare(crowd(56, seed=2))
    state = trained(AGENT, AGENT.prepare(crowd()))
    distances = [
        np.linalg.norm(
            dataclasses.replace(AGENT, prior_precision=precision).adapt(state, own)["mean"]
            - state["mean"]
        )
        for precision in (1.0, 10.0, 100.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 2 * distances[2] > 0


def test_an_untrained_model_is_held_to_by_its_own_precision():
    own = AGENT.prepare(crowd(56, seed=2))
    same = dataclasses.replace(AGENT, prior_precision=99.0).adapt(AGENT.init(), own)
    other = dataclasses.replace(AGENT, own_precision=99.0).adapt(AGENT.init(), own)
    assert np.array_equal(same["mean"], AGENT.adapt(AGENT.init(), own)["mean"])
    assert np.linalg.norm(other["mean"]) < np.linalg.norm(same["mean"]) / 2


def test_adapting_to_one_class_is_fine_and_keeps_the_global_blocks():
    own = AGENT.prepare(crowd(56) | {"churned": np.zeros(56)})
    state = trained(AGENT, AGENT.prepare(crowd()))
    local = AGENT.adapt(state, own)
    assert np.isfinite(local["mean"]).all()
    assert AGENT.predict(local, own).mean() < AGENT.predict(state, own).mean()
    assert np.array_equal(local["weights"], state["weights"])
    assert local["covariance"].shape == (5, 5)


# Answers


@pytest.fixture(scope="module")
def state():
    return trained(AGENT, AGENT.prepare(crowd()))


@pytest.fixture(scope="module")
def local(state):
    return AGENT.adapt(state, AGENT.prepare(crowd(56, seed=2)))


CLIENT = {"term": "monthly", "tenure": 2.0, "satisfaction": 1.5, "paperless": 1.0}


def answer(state, **changes):
    return AGENT.answer(state, table_of(FEATURES, [CLIENT | changes]))[0]


def log_odds(risk):
    return math.log(risk / (1 - risk))


@given(records)
def test_contributions_add_up_to_the_log_odds(record):
    model = {**AGENT.init(), "round": np.array(1.0), "mean": TRUTH}
    told = AGENT.answer(model, table_of(FEATURES, [record]))[0]
    total = sum(reason.contribution for reason in told.reasons) + TRUTH[-1]
    assert log_odds(told.churn_risk) == pytest.approx(total, abs=1e-9)
    assert told.health_score == pytest.approx(100 * (1 - told.churn_risk))
    sizes = [abs(reason.contribution) for reason in told.reasons]
    assert sizes == sorted(sizes, reverse=True)
    json.loads(told.model_dump_json(), parse_constant=pytest.fail)


def nulls(block, prefix=""):
    for name, value in block.items():
        if isinstance(value, dict):
            yield from nulls(value, f"{prefix}{name}.")
        elif value is None:
            yield prefix + name


@pytest.mark.parametrize("model", ["state", "local"])
def test_every_null_is_explained_and_nothing_else(model, request):
    told = answer(request.getfixturevalue(model)).model_dump()
    unavailable = told.pop("unavailable")
    assert sorted(unavailable) == sorted(nulls(told))
    assert all(unavailable.values())


def test_a_local_model_states_its_confidence(local):
    told = answer(local, term="yearly", satisfaction=3.0)
    bounds = told.predictions
    assert 0 < told.confidence < 1
    assert bounds.lower_bound < told.churn_risk < bounds.upper_bound
    middle = (log_odds(bounds.lower_bound) + log_odds(bounds.upper_bound)) / 2
    assert middle == pytest.approx(log_odds(told.churn_risk))


def test_confidence_is_the_posterior_probability_of_the_level(local):
    told = answer(local, term="yearly", satisfaction=3.0)
    encoded = AGENT.prepare(table_of(FEATURES, [CLIENT | {"term": "yearly", "satisfaction": 3.0}]))[
        "x"
    ][0]
    draws = np.random.default_rng(0).multivariate_normal(local["mean"], local["covariance"], 20_000)
    levels = np.searchsorted(AGENT.thresholds, 1 / (1 + np.exp(-draws @ encoded)), side="right")
    assert told.confidence == pytest.approx(np.mean(levels == 4 - told.priority), abs=0.015)


def test_more_own_records_make_it_surer(state):
    few, many = (AGENT.adapt(state, AGENT.prepare(crowd(n, seed=3))) for n in (10, 2000))

    def width(model):
        bounds = answer(model, term="yearly", satisfaction=3.0).predictions
        return log_odds(bounds.upper_bound) - log_odds(bounds.lower_bound)

    assert width(many) < width(few) / 2


@pytest.mark.parametrize(
    ("risk", "level", "priority"),
    [
        (0.1, "low", 4),
        (0.2499, "low", 4),
        (0.2501, "medium", 3),
        (0.6, "high", 2),
        (0.7501, "critical", 1),
    ],
)
def test_levels_follow_the_thresholds(risk, level, priority):
    model = {**AGENT.init(), "round": np.array(1.0)}
    model["mean"] = np.array([0, 0, 0, 0, log_odds(risk)])
    told = answer(model)
    assert (told.risk_level, told.priority) == (level, priority)


def test_recommendations_cite_contributions_and_change_with_them(state):
    told = answer(state)
    contributions = {reason.feature: reason.contribution for reason in told.reasons}
    advice = {item.feature: item for item in told.recommendations}
    assert set(advice) == {name for name, value in contributions.items() if value > 0}
    assert advice["term"].action == "Offer a longer term."
    assert advice["satisfaction"].action == "Look into the satisfaction score."
    assert advice["tenure"].action == "Look into tenure."
    for name, item in advice.items():
        assert item.contribution == contributions[name]
    neutral = answer(state, term="yearly")
    assert advice["term"].risk_if_neutral == pytest.approx(neutral.churn_risk)
    assert "term" not in {item.feature for item in neutral.recommendations}


def test_a_missing_value_is_told_as_null_and_contributes_nothing(state):
    reasons = {reason.feature: reason for reason in answer(state, satisfaction=math.nan).reasons}
    assert reasons["satisfaction"].value is None
    assert reasons["satisfaction"].contribution == 0
    assert reasons["term"].value == "monthly"


def test_an_untrained_model_does_not_answer_but_one_fitted_alone_does():
    with pytest.raises(AgentError, match="expected a trained model, found none"):
        answer(AGENT.init())
    alone = AGENT.adapt(AGENT.init(), AGENT.prepare(crowd(56)))
    assert answer(alone).confidence is not None
