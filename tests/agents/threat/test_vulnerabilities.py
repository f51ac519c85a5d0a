import csv
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.threat import _json_elements, _reference_files
from mesh_fl.agents.threat.vulnerabilities import (
    find_vectors,
    read_vulnerabilities,
    score_vector,
)
from mesh_fl.errors import ConfigError, DataError

LOG4SHELL, OTHER, THIRD = "CVE-2021-44228", "CVE-2020-1234", "CVE-1999-0006"
WORST = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
KEV = """cveID,vulnerabilityName,dateAdded,requiredAction,dueDate,knownRansomwareCampaignUse,notes
CVE-2021-44228,Log4Shell,2021-12-10,"Patch,
or unplug.",2021-12-24,Known,
CVE-2020-1234,Other,2022-01-05,Patch.,2022-02-05,Unknown,
"""
EPSS = """#model_version:v2025.03.14,score_date:2025-11-20T12:55:00Z
cve,epss,percentile
CVE-2021-44228,0.94358,0.99960
CVE-2020-1234,0.02000,0.80000
CVE-1999-0006,0.00100,0.10000
"""
RECORDS = f"""cve_id,published,description,score,severity,vector
CVE-2021-44228,2021-12-10,Lookups in Log4j.,9.8,CRITICAL,{WORST}
CVE-2020-1234,2020-03-12,"Two
lines",5.0,MEDIUM,{WORST}
CVE-1999-0006,1999-01-01,,7.5,HIGH,
"""


def written(folder, name, text, encoding="utf-8"):
    path = folder / name
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.fixture
def everything(tmp_path):
    return read_vulnerabilities(
        kev=written(tmp_path, "kev.csv", KEV),
        epss=written(tmp_path, "epss.csv.gz", EPSS),
        cves=written(tmp_path, "cves.csv", RECORDS),
    )


def test_everything_that_three_files_know(everything):
    answer = everything.lookup(LOG4SHELL.lower())
    assert (answer.cve, answer.known_exploited, answer.ransomware) == (LOG4SHELL, True, True)
    assert (answer.required_action, answer.due_date) == ("Patch,\nor unplug.", "2021-12-24")
    assert (answer.epss, answer.epss_percentile) == (0.94358, 0.9996)
    assert (answer.cvss_version, answer.cvss_vector) == ("3.1", WORST)
    assert (answer.cvss_score, answer.cvss_severity) == (9.8, "critical")
    assert answer.description == "Lookups in Log4j."
    assert [(source.name, source.date) for source in answer.sources] == [
        ("kev.csv", "2022-01-05"),
        ("epss.csv.gz", "2025-11-20"),
        ("cves.csv", "2021-12-10"),
    ]
    assert (answer.priority, everything.problem_count) == ("act first", 0)
    assert set(answer.unavailable) == {"cvss_disagreement"}


def test_a_score_that_its_vector_does_not_give_is_told(everything):
    answer = everything.lookup(OTHER)
    assert answer.cvss_score == 9.8
    assert answer.cvss_disagreement == "the file says 5 medium, its vector gives 9.8"
    assert answer.ransomware is None
    assert "ransomware" in answer.unavailable


def test_a_score_without_a_vector_counts(everything):
    answer = everything.lookup(THIRD)
    assert (answer.cvss_score, answer.cvss_severity, answer.cvss_vector) == (7.5, "high", None)
    assert answer.unavailable["cvss_vector"] == "the record has no CVSS vector"
    assert (answer.known_exploited, answer.description) == (False, None)


def test_without_files_everything_is_missing_with_its_reason():
    answer = read_vulnerabilities().lookup(LOG4SHELL)
    values = answer.model_dump(exclude={"cve", "priority", "priority_reason", "unavailable"})
    assert values.pop("sources") == ()
    assert set(values.values()) == {None}
    assert set(answer.unavailable) == set(values)
    assert answer.priority == "unknown"


@pytest.mark.parametrize("name", ["CVE-2019-9999", "CVE-2021-44229", "CVE-2100-123456789012345"])
def test_a_cve_in_no_file(everything, name):
    answer = everything.lookup(name)
    assert (answer.known_exploited, answer.epss, answer.priority) == (False, None, "unknown")
    assert [source.name for source in answer.sources] == ["kev.csv"]
    assert answer.unavailable["epss"] == "epss.csv.gz does not list it"


@pytest.mark.parametrize("name", ["", "log4j", "CVE-2021-1", "CVE-2021-1234567890123456"])
def test_what_is_no_cve(everything, name):
    with pytest.raises(DataError, match="expected a CVE id"):
        everything.lookup(name)


