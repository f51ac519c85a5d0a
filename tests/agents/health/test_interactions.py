"""Declared interactions and rule scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import expit

from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.agents.health.interactions import Interaction, Term
from mesh_fl.check import check_agent
from mesh_fl.errors import AgentError, ConfigError, DataError

CALLS = Feature(name="calls", kind="number", low=0, high=10)
PLAN = Feature(name="plan", kind="category", levels=("basic", "full"), optional=True)
MAIL = Feature(name="mail", kind="flag", optional=True)
FEATURES = (CALLS, PLAN, MAIL)

OFTEN = Term(feature="calls", shape="above", at=3.5)
SELDOM = Term(feature="calls", shape="below", at=3.5)
BASIC = Term(feature="plan", shape="is", level="basic")
NO_MAIL = Term(feature="mail", shape="is", level="no")


def table(calls, plan, mail):
    return {
        "calls": np.array(calls, dtype=np.float64),
        "plan": np.array(plan, dtype=np.str_),
        "mail": np.array(mail, dtype=np.float64),
    }


SOME = table([4, 3, 4, 3.5], ["basic", "basic", "full", ""], [0, 1, np.nan, 0])


def encoded(**fields):
    return Interaction(name="x", **fields).encode(FEATURES, SOME).tolist()


class TestEncoding:
    def test_a_product_holds_where_all_terms_do(self) -> None:
        assert encoded(terms=(OFTEN, BASIC)) == [1, 0, 0, 0]
        assert encoded(terms=(BASIC, NO_MAIL)) == [1, 0, 0, 0]

    def test_any_of_several_products_is_enough(self) -> None:
        assert encoded(any_of=((OFTEN, BASIC), (NO_MAIL,))) == [1, 0, 0, 1]

    def test_exactly_at_is_neither_above_nor_below(self) -> None:
        assert encoded(terms=(OFTEN,))[3] == encoded(terms=(SELDOM,))[3] == 0

    def test_a_value_is_placed_on_its_scale(self) -> None:
        assert encoded(terms=(Term(feature="calls"), BASIC))[0] == pytest.approx(-0.2)

    @given(
        st.floats(0, 10),
        st.sampled_from(["basic", "full", ""]),
        st.sampled_from([0.0, 1.0, np.nan]),
    )
    @settings(max_examples=50)
    def test_it_stays_within_one_and_reads_its_own_record_only(self, calls, plan, mail) -> None:
        both = Interaction(name="x", any_of=((Term(feature="calls"), BASIC), (OFTEN, NO_MAIL)))
        one = both.encode(FEATURES, table([calls], [plan], [mail]))
        two = both.encode(FEATURES, table([calls, 4], [plan, "basic"], [mail, 0]))
        assert abs(one[0]) <= 1
        assert one[0] == two[0]

    def test_a_column_that_is_missing_is_named(self) -> None:
        with pytest.raises(DataError, match="expected a column plan"):
            Interaction(name="x", terms=(BASIC,)).encode(FEATURES, {"calls": np.ones(1)})


class TestDeclaring:
    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"terms": ()}, "expected terms"),
            ({"terms": (OFTEN,), "any_of": ((OFTEN,),)}, "expected terms"),
            ({"any_of": ((),)}, "expected terms"),
            ({"terms": ({"feature": "calls", "shape": "above"},)}, "need at"),
            ({"terms": ({"feature": "calls", "shape": "is", "at": 3},)}, "need at"),
            ({"terms": ({"feature": "calls", "level": "x"},)}, "belongs to shape is"),
        ],
    )
    def test_nonsense_is_refused(self, fields, told) -> None:
        with pytest.raises(ValidationError, match=told):
            Interaction(name="x", **fields)

    @pytest.mark.parametrize(
        ("term", "told"),
        [
            (Term(feature="gone"), "no feature is called 'gone'"),
            (Term(feature="plan", shape="above", at=1), "only a number"),
            (Term(feature="calls", shape="is"), "use above or below"),
            (Term(feature="plan", shape="is", level="huge"), "expected level basic, full"),
            (Term(feature="mail", shape="is", level="maybe"), "yes, no"),
        ],
    )
    def test_a_term_must_fit_its_feature(self, term, told) -> None:
        with pytest.raises(ConfigError, match=told):
            ClientHealth(
                features=FEATURES, interactions=(Interaction(name="x", terms=(term,)),), records=9
            )

    def test_a_name_stands_once(self) -> None:
        with pytest.raises(ConfigError, match="a name for each"):
            ClientHealth(
                features=FEATURES,
                interactions=(Interaction(name="calls", terms=(OFTEN,)),),
                records=9,
            )


HIDDEN = tuple(one.model_copy(update={"is_input": False}) for one in FEATURES)
REASON = Interaction(name="a reason", any_of=((OFTEN, BASIC), (NO_MAIL,)), weight=2.0)


class TestRuleScore:
    AGENT = ClientHealth(features=HIDDEN, interactions=(REASON,), base_rate=0.1, records=100.0)

    def test_it_is_the_model_before_any_training(self) -> None:
        risks = self.AGENT.predict(self.AGENT.init(), self.AGENT.prepare(SOME))
        logit = np.log(0.1 / 0.9)
        assert risks == pytest.approx(expit(logit + 2.0 * np.array([1, 0, 0, 1])))

    def test_untrained_answers_say_so(self) -> None:
        answers = self.AGENT.answer(self.AGENT.init(), SOME)
        assert {one.model_used for one in answers} == {"rule score"}
        assert answers[0].rule_score == pytest.approx(answers[0].health_score)
        assert answers[0].reasons[0].feature == "a reason"

    def test_features_that_are_no_inputs_are_read_all_the_same(self) -> None:
        assert {one.name for one in self.AGENT.schema} >= {"calls", "plan", "mail"}
        assert self.AGENT.prepare(SOME)["x"].shape == (4, 2)

    @pytest.mark.parametrize("model", ["logistic", "trees"])
    def test_the_laws_hold_with_interactions_and_weights(self, model) -> None:
        agent = ClientHealth(features=FEATURES, interactions=(REASON,), model=model, records=1000.0)
        report = check_agent(agent, agent.simulated(1000, seed=1))
        assert report.passed, str(report)


class TestExport:
    def test_trees_are_written_for_lightgbm(self) -> None:
        import lightgbm

        agent = ClientHealth(features=FEATURES, model="trees", records=1000.0)
        data = agent.simulated(500, seed=3)
        state = agent.adapt(agent.init(), data)
        booster = lightgbm.Booster(model_str=agent.export(state))
        raw = np.column_stack([SOME["calls"], [0, 0, 1, np.nan], SOME["mail"]])
        ours = agent.predict(state, agent.prepare(SOME))
        assert np.abs(booster.predict(raw) - ours).max() < 1e-9

    def test_other_models_are_not(self) -> None:
        agent = ClientHealth(features=FEATURES, records=1000.0)
        with pytest.raises(AgentError, match='expected model = "trees"'):
            agent.export(agent.init())
