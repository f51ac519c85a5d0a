"""The short form of an error, where a note has room for a line."""

import pytest

from mesh_fl.errors import DataError


@pytest.mark.parametrize(
    ("message", "brief"),
    [
        ("expected a table, found none", "expected a table, found none"),
        ("none of 6 rows can be used:\n  m.csv line 2: expected a number\n  more",
         "none of 6 rows can be used: m.csv line 2: expected a number"),
        ("first\nsecond", "first"),
        ("nothing follows:", "nothing follows:"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_brief_never_ends_before_its_reason(message: str, brief: str) -> None:
    assert DataError(message).brief == brief