@pytest.mark.parametrize(
    ("exploited", "epss", "score", "priority"),
    [
        (True, "0.0001", "1.0", "act first"),
        (False, "0.1", "1.0", "act soon"),
        (False, "0.0999", "9.8", "plan"),
        (False, "0.0099", "9.0", "plan"),
        (False, "0.0099", "8.9", "routine"),
        (False, None, "9.0", "act soon"),
        (False, None, "7.0", "plan"),
        (False, None, "6.9", "routine"),
        (False, "0.001", None, "routine"),
        (False, None, None, "unknown"),
    ],
)
def test_exploited_before_likely_before_severe(tmp_path, exploited, epss, score, priority):
    listed = LOG4SHELL if exploited else OTHER
    kev = f"cveID,requiredAction,dueDate,knownRansomwareCampaignUse\n{listed},Patch.,,Unknown\n"
    files = {"kev": written(tmp_path, "kev.csv", kev)}
    if epss:
        text = f"cve,epss,percentile\n{LOG4SHELL},{epss},0.5\n"
        files["epss"] = written(tmp_path, "epss.csv", text)
    if score:
        text = f"cve,cvss_score,summary\n{LOG4SHELL},{score},x\n"
        files["cves"] = written(tmp_path, "cves.csv", text)
    answer = read_vulnerabilities(**files).lookup(LOG4SHELL)
    assert answer.priority == priority
    assert answer.priority_reason


def nvd(cve, **metrics):
    texts = [{"lang": "es", "value": "hola"}, {"lang": "en", "value": "Lookups."}]
    return {"cve": {"id": cve, "published": "2021-12-10T10", "descriptions": texts} | metrics}


def cvss(vector, score, kind="Primary"):
    return {"type": kind, "cvssData": {"vectorString": vector, "baseScore": score}}


def test_nvd_answers(tmp_path):
    lesser = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
    metrics = {"cvssMetricV31": [cvss(lesser, 1.8, "Secondary"), cvss(WORST, 9.8)]}
    entries = [nvd(LOG4SHELL, metrics=metrics), nvd(OTHER), {"cve": 7}, 3, nvd(OTHER)]
    document = {"format": "NVD_CVE", "timestamp": "2025-01-02T03", "vulnerabilities": entries}
    found = read_vulnerabilities(cves=written(tmp_path, "a.json.gz", json.dumps(document)))
    answer = found.lookup(LOG4SHELL)
    assert (answer.cvss_score, answer.description) == (9.8, "Lookups.")
    assert answer.sources[0].date == "2025-01-02"
    assert found.lookup(OTHER).cvss_score is None
    assert [problem.line for problem in found.problems] == [3, 4, 5]


@pytest.mark.parametrize("form", ["one", "list"])
def test_cve_json_5(tmp_path, form):
    record = {
        "dataType": "CVE_RECORD",
        "cveMetadata": {"cveId": LOG4SHELL, "datePublished": "2021-12-10"},
        "containers": {
            "cna": {"descriptions": [{"lang": "en", "value": "Lookups."}], "metrics": [{"x": 1}]},
            "adp": [{"metrics": [{"cvssV3_1": {"vectorString": WORST, "baseScore": 9.8}}]}],
        },
    }
    text = json.dumps(record if form == "one" else [record], indent=1)
    answer = read_vulnerabilities(cves=written(tmp_path, "a.json", text)).lookup(LOG4SHELL)
    assert (answer.cvss_score, answer.description) == (9.8, "Lookups.")


def test_kev_as_json_and_a_folder_of_records(tmp_path):
    entries = list(csv.DictReader(KEV.splitlines(keepends=True)))
    document = {"title": "KEV", "dateReleased": "2025-08-25T1", "vulnerabilities": entries}
    folder = tmp_path / "cves"
    folder.mkdir()
    written(folder, "b.csv", RECORDS)
    written(folder, "a.json", json.dumps([nvd(OTHER)]))
    written(folder, "readme.txt", "no CSV")
    found = read_vulnerabilities(
        kev=written(tmp_path, "kev.json", json.dumps(document)), cves=folder
    )
    assert found.lookup(LOG4SHELL).due_date == "2021-12-24"
    assert found.lookup(LOG4SHELL).sources[0].date == "2025-08-25"
    assert found.lookup(OTHER).description == "Lookups."
    assert (len(found), found.problem_count) == (3, 1)


def test_bad_rows_are_left_out_and_named(tmp_path):
    text = EPSS + "CVE-1,0.1,0.1\nCVE-2020-1111,1.5,0.1\nCVE-2020-1112,nan,0.1\nCVE-2020-1113\n\n"
    text += "CVE-2020-1234,0.9,0.9\n"
    found = read_vulnerabilities(epss=written(tmp_path, "e.csv", text))
    assert [(problem.file, problem.line) for problem in found.problems] == [
        ("e.csv", 6),
        ("e.csv", 7),
        ("e.csv", 8),
        ("e.csv", 9),
        ("e.csv", 11),
    ]
    assert found.lookup(OTHER).epss == 0.02
    assert "0.9" not in str(found.lookup("CVE-2020-1113"))


