import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.threat._attack_files import Control, Mitigation, Technique
from mesh_fl.agents.threat.indicators import Indicator
from mesh_fl.agents.threat.kinds import KindAnswer, Kinds, Likeness, RunnerUp
from mesh_fl.agents.threat.remediation import LIKELY, MOST_LISTED, Action, Remediation, left_out
from mesh_fl.agents.threat.techniques import (
    NAMED,
    SIMILAR,
    TechniqueMatch,
    Techniques,
    load_techniques,
)
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer
from mesh_fl.text.encoder import Encoder, Vectors


def indicator(kind: str, value: str, scope: str | None = "public") -> Indicator:
    defanged = value.replace("http", "hxxp").replace(".", "[.]")
    return Indicator.model_validate(
        {"kind": kind, "value": value, "defanged": defanged, "scope": scope}
    )


ADDRESS = indicator("ipv4", "45.83.12.9")
RESOLVER = indicator("ipv4", "8.8.4.4")
SITE = indicator("domain", "www.microsoft.com")
LINK = indicator("url", "http://evil.com/x")
SENDER = indicator("email", "bad@evil.com")
HASH = indicator("sha256", "a1" * 32, None)
OWN_MACHINE = indicator("ipv4", "192.168.4.7", "private")
CVE = indicator("cve", "CVE-2021-44228", None)

THREATS = ("ransomware", "phishing", "cryptomining", "misconfiguration", "vulnerability")


class Hashed(Encoder):
    """Vectors without meaning: nothing here depends on likeness."""

    name = "hashed"
    dimension = 8

    def _encode_one(self, text: str) -> Vectors:
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return np.frombuffer(digest, dtype=np.uint8).astype(np.float32)


KINDS = Kinds(Hashed())
TECHNIQUES = load_techniques(Hashed())
REMEDIATION = Remediation(KINDS, TECHNIQUES)


def kind(name: str, confidence: float = 0.9) -> KindAnswer:
    nearest = Likeness(kind="malware", text="A trojan", similarity=0.6)
    return KindAnswer.model_validate(
        {
            "kind": name,
            "title": name.title(),
            "definition": "",
            "confidence": confidence,
            "score": 0.6,
            "runners_up": (RunnerUp(kind="malware", title="Malware", share=0.04),),
            "words": (),
            "nearest": (nearest,),
            "reason": "it is like 'A trojan' (similarity 0.60)",
        }
    )


def match(id_: str, similarity: float | None = 0.61, how: str = SIMILAR) -> TechniqueMatch:
    return TechniqueMatch.model_validate(
        {
            "id": id_,
            "name": TECHNIQUES.name(id_),
            "tactics": (),
            "similarity": similarity,
            "words": (),
            "source": TECHNIQUES.source,
            "how": how,
        }
    )


def vulnerability(cve: str = "CVE-2021-44228", **values: object) -> VulnerabilityAnswer:
    plain = {"priority": "plan", "priority_reason": "CVSS 5.0", "sources": (), "unavailable": {}}
    return VulnerabilityAnswer.model_validate({"cve": cve, **plain, **values})


def said(actions: tuple[Action, ...]) -> list[str]:
    return [action.action for action in actions]


class TestKind:
    def test_its_steps_cite_kind_confidence_and_the_nearest_sentence(self) -> None:
        steps = REMEDIATION.steps(kind("ransomware", 0.87))
        own = KINDS.kind("ransomware")
        assert own is not None
        assert said(steps) == list(own.steps)
        assert all("Ransomware (confidence 0.87): it is like" in step.because for step in steps)
        assert {step.source for step in steps} == {"mesh_fl catalogue"}

    @pytest.mark.parametrize(
        ("severity", "urgencies"),
        [
            ("critical", ["now", "soon"]),
            ("high", ["now", "soon"]),
            ("medium", ["soon", "later"]),
            ("low", ["soon", "later"]),
            (None, ["soon", "later"]),
        ],
    )
    def test_they_are_as_urgent_as_the_threat_is_grave(
        self, severity: str | None, urgencies: list[str]
    ) -> None:
        steps = REMEDIATION.steps(kind("malware"), [], [], [ADDRESS], severity=severity)
        assert list(dict.fromkeys(step.urgency for step in steps)) == urgencies

    def test_what_is_exploited_is_urgent_whatever_its_severity(self) -> None:
        exploited = [vulnerability(known_exploited=True)]
        first, *_ = REMEDIATION.steps(kind("malware"), [], exploited, [], severity="low")[1:]
        assert first.urgency == "now"

    def test_other_kinds_have_other_steps(self) -> None:
        every = [said(REMEDIATION.steps(kind(name))) for name in THREATS]
        assert len({tuple(steps) for steps in every}) == len(THREATS)

    @pytest.mark.parametrize("name", ["none", "unknown"])
    def test_without_a_threat_likeness_and_indicators_call_for_nothing(self, name: str) -> None:
        steps = REMEDIATION.steps(kind(name, 0.0), [match("T1486")], [], [ADDRESS, LINK])
        assert len(steps) == (name == "unknown")

    def test_what_is_unknown_is_for_a_person_to_read(self) -> None:
        (step,) = REMEDIATION.steps(kind("unknown", 0.0))
        assert "person" in step.action
        assert step.because == kind("unknown").reason

    def test_what_is_unsure_is_for_a_person_to_read_first(self) -> None:
        first, *rest = REMEDIATION.steps(kind("phishing", 0.4))
        assert "person" in first.action
        assert first.because == "Phishing has 0.40 of the evidence, Malware 0.04"
        assert rest == list(REMEDIATION.steps(kind("phishing", 0.4)))[1:]
        assert "person" not in " ".join(said(REMEDIATION.steps(kind("phishing", 0.6))))


