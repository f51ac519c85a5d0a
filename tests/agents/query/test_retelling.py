import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.collaboration.answer import Match
from mesh_fl.agents.compliance.answer import ControlForTechnique, ControlForText
from mesh_fl.agents.market.answer import MarketAnswer, PricingRecommendation
from mesh_fl.agents.query.retelling import retell
from mesh_fl.agents.query.routes import routes
from mesh_fl.agents.threat.answer import ThreatAnswer
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
TOLD = [
    "vulnerabilities", "is_threat", "recommended_actions", "unavailable", "matches",
    "controls_for_technique", "controls_for_text", "competitive_position",
    "pricing_recommendations",
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (ThreatAnswer, {"is_threat", "threat_type", "severity", "severity_source"}),
        (VulnerabilityAnswer, {"cve", "known_exploited", "due_date", "cvss_score"}),
        (ControlForTechnique, {"control", "title", "score"}),
        (ControlForText, {"control", "title", "probability"}),
        (MarketAnswer, {"competitive_position", "pricing_recommendations"}),
        (PricingRecommendation, {"figure", "action", "caution"}),
        (Match, {"name", "msp_id", "match_score", "skills", "ask"}),
    ],
)
def test_fields_that_are_told_exist(answer, fields: set[str]) -> None:
    assert fields <= set(answer.model_fields)


def test_an_exploited_vulnerability_is_told() -> None:
    found = {"cve": "CVE-2031-1", "known_exploited": True, "due_date": "2031-02-24"}
    told = retell("threat", {"vulnerabilities": [found], "is_threat": False})
    assert told == (
        "CVE-2031-1 is known to be exploited (to be mended by 2031-02-24). "
        "No threat was found in it."
    )


def test_what_is_unknown_is_told_as_unknown() -> None:
    found = {"cve": "CVE-2031-1", "unavailable": {"known_exploited": "no file kev"}}
    assert "may be exploited or not: no file kev" in retell("threat", {"vulnerabilities": [found]})


def test_partners_are_told_by_name_or_handle() -> None:
    named = {"name": "Acme", "msp_id": "x1", "match_score": 0.5, "skills": ["linux"], "ask": "do"}
    hidden = {"name": None, "msp_id": "x2", "match_score": 0.25, "skills": []}
    assert retell("collaboration", {"matches": [named, hidden]}) == (
        "The best matches: Acme (match score 0.5, knows linux); x2 (match score 0.25). "
        "To be introduced to the first: do"
    )
    assert retell("collaboration", {"unavailable": {"matches": "empty"}}) == (
        "No partner was found: empty."
    )


def test_an_unknown_agent_is_not_retold() -> None:
    assert retell("weather", {"is_threat": True}) == ""


@settings(max_examples=40)
@given(st.sampled_from([route.agent for route in routes()]), st.fixed_dictionaries(
    {}, optional={name: JSON | st.lists(st.dictionaries(st.text(), JSON)) for name in TOLD}
))  # fmt: skip
def test_any_answer_can_be_retold(agent: str, answered: dict[str, object]) -> None:
    assert isinstance(retell(agent, answered), str)