def test_only_the_first_problems_are_kept(tmp_path):
    text = EPSS + "x,1,1\n" * 500
    found = read_vulnerabilities(epss=written(tmp_path, "e.csv", text))
    assert (len(found.problems), found.problem_count) == (100, 500)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(tmp_path, encoding):
    path = written(tmp_path, "c.csv", f"CVE ID;x,Description\n{OTHER},é\n", encoding)
    with pytest.raises(ConfigError):
        read_vulnerabilities(cves=path)
    path = written(tmp_path, "c.csv", f"CVE ID,Description\r\n{OTHER},Café\r\n", encoding)
    assert read_vulnerabilities(cves=path).lookup(OTHER).description == "Café"


BOMB = b'{"vulnerabilities": [' + b'{"a":' * 200_000


@pytest.mark.parametrize("argument", ["kev", "epss", "cves"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.csv", None),
        ("folder.txt", ...),
        ("a.csv", b""),
        ("a.csv", b"\x00\xff\xfe\x01" * 1000),
        ("a.csv", b"a,b,c\n1,2,3\n"),
        ("a.csv", b"cve,epss,percentile\n" + b'"' + b"x" * 300_000),
        ("a.csv.gz", b"no gzip"),
        ("a.csv.gz", gzip.compress(RECORDS.encode() * 100)[:-40]),
        ("a.json", b""),
        ("a.json", b"null"),
        ("a.json", b"[1, 2"),
        ("a.json", b"[]"),
        ("a.json", b'{"vulnerabilities": [{"cve": "x"}'),
        ("a.json", b'{"a": {"vulnerabilities": []}}'),
        ("a.json", b'{"vulnerabilities": [{]}'),
        ("a.json", BOMB),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, argument, name, content):
    path = tmp_path / name
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{name}: expected .*, found"):
        read_vulnerabilities(**{argument: path})


def test_a_file_is_not_inflated_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_reference_files, "MOST_BYTES", 1 << 20)
    path = written(tmp_path, "e.csv.gz", EPSS + ("x" * 1000 + ",1,1\n") * 2000)
    with pytest.raises(ConfigError, match="expected at most 1 MiB, found more"):
        read_vulnerabilities(epss=path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=6), st.integers(1, 12), st.sampled_from([None, 1]))
def test_entries_are_read_whatever_the_chunks(entries, chunk, indent):
    import io
    from pathlib import Path

    document = json.dumps({"format": "x", "vulnerabilities": entries}, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json_elements, "_CHUNK_CHARACTERS", chunk)
        text = io.StringIO(document)
        elements = _json_elements.JsonElements(text, Path("a.json"))
        elements._buffer += text.read(40)
        assert elements.head()["format"] == "x"
        assert list(elements.rest()) == entries


@given(st.dictionaries(st.integers(1000, 9999), st.text(max_size=400), min_size=1, max_size=40))
def test_every_record_is_found_again(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("cves") / "cves.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerow(["cve", "description"])
        rows.writerows((f"CVE-2020-{n}", text) for n, text in texts.items())
    found = read_vulnerabilities(cves=path)
    for number, text in texts.items():
        shown = text.replace("\n", " ").replace("\x00", " ")
        assert found.lookup(f"CVE-2020-{number}").description == (shown or None)


@pytest.mark.parametrize(
    ("vector", "version", "score", "severity"),
    [
        (WORST, "3.1", 9.8, "critical"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "3.0", 6.1, "medium"),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", "2.0", 7.5, "high"),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            "4.0",
            9.3,
            "critical",
        ),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", "3.1", 0.0, "none"),
    ],
)
def test_vectors_are_found_and_scored(vector, version, score, severity):
    (found,) = find_vectors(f"Rated {vector}, ({vector}) by us.")
    assert (found.version, found.vector) == (version, vector)
    assert (found.score, found.severity) == (score, severity)
    assert score_vector(f"({vector})") == found


@pytest.mark.parametrize(
    "text",
    [
        "CVSS:3.1/AV:N/AC:L",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:X",
        "CVSS:3.1/AV:N/AV:N/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:9.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "AV:N/AC:L/C:P/I:P/A:P",
        "CVSS:3.1" + "/AV:N" * 200_000,
        "AV:N/AC:L/" * 100_000,
        "",
    ],
)
def test_what_is_no_vector(text):
    assert find_vectors(text) == ()
    assert score_vector(text) is None
