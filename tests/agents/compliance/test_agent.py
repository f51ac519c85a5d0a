import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.compliance.agent import BLANKS, SecurityCompliance
from mesh_fl.agents.compliance.controls import public_controls
from mesh_fl.agents.compliance.made_up import made_up
from mesh_fl.agents.compliance.records import UNKNOWN, is_judged, is_mapping, is_right
from mesh_fl.check import check_agent
from mesh_fl.errors import ConfigError
from mesh_fl.layout import size, unpack
from mesh_fl.privacy.clipping import choose_scale, sum_rows
from mesh_fl.registry import build, config_of
from mesh_fl.schema import table_of

NAME = "mesh_fl.agents.compliance.agent:SecurityCompliance"
CONTROLS = ("AC-2", "AC-6", "CP-9", "IA-2", "IA-5", "SC-7", "SC-28", "SI-3", "SI-4")
AGENT = SecurityCompliance(controls=CONTROLS)
TECHNIQUES = ("T1110.003", "T1110", "T1486", "T1566.001", "T1046")
TEXTS = ("Backups are encrypted.", "Everybody signs in with MFA.", "")

lines = st.fixed_dictionaries(
    {
        "technique": st.sampled_from((*TECHNIQUES, "", "T9999", "guessing passwords")),
        "control_ref": st.sampled_from((*CONTROLS, "ac-02(1)", "CM-6", "CC6.1", "")),
        "text": st.sampled_from(TEXTS),
        "satisfied": st.sampled_from([0.0, 1.0, math.nan]),
    }
)


def table(*rows):
    names = ("technique", "control_ref", "text", "satisfied")
    fields = {field.name: field for field in AGENT.schema}
    return table_of(
        tuple(fields[name] for name in names),
        [dict(zip(names, row, strict=True)) for row in rows],
    )


def mappings(pairs):
    return AGENT.prepare(table(*[(one, control, "", math.nan) for one, control in pairs]))


def judged(*rows):
    return AGENT.prepare(table(*[("", control, text, said) for text, control, said in rows]))


def released(agent, data, sigma=0.0, rounds=1, seed=0):
    state, random = agent.init(), np.random.default_rng(seed)
    layout = agent.layout(state)
    for _ in range(rounds):
        scale = choose_scale(agent.clip, size(layout))
        total = sum_rows(agent.contribute(state, data), agent.clip, scale, size(layout)) / scale
        noisy = total + random.normal(0, sigma, total.shape)
        state = agent.apply(state, unpack(layout, noisy))
    return state


# Configuration


def test_configuration_survives_json():
    config = json.loads(config_of(AGENT))
    assert build(NAME, config) == AGENT
    assert build(NAME, {}) == SecurityCompliance()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"controls": ("AC-2",)}, "controls: expected at least two"),
        (
            {"controls": ("AC-2", "ac-3")},
            r"controls: expected controls of the shipped list, .*ac-3",
        ),
        ({"controls": ("AC-2", "AC-2")}, "controls: expected each control once"),
        ({"encoder": "gpt"}, "encoder: expected one of minilm"),
        ({"clip": 0.0}, "clip: expected"),
        ({"clip": math.inf}, "clip: expected"),
        ({"similarity_weight": -1.0}, "similarity_weight: expected"),
        ({"similarity_weight": math.nan}, "similarity_weight: expected"),
    ],
)
def test_a_configuration_that_cannot_train_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"compliance, {message}"):
        dataclasses.replace(AGENT, **changes)


def test_the_agent_keeps_its_contract():
    data = AGENT.simulated(400, seed=1)
    report = check_agent(AGENT, data, table=made_up(CONTROLS, 60, 2), rounds=8)
    assert report.passed, report
    assert not [one for one in report.findings if one.outcome == "not checked"]


# Records and rows


def test_records_are_mappings_or_judgements_or_neither():
    data = AGENT.prepare(
        table(
            ("T1110", "IA-5", "", math.nan),
            ("T1110", "ia_05_1", "", 1.0),
            ("T1110", "IA-5", "", 0.0),
            ("", "IA-5", "A text.", 1.0),
            ("", "IA-5", "A text.", 0.0),
            ("", "IA-5", "A text.", math.nan),
            ("T1110", "CC6.1", "", math.nan),
            ("", "IA-5", "", 1.0),
        )
    )
    assert is_mapping(data).tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert is_judged(data).tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert is_right(data).tolist() == [1, 1, 0, 1, 0, 0, 0, 0]
    assert data["control"].tolist() == [4] * 6 + [UNKNOWN, 4]


@given(st.lists(lines, min_size=1, max_size=8), st.randoms())
@settings(deadline=None, max_examples=25)
def test_rows_are_short_and_depend_on_their_own_record(rows, random):
    names = ("technique", "control_ref", "text", "satisfied")
    columns = table(*[tuple(row[name] for name in names) for row in rows])
    order = random.sample(range(len(rows)), random.randint(1, len(rows)))
    whole = AGENT.contribute(AGENT.init(), AGENT.prepare(columns)).toarray()
    part = AGENT.prepare({name: column[order] for name, column in columns.items()})
    assert np.allclose(AGENT.contribute(AGENT.init(), part).toarray(), whole[order], atol=1e-14)
    assert (np.linalg.norm(whole, axis=1) <= 1 + 1e-12).all()
    assert not whole[:, -BLANKS:].any()


