import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents.market.agent import Figure, MarketIntelligence
from mesh_fl.agents.market.distribution import records_needed
from mesh_fl.agents.market.network import rounded
from mesh_fl.agents.market.request import MOST_TEXTS
from mesh_fl.agents.market.texts import longest
from mesh_fl.agents.market.topics import topics
from mesh_fl.errors import DataError
from mesh_fl.text.encoder import LONGEST_TEXT

CSAT = Figure(name="csat", title="client rating", low=0, high=5, better="higher")
AGENT = MarketIntelligence(figures=(*MarketIntelligence().figures, CSAT), segments=("law",))
COMPLAINT = "Your price is far too high and we are disappointed"


def network(rates, agent: MarketIntelligence = AGENT, noise_sd: float = 20.0, **columns):
    """A trained state: the records of a network, and noise."""
    data = agent.prepare({"rate_per_seat": np.asarray(rates, dtype=float), **columns})
    counts = agent.adapt(agent.init(), data)["own_figures"]
    noise = np.random.default_rng(9).normal(0, noise_sd, counts.shape)
    return {**agent.init(), "figures": counts + noise, "round": np.array(1.0)}


@pytest.fixture(scope="module")
def trained():
    random = np.random.default_rng(8)
    rates = random.lognormal(np.log(100), 0.4, 27_000)
    return network(rates, csat=random.uniform(1, 5, 27_000))


def asked(state, agent: MarketIntelligence = AGENT, **columns):
    table = {
        name: np.array([value], dtype=object if isinstance(value, str) else float)
        for name, value in ({"text": ""} | columns).items()
    }
    (answer,) = agent.answer(state, table)
    return answer


def documents(*told: tuple[str, str]) -> str:
    return json.dumps([{"text": text, "at": at} for text, at in told])


def many(text: str, count: int = 6) -> str:
    return json.dumps([text] * count)


def price(answer):
    return next(one for one in answer.positions if one.figure == "rate_per_seat")


def test_a_cheap_rate_should_rise_and_the_reasons_are_its_numbers(trained) -> None:
    answer = asked(trained, rate_per_seat=55.0)
    place, (advice,) = price(answer), answer.pricing_recommendations
    assert place.percentile_low <= 100 * 0.0676 <= place.percentile_high  # of the log-normal
    assert place.median_low <= 100 <= place.median_high
    assert place.standing == "below the median"
    assert advice.action == "raise"
    assert advice.suggested_high == place.median
    assert advice.difference_low == pytest.approx(advice.suggested_low - 55)
    assert advice.reasons[0].value == place.percentile
    assert "percentile 7" in answer.competitive_position[0]


def test_the_recommendation_follows_value_and_mood(trained) -> None:
    def action(**columns) -> str:
        return asked(trained, **columns).pricing_recommendations[0].action

    assert action(rate_per_seat=100.0) == "no change"
    assert action(rate_per_seat=55.0, documents=many(COMPLAINT)) == "no change"
    assert action(rate_per_seat=250.0) == "no change"
    assert action(rate_per_seat=250.0, documents=many(COMPLAINT)) == "lower"
    assert action(rate_per_seat=250.0, documents=many("The server was down again, terrible")) == (
        "no change"
    )
    assert action() == "not enough data"


@pytest.mark.parametrize(
    "texts",
    [
        [COMPLAINT] * 4,
        ["Invoice received"] * 40,
        ["The new price is lower than before, which we like"] * 10,
        [COMPLAINT] * 5 + ["Good price, we are happy"] * 5,
        ["The price list for May is attached"] * 20,
    ],
)
def test_few_neutral_or_happy_texts_change_no_advice(trained, texts: list[str]) -> None:
    low = asked(trained, rate_per_seat=55.0, documents=json.dumps(texts))
    high = asked(trained, rate_per_seat=250.0, documents=json.dumps(texts))
    found = [one.pricing_recommendations[0].action for one in (low, high)]
    assert found == ["raise", "no change"]


def test_a_mood_tells_its_texts_complaints_and_error(trained) -> None:
    def told(count: int):
        answer = asked(trained, rate_per_seat=250.0, documents=many(COMPLAINT, count))
        return answer.pricing_recommendations[0].reasons[1]

    assert "(6, 6 of them complaints) sound unhappy" in told(6).because
    assert "too few" in told(3).because
    assert told(6).low < told(6).value < told(6).high


def test_better_is_what_was_declared(trained) -> None:
    high, low = (asked(trained, csat=value, query="csat?").positions[0] for value in (4.8, 1.2))
    assert (high.is_better, low.is_better) == (True, False)
    assert price(asked(trained, rate_per_seat=50.0)).is_better is None


