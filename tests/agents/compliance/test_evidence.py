import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.compliance.evidence import MOST_RESULTS, Result, read_evidence
from mesh_fl.errors import DataError


def only(item: object) -> Result:
    (result,) = read_evidence(json.dumps([item])).results
    return result


def test_a_plain_result() -> None:
    item = {
        "control_ref": "AC-2",
        "system": "idp",
        "status": "Pass",
        "collected_at": "2026-03-01T10:00:00+02:00",
        "text": "all\x00 reviewed",
    }
    assert only(item) == Result(
        names=("AC-2",),
        status="pass",
        system="idp",
        collected_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        text="all reviewed",
        place="evidence item 1",
    )


def test_results_of_prowler_as_they_are() -> None:
    plain = {
        "CheckID": "iam_root_mfa",
        "Status": "FAIL",
        "StatusExtended": "no MFA",
        "ResourceId": "root",
        "AssessmentStartTime": "2026-01-02T03:04:05",
    }
    ocsf = {
        "metadata": {"event_code": "iam_root_mfa"},
        "status": "New",
        "status_code": "FAIL",
        "status_detail": "no MFA",
        "resources": [{"uid": "root"}],
        "time_dt": "2026-01-02T03:04:05Z",
    }
    found = only(plain)
    assert found == only(ocsf)
    assert (found.names, found.status, found.system) == (("iam_root_mfa",), "fail", "root")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PASS", "pass"),
        ("Compliant", "pass"),
        (True, "pass"),
        (1, "pass"),
        ("FAIL", "fail"),
        ("non-compliant", "fail"),
        ("Not compliant", "fail"),
        ("Not Satisfied", "fail"),
        (False, "fail"),
        (0, "fail"),
        ("MANUAL", "unknown"),
        ("INFO", "unknown"),
        ("n/a", "unknown"),
        ("Not Applicable", "unknown"),
    ],
)
def test_status_words(word: object, status: str) -> None:
    assert only({"check": "c", "status": word}).status == status


@pytest.mark.parametrize(
    "document",
    [
        '{"AC-2": "pass", "x": "fail"}',
        '{"AC-2": {"status": "pass"}, "x": {"status": "no"}}',
        '{"results": [{"control": "AC-2", "status": "ok"}, {"check": "x", "status": "no"}]}',
    ],
)
def test_shapes_of_a_document(document: str) -> None:
    found = [(one.names, one.status) for one in read_evidence(document).results]
    assert found == [(("AC-2",), "pass"), (("x",), "fail")]


def test_a_single_result_and_none() -> None:
    assert len(read_evidence('{"control": "AC-2", "status": "pass"}').results) == 1
    assert read_evidence("").results == read_evidence("[]").results == ()


def test_bad_items_are_refused_with_place_and_remedy_and_the_others_count() -> None:
    found = read_evidence(
        json.dumps(
            [
                {"control": "AC-2", "status": "pass"},
                5,
                {"status": "pass"},
                {"control": "AC-3", "status": "banana"},
                {"control": "AC-4"},
                {"control": "AC-5", "status": "pass", "date": "next week"},
                {"control": "AC-6", "status": "pass", "date": "2999-01-01"},
            ]
        )
    )
    assert [one.names[0] for one in found.results] == ["AC-2", "AC-5", "AC-6"]
    assert found.refused == 4
    assert found.results[1].collected_at is found.results[2].collected_at is None
    for problem, said in zip(
        found.problems,
        [
            "item 2: expected a result, found a number; a result looks like",
            "item 3: expected a control or a check, found neither; a result looks like",
            "item 4: expected a status (pass, fail or unknown), found 'banana'",
            "item 5: expected a status (pass, fail or unknown), found nothing",
            "item 6: expected an ISO 8601 date, found 'next week'; it counts as undated",
            "item 7: 2999-01-01 lies in the future",
        ],
        strict=True,
    ):
        assert said in problem


def dated(name: str, day: int, status: str, system: str = "a") -> dict[str, str]:
    when = f"2026-01-0{day}"
    return {"check": name, "status": status, "system": system, "collected_at": when}


def test_a_newer_result_of_the_same_check_replaces_an_older_one() -> None:
    name = "iam_root_mfa"
    items = [dated(name, 3, "pass"), dated(name, 1, "fail"), dated(name, 2, "fail", "b")]
    items.append({"check": name, "status": "no"})
    found = [(one.system, one.status) for one in read_evidence(json.dumps(items)).results]
    assert found == [("a", "pass"), ("b", "fail"), ("", "fail")]


def test_results_that_name_a_control_alone_may_be_of_different_facts() -> None:
    items = [dated("AC-2", 1, "fail"), dated("AC-2", 2, "pass"), dated("CC6.1", 1, "fail")]
    found = [one.status for one in read_evidence(json.dumps(items)).results]
    assert found == ["fail", "pass", "fail"]


def test_age() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    result = only({"check": "c", "status": "pass", "date": "2026-05-01"})
    assert result.is_stale(now, 30)
    assert not result.is_stale(now, 31)
    assert not only({"check": "c", "status": "pass"}).is_stale(now, 1)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("nul", "expected JSON, found at line 1"),
        ("5", "expected a list of results, found a number"),
        ('"PASS"', "expected a list of results, found 'PASS'"),
        ("{}", "expected a list of results, found an object"),
        ("[" * 200_000, "nested too deeply"),
        ("[1, 2]", "found no result that can be used; evidence item 1"),
        ('[{"control": ' + "9" * 5000 + ', "status": 1}]', "too many digits"),
        ('[{"control": ' + "9" * 4000 + ', "status": 1}]', "found no result"),
        ('[{"control": 1e999, "status": 1}]', "found no result"),
        ('[{"control": "\\ud800", "status": 1}]', "found no result"),
        ("[" + "1," * MOST_RESULTS + "1]", f"expected at most {MOST_RESULTS} results"),
    ],
)
def test_documents_that_cannot_be_used(document: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_evidence(document)


KEYS = (
    "control check status collected_at text system metadata event_code resources uid time_dt"
    " status_code evidence results pass"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS.split()),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON)
def test_any_json_is_evidence_or_a_clear_error(value: object) -> None:
    message = "evidence"
    try:
        results = read_evidence(json.dumps(value)).results
    except DataError as error:
        results, message = (), str(error)
    assert all(one.names and one.place for one in results)
    assert message.startswith("evidence")