def test_a_row_touches_only_its_control():
    data = mappings([("T1486", "CP-9")])
    row = unpack(AGENT.layout(AGENT.init()), AGENT.contribute(AGENT.init(), data).toarray().ravel())
    assert np.flatnonzero(row["controls"]).tolist() == [2]
    assert np.flatnonzero(row["topics"].any(axis=1)).tolist() == [2]
    assert not row["residuals"].any()
    assert not row["tally"].any()


def test_a_judgement_is_what_public_knowledge_did_not_expect():
    data = judged(("Backups are encrypted.", "CP-9", 1.0), ("Backups are encrypted.", "CP-9", 0.0))
    rows = AGENT.contribute(AGENT.init(), data).toarray()
    residuals = rows[:, len(CONTROLS) * 13 :][:, 2]
    assert residuals[0] > 0 > residuals[1]
    assert residuals[0] - residuals[1] == pytest.approx(0.95)


# What is learned


def test_counts_decide_between_controls_that_public_knowledge_cannot_tell_apart():
    pairs = [("T1046", "CP-9")] * 90 + [("T1046", "SC-7")] * 10
    data = mappings(pairs)
    assert AGENT.predict(AGENT.init(), data)[0] != "CP-9"
    assert AGENT.predict(released(AGENT, data, rounds=3), data)[0] == "CP-9"


def test_different_techniques_get_different_controls():
    pairs = [("T1110", "IA-5"), ("T1003", "IA-5"), ("T1486", "CP-9"), ("T1561", "CP-9")] * 200
    state = released(AGENT, mappings(pairs))
    asked = mappings([("T1555", "IA-5"), ("T1485", "CP-9")])
    assert AGENT.predict(state, asked).tolist() == ["IA-5", "CP-9"]


def test_noise_that_drowns_everything_leaves_public_similarity_to_decide():
    data = mappings([("T1486", "IA-2")] * 20)
    state = released(AGENT, data, sigma=5000.0, rounds=4)
    shares = AGENT.scores(state, data) - AGENT.scores(AGENT.init(), data)
    assert np.abs(shares).max() < 0.02


def test_rounds_are_averaged():
    data = mappings([("T1486", "CP-9"), ("T1046", "SC-7")])
    once, often = (released(AGENT, data, rounds=rounds) for rounds in (1, 9))
    assert np.allclose(AGENT.scores(once, data), AGENT.scores(often, data), atol=1e-9)


def test_judgements_lift_a_control_that_words_do_not_name():
    text = "Backups are encrypted."
    rows = [(text, "SI-4", 1.0)] * 300 + [(text, "CP-9", 0.0)] * 300
    data = judged(*rows)
    assert AGENT.predict(AGENT.init(), data)[0] in ("CP-9", "SC-28")
    state = released(AGENT, data)
    place = CONTROLS.index("SI-4")
    gained = AGENT.scores(state, data)[0] - AGENT.scores(AGENT.init(), data)[0]
    assert gained[place] > 1
    assert gained[CONTROLS.index("CP-9")] < 0
    assert np.argmax(gained) == place


def test_adapting_adds_the_members_own_records():
    state = released(AGENT, mappings([("T1110", "SI-4")] * 40))
    own = mappings([("T1110.001", "AC-6")] * 60)
    asked = mappings([("T1110.003", "AC-6"), ("T1486", "AC-6")])
    assert AGENT.predict(state, asked)[0] == "SI-4"
    adapted = AGENT.adapt(state, own)
    assert AGENT.predict(adapted, asked)[0] == "AC-6"
    moved = AGENT.scores(adapted, asked) - AGENT.scores(state, asked)
    assert moved[0, 1] > moved[1, 1]


def test_adapting_to_nothing_changes_hardly_anything():
    state = released(AGENT, mappings([("T1110", "SI-4")] * 40))
    asked = mappings([("T1110", "AC-6")])
    adapted = AGENT.adapt(state, mappings([]))
    assert AGENT.predict(adapted, asked) == AGENT.predict(state, asked)


# Quality


def test_a_question_is_answered_if_any_of_its_controls_comes_first():
    data = mappings([("T1486", "CP-9"), ("T1486", "AC-2"), ("T1110", "SI-3")])
    state = released(AGENT, mappings([("T1486", "CP-9"), ("T1110", "CP-9")] * 200))
    figures = AGENT.evaluate(state, data)
    assert figures["hit_at_1"] == 0.5
    assert figures["queries"] == 2
    assert 0.5 <= figures["hit_at_3"] <= figures["hit_at_5"] <= 1


def test_quality_of_nothing_is_not_a_number():
    assert math.isnan(AGENT.evaluate(AGENT.init(), mappings([]))["hit_at_1"])
    assert math.isnan(AGENT.score({"places": np.zeros(6)})["hit_at_1"])


def test_measured_places_count_right_records_only():
    data = judged(("Backups are encrypted.", "CP-9", 1.0), ("Backups are encrypted.", "SI-3", 0.0))
    rows = AGENT.measure(AGENT.init(), data)
    assert rows.sum(axis=1).tolist() == [1, 0]
    assert AGENT.score({"places": rows.sum(axis=0)})["records"] == 1


def test_the_example_is_what_the_checker_needs():
    data = SecurityCompliance.example()
    assert is_mapping(data).sum() == is_judged(data).sum() == 300
    assert data["public"].shape == (600, len(public_controls()))
