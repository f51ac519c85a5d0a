import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl import check_agent
from mesh_fl.agents.threat.agent import ThreatIntelligence
from mesh_fl.agents.threat.severity import LEVELS, KindWeight, Words
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.registry import build, config_of
from mesh_fl.site import Site

AGENT = ThreatIntelligence()
RANSOM = "All files on the file server end in .locked and a note demands three bitcoin"
KEV = (
    "cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,"
    "dueDate,knownRansomwareCampaignUse,notes,cwes\n"
    "CVE-2031-12345,Acme,Gate,Acme Gate Injection,2031-02-03,A flaw.,Install the update.,"
    "2031-02-24,Known,,CWE-77\n"
)
CVES = (
    "cve_id,description,severity,score,vector\n"
    "CVE-2031-12345,A command injection in Acme Gate.,CRITICAL,9.8,"
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\n"
)


def table(*texts: str, **columns: object) -> dict[str, np.ndarray]:
    return {"text": np.array(texts, dtype=object), **{k: np.array(v) for k, v in columns.items()}}


def asked(text: str, agent: ThreatIntelligence = AGENT, **columns: object):
    told = {name: [value] for name, value in columns.items()}
    (answer,) = agent.answer(agent.init(), table(text, **told))
    return answer


def bundle(**values: object) -> str:
    identity = "00000000-0000-4000-8000-000000000000"
    found = {"type": "indicator", "pattern_type": "stix", **values}
    found = {"pattern": "[ipv4-addr:value = '45.83.12.9']", **found}
    found = {"id": f"{found['type']}--{identity}", **found}
    return json.dumps({"type": "bundle", "id": f"bundle--{identity}", "objects": [found]})


def made_up(count: int = 240, seed: int = 3) -> dict[str, np.ndarray]:
    """Texts that hold declared words, rated by how many grave ones they hold."""
    random = np.random.default_rng(seed)
    texts, levels = [], []
    words = AGENT.words
    for _ in range(count):
        held = random.choice(len(words), 3, replace=False)
        phrases = [words[place].phrases[0].replace("*", "") for place in held]
        texts.append("An attacker: " + ", ".join(phrases))
        grave = sum(words[place].weight for place in held) - 2.0 * (held < 20).sum()
        levels.append(LEVELS[int(np.digitize(grave, [-4.0, -1.5, 0.5]))])
    levels[0] = ""
    return table(*texts, severity=levels)


@pytest.fixture(scope="module")
def records() -> dict[str, np.ndarray]:
    return made_up()


def test_it_keeps_the_contract(records) -> None:
    agent = replace(AGENT, records=float(len(records["text"])))
    report = check_agent(agent, agent.prepare(records), table=records)
    assert report.passed, str(report)
    assert not [one.check for one in report.findings if one.outcome == "not checked"]


def test_configuration_comes_back() -> None:
    agent = ThreatIntelligence(
        words=(Words(name="a", phrases=("b",), weight=1.0),),
        kinds=(KindWeight(kind="malware", weight=2.0),),
    )
    assert build("threat", json.loads(config_of(agent))) == agent
    assert len(agent.init()["mean"]) == 1 + 1 + 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": ()},
        {"words": (AGENT.words[0], AGENT.words[0])},
        {"kinds": (AGENT.kinds[0], AGENT.kinds[0])},
        {"encoder": "gpt"},
        {"records": 0.0},
        {"momentum": 1.0},
        {"measure_bins": 1},
        {"own_precision": 0.0},
    ],
)
def test_a_configuration_that_cannot_train_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=f"threat, {next(iter(wrong))}: expected"):
        ThreatIntelligence(**wrong)


def test_prepare_reads_levels(records) -> None:
    data = AGENT.prepare(table("a text", "", "more", severity=["high", "high", ""]))
    assert data["level"][0] == 2.0
    assert np.isnan(data["level"][1:]).all()
    assert np.isnan(AGENT.prepare(table("a text"))["level"]).all()
    with pytest.raises(DataError, match="severity: expected low, medium, high, critical"):
        AGENT.prepare(table("a text", severity=["HIGH"]))
    with pytest.raises(DataError, match="expected a column text"):
        AGENT.prepare({"message": np.array(["a"])})


def test_unlabelled_records_add_nothing(records) -> None:
    data = AGENT.prepare(records)
    rows = AGENT.contribute(AGENT.init(), data)
    assert not rows[0].any()
    assert rows[1:].any(axis=1).all()
    assert not AGENT.measure(AGENT.init(), data)[0].any()


def test_adapting_without_labels_keeps_the_model(records) -> None:
    state = AGENT.init()
    data = AGENT.prepare(table("a text", "another"))
    assert AGENT.adapt(state, data) is state


