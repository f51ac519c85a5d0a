import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mesh_fl.agents.compliance.agent import SecurityCompliance
from mesh_fl.agents.compliance.answer import ComplianceAnswer
from mesh_fl.agents.compliance.controls import public_controls
from mesh_fl.agents.compliance.library import read_library
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.schema import table_of
from mesh_fl.site import Site
from mesh_fl.text.encoder import load_encoder

AGENT = SecurityCompliance()
POLICY = """# Policy
Every employee signs in with multi-factor authentication.
Backups are encrypted and restores are tested every month.
We do not scan systems for vulnerabilities.
"""
LIST = {
    "name": "House rules",
    "controls": [
        {"id": "H-1", "title": "Backups", "text": "Backups are encrypted and restores are tested."},
        {"id": "H-2", "title": "Vulnerability scanning", "text": "Systems are scanned weekly."},
        {"id": "H-3", "title": "Visitors", "text": "Visitors are accompanied in the building."},
    ],
}


def ask(answering, state=None, **fields):
    record = {field.name: field.parse(fields.get(field.name)) for field in AGENT.schema}
    (answer,) = answering(
        AGENT.init() if state is None else state, table_of(AGENT.schema, [record])
    )
    return answer


@pytest.fixture(scope="module")
def data():
    folder = os.environ.get("MESH_DATA")
    assert folder, "set MESH_DATA to the folder with the public data"
    return Path(folder)


@pytest.fixture
def house(tmp_path):
    path = tmp_path / "house.json"
    path.write_text(json.dumps(LIST))
    return path


@pytest.fixture(scope="module")
def informed(data):
    return AGENT.answering(
        Site(
            {
                "soc2": data / "prowler_compliance_aws" / "soc2_aws.json.gz",
                "hipaa": data / "prowler_compliance_aws" / "hipaa_aws.json.gz",
                "attack_mappings": data / "ctid_nist80053r5_attack16.json.gz",
            }
        )
    )


# Assessment


def test_a_policy_is_assessed_without_any_file():
    answer = ask(AGENT.answer, policy_text=POLICY)
    status = {one.control: one.status for one in answer.controls}
    assert status["IA-2"] == status["CP-9"] == "satisfied"
    assert status["RA-5"] == "gap"
    assert "RA-5" in [one.control for one in answer.gaps]
    assert answer.framework == "NIST SP 800-53 Rev. 5"
    assert 0 < answer.compliance_score < 100
    assert answer.model_used == "all-MiniLM-L6-v2, int8 ONNX"
    assert answer.unavailable == {"report": "no report was asked for"}


def test_the_members_own_framework_is_taken_where_it_is_the_only_one(house):
    answering = AGENT.answering(Site({"house": house}))
    answer = ask(answering, policy_text=POLICY)
    assert (answer.framework, answer.framework_key) == ("House rules", "house")
    assert (answer.controls_assessed, answer.controls_in_framework) == (3, 3)
    assert [one.status for one in answer.controls] == ["satisfied", "gap", "gap"]
    named = ask(answering, policy_text=POLICY, framework="NIST 800-53")
    assert named.framework == "NIST SP 800-53 Rev. 5"


def test_every_recommendation_changes_with_its_value(house):
    answering = AGENT.answering(Site({"house": house}))
    before = ask(answering, policy_text=POLICY).recommendations
    after = ask(answering, policy_text=POLICY.replace("do not scan", "scan")).recommendations
    assert {one.control for one in before} - {one.control for one in after} == {"H-2"}
    assert all(one.because and one.source for one in before)


def test_checks_beat_the_policy(house):
    failing = [{"control": "H-1", "status": "fail"}, {"control": "H-3", "status": "pass"}]
    answer = ask(AGENT.answering(Site({"house": house})), policy_text=POLICY, evidence=failing)
    assert [one.status for one in answer.controls] == ["gap", "gap", "satisfied"]


@pytest.mark.parametrize("name", ["soc2", "SOC 2", "SOC-2", "soc2 "])
def test_frameworks_are_found_however_they_are_spelt(informed, name):
    answer = ask(informed, policy_text=POLICY, framework=name)
    assert "SOC2" in answer.framework
    assert len(answer.controls) == 27


def test_an_unknown_framework_is_refused_with_the_nearest(informed):
    with pytest.raises(
        DataError, match=r"framework: expected one of .*hipaa.*did you mean 'hipaa'"
    ):
        ask(informed, policy_text=POLICY, framework="HIPPA")


