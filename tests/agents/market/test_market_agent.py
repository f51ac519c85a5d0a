import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl import check_agent
from mesh_fl.agents._ordinal import gradient_rows
from mesh_fl.agents.market.agent import Figure, MarketIntelligence
from mesh_fl.agents.market.agreements import months_of
from mesh_fl.agents.market.rows import sentiment_rows
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.layout import unpack
from mesh_fl.registry import build, config_of

HOURS = Figure(name="resolution_hours", title="resolution time", low=0, high=100, better="lower")
SMALL = tuple(one.model_copy(update={"bins": 10}) for one in (*MarketIntelligence().figures, HOURS))
EVERYTHING = MarketIntelligence(
    figures=SMALL,
    learns=("figures", "sentiment", "topics"),
    segments=("law", "health"),
    periods=("2026-01-01", "2026-04-01"),
)
TEXTS = (
    ("The technician was friendly and fixed it at once", "positive"),
    ("Your price is far too high and support is slow", "negative"),
    ("Please set up a mailbox for Ann", "neutral"),
    ("", "positive"),
)


def records(count: int = 40) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    texts, signs = zip(*(TEXTS[n % 4] for n in range(count)), strict=True)
    segments = [("law", "Health", "", "farm")[n % 4] for n in range(count)]
    return {
        "text": np.array(texts, dtype=object),
        "sentiment": np.array(signs),
        "at": np.where(random.random(count) < 0.5, 1.77e9, 1.776e9),
        "industry_segment": np.array(segments, dtype=object),
        "currency": np.array(["", "usd"] * (count // 2), dtype=object),
        "rate_per_seat": random.lognormal(4.5, 0.4, count),
        "resolution_hours": random.exponential(10, count),
    }


@pytest.mark.parametrize(
    "agent",
    [
        replace(EVERYTHING, records=400.0),
        MarketIntelligence(records=400.0, learns=("figures",)),
    ],
)
def test_it_keeps_the_contract(agent: MarketIntelligence) -> None:
    report = check_agent(agent, agent.simulated(400, 0), table=records())
    assert report.passed, str(report)
    assert not [one.check for one in report.findings if one.outcome == "not checked"]


def test_configuration_comes_back() -> None:
    assert build("market", json.loads(config_of(EVERYTHING))) == EVERYTHING


@pytest.mark.parametrize(
    "wrong",
    [
        {"figures": ()},
        {"figures": (HOURS, HOURS)},
        {"figures": (HOURS.model_copy(update={"name": "text"}),)},
        {"segments": ("law", "LAW")},
        {"segments": tuple(map(str, range(1000)))},
        {"learns": ()},
        {"learns": ("prices",)},
        {"learns": ("figures", "figures")},
        {"periods": ("2026-04-01", "2026-01-01")},
        {"periods": ("soon", "later")},
        {"periods": ("2026-01-01",), "learns": ("topics",)},
        {"currency": " "},
        {"encoder": "gpt"},
        {"records": 0.0},
        {"gradient_clip": float("inf")},
        {"momentum": 1.0},
        {"own_precision": 0.0},
    ],
)
def test_a_configuration_that_cannot_train_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=f"market, {next(iter(wrong))}: expected"):
        MarketIntelligence(**wrong)


@pytest.mark.parametrize("clip", [0.5, 1.0, 3.0])
def test_no_row_is_longer_than_the_clip(clip: float) -> None:
    agent = replace(EVERYTHING, clip=clip)
    rows = agent.contribute(agent.init(), agent.simulated(400, 2))
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths.max() <= clip * (1 + 1e-12)
    assert lengths.min() >= clip * np.sqrt(2 / 3) * (1 - 1e-12)


def test_all_records_count_alike_within_a_part() -> None:
    agent = EVERYTHING
    data = dict(agent.simulated(50, 3))
    everything = agent.contribute(agent.init(), data)
    bare = agent.contribute(
        agent.init(), {**data, "level": np.full(50, np.nan), "trend": np.full(50, -1)}
    )
    figures = unpack(agent.layout(agent.init()), everything.sum(axis=0))["figures"]
    alone = unpack(agent.layout(agent.init()), bare.sum(axis=0))["figures"]
    np.testing.assert_array_equal(figures, alone)


def test_exact_sums_give_the_true_histogram_after_any_rounds() -> None:
    agent = replace(EVERYTHING, clip=2.0)
    data, state = agent.simulated(300, 4), EVERYTHING.init()
    for _ in range(3):
        total = agent.contribute(state, data).sum(axis=0)
        state = agent.apply(state, unpack(agent.layout(state), total))
        assert agent.evaluate(state, data)["total_variation"] == pytest.approx(0, abs=1e-9)
    counts = [one.counts.sum() for one in agent.distributions(state)]
    assert counts == pytest.approx([300, 300])
    assert state["topics"].sum() == pytest.approx(300)


def test_what_is_not_learned_is_not_sent() -> None:
    agent = MarketIntelligence(learns=("figures",))
    assert list(agent.layout(agent.init())) == ["figures"]
    assert "topics" not in agent.init()
    sentiment = MarketIntelligence(learns=("sentiment",))
    assert list(sentiment.layout(sentiment.init())) == ["sentiment"]
    assert list(sentiment.measure_layout()) == ["signs"]


def test_agreements_give_rates() -> None:
    table = {
        "amount": np.array([12000.0, 1000.0, 1000.0, 1000.0, 1000.0, np.nan]),
        "period": np.array(["Year", "month", "fortnight", "month", "", "month"], dtype=object),
        "seats": np.array([10.0, 10.0, 10.0, 0.0, 10.0, 10.0]),
    }
    values = MarketIntelligence().prepare(table)["values"][:, 0]
    assert values[:2].tolist() == [100.0, 100.0]
    assert np.isnan(values[2:]).all()


def test_prices_in_another_currency_are_left_out_and_other_figures_kept() -> None:
    table = records(4) | {"currency": np.array(["EUR", "usd", "", "EUR"], dtype=object)}
    places = EVERYTHING.prepare(table)["places"]
    assert (places[:, 0] >= 0).tolist() == [False, True, True, False]
    assert (places[:, 1] >= 0).all()


@pytest.mark.parametrize(
    ("period", "months"),
    [
        ("per month", 1), ("Monthly", 1), ("a month", 1), ("/month", 1), ("p.m.", 1),
        ("each quarter", 3), ("per annum", 12), ("p.a.", 12), ("12 months", 12), ("1 year", 12),
        ("half year", 6),
        ("2 years", None), ("per", None), ("", None), ("a", None), ("24 months", None),
    ],
)  # fmt: skip
def test_periods_are_understood_as_people_write_them(period: str, months: int | None) -> None:
    assert months_of(period) == pytest.approx(math.nan if months is None else months, nan_ok=True)


@pytest.mark.parametrize(
    ("learns", "told"),
    [
        (("figures",), ["total_variation"]),
        (("topics",), ["total_variation"]),
        (("sentiment",), ["accuracy", "macro_f1"]),
        (("figures", "sentiment", "topics"), ["total_variation", "accuracy", "macro_f1"]),
    ],
)
def test_only_what_is_learned_is_told_of(learns, told: list[str]) -> None:
    agent = replace(EVERYTHING, learns=learns)
    data, state = agent.simulated(100, 1), agent.init()
    assert list(agent.evaluate(state, data)) == told
    total = unpack(agent.measure_layout(), agent.measure(state, data).sum(axis=0))
    assert list(agent.score(total)) == told


def test_a_row_is_the_same_to_the_bit_whatever_rows_are_beside_it() -> None:
    table = records(24) | {
        "text": np.array([f"{TEXTS[n % 4][0]} {n}" for n in range(24)], dtype=object)
    }
    state = EVERYTHING.init()
    together = EVERYTHING.prepare(table)
    rows = EVERYTHING.contribute(state, together)
    for row in range(24):
        alone = EVERYTHING.prepare({name: column[row : row + 1] for name, column in table.items()})
        assert all((alone[name][0] == together[name][row]).all() for name in ("z", "trend"))
        assert EVERYTHING.contribute(state, alone).tobytes() == rows[row].tobytes()


@given(st.integers(1, 200), st.integers(0, 1000))
def test_gradients_are_those_of_the_model_row_by_row(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    model, z = random.normal(size=18), random.normal(size=(count, 16))
    level = random.choice([0.0, 1.0, 2.0, np.nan], count)
    rows = sentiment_rows(model, z, level, 1e9)
    np.testing.assert_allclose(rows * 1e9, gradient_rows(model, z, level), atol=1e-12)
    place = int(random.integers(count))
    one = slice(place, place + 1)
    assert sentiment_rows(model, z[one], level[one], 1e9).tobytes() == rows[place].tobytes()


def test_segments_part_the_cells() -> None:
    places = EVERYTHING.prepare(records(4))["places"][:, 0]
    assert (places // 10).tolist() == [0, 1, 2, 2]


def test_unlabelled_texts_wait_for_topics() -> None:
    table = {"text": np.array(["The server was down again", "hello"], dtype=object)}
    assert not MarketIntelligence().prepare(table)["z"].any()
    data = EVERYTHING.prepare(table | {"at": np.array([1.77e9, 1.0])})
    assert data["z"].any()
    assert data["trend"][1] == -1
    assert np.isnan(data["level"]).all()


def test_an_unknown_sentiment_is_refused() -> None:
    table = {"text": np.array(["a"], dtype=object), "sentiment": np.array(["good"])}
    with pytest.raises(DataError, match="sentiment: expected negative, neutral, positive"):
        MarketIntelligence().prepare(table)


def test_unprepared_data_is_refused() -> None:
    agent = MarketIntelligence()
    with pytest.raises(AgentError, match="none of values"):
        agent.contribute(agent.init(), {"text": np.array(["a"])})


def test_adapting_keeps_what_one_has() -> None:
    agent = MarketIntelligence()
    data = agent.simulated(101, 5)
    state = agent.adapt(agent.init(), data)
    median, count = state["own_medians"][0]
    assert state["own_segment_medians"][0, 0].tolist() == [median, count]
    assert (median, count) == (np.median(data["values"]), 101)
    assert agent.evaluate(state, data)["total_variation"] == pytest.approx(0, abs=1e-9)
    trained = agent.adapt({**agent.init(), "round": np.array(1.0)}, data)
    assert agent.evaluate(trained, data)["total_variation"] > 0.3  # the network's, not one's own


def test_a_measure_of_the_right_distribution_is_even() -> None:
    agent = MarketIntelligence(learns=("figures",))
    data = agent.simulated(2000, 6)

    def measured(state) -> float:
        total = agent.measure(state, data).sum(axis=0)
        return agent.score(unpack(agent.measure_layout(), total))["total_variation"]

    assert measured(agent.init()) > 0.2
    assert measured(agent.adapt(agent.init(), data)) == pytest.approx(0, abs=1e-9)
    assert np.isnan(agent.score({"eighths": np.zeros((1, 8))})["total_variation"])


def test_made_up_records_are_the_seeds_own() -> None:
    first, again, other = (EVERYTHING.simulated(200, seed) for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["values"] != other["values"]).any()
