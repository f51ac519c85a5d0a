import contextlib
import dataclasses
import json
from datetime import UTC, datetime

import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.threat.indicators import find_indicators
from mesh_fl.agents.threat.stix import Finding, Observed, read_bundle, to_bundle
from mesh_fl.errors import DataError

UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
TEXT = (
    "evil[.]com 10.0.0.5 8.8.8.8 185.220.0.0/16 hxxp://evil.ru/it's%20a bob@evil.com 2a00::1 "
    "2001:db8::1 dc01.corp.local http://intranet/x d41d8cd98f00b204e9800998ecf8427e "
    f"da39a3ee5e6b4b0d3255bfef95601890afd80709 {SHA256} {SHA256}{SHA256} "
)
FINDING = Finding(
    name="Phishing with a loader",
    threat_type="phishing",
    description="A mail with a link.",
    severity="high",
    confidence=70,
    indicators=find_indicators(TEXT + "CVE-2021-44228"),
    techniques=(
        ("T1566.002", "Spearphishing Link"),
        ("T1190", "Exploit Public-Facing Application"),
    ),
    cves=("CVE-2020-1234", "CVE-2021-44228"),
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def bundle(*objects):
    return json.dumps({"type": "bundle", "id": f"bundle--{UUID}", "objects": objects})


def thing(kind, **properties):
    return {"type": kind, "id": f"{kind}--{UUID}", **properties}


def pattern(text):
    return thing("indicator", pattern=text, pattern_type="stix")


def seen(*objects):
    return [(found.kind, found.value) for found in read_bundle(bundle(*objects)).indicators]


def test_a_bundle_of_ours_is_strict_stix_and_tells_the_same_again():
    written = to_bundle(FINDING)
    stix2.parse(written, allow_custom=False, version="2.1")
    read = read_bundle(json.dumps(written))
    assert read.indicators == find_indicators(TEXT)
    assert read.cves == FINDING.cves
    assert read.techniques == ("T1566.002", "T1190")
    assert read.texts[:2] == (FINDING.name, FINDING.description)
    assert read.problems == ()


def of_type(written, kind):
    return [found for found in written["objects"] if found["type"] == kind]


def test_what_the_report_says():
    written = to_bundle(FINDING)
    (report,) = of_type(written, "report")
    assert report["labels"] == ["phishing", "severity:high"]
    assert report["confidence"] == 70
    assert report["published"] == "2026-01-02T03:04:05Z"
    ids = {found["id"] for found in written["objects"]} - {report["id"]}
    assert set(report["object_refs"]) == ids


def test_what_is_private_is_no_pattern_to_hunt_for():
    written = to_bundle(FINDING)
    patterns = " ".join(found["pattern"] for found in of_type(written, "indicator"))
    assert "8.8.8.8" in patterns
    assert not any(own in patterns for own in ("10.0.0.5", "2001:db8", "corp.local", "intranet"))
    assert [found["value"] for found in of_type(written, "ipv4-addr")] == ["10.0.0.5"]


def test_relationships_tell_what_indicates_what():
    written = to_bundle(FINDING)
    links = of_type(written, "relationship")
    kinds = {
        (link["source_ref"].split("--")[0], link["relationship_type"], link["target_ref"][:5])
        for link in links
    }
    assert kinds == {("indicator", "indicates", "attac"), ("attack-pattern", "targets", "vulne")}
    assert len(links) == 2 * len(of_type(written, "indicator")) + 2 * 2


def test_the_same_finding_gives_the_same_bundle_and_another_one_another():
    assert to_bundle(FINDING) == to_bundle(FINDING)
    other = to_bundle(dataclasses.replace(FINDING, description="Another."))
    assert other["id"] != to_bundle(FINDING)["id"]


def test_a_finding_of_nothing_is_a_report_all_the_same():
    empty = dataclasses.replace(
        FINDING, severity=None, confidence=None, indicators=(), techniques=(), cves=()
    )
    written = to_bundle(empty)
    stix2.parse(written, version="2.1")
    assert [found["type"] for found in written["objects"]] == ["identity", "report"]


def test_what_stix_cannot_hold_is_refused():
    with pytest.raises(DataError, match="confidence"):
        to_bundle(dataclasses.replace(FINDING, confidence=200))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[ipv4-addr:value = '8.8.8.8']", [("ipv4", "8.8.8.8")]),
        ("[ ipv6-addr:value='2A00::1' ]", [("ipv6", "2a00::1")]),
        ("[domain-name:value = 'Evil.com']", [("domain", "evil.com")]),
        (r"[url:value = 'http://a.ru/it\'s']", [("url", "http://a.ru/it's")]),
        (f"[file:hashes.'SHA-256' = '{SHA256}']", [("sha256", SHA256)]),
        (f"[file:hashes.SHA256 = '{SHA256}']", [("sha256", SHA256)]),
        (
            "[domain-name:value IN ('a.com', 'b.com')] OR [ipv4-addr:value = '8.8.8.8']",
            [("domain", "a.com"), ("domain", "b.com"), ("ipv4", "8.8.8.8")],
        ),
        (
            "([url:value = 'http://a.com/' OR url:value = 'http://b.com/'] FOLLOWEDBY "
            "[email-addr:value = 'x@a.com']) WITHIN 300 SECONDS",
            [("url", "http://a.com/"), ("url", "http://b.com/"), ("email", "x@a.com")],
        ),
        ("[network-traffic:dst_ref.value = '2a00::1']", [("ipv6", "2a00::1")]),
        ("[ipv4-addr:value != '8.8.8.8']", []),
        ("[ipv4-addr:value NOT = '8.8.8.8']", []),
        ("[domain-name:value LIKE '%.evil.com']", []),
        ("[url:value = 'NOT IN' OR url:value = 'http://b.com/']", [("url", "http://b.com/")]),
        ("[file:size = 25536]", []),
        ("[ipv4-addr:value = 'nonsense']", []),
    ],
)
def test_what_a_pattern_asks_for(text, expected):
    assert seen(pattern(text)) == expected
    assert read_bundle(bundle(pattern(text))).problems == ()


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (pattern("[ipv4-addr:value ="), "no STIX pattern"),
        (pattern(""), "no STIX pattern"),
        (pattern("[ipv4-addr:value NOT IN ('8.8.8.8')]"), "NOT IN is not understood"),
        (pattern("[" + "(" * 1000 + "a:b = 'c'" + ")" * 1000 + "]"), "nested too deeply"),
        (pattern("[a:b = '" + "x" * 5000 + "']"), "longer than"),
        (pattern(7), "expected a STIX pattern"),
        (thing("indicator", pattern="rule x", pattern_type="yara"), "found 'yara'"),
        (thing("indicator"), "expected a STIX pattern"),
        ({"type": "malware", "id": 7}, "expected an id"),
        ({"type": "malware", "id": "malware--7"}, "expected an id"),
        ({"type": ["malware"]}, "with a type"),
        (None, "with a type"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_read(found, problem):
    read = read_bundle(bundle(found, thing("ipv4-addr", value="8.8.8.8")))
    assert [indicator.value for indicator in read.indicators] == ["8.8.8.8"]
    assert len(read.problems) == 1
    assert read.problems[0].startswith("object 1: ")
    assert problem in read.problems[0]


def test_observables():
    assert seen(
        thing("domain-name", value="evil.com", resolves_to_refs=[f"ipv4-addr--{UUID}"]),
        thing("file", hashes={"SHA-256": SHA256, "SSDEEP": "x", "MD5": 7}),
        thing("observed-data", objects={"0": {"type": "url", "value": "http://a.com/"}, "1": 3}),
        thing("email-addr", value=["x"]),
        thing("x-own", value="8.8.8.8"),
    ) == [("domain", "evil.com"), ("sha256", SHA256), ("url", "http://a.com/")]


def test_names_and_references():
    read = read_bundle(
        bundle(
            thing("identity", name="ACME Ltd"),
            thing("malware", name="Loader", description="Loads.", kill_chain_phases=4),
            thing("vulnerability", name="cve-2021-44228"),
            thing(
                "attack-pattern",
                name="Phishing",
                external_references=[
                    {"source_name": "mitre-attack", "external_id": "T1566"},
                    {"source_name": "capec", "external_id": "T1111"},
                    {"source_name": "cve", "external_id": "CVE-2020-1234"},
                    {"source_name": 7, "external_id": ["T1"]},
                    "T1190",
                ],
            ),
            thing("x-custom", name="Own kind", nested={"a": [1]}),
            thing("relationship", description="uses", source_ref="a", target_ref="a"),
        )
    )
    assert read.texts == ("Loader", "Loads.", "cve-2021-44228", "Phishing", "Own kind")
    assert read.cves == ("CVE-2021-44228", "CVE-2020-1234")
    assert read.techniques == ("T1566",)
    assert len(read.ids) == 6
    assert read.problems == ()


def test_one_object_a_list_and_nothing():
    malware = thing("malware", name="Loader")
    assert read_bundle(json.dumps(malware)).texts == ("Loader",)
    assert read_bundle(json.dumps([malware])).texts == ("Loader",)
    assert read_bundle(" ") == Observed()


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "null",
        "3",
        '"STIX"',
        "[]",
        "{}",
        '{"type": "bundle"}',
        '{"type": "bundle", "objects": {"type": "malware"}}',
        "[" * 500_000,
        '{"a":' * 100_000,
        "9" * 5000,
        "evil.com",
    ],
)
def test_what_is_no_stix_is_refused(document):
    with pytest.raises(DataError, match=r"stix: expected a STIX 2\.1 bundle or object, found"):
        read_bundle(document)