def test_measured_auc_is_near_the_exact_one(records) -> None:
    data = AGENT.prepare(records)
    state = AGENT.adapt(AGENT.init(), data)
    counts = AGENT.measure(state, data).sum(axis=0).reshape(AGENT.measure_bins, 2)
    assert counts.sum() == np.isfinite(data["level"]).sum()
    exact = AGENT.evaluate(state, data)["auc"]
    assert AGENT.score({"counts": counts})["auc"] == pytest.approx(exact, abs=0.05)
    assert exact > AGENT.evaluate(AGENT.init(), data)["auc"] + 0.02


def test_made_up_records_are_the_seeds_own() -> None:
    first, again, other = (AGENT.simulated(500, seed) for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["z"] != other["z"]).any()
    assert set(np.unique(first["level"])) == {0.0, 1.0, 2.0, 3.0}


class TestAnswers:
    def test_lunch_is_no_threat(self) -> None:
        answer = asked("Hello, lunch is at noon")
        assert not answer.is_threat
        assert answer.threat_type == "none"
        assert answer.severity is None
        assert answer.recommended_actions == answer.attack_techniques == ()
        for name in ("severity", "severity_source", "confidence"):
            assert "no threat" in answer.unavailable[name]

    def test_ransomware_is_grave(self) -> None:
        answer = asked(RANSOM)
        assert answer.threat_type == "ransomware"
        assert answer.severity == "critical"
        assert "T1486" in [one.id for one in answer.attack_techniques]
        assert all(one.source and one.because for one in answer.recommended_actions)
        assert answer.confidence == answer.severity_chances["critical"]
        assert sum(answer.severity_chances.values()) == pytest.approx(1)
        assert answer.model_used == "all-MiniLM-L6-v2, int8 ONNX"

    def test_contributions_are_those_of_the_score(self) -> None:
        answer = asked("Unauthenticated SQL injection in the plugin")
        told = {one.because: one.contribution for one in answer.reasons}
        weights = {f"says: {one.name}": one.weight for one in AGENT.words}
        assert told["says: SQL injection"] == weights["says: SQL injection"]
        sizes = [abs(one.contribution) for one in answer.reasons]
        assert sizes == sorted(sizes, reverse=True)

    def test_every_none_has_its_reason(self) -> None:
        answer = asked(RANSOM)
        missing = [name for name, value in answer if value is None]
        assert set(missing) == set(answer.unavailable)

    def test_a_vector_decides_the_severity(self) -> None:
        low = asked(f"{RANSOM}. {RANSOM}. CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N")
        assert low.severity == "low"
        assert low.severity_source.startswith("CVSS 1.6 of CVSS:3.1/AV:P")

        assert low.confidence is None
        assert low.unavailable["confidence"].startswith("CVSS decided")
        assert sum(low.severity_chances.values()) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("Nos fichiers sont chiffrés et les pirates demandent une rançon", "English"),
            ("asdf qwer zxcv", "like nothing known"),
            ("A technician looked up the medical file of his neighbour", "not surely harmless"),
        ],
    )
    def test_what_nobody_can_tell_is_for_a_person(self, text: str, reason: str) -> None:
        answer = asked(text)
        assert (answer.is_threat, answer.threat_type) == (None, "unknown")
        assert answer.severity is answer.confidence is None
        for name in ("is_threat", "severity", "severity_source", "confidence"):
            assert reason in answer.unavailable[name]
        (step,) = answer.recommended_actions
        assert "person" in step.action

    def test_an_indicator_that_is_called_malicious_is_a_threat(self) -> None:
        answer = asked("", stix=bundle(indicator_types=["malicious-activity"]))
        assert (answer.is_threat, answer.threat_type) == (True, "unknown")
        assert "malicious-activity" in answer.type_reason
        assert answer.severity == "medium"
        assert "45[.]83[.]12[.]9" in str(answer.recommended_actions)
        assert asked("", stix=bundle(indicator_types=["benign"])).is_threat is None

    def test_what_a_bundle_claims_names_the_type(self) -> None:
        answer = asked("Lunch is at noon", stix=bundle(type="malware", is_family=False))
        assert (answer.is_threat, answer.threat_type) == (True, "malware")
        assert answer.type_reason == "the bundle holds an object of type malware"
        assert asked(RANSOM, stix=bundle(type="malware")).threat_type == "ransomware"

    def test_what_says_nothing_is_told_as_a_problem(self) -> None:
        empty = "d41d8cd98f00b204e9800998ecf8427e"
        answer = asked(f"A trojan with the hash {empty} talks to 192.0.2.7")
        assert empty not in str(answer.recommended_actions)
        assert ["empty file" in answer.problems[0], "192[.]0[.]2[.]7" in answer.problems[1]] == [
            True,
            True,
        ]

    def test_an_id_alone_is_a_threat(self) -> None:
        answer = asked("see CVE-2031-12345")
        assert answer.is_threat
        assert answer.threat_type == "vulnerability"
        assert [one.value for one in answer.indicators] == ["CVE-2031-12345"]
        assert "known_exploited" in answer.vulnerabilities[0].unavailable

    @pytest.mark.parametrize(
        "text",
        [
            "Please bring the Dell T5820 workstation to room T2034.",
            "Order a Canon T1234 printer cartridge.",
        ],
    )
    def test_an_id_that_no_catalogue_knows_is_no_threat(self, text: str) -> None:
        answer = asked(text)
        assert not answer.is_threat
        assert answer.attack_techniques == ()

    def test_confidence_is_that_of_the_type_told(self) -> None:
        answer = asked("The invoice mentions CVE-2031-12345, see you at lunch in the canteen")
        assert answer.threat_type == "vulnerability"
        assert answer.type_confidence is None
        assert "type_confidence" in answer.unavailable

    def test_levels_are_compared_and_not_scores_of_different_scales(self, tmp_path) -> None:
        (tmp_path / "cves.csv").write_text(CVES)
        two = "CVE-2031-12345 rated AV:N/AC:L/Au:N/C:C/I:C/A:C by the vendor, exploited remotely"
        (answer,) = AGENT.answering(Site({"cves": tmp_path / "cves.csv"}))(AGENT.init(), table(two))
        assert answer.severity == "critical"

    def test_a_score_alone_tells_its_rating(self, tmp_path) -> None:
        (tmp_path / "cves.csv").write_text(
            "cve_id,description,score\nCVE-2031-12345,A flaw in Acme Gate.,9.8\n"
        )
        text = table("CVE-2031-12345 was found on our gateway")
        (answer,) = AGENT.answering(Site({"cves": tmp_path / "cves.csv"}))(AGENT.init(), text)
        assert answer.severity == "critical"

    def test_half_a_surrogate_pair_in_a_bundle_is_answered(self) -> None:
        answer = asked("", stix='{"type":"malware","name":"\\ud800 ransomware"}')
        answer.model_dump_json()

    def test_files_change_the_answer(self, tmp_path) -> None:
        (tmp_path / "kev.csv").write_text(KEV)
        with gzip.open(tmp_path / "cves.csv.gz", "wt") as file:
            file.write(CVES)
        files = {"kev": tmp_path / "kev.csv", "cves": tmp_path / "cves.csv.gz"}
        text = table("CVE-2031-12345 was found on our gateway")
        (bare,) = AGENT.answer(AGENT.init(), text)
        (answer,) = AGENT.answering(Site(files))(AGENT.init(), text)
        assert answer.vulnerabilities[0].due_date == "2031-02-24"
        assert answer.severity == "critical"
        assert answer.severity_source == "CVSS 9.8 of CVE-2031-12345"
        assert "Install the update." in str(answer.recommended_actions[0])
        assert "Install the update." not in str(bare.recommended_actions)

    @pytest.mark.parametrize(
        ("name", "file", "said"),
        [
            ("kve", "kev.csv", "did you mean 'kev'"),
            ("kev", "none.csv", "none.csv"),
            ("attack", "kev.csv", "kev.csv"),
            ("classifier", "kev.csv", "kev.csv"),
        ],
    )
    def test_a_wrong_file_is_named(self, tmp_path, name, file, said) -> None:
        (tmp_path / "kev.csv").write_text(KEV)
        with pytest.raises(ConfigError, match=said):
            AGENT.answering(Site({name: tmp_path / file}))

    def test_what_somebody_told_is_compared(self) -> None:
        answer = asked(RANSOM, severity="low", threat_type="Ransomware")
        assert answer.reported.severity == "low"
        assert answer.reported.severity_agrees is False
        assert answer.reported.threat_type_agrees is True

    def test_stix_goes_out_and_comes_in(self) -> None:
        text = f"{RANSOM}; it talks to 8.8.4.4 and uses CVE-2031-12345"
        answer = asked(text, as_stix=1.0)
        assert answer.stix["type"] == "bundle"
        again = asked("", stix=json.dumps(answer.stix))
        assert again.threat_type == "ransomware"
        assert set(again.indicators) == set(answer.indicators)
        assert {one.id for one in answer.attack_techniques} <= {
            one.id for one in again.attack_techniques
        }

    def test_nothing_at_all_is_refused(self) -> None:
        with pytest.raises(DataError, match="expected a text, or a STIX bundle"):
            asked("  ")

    def test_the_same_text_has_the_same_id(self) -> None:
        assert asked("a").threat_id == asked("a").threat_id != asked("b").threat_id

    @settings(max_examples=25)
    @given(st.text(min_size=1, max_size=400).filter(str.strip))
    def test_any_text_is_answered(self, text: str) -> None:
        answer = asked(text)
        assert answer.type_confidence is None or 0 <= answer.type_confidence <= 1
        assert all(math.isfinite(chance) for chance in answer.severity_chances.values())
        answer.model_dump_json()

    @pytest.mark.parametrize(
        "unit", ["a", "a ", "\x00", "🔥", "漢", "CVE-", "1.", "http://", "%[.]"]
    )
    def test_a_megabyte_is_answered(self, unit: str) -> None:
        answer = asked((unit * 1_000_000)[:1_000_000])
        assert answer.characters_read <= 2000
