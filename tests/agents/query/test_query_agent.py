import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl import check_agent
from mesh_fl.agents.query.agent import PlainQuestions
from mesh_fl.agents.query.desk import LONGEST_READ, MOST_CHARACTERS, MOST_QUESTIONS, gist
from mesh_fl.agents.query.intents import Intent, declared
from mesh_fl.agents.query.result import Chart, Column, Found, Refused, Source
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.registry import build, config_of
from mesh_fl.site import Site

AGENT = PlainQuestions()
STATE = AGENT.init()
NOW = datetime(2026, 11, 10, tzinfo=UTC).timestamp()
FOUND = Found(
    sentence="The number of tickets is 4.",
    interpretation="number of tickets by client",
    sql="SELECT 1",
    columns=(Column("client", "Client"), Column("tickets", "Tickets", "tickets")),
    rows=(("Acme", 3), (None, 1)),
    truncated=False,
    chart=Chart("bar", "client", ("tickets",)),
    sources=(Source("tickets", 6, 2),),
    confidence=0.5,
)


class Tables:
    """Answers what it was told to, and refuses the rest."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.asked: list[tuple[str, datetime]] = []

    def ask(self, question: str, as_of: datetime) -> Found | Refused:
        self.asked.append((question, as_of))
        if question in self.known:
            return FOUND
        return Refused("I do not know what 'x' refers to", ("x",), ("how many tickets",))


class Others:
    """Other agents, with canned answers."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[tuple[str, object]] = []

    def __call__(self, name: str, fields: object) -> object:
        self.asked.append((name, fields))
        found = self.answers.get(name)
        if found is None:
            raise AgentError(f"agent {name} does not answer here")
        if isinstance(found, Exception):
            raise found
        return found


def table(*texts: str, **columns: object) -> dict[str, np.ndarray]:
    return {"query": np.array(texts, dtype=object), **{k: np.array(v) for k, v in columns.items()}}


def ask(query: str, tables: Tables | None = None, others: Others | None = None, **columns: object):
    desk = AGENT._desk(Site(ask=others or Others()))
    desk = replace(desk, engine=tables or Tables())
    told = {name: [value] for name, value in columns.items()}
    (answer,) = desk.answer(columns.pop("state", STATE), table(query, **told))
    assert {name for name, value in answer if value is None} == set(answer.unavailable)
    answer.model_dump_json()
    return answer


@pytest.fixture(scope="module")
def records() -> dict[str, np.ndarray]:
    texts = [phrase for intent in AGENT.intents for phrase in intent.phrases]
    named = [intent.name for intent in AGENT.intents for _ in intent.phrases]
    named[:2] = ["", "other"]
    return table(*texts, intent=named, as_of=np.full(len(texts), np.nan))


def test_it_keeps_the_contract(records) -> None:
    some = replace(AGENT, intents=declared()[:5])
    few = {name: values[:40] for name, values in records.items()}
    report = check_agent(some, some.simulated(600, seed=0), table=few)
    assert report.passed, str(report)
    assert not [one.check for one in report.findings if one.outcome == "not checked"]


def test_configuration_comes_back() -> None:
    two = (Intent(name="a", phrases=("b",)), Intent(name="c", phrases=("d", "e"), agent="threat"))
    agent = PlainQuestions(intents=two)
    assert build("query", json.loads(config_of(agent))) == agent
    assert agent.init()["mean"].shape == (2, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"intents": declared()[:1]},
        {"intents": (declared()[0], declared()[0])},
        {"intents": (declared()[0], Intent(name="other", phrases=("a",)))},
        {"intents": (declared()[0], Intent(name=" a", phrases=("a",)))},
        {"encoder": "gpt"},
        {"least_likeness": 2.0},
        {"records": 0.0},
        {"clip": math.inf},
        {"momentum": 1.0},
        {"prior_precision": 0.0},
    ],
)
def test_a_configuration_that_cannot_train_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=f"query, {next(iter(wrong))}: expected"):
        PlainQuestions(**wrong)