def test_reports_come_in_both_forms(house):
    answering = AGENT.answering(Site({"house": house}))
    markdown = ask(answering, policy_text=POLICY, report="markdown").report
    assert markdown.startswith("# Audit readiness: House rules")
    oscal = ask(answering, policy_text=POLICY, report="oscal").report
    assert "assessment-results" in oscal
    assert ask(answering, policy_text=POLICY).report is None
    unasked = ask(answering, technique="T1110", report="oscal")
    assert unasked.report is None
    assert "report" in unasked.unavailable


def test_judgements_of_a_federation_move_the_relevance(house):
    state = dict(AGENT.init())
    place = AGENT.controls.index("PE-8")
    residuals = np.zeros(len(AGENT.controls))
    residuals[place] = 500.0
    state |= {
        "residuals": residuals,
        "tally": np.array([218 * 1000.0, 218 * 200.0]) * 0.2,
        "round": np.array(1.0),
    }
    text = "Visitors sign a book."
    plain, moved = (ask(AGENT.answer, one, text=text) for one in (AGENT.init(), state))
    chance = {one.control: one.probability for one in plain.controls_for_text}
    after = {one.control: one for one in moved.controls_for_text}
    assert after["PE-8"].probability > chance["PE-8"]
    assert after["PE-8"].offset > 1


DECOYS = """The server room is locked and opened by a badge.
Emergency changes are documented afterwards.
Disks are shredded by a certified company; certificates are kept.
Passwords have at least 14 characters and are kept in a password manager.
Security awareness training takes place once a year and is attended by all employees.
The incident response plan names the roles, the steps, and whom to call.
There is no camera surveillance.
"""


def test_a_sentence_satisfies_only_what_it_is_about():
    answer = ask(AGENT.answer, policy_text=DECOYS)
    satisfied = {one.control for one in answer.controls if one.status == "satisfied"}
    assert {"AT-2", "IR-8"} <= satisfied
    assert not satisfied & {"AC-7", "AC-11", "AT-3", "AT-4", "CP-3", "IA-6", "IR-2", "PE-10"}
    assert not satisfied & {"AT-1", "IR-1", "SC-17"}
    assert "SC-15" not in [one.control for one in answer.controls if one.cause == "denied"]
    touched = [one for one in answer.controls if one.cause == "weak"]
    assert all(one.score <= 0.5 and one.status == "partial" for one in touched)
    assert all("a person must look" in one.why for one in touched)


def test_the_similarity_told_is_the_cosine():
    said = "The incident response plan names the roles, the steps, and whom to call."
    answer = ask(AGENT.answer, policy_text=said)
    quote = next(one.sentence for one in answer.controls if one.control == "IR-8")
    wording, sentence = load_encoder(AGENT.encoder).encode(
        [public_controls()["IR-8"].wording[:300], said]
    )
    assert quote.similarity == pytest.approx(float(wording @ sentence), abs=1e-5)
    assert quote.relevance > quote.similarity


@pytest.mark.parametrize(
    ("policy", "control"),
    [
        ("We do not scan systems for vulnerabilities.", "RA-5"),
        ("We do not carry out penetration tests.", "CA-8"),
        ("There is no written procedure for key management.", "SC-12"),
    ],
)
def test_a_denial_is_heard_by_the_control_that_it_is_about(policy, control):
    answer = ask(AGENT.answer, policy_text=policy)
    denied = {one.control for one in answer.controls if one.cause == "denied"}
    assert denied == {control}


def test_a_denial_of_a_part_denies_no_whole(house):
    policy = "Restores are tested every quarter. Backup tapes are currently not encrypted."
    one = ask(AGENT.answering(Site({"house": house})), policy_text=policy).controls[0]
    assert (one.status, one.score, one.cause) == ("partial", 0.5, "mixed")
    assert one.against.claim == "denied"


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            "Alle Sicherungen werden verschlüsselt und nicht im Haus aufbewahrt. Passwörter werden"
            " für jeden Dienst eigens vergeben und nicht geteilt.",
            "seems not to be English",
        ),
        ("备份每天加密 我们不扫描系统", "not in Latin letters"),
    ],
)
def test_a_policy_in_another_language_is_not_assessed(house, policy, reason):
    answering = AGENT.answering(Site({"house": house}))
    answer = ask(answering, policy_text=policy)
    assert {one.status for one in answer.controls} == {"not_assessed"}
    assert answer.compliance_score is None
    assert reason in answer.unavailable["compliance_score"]
    assert reason in answer.problems[0]
    checked = ask(answering, policy_text=policy, evidence={"H-1": "pass"})
    assert checked.compliance_score == 100
    assert (checked.controls_assessed, checked.controls_in_framework) == (1, 3)
    assert checked.audit_readiness.level == "not ready"


