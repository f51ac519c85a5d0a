import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.threat._stix_claims import first_claim


def claimed(*objects: object) -> str | None:
    claim = first_claim(json.dumps({"type": "bundle", "objects": objects}))
    return claim and claim.kind


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"type": "malware"}, "malware"),
        ({"type": "attack-pattern"}, "intrusion"),
        ({"type": "intrusion-set"}, "intrusion"),
        ({"type": "indicator", "indicator_types": ["malicious-activity"]}, "unknown"),
        ({"type": "indicator", "labels": ["compromised"]}, "unknown"),
        ({"type": "indicator", "labels": ["benign"]}, None),
        ({"type": "indicator", "indicator_types": ["anomalous-activity"]}, None),
        ({"type": "report", "labels": ["malicious-activity"]}, None),
        ({"type": "malware", "revoked": True}, None),
        ({"type": "identity"}, None),
        ({"type": ["malware"]}, None),
        ({"type": "indicator", "labels": "malicious-activity"}, None),
        ({"type": "indicator", "labels": [["malicious-activity"], None]}, None),
        ("malware", None),
    ],
)
def test_what_counts_as_a_claim(found: object, kind: str | None) -> None:
    assert claimed(found) == kind


def test_a_named_kind_tells_more_than_a_label() -> None:
    label = {"type": "indicator", "labels": ["malicious-activity"]}
    assert claimed(label, {"type": "malware"}) == "malware"


def test_objects_may_come_alone_or_in_a_list() -> None:
    alone = first_claim('{"type": "malware"}')
    assert alone is not None
    assert first_claim('[{"type": "malware"}]') == alone


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.sampled_from(["malware", "indicator", "bundle"]),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["type", "objects", "labels", "revoked"]), inner)
        ),
    )
)
def test_any_document_is_read(parsed: object) -> None:
    first_claim(json.dumps(parsed))