def test_prepare_reads_intents(records) -> None:
    data = AGENT.prepare(records)
    assert math.isnan(data["intent"][0])
    assert data["intent"][1] == -1.0
    assert np.isnan(AGENT.prepare(table("a"))["intent"]).all()
    assert not AGENT.prepare(table(""))["vector"].any()
    with pytest.raises(DataError, match="intent: expected one of tickets"):
        AGENT.prepare(table("a", intent=["lunch"]))
    with pytest.raises(DataError, match="expected a column query"):
        AGENT.prepare({"text": np.array(["a"])})


def test_only_questions_of_an_intent_add_anything(records) -> None:
    data = AGENT.prepare(records)
    rows = AGENT.contribute(STATE, data)
    assert not rows[:2].any()
    assert rows[2:].any(axis=1).all()
    assert np.linalg.norm(rows, axis=1).max() <= math.sqrt(2) + 1e-9
    assert not AGENT.measure(STATE, data)[:2].any()


def test_gradients_are_those_of_the_likelihood() -> None:
    data = {name: values[:5] for name, values in AGENT.example().items()}
    weights = np.random.default_rng(1).normal(size=STATE["weights"].shape)
    direction = np.random.default_rng(2).normal(size=weights.shape)

    def surprise(step: float) -> float:
        chances = AGENT.predict({**STATE, "mean": weights + step * direction}, data)
        return -float(np.log(chances[np.arange(5), data["intent"].astype(int)]).sum())

    rows = AGENT.contribute({**STATE, "weights": weights}, data)
    slope = float(rows.sum(axis=0) @ direction.ravel())
    assert slope == pytest.approx((surprise(1e-5) - surprise(-1e-5)) / 2e-5, rel=1e-5)


def test_adapting_learns_own_questions_and_keeps_the_global_model(records) -> None:
    data = AGENT.example()
    adapted = AGENT.adapt(STATE, data)
    assert (adapted["mean"] == STATE["mean"]).all()
    before, after = (AGENT.evaluate(state, data)["accuracy"] for state in (STATE, adapted))
    assert after > before + 0.05
    unlabelled = AGENT.prepare(table("a question", "another"))
    assert AGENT.adapt(STATE, unlabelled) is STATE


def test_quality_tells_scope_by_likeness_and_by_the_head(records) -> None:
    data = AGENT.prepare(
        table(
            "how many tickets were opened last month",
            "invoices that are overdue",
            "sing me a song",
            intent=["tickets", "billing", "other"],
        )
    )
    figures = AGENT.evaluate(STATE, data)
    assert figures["accuracy"] == figures["scope_auc"] == 1.0
    assert 0 <= figures["head_auc"] <= 1
    assert AGENT.score({"hits": np.array([1.0, 3.0])})["accuracy"] == 0.75
    assert math.isnan(AGENT.score({"hits": np.zeros(2)})["accuracy"])