# Techniques and mapped controls


def test_a_technique_is_answered_without_any_training():
    answer = ask(AGENT.answer, technique="T1566", max_controls=4)
    assert len(answer.controls_for_technique) == 4
    assert "SI-8" in [one.control for one in answer.controls_for_technique]
    assert all(one.share is None for one in answer.controls_for_technique)
    assert "controls_for_technique.share" in answer.unavailable
    assert answer.compliance_score is None
    assert "compliance_score" in answer.unavailable


def test_the_mapping_file_comes_first_and_is_cited(informed):
    answer = ask(informed, technique="T1110.003", max_controls=50)
    cited = [bool(one.mapped) for one in answer.controls_for_technique]
    assert cited == sorted(cited, reverse=True)
    assert 5 < sum(cited) < 50
    assert "ctid_nist80053r5" in answer.controls_for_technique[0].mapped[0].source
    assert any("ctid_nist80053r5" in source for source in answer.sources)


def test_a_trained_model_tells_shares():
    table = {
        "technique": np.array(["T1486"] * 200),
        "control_ref": np.array(["CP-9"] * 200),
    }
    state = AGENT.adapt(AGENT.init(), AGENT.prepare(table))
    answer = ask(AGENT.answer, state, technique="T1486")
    best = answer.controls_for_technique[0]
    assert best.control == "CP-9"
    assert best.share > 0.5
    assert "controls_for_technique.share" not in answer.unavailable


def test_a_technique_that_nobody_knows_says_so():
    answer = ask(AGENT.answer, technique="T9999")
    assert answer.controls_for_technique == ()
    assert "no technique of this id is known" in answer.unavailable["controls_for_technique"]


@pytest.mark.parametrize("words", ["Kaffee", "banana bread", "T9999 Zaubertrank"])
def test_words_that_are_no_technique_get_no_controls(words):
    answer = ask(AGENT.answer, technique=words)
    assert answer.controls_for_technique == ()
    assert "the words are like no control (0." in answer.unavailable["controls_for_technique"]


def test_a_technique_in_words_is_answered_and_nothing_scores_zero():
    answer = ask(AGENT.answer, technique="guessing passwords", max_controls=50)
    assert answer.controls_for_technique
    assert all(one.score > 0 for one in answer.controls_for_technique)
    assert "controls_for_technique" not in answer.unavailable


def test_an_unknown_technique_that_a_member_has_mapped_is_answered():
    table = {"technique": np.array(["T9999"] * 9), "control_ref": np.array(["CP-9"] * 9)}
    state = AGENT.adapt(AGENT.init(), AGENT.prepare(table))
    assert ask(AGENT.answer, state, technique="T9999").controls_for_technique[0].control == "CP-9"


def test_a_control_is_mapped_to_other_frameworks(informed):
    answer = ask(informed, control_ref="cc6.1", framework="soc2", max_controls=3)
    assert {one.how for one in answer.mapped_controls} == {"shared checks"}
    assert all(one.strength for one in answer.mapped_controls)
    with pytest.raises(DataError, match="control_ref: expected a control of"):
        ask(informed, control_ref="AC-999", framework="nist_800_53")


def test_similar_texts_are_told_with_their_cosine(house):
    answering = AGENT.answering(Site({"house": house}))
    (similar,) = ask(answering, control_ref="CP-9", framework="nist_800_53").mapped_controls
    assert (similar.control, similar.how) == ("H-1", "similar text")
    wording, asked = load_encoder(AGENT.encoder).encode(
        [LIST["controls"][0]["text"], public_controls()["CP-9"].wording]
    )
    assert similar.strength == pytest.approx(float(wording @ asked), abs=1e-5)


# Bad input


def test_a_request_that_asks_nothing_is_refused():
    with pytest.raises(DataError, match="found none of them"):
        ask(AGENT.answer, framework="nist_800_53", report="oscal")