def test_noise_that_hides_everything_is_said() -> None:
    state = network(np.full(50, 100.0), noise_sd=60.0)
    answer = asked(state, rate_per_seat=100.0)
    place = price(answer)
    assert place.percentile is place.median is None
    assert "not enough data" in place.unavailable["percentile"]
    assert answer.pricing_recommendations[0].action == "not enough data"
    assert answer.competitive_position == ()


def test_before_training_it_says_so() -> None:
    answer = asked(AGENT.init(), rate_per_seat=100.0)
    assert "no training" in price(answer).unavailable["median"]
    assert answer.model_used.startswith("none")


def test_without_a_value_ones_own_median_is_placed(trained) -> None:
    own = AGENT.adapt(trained, AGENT.prepare({"rate_per_seat": np.array([70.0, 80.0, 900.0])}))
    answer = asked(own, query="How do our rates compare?")
    assert (price(answer).value, price(answer).value_from) == (80.0, "median of your own records")
    assert [one.figure for one in answer.positions] == ["rate_per_seat"]
    assert answer.sentiment_of is None


def test_a_price_in_another_currency_is_not_placed(trained) -> None:
    answer = asked(trained, rate_per_seat=100.0, currency="EUR")
    assert price(answer).value is None
    assert "expected a price in USD, found 'EUR'" in price(answer).unavailable["value"]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"amount": 1200.0, "period": "2 years", "seats": 10.0}, "period '2 years' is none of"),
        ({"amount": 1200.0, "period": "month", "seats": 0.0}, "seats: expected a number above 0"),
        ({"amount": -5.0, "period": "month", "seats": 9.0}, "amount: expected a number above 0"),
        ({"amount": 1200.0, "seats": 10.0}, "without its period"),
        ({"seats": 10.0}, "without its amount and period"),
        ({"rate_per_seat": -5.0}, "rate_per_seat: expected a number above 0, found -5"),
        ({"rate_per_seat": float("inf")}, "found inf"),
        ({"currency": "EUR"}, "expected a price in USD, found 'EUR'"),
        ({"currency": "EUR", "amount": 1200.0}, "expected a price in USD, found 'EUR'"),
    ],
)
def test_what_was_told_and_is_unusable_is_not_replaced(trained, columns, reason: str) -> None:
    own = AGENT.adapt(trained, AGENT.prepare({"rate_per_seat": np.array([70.0, 80.0, 900.0])}))
    answer = asked(own, **columns)
    place, (advice,) = price(answer), answer.pricing_recommendations
    assert (place.value, place.percentile) == (None, None)
    assert reason in place.unavailable["value"]
    assert reason in place.unavailable["percentile"]
    assert reason in advice.caution


def test_an_agreement_gives_the_value(trained) -> None:
    found = asked(trained, amount=1200.0, period="per month", seats=10.0)
    assert price(found).value == 120.0


def test_ones_own_median_is_that_of_the_segment_it_is_compared_with() -> None:
    random = np.random.default_rng(4)
    agent = MarketIntelligence(segments=("law", "health"))
    rates = np.concatenate([random.lognormal(4 + n, 0.2, 9000) for n in range(3)])
    segment = np.repeat(np.array(["law", "health", ""], dtype=object), 9000)
    state = network(rates, agent, industry_segment=segment)
    mine = {
        "rate_per_seat": np.array([50.0, 60.0, 70.0, 400.0, 400.0, 400.0, 400.0]),
        "industry_segment": np.array(["Law"] * 3 + ["farm"] * 4, dtype=object),
    }
    own = agent.adapt(state, agent.prepare(mine))
    law, health, overall, farm = (
        price(asked(own, agent, industry_segment=one)) for one in ("law", "health", "", "farm")
    )
    assert (law.value, law.segment) == (60.0, "law")
    assert (health.value, health.segment) == (None, "health")
    assert "none of your own records falls into health" in health.unavailable["percentile"]
    assert (overall.value, farm.value) == (400.0, 400.0)
    older = {name: block for name, block in own.items() if name != "own_segment_medians"}
    assert price(asked(older, agent, industry_segment="law")).value is None


def test_it_says_how_many_records_it_takes() -> None:
    state = network(np.full(50, 100.0), noise_sd=60.0)
    place = price(asked(state, rate_per_seat=100.0, industry_segment="law"))
    needed = records_needed(AGENT.distributions(state)[0].noise_sd, 100)
    assert f"it takes about {rounded(needed):,} records in all" in place.unavailable["median"]
    assert "it takes about" in place.unavailable["segment"]


def test_a_segment_is_told_where_it_can_be_seen() -> None:
    random = np.random.default_rng(4)
    rates = np.concatenate([random.lognormal(4, 0.2, 9000), random.lognormal(5.5, 0.2, 9000)])
    segment = np.array(["law"] * 9000 + [""] * 9000, dtype=object)
    state = network(rates, industry_segment=segment)
    law = price(asked(state, industry_segment="LAW", rate_per_seat=60.0))
    overall = price(asked(state, industry_segment="farm", rate_per_seat=60.0))
    assert law.segment == "law"
    assert overall.segment is None
    assert "law" in overall.unavailable["segment"]
    assert law.median < 65 < overall.median


