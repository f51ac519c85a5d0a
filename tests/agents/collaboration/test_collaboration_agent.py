import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl import check_agent
from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents.collaboration.acceptance import FEATURES, PUBLIC_WEIGHTS, Fit
from mesh_fl.agents.collaboration.agent import CollaborationMatching
from mesh_fl.agents.collaboration.rows import introductions
from mesh_fl.agents.collaboration.skills import Skill
from mesh_fl.errors import ConfigError
from mesh_fl.layout import unpack
from mesh_fl.registry import build, config_of
from mesh_fl.schema import table_of

AGENT = CollaborationMatching()
NAMES = AGENT.vocabulary.names
RECORDS = [
    {"skills": "Azure; VMware; Azure"},
    {"needs": "firewall is down"},
    {"needs": "zzz qqq"},
    {"requirements": "help with Azure", "offered": "We do Azure and AWS", "accepted": "yes"},
    {"requirements": "help with Azure", "offered": "We do printers", "accepted": "no"},
    {"requirements": "help", "offered": "help too", "likeness": 0.5},
    {"requirements": "accepted, but no offer", "accepted": "yes"},
    {},
]


def table(*records: dict[str, object]):
    parsed = [{one.name: one.parse(told.get(one.name)) for one in AGENT.schema} for told in records]
    return table_of(AGENT.schema, parsed)


@pytest.fixture(scope="module")
def data():
    return AGENT.prepare(table(*RECORDS))


def blocks(rows) -> dict[str, np.ndarray]:
    return {
        name: rows[:, start:stop]
        for name, (start, stop) in {
            "supply": (0, 51),
            "demand": (51, 102),
            "gradient": (102, 109),
            "tally": (109, 110),
            "empty": (110, 110 + EMPTY),
        }.items()
    }


def test_it_keeps_the_contract() -> None:
    report = check_agent(AGENT, AGENT.example(), table=table(*RECORDS))
    assert report.passed, str(report)
    assert {finding.outcome for finding in report.findings} == {"passed"}


def test_each_record_has_one_role(data) -> None:
    found = blocks(AGENT.contribute(AGENT.init(), data))
    roles = {name: found[name].any(axis=1).tolist() for name in found}
    assert roles == {
        "supply": [True, *[False] * 7],
        "demand": [False, True, True, *[False] * 5],
        "gradient": [*[False] * 3, True, True, *[False] * 3],
        "tally": [*[False] * 3, True, True, *[False] * 3],
        "empty": [False] * 8,
    }


def test_what_a_record_adds(data) -> None:
    found = blocks(AGENT.contribute(AGENT.init(), data))
    azure, virtual = NAMES.index("Azure"), NAMES.index("virtualisation")
    assert found["supply"][0, [azure, virtual]].tolist() == [0.5, 0.5]
    assert found["demand"][1, NAMES.index("firewalls")] == 1
    assert found["demand"][2, NAMES.index("other")] == 1


def test_a_row_that_fits_several_roles_has_the_first() -> None:
    everything = {**RECORDS[0], **RECORDS[1], **RECORDS[3]}
    both = {**RECORDS[0], **RECORDS[1]}
    alone = AGENT.contribute(AGENT.init(), AGENT.prepare(table(RECORDS[3], RECORDS[1])))
    rows = AGENT.contribute(AGENT.init(), AGENT.prepare(table(everything, both)))
    np.testing.assert_array_equal(rows, alone)


def test_unlabelled_needs_mean_what_they_are_like() -> None:
    text = "Nobody can hear me when I ring somebody from my desk set"
    found = AGENT.prepare(table({"needs": text}))["need"][0]
    strict = CollaborationMatching(least_similarity=1.0)
    assert strict.prepare(table({"needs": text}))["need"][0] == strict.vocabulary.other
    assert NAMES[found] in ("telephony", "other")


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_no_row_is_longer_than_one(seed: int, spread: int) -> None:
    random = np.random.default_rng(seed)
    data = AGENT.simulated(30, seed)
    state = {**AGENT.init(), "weights": random.normal(size=len(FEATURES)) * 10.0**spread}
    longest = np.linalg.norm(AGENT.contribute(state, data), axis=1).max()
    assert longest <= AGENT.clip + 1e-12


def test_the_sum_counts_every_record_once() -> None:
    data = AGENT.simulated(300, 1)
    total = AGENT.contribute(AGENT.init(), data).sum(axis=0)
    summed = unpack(AGENT.layout(AGENT.init()), total)
    assert summed["supply"].sum() == pytest.approx(100)
    assert summed["demand"].sum() == pytest.approx(100)
    assert summed["tally"].sum() == pytest.approx(0.3 * 100)