@pytest.mark.parametrize("field", ["policy_text", "technique", "text"])
@pytest.mark.parametrize(
    "text",
    ["\x00\x07", "你好。" * 50_000, "|" * 10**6, "no not " * 100_000, "# \n" * 200_000, "‮a\u200b"],
    ids=["controls", "chinese", "pipes", "negations", "headings", "unseen"],
)
def test_any_text_is_answered(field, text):
    assert isinstance(ask(AGENT.answer, **{field: text}), ComplianceAnswer)


def test_a_megabyte_of_policy_is_compared_by_meaning_only_in_part():
    lines = "\n".join(
        f"Rule {k}: access to system {k} is reviewed by its owner." for k in range(18_000)
    )
    answer = ask(AGENT.answer, policy_text=lines)
    assert answer.sentences_assessed == 500
    assert answer.sentences_left_out == 17_500
    assert 0 < answer.sentences_by_words < 500
    assert any(f"{answer.sentences_by_words} sentences" in one for one in answer.problems)
    assert any("17500 more were not looked at" in one for one in answer.problems)


@pytest.mark.parametrize("evidence", ["[" * 100_000, "{}", "[1, 2]", '{"a": ', "null"])
def test_evidence_that_cannot_be_read_is_refused(evidence):
    with pytest.raises(DataError):
        ask(AGENT.answer, evidence=evidence)


def test_several_records_are_answered_at_once():
    records = [
        {field.name: field.parse(fields.get(field.name)) for field in AGENT.schema}
        for fields in ({"technique": "T1110"}, {"text": "Backups are encrypted."})
    ]
    first, second = AGENT.answer(AGENT.init(), table_of(AGENT.schema, records))
    assert first.controls_for_technique
    assert not first.controls_for_text
    assert second.controls_for_text
    assert not second.controls_for_technique


# Reference files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("attack", {"objects": []}, "expected MITRE's ATT&CK"),
        ("attack", [1], "expected MITRE's ATT&CK"),
        ("attack_mappings", {"mapping_objects": []}, "expected mapping_objects"),
        ("soc2", {"controls": []}, "expected controls"),
        ("controls", {"mapping_objects": []}, "CTID; name it attack_mappings under"),
        ("mitre", {"type": "bundle", "objects": []}, "STIX bundle; name it attack under"),
        ("atack", LIST, r"\] atack: did you mean attack\?"),
        ("attack_mapping", LIST, r"\] attack_mapping: did you mean attack_mappings\?"),
        ("Attack", LIST, r"\] Attack: did you mean attack\?"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, name, content, message):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        AGENT.answering(Site({name: path}))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a file, found none"):
        AGENT.answering(Site({"soc2": tmp_path / "none.json"}))


def test_what_of_a_list_cannot_be_used_is_told_in_the_answer(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "ID,Name,Text\nX-1,Backups,Backups are encrypted.\nX-2,Visitors,\nX-1,Twice,Told twice.\n"
        "X-3,,\n"
    )
    answer = ask(AGENT.answering(Site({"own": path})), policy_text=POLICY)
    assert [one.title for one in answer.controls] == ["Backups", "Visitors"]
    assert answer.problems == (
        "own.csv: entry 3: the id X-1 stands twice; the first counts",
        "own.csv: entry 4: expected a title or a text of X-3, found neither",
        "own.csv: no text of X-2: only the title is compared",
    )


def test_technique_names_come_from_mitres_bundle(tmp_path):
    def pattern(name, title, **more):
        reference = {"source_name": "mitre-attack", "external_id": name}
        return {"type": "attack-pattern", "name": title, "external_references": [reference], **more}

    objects = [
        pattern("T9998", "Strange Magic"),
        pattern("T9998.001", "Rabbits"),
        pattern("T9997", "Old", revoked=True),
        {"type": "malware", "name": "Other"},
        {"type": "attack-pattern", "name": 7, "external_references": [3, {}]},
        "junk",
    ]
    path = tmp_path / "attack.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"type": "bundle", "objects": objects}).encode()))
    names = read_library({"attack": path}).techniques
    assert names["T9998"] == "Strange Magic"
    assert names["T9998.001"] == "Strange Magic: Rabbits"
    assert "T9997" not in names
    assert names["T1110"] == "Brute Force"