@pytest.mark.parametrize("value", [1e-300, 1e300, 10.0, 1000.0, 5e-324])
def test_values_at_and_beyond_the_ends_are_placed(trained, value: float) -> None:
    place = price(asked(trained, rate_per_seat=value))
    assert 0 <= place.percentile_low <= place.percentile <= place.percentile_high <= 100


def test_a_feedback_is_judged_and_a_question_is_not() -> None:
    answer = asked(AGENT.init(), query=COMPLAINT)
    assert answer.sentiment_of == "query"
    assert answer.sentiment_score < -0.2
    assert answer.topics[0].topic == "price"
    assert sum(answer.sentiment.values()) == pytest.approx(1)
    assert asked(AGENT.init(), query="Where are we on price?").sentiment is None
    assert asked(AGENT.init(), query="rate per seat").sentiment is None
    assert asked(AGENT.init(), query="terrible market").sentiment is None


@pytest.mark.parametrize("query", ["how do our rates compare?", "our price per seat", "prices"])
def test_any_price_is_found_by_the_words_for_prices(query: str) -> None:
    plain = Figure(
        name="seat", title="monthly seat", low=1, high=9, is_price=True, from_agreement=True
    )
    agent = MarketIntelligence(figures=(CSAT, plain))
    answer = asked(agent.init(), agent, query=query)
    assert [one.figure for one in answer.positions] == ["seat"]
    assert answer.sentiment_of is None


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Thank you, the technician was friendly and solved it at once", 1),
        ("Nobody called back and the server is down again", -1),
        ("Please create an account for our new colleague", 0),
        ("Operating profit rose to 13.1 million from 8.7 million", 1),
        ("Operating profit fell to 8.7 million from 13.1 million", -1),
        ("The board will meet in March", 0),
        ("Invoice received", 0),
        ("Meeting moved to Monday", 0),
        ("Our bill keeps going up", -1),
        ("Prices went up again", -1),
        ("Your hourly rates rose this January", -1),
        ("The monthly fee went down by ten percent", 1),
        ("Complaints fell from 40 to 12", 1),
        ("The response time dropped from 4 hours to 1 hour", 1),
        ("Response times have increased a lot", -1),
        ("Fewer complaints from our staff since the change", 1),
        ("The technician resolved it the same day", 1),
        ("You fixed the outage within ten minutes", 1),
        ("I have never been so disappointed", -1),
        ("Service has never been better", 1),
        ("The share price rose after good results", 1),
    ],
)
def test_sentiment_by_public_knowledge(text: str, sign: int) -> None:
    chances = asked(AGENT.init(), text=text).sentiment
    assert max(chances, key=chances.get) == ("negative", "neutral", "positive")[sign + 1]


def test_a_change_from_month_to_month_is_a_trend() -> None:
    good = [("Great support, everything solved at once", "2026-03-05")] * 12
    bad = [("The server was down again, we are disappointed", "2026-04-05")] * 12
    answer = asked(AGENT.init(), documents=documents(*good, *bad))
    trends = {(one.topic, one.measure): one for one in answer.trends}
    assert trends["all", "sentiment"].direction == "down"
    assert trends["outage", "share"].direction == "up"
    assert all(one.low * one.high > 0 for one in answer.trends)
    steady = asked(AGENT.init(), documents=documents(*good, *[(t, "2026-04-05") for t, _ in good]))
    assert steady.trends == ()
    assert "no change stands out" in steady.unavailable["trends"]


def test_a_lone_document_in_a_new_month_removes_no_trend() -> None:
    good = [("Great support, everything solved at once", "2026-03-05")] * 12
    bad = [("The server was down again, we are disappointed", "2026-04-05")] * 12
    known = asked(AGENT.init(), documents=documents(*good, *bad)).trends
    lone = ("Great support", "2026-05-01")
    assert known
    assert asked(AGENT.init(), documents=documents(*good, *bad, lone)).trends == known


def test_a_text_and_documents_are_both_read() -> None:
    good = [("Great support, everything solved at once", "2026-03-05")] * 6
    bad = [("The server was down again, we are disappointed", "2026-04-05")] * 6
    dated = documents(*good, *bad)
    both = asked(AGENT.init(), text="Thank you, excellent work", documents=dated)
    assert both.sentiment_of == "text"
    assert both.sentiment_score > 0.2
    assert both.trends == asked(AGENT.init(), documents=dated).trends != ()
    assert both.texts_read == "13 of 13 texts were judged"


def test_an_object_without_text_is_refused_with_its_keys() -> None:
    with pytest.raises(DataError, match="an object without text, which has 'body', 'date'"):
        asked(AGENT.init(), documents='[{"body": "a", "date": "2026-01-01"}]')