def test_a_huge_bundle_is_read_up_to_its_limit():
    read = read_bundle(bundle(*[{"type": "malware", "name": str(n)} for n in range(100_000)]))
    assert len(read.texts) == 10_000
    assert len(read.problems) == 21
    assert read.problems[-1] == "and 9981 more problems"


def test_many_patterns_that_are_not_simple_are_left_out_and_told():
    text = "[ipv4-addr:value = '8.8.8.8' OR ipv4-addr:value = '8.8.4.4']"
    read = read_bundle(bundle(*[pattern(text)] * 400))
    assert [found.value for found in read.indicators] == ["8.8.8.8", "8.8.4.4"]
    assert "more than 20,000 characters" in read.problems[0]


def test_simple_patterns_are_not_limited():
    count = 2000
    patterns = [pattern(f"[ipv4-addr:value = '8.8.{n // 200}.{n % 200}']") for n in range(count)]
    assert len(seen(*patterns)) == count


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("bundle"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "id", "objects", "name", "pattern", "hashes", "external_references"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(values, st.sampled_from(["indicator", "file", "observed-data", "vulnerability"]))
def test_any_json_gives_an_answer_or_a_data_error(value, kind):
    rest = value if isinstance(value, dict) else {"objects": value, "pattern": value}
    read_bundle(bundle(value, {**rest, "type": kind}))
    with contextlib.suppress(DataError):
        read_bundle(json.dumps(value))