class TestVulnerabilities:
    def test_what_is_exploited_comes_first_in_the_words_of_the_catalogue(self) -> None:
        known = vulnerability(
            known_exploited=True,
            ransomware=True,
            required_action="Apply updates per vendor instructions.",
            due_date="2021-12-24",
        )
        first, *_ = REMEDIATION.steps(kind("phishing"), [match("T1566")], [known])
        assert first.action.startswith("CVE-2021-44228: Apply updates per vendor instructions.")
        assert "2021-12-24" in first.action
        assert first.source == "CISA Known Exploited Vulnerabilities catalogue"
        assert first.because == "CVE-2021-44228 is known to be exploited, used by ransomware"
        assert first.urgency == "now"

    def test_it_counts_without_a_threat_too(self) -> None:
        (step,) = REMEDIATION.steps(kind("none"), [], [vulnerability(known_exploited=True)])
        assert step.source == "mesh_fl catalogue"

    @pytest.mark.parametrize(
        ("priority", "urgency"),
        [("act first", "now"), ("act soon", "soon"), ("plan", "later"), ("unknown", "later")],
    )
    def test_others_are_as_urgent_as_their_priority(self, priority: str, urgency: str) -> None:
        (step,) = REMEDIATION.steps(
            kind("none"), [], [vulnerability(priority=priority, priority_reason="EPSS 0.42")]
        )
        assert step.urgency == urgency
        assert "EPSS 0.42" in step.because


class TestIndicators:
    def test_each_group_has_its_own_step_that_lists_it_defanged(self) -> None:
        steps = REMEDIATION.steps(kind("malware"), [], [], [ADDRESS, LINK, SENDER, HASH])
        told = [step for step in steps if step.because.startswith("indicators")]
        assert len(told) == 4
        joined = " ".join(said(tuple(told)))
        assert "45[.]83[.]12[.]9" in joined
        assert "hxxp" in joined
        assert "http://" not in joined
        assert {step.because for step in told} >= {
            "indicators: 1 ipv4 in the text",
            "indicators: 1 sha256 in the text",
        }

    def test_own_machines_are_checked_not_blocked(self) -> None:
        steps = REMEDIATION.steps(kind("malware"), [], [], [OWN_MACHINE])
        (step,) = [step for step in steps if step.because.startswith("indicators")]
        assert step.action.startswith("Check these machines")

    def test_services_in_common_use_are_not_to_be_blocked(self) -> None:
        steps = REMEDIATION.steps(
            kind("malware"), [], [], [RESOLVER, SITE, ADDRESS], severity="critical"
        )
        block, known = [step for step in steps if step.because.startswith("indicators")]
        assert "45[.]83[.]12[.]9" in block.action
        assert "8[.]8[.]4[.]4" not in block.action
        assert known.action.startswith("Do not block these")
        assert "8[.]8[.]4[.]4, www[.]microsoft[.]com" in known.action
        assert (block.urgency, known.urgency) == ("now", "later")

    @pytest.mark.parametrize("scope", ["documentation", "loopback", "reserved", "multicast"])
    def test_what_reaches_nowhere_calls_for_nothing(self, scope: str) -> None:
        nowhere = indicator("ipv4", "192.0.2.7", scope)
        assert REMEDIATION.steps(kind("malware"), [], [], [nowhere]) == REMEDIATION.steps(
            kind("malware")
        )
        assert bool(list(left_out([nowhere]))) == (scope == "documentation")

    @pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha512"])
    def test_the_hash_of_an_empty_file_is_left_out_with_its_reason(self, name: str) -> None:
        empty = indicator(name, hashlib.new(name, b"").hexdigest(), None)
        steps = REMEDIATION.steps(kind("malware"), [], [], [empty, HASH])
        assert empty.value not in " ".join(said(steps))
        assert HASH.value in " ".join(said(steps))
        (reason,) = left_out([empty, HASH, ADDRESS])
        assert empty.value in reason
        assert "empty file" in reason

    def test_a_bundle_that_claims_a_threat_makes_them_count(self) -> None:
        steps = REMEDIATION.steps(kind("unknown", 0.0), [], [], [ADDRESS], claimed=True)
        assert any("45[.]83[.]12[.]9" in step.action for step in steps)

    def test_long_lists_are_cut_and_say_so(self) -> None:
        many = [indicator("ipv4", f"45.83.{n}.1") for n in range(30)]
        steps = REMEDIATION.steps(kind("malware"), [], [], many)
        (step,) = [step for step in steps if step.because.startswith("indicators")]
        assert f"and {30 - MOST_LISTED} more" in step.action
        assert "30 ipv4" in step.because

    def test_a_cve_is_no_address(self) -> None:
        steps = REMEDIATION.steps(kind("malware"), [], [], [CVE])
        assert steps == REMEDIATION.steps(kind("malware"))