def test_other_languages_are_left_out_and_it_is_said() -> None:
    german = "Der Service ist eine Katastrophe und wir sind nicht zufrieden"
    one = asked(AGENT.init(), text=german)
    assert one.sentiment_score is one.sentiment_of is None
    assert "not to be English" in one.unavailable["sentiment_score"]
    assert "not to be English" in one.unavailable["topics"]
    some = asked(AGENT.init(), documents=json.dumps([german, COMPLAINT]))
    assert some.sentiment_score == asked(AGENT.init(), text=COMPLAINT).sentiment_score
    assert some.texts_read.startswith("1 of 2 texts were judged; 1 left out: the text seems not")
    with_text = asked(AGENT.init(), text=german, documents=json.dumps([COMPLAINT]))
    assert with_text.sentiment_of is None
    assert [one.topic for one in with_text.topics] == ["price"]


def test_long_documents_are_cut_and_it_is_said() -> None:
    tail = "The technician was rude"
    long = "It was fine. " * 30 + tail
    assert "of each were read" not in asked(AGENT.init(), documents=many(long, 5)).texts_read
    answer = asked(AGENT.init(), documents=many(long, MOST_TEXTS))
    assert "the first 200 characters of each were read, 20,000 in all" in answer.texts_read


@given(st.lists(st.integers(0, LONGEST_TEXT), max_size=60), st.integers(1, 5000))
def test_texts_are_cut_as_little_as_it_takes(lengths: list[int], most: int) -> None:
    cut = longest(lengths, most)
    kept = sum(min(one, cut) for one in lengths)
    assert kept <= most
    assert kept == sum(lengths) or sum(min(one, cut + 1) for one in lengths) > most


def test_network_trends_stand_out_of_the_noise() -> None:
    agent = MarketIntelligence(learns=("topics",), periods=("2026-01-01", "2026-04-01"))
    counts = np.full((2, len(topics()), 3), 300.0)
    place = [one.name for one in topics()].index("outage")
    counts[1, place] = 900.0
    noise = np.random.default_rng(1).normal(0, 30, counts.size + EMPTY)
    block = np.concatenate([counts.ravel(), np.zeros(EMPTY)]) + noise
    state = {**agent.init(), "topics": block, "round": np.array(1.0)}
    outage = next(one for one in asked(state, agent).trends if one.topic == "outage")
    assert (outage.direction, outage.source) == ("up", "network")
    assert outage.low <= 2700 / (900 * (len(topics()) + 2)) - 1 / len(topics()) <= outage.high
    faint = {**state, "topics": noise}
    assert "not enough data" in asked(faint, agent).unavailable["trends"]
    assert "texts in each" in asked(faint, agent).unavailable["trends"]


@pytest.mark.parametrize(
    "written",
    ["{", "5", '"a"', "[5]", '[{"text": 5}]', '[{"text": "a", "at": "soon"}]', "[" * 100_000,
     json.dumps(["a"] * (MOST_TEXTS + 1)), '[{"text": "a", "at": {"b": NaN}}]'],
)  # fmt: skip
def test_documents_that_cannot_be_read_are_refused(written: str) -> None:
    with pytest.raises(DataError, match="expected"):
        asked(AGENT.init(), documents=written)


def test_too_many_texts_at_once_are_refused() -> None:
    table = {"text": np.array(["a"] * (MOST_TEXTS + 1), dtype=object)}
    with pytest.raises(DataError, match=f"at most {MOST_TEXTS} texts"):
        AGENT.answer(AGENT.init(), table)


@pytest.mark.parametrize("written", ["[]", '["", {"text": ""}]', '["\\ud800 fine"]'])
def test_odd_documents_are_answered(written: str) -> None:
    asked(AGENT.init(), documents=written).model_dump_json()


def test_every_none_has_its_reason(trained) -> None:
    answers = (
        asked(trained),
        asked(trained, text="Great service"),
        asked(AGENT.init(), rate_per_seat=1.0),
    )
    for answer in answers:
        missing = {name for name, value in answer if value is None or value == ()}
        assert missing == set(answer.unavailable)


@settings(max_examples=20)
@given(st.text(max_size=300))
def test_any_text_is_answered(text: str) -> None:
    answer = asked(AGENT.init(), text=text, query=text, industry_segment=text, currency=text)
    assert answer.sentiment_score is None or -1 <= answer.sentiment_score <= 1
    answer.model_dump_json()


@pytest.mark.parametrize("unit", ["a", "not ", "1.", "from 1 to ", "漢", "\x00", "1,", "🔥"])
def test_a_megabyte_is_answered(unit: str) -> None:
    asked(AGENT.init(), text=(unit * 1_000_000)[:1_000_000]).model_dump_json()