class TestAnswers:
    def test_the_tables_come_first(self) -> None:
        tables, others = Tables("is CVE-2031-1 exploited?"), Others(threat={"is_threat": True})
        answer = ask("is CVE-2031-1 exploited?", tables, others, as_of=NOW)
        assert answer.answered
        assert (answer.answer, answer.phrased_by) == (FOUND.sentence, "template")
        assert answer.sql == "SELECT 1"
        assert answer.rows == FOUND.rows
        assert answer.chart is not None
        assert answer.chart.labels == ("Acme", "none")
        assert answer.chart.series[0].values == (3.0, 1.0)
        (source,) = answer.sources
        assert (source.kind, source.name, source.rows, source.left_out) == (
            "table",
            "tickets",
            6,
            2,
        )
        assert answer.confidence == 0.5
        assert answer.as_of == "2026-11-10T00:00:00Z"
        assert tables.asked[0][1].timestamp() == NOW
        assert others.asked == []

    def test_no_moment_means_now(self) -> None:
        tables = Tables("a")
        ask("a", tables, as_of=math.nan)
        assert abs((datetime.now(UTC) - tables.asked[0][1]).total_seconds()) < 60

    @pytest.mark.parametrize(
        ("query", "agent", "fields"),
        [
            (
                "is CVE-2024-3400 exploited?",
                "threat",
                {"text": "is CVE-2024-3400 exploited?"},
            ),
            (
                "How grave is this alert: vssadmin deleted: all",
                "threat",
                {"text": "vssadmin deleted: all"},
            ),
            ("which controls answer t1566.001", "compliance", {"technique": "T1566.001"}),
            (
                "which control stops phishing",
                "compliance",
                {"text": "which control stops phishing"},
            ),
            (
                "how does our rate of 95 EUR per seat compare",
                "market",
                {
                    "query": "how does our rate of 95 EUR per seat compare",
                    "rate_per_seat": 95.0,
                    "currency": "EUR",
                },
            ),
            ("who can help us with Kubernetes?", "collaboration", {"requirements": "Kubernetes"}),
        ],
    )
    def test_a_cue_passes_a_question_on(self, query, agent, fields) -> None:
        others = Others(**{agent: {"model": {"version": "v7"}, "model_used": "m"}})
        answer = ask(query, others=others)
        assert others.asked == [(agent, fields)]
        assert answer.asked_agent == agent
        assert answer.answered
        (source,) = answer.sources
        assert (source.kind, source.name, source.version) == ("agent", agent, "v7")
        assert answer.agent_answer == others.answers[agent]
        assert answer.model_used == f"{agent}: m"

    def test_counting_own_records_is_never_passed_on(self) -> None:
        others = Others(threat={"is_threat": True}, compliance={})
        for query in ("how many alerts were exploited", "number of controls answered by T1566"):
            assert ask(query, others=others).answered is False
        assert others.asked == []

    def test_an_agent_that_is_not_here_is_named(self) -> None:
        answer = ask("who can help with Kubernetes")
        assert answer.refusal.kind == "agent missing"
        assert "[agents.collaboration]" in answer.refusal.suggestions[0]
        assert answer.intent == "partners"
        assert answer.answer is None
        assert answer.unavailable["answer"] == answer.refusal.reason

    def test_an_agent_may_refuse(self) -> None:
        answer = ask("is CVE-2031-1 exploited", others=Others(threat=DataError("text: bad")))
        assert answer.refusal.kind == "agent refused"
        assert "text: bad" in answer.refusal.reason

    def test_what_was_told_is_believed(self) -> None:
        others = Others(threat={"is_threat": False})
        answer = ask("a bad thing that nobody knows", others=others, intent="threats")
        assert answer.asked_agent == "threat"
        assert answer.answer == "No threat was found in it."
        assert ask("tickets", others=others, intent="other").refusal.kind == "out of scope"

    def test_likeness_and_not_the_head_decides_what_is_in_scope(self) -> None:
        sure = STATE["mean"].copy()
        sure[7] = 1e3  # whatever it is asked, this model is sure that it is a threat
        desk = replace(AGENT._desk(Site(ask=(others := Others(threat={})))), engine=Tables())
        (answer,) = desk.answer({**STATE, "mean": sure}, table("sing me a song about the sea"))
        assert answer.refusal.kind == "out of scope"
        assert answer.likeness < AGENT.least_likeness
        assert others.asked == []

    def test_the_learned_intent_decides_what_is_suggested(self) -> None:
        near = Tables("which invoices are overdue", "clients by industry")
        desk = replace(AGENT._desk(Site()), engine=near)
        query = table("overdue invoices of clients by industry")
        (public,) = desk.answer(STATE, query)
        own = np.zeros((len(AGENT.intents), 384))
        names = [intent.name for intent in AGENT.intents]
        own[names.index("clients")] = 50 * AGENT.prepare(query)["vector"][0]
        nothing = {"own_vectors": np.zeros((0, 384)), "own_intents": np.zeros(0)}
        (learned,) = desk.answer({**STATE, "own": own, **nothing}, query)
        assert public.refusal.suggestions[0] == "which invoices are overdue"
        assert learned.refusal.suggestions[0] == "clients by industry"
        assert public.likeness == learned.likeness
        assert learned.intents[0].intent == "clients"

    def test_what_is_not_understood_says_which_words(self) -> None:
        answer = ask("how many tickets of x were opened last month")
        assert answer.refusal.kind == "not understood"
        assert answer.refusal.words == ("x",)
        assert "how many tickets" in answer.refusal.suggestions
        assert answer.intent == "tickets"

    @pytest.mark.parametrize("query", ["", "  ", "\u200b\x00\u202e"])
    def test_nothing_at_all_is_refused(self, query: str) -> None:
        with pytest.raises(DataError, match="query: expected a question"):
            ask(query)

    def test_an_impossible_moment_is_refused(self) -> None:
        with pytest.raises(DataError, match="as_of: expected a moment"):
            ask("a", as_of=1e300)

    @pytest.mark.parametrize(
        "unit", ["a", "a ", "\x00a", "🔥", "漢", "CVE-", "95 per ", "9", "'; "]
    )
    def test_a_megabyte_is_answered(self, unit: str) -> None:
        tables = Tables()
        answer = ask((unit * 1_000_000)[:1_000_000], tables)
        assert answer.answered is False
        assert tables.asked == []

    @settings(max_examples=25, deadline=None)
    @given(st.text(min_size=1, max_size=300))
    def test_any_text_is_answered_or_refused(self, query: str) -> None:
        try:
            answer = ask(query)
        except DataError:
            return
        assert answer.answered is (answer.refusal is None)

    def test_without_tables_it_says_so(self) -> None:
        (answer,) = AGENT.answer(STATE, table("how many tickets are open"))
        assert not answer.answered
        assert answer.refusal.reason