class TestAcceptance:
    def test_features_lie_between_minus_one_and_one(self) -> None:
        unknown = Fit().encoded()
        assert unknown.tolist() == [0, 0, 0, 0, 0, 0, 1]
        worst = Fit(-1.0, 0.0, 0.0, False, 0.0, 0.0).encoded()
        best = Fit(1.0, 1.0, 1.0, True, 1e9, 1.0).encoded()
        assert worst[:-1].tolist() == [-1] * 6
        assert best.tolist() == [1] * 7
        assert Fit(cosine=math.nan).encoded()[0] == 0

    def test_learned_weights_answer_only_where_introductions_are_enough(self) -> None:
        agent = CollaborationMatching(introductions_needed=50.0)
        state = agent.init()
        few, many = agent.simulated(120, 3), agent.simulated(180, 3)
        for data, trusted in ((few, False), (many, True)):
            rows = agent.contribute(state, data)
            after = agent.apply(state, unpack(agent.layout(state), rows.sum(axis=0)))
            moved = bool((agent._learned(after).weights != PUBLIC_WEIGHTS).any())
            assert moved is trusted

    def test_noise_alone_never_answers(self) -> None:
        random, state = np.random.default_rng(0), AGENT.init()
        for _ in range(16):
            total = {
                name: random.normal(0, 130, shape) for name, shape in AGENT.layout(state).items()
            }
            state = AGENT.apply(state, total)
        assert (AGENT._learned(state).weights == PUBLIC_WEIGHTS).all()
        assert AGENT._learned(state).source == "set by hand"

    def test_own_introductions_move_the_weights(self) -> None:
        data = AGENT.simulated(3000, 5)
        own = AGENT.adapt(AGENT.init(), data)
        before, after = (AGENT.evaluate(state, data)["auc"] for state in (AGENT.init(), own))
        assert after > before + 0.02
        assert AGENT._learned(own).source == "set by hand, fitted to own introductions"

    def test_predictions_are_for_introductions(self, data) -> None:
        found = AGENT.predict(AGENT.init(), data)
        assert np.isfinite(found).tolist() == [False] * 3 + [True] * 2 + [False] * 3
        assert found[3] > found[4]

    def test_measured_auc_is_near_the_exact_one(self) -> None:
        data = AGENT.simulated(3000, 6)
        state = AGENT.adapt(AGENT.init(), data)
        summed = unpack(AGENT.measure_layout(), AGENT.measure(state, data).sum(axis=0))
        found = AGENT.score(summed)
        assert found["introductions"] == len(introductions(data)[1])
        assert found["auc"] == pytest.approx(AGENT.evaluate(state, data)["auc"], abs=0.04)


class TestEvaluate:
    def test_figures_by_hand(self) -> None:
        data = AGENT.prepare(table({"needs": "firewall"}, {"needs": "printer"}, {"skills": "aws"}))
        public = AGENT.evaluate(AGENT.init(), data)
        # Uniform over 51 cells against two halves, and against one cell.
        assert public["total_variation"] == pytest.approx(1 - 2 / 51)
        assert public["supply_total_variation"] == pytest.approx(1 - 1 / 51)
        own = AGENT.evaluate(AGENT.adapt(AGENT.init(), data), data)
        assert own["total_variation"] == own["supply_total_variation"] == 0
        assert math.isnan(public["auc"])
        assert math.isnan(public["spearman"])

    def test_cosines_are_tried_on_judged_pairs(self) -> None:
        pairs = [("a cat", "a cat", 1), ("a cat", "a kitten", 0.6), ("a cat", "the tax law", 0)]
        rows = [{"requirements": a, "offered": b, "likeness": c} for a, b, c in pairs]
        data = AGENT.prepare(table(*rows))
        assert AGENT.evaluate(AGENT.init(), data)["spearman"] == pytest.approx(1)
        assert not AGENT.contribute(AGENT.init(), data).any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"skills": ()}, "at least one skill"),
        ({"skills": (Skill(name="a"), Skill(name="A"))}, "a different name"),
        ({"skills": (Skill(name="Other"),)}, "no skill that is called other"),
        ({"encoder": "bert"}, "one of minilm"),
        ({"clip": 0.0}, "above 0"),
        ({"least_similarity": math.nan}, "above 0"),
        ({"learning_rate": math.inf}, "above 0"),
        ({"introductions_needed": -1.0}, "above 0"),
        ({"public_precision": 0.0}, "0.001"),
        ({"momentum": 1.0}, "below 1"),
        ({"measure_bins": 1}, "at least 2 bins"),
    ],
)
def test_a_wrong_configuration_is_refused(wrong, said: str) -> None:
    with pytest.raises(ConfigError, match="collaboration, ") as caught:
        dataclasses.replace(AGENT, **wrong)
    assert said in str(caught.value)


def test_skills_of_an_operator_travel_as_configuration() -> None:
    agent = build("collaboration", {"skills": [{"name": "welding", "phrases": ["weld"]}]})
    assert agent.vocabulary.names == ("welding", "other")
    assert build("collaboration", {}) == AGENT
    assert '"welding"' in config_of(agent)


def test_a_megabyte_is_prepared() -> None:
    long = "azure; " * 150_000
    found = AGENT.prepare(table({"skills": long}, {"needs": long}, {"needs": "漢" * 10**6}))
    assert NAMES[found["need"][1]] == "Azure"
    assert NAMES[found["need"][2]] == "other"