class TestTechniques:
    def test_steps_cite_the_technique_and_its_likeness(self) -> None:
        steps = REMEDIATION.steps(kind("intrusion"), [match("T1003.001", 0.73)])
        (step,) = [step for step in steps if "T1003.001" in step.because]
        assert step.because == "T1003.001 OS Credential Dumping: LSASS Memory, by similarity 0.73"
        assert step.urgency == "soon"

    def test_one_that_is_not_like_enough_calls_for_nothing(self) -> None:
        weak = [match("T1486", LIKELY - 0.01), match("T1490", None)]
        assert REMEDIATION.steps(kind("malware"), weak) == REMEDIATION.steps(kind("malware"))
        named = REMEDIATION.steps(kind("malware"), [match("T1486", 0.1, NAMED)])
        assert len(named) > len(REMEDIATION.steps(kind("malware")))

    def test_one_that_is_named_counts_without_a_threat(self) -> None:
        (step,) = REMEDIATION.steps(kind("none"), [match("T1490", 0.1, NAMED)])
        assert step.because.endswith("is named in the text")

    def test_one_that_nobody_knows_calls_for_nothing(self) -> None:
        assert REMEDIATION.steps(kind("none"), [match("T9999", None, NAMED)]) == ()

    def test_mitigations_of_the_users_file_take_the_place_of_our_steps(self) -> None:
        told = (Mitigation("Nets: hang them up.", "file.json, mitigation M1"),)
        catalogue = Techniques([Technique("T1486", "x", (), ("x",), told)], "file", Hashed())
        steps = Remediation(KINDS, catalogue).steps(kind("none"), [match("T1486", 1.0, NAMED)])
        assert [(step.action, step.source) for step in steps] == [
            ("Nets: hang them up.", "file.json, mitigation M1")
        ]

    def test_controls_that_answer_most_techniques_come_first(self) -> None:
        backup, least = Control("CP-9", "Backup", "map"), Control("AC-6", "Least", "map")
        controls = {"T1486": (least, backup), "T1490": (backup,)}
        steps = Remediation(KINDS, TECHNIQUES, controls).steps(
            kind("ransomware"), [match("T1486"), match("T1490.001"), match("T1110")]
        )
        last = steps[-1]
        assert last.action == "Review the NIST SP 800-53 controls CP-9 Backup, AC-6 Least."
        assert last.because == "they are mapped to T1486, T1490.001, found here"
        assert (last.source, last.urgency) == ("map", "later")


@given(
    name=st.sampled_from([*THREATS, "none", "unknown"]),
    confidence=st.floats(0, 1),
    ids=st.lists(st.sampled_from(["T1486", "T1490", "T1566.001", "T9999"]), max_size=6),
    found=st.lists(st.sampled_from([ADDRESS, LINK, SENDER, HASH, OWN_MACHINE, CVE])),
    exploited=st.lists(st.sampled_from([True, False, None]), max_size=3),
)
def test_every_step_has_a_reason_and_none_comes_twice(
    name: str,
    confidence: float,
    ids: list[str],
    found: list[Indicator],
    exploited: list[bool | None],
) -> None:
    cves = [vulnerability(f"CVE-2020-000{n}", known_exploited=e) for n, e in enumerate(exploited)]
    steps = REMEDIATION.steps(kind(name, confidence), [match(id_) for id_ in ids], cves, found)
    urgencies = [["now", "soon", "later"].index(step.urgency) for step in steps]
    assert urgencies == sorted(urgencies)
    assert len(set(said(steps))) == len(steps)
    computed = [name.title(), "it is like", "indicators: ", *ids, *(one.cve for one in cves)]
    assert all(any(value in step.because for value in computed) for step in steps)
    assert all(step.source for step in steps)