class Phraser:
    name = "FLAN-T5 made up"

    def __init__(self, phrase: str) -> None:
        self._phrase = phrase

    def phrase(self, prompt: str, most_words: int = 60) -> str:
        return self._phrase


@pytest.mark.parametrize(
    ("phrase", "taken"),
    [
        ("The number of tickets is 4", True),
        ("There were 4 tickets", True),
        ("There were 40 tickets", False),
        ("There were tickets", False),
        ("", False),
        ("There were 4 more tickets", False),
        ("Acme had 4 tickets", False),
    ],
)
def test_a_phrase_is_taken_only_if_it_says_the_same(phrase: str, taken: bool) -> None:
    desk = replace(AGENT._desk(Site()), engine=Tables("a"), phraser=Phraser(phrase))
    (answer,) = desk.answer(STATE, table("a"))
    assert answer.answer == (phrase if taken else FOUND.sentence)
    assert answer.phrased_by == (Phraser.name if taken else "template")


def test_a_wrong_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'frazer'"):
        AGENT.answering(Site({"frazer": tmp_path}))
    with pytest.raises(ConfigError, match="none"):
        AGENT.answering(Site({"phraser": tmp_path / "none"}))


@pytest.mark.parametrize(
    "texts",
    [["how many"] * (MOST_QUESTIONS + 1), ["x" * (MOST_CHARACTERS // 50 + 1)] * 50],
    ids=["questions", "characters"],
)
def test_a_request_holds_only_so_much(texts: list[str]) -> None:
    with pytest.raises(DataError, match="several requests"):
        AGENT.answer(STATE, table(*texts))


def test_a_long_question_is_read_by_its_begin_and_its_end() -> None:
    long = "begin " + "middle " * 500 + "end"
    assert gist("how many tickets") == "how many tickets"
    assert gist(long).startswith("begin ")
    assert gist(long).endswith(" end")
    assert len(gist(long)) == LONGEST_READ + 1


def test_a_suggestion_is_tried_once_a_request() -> None:
    tables = Tables()
    desk = replace(AGENT._desk(Site()), engine=tables)
    desk.answer(STATE, table(*["which tickets are flurbed"] * 5))
    tried = [text for text, _ in tables.asked if text != "which tickets are flurbed"]
    assert tried
    assert len(tried) == len(set(tried))
