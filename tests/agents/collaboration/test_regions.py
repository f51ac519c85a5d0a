import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.collaboration.regions import works_in


@pytest.mark.parametrize(
    ("asked", "told", "works"),
    [
        ("Bavaria", "Bavaria, Germany", True),
        ("Munich, Bavaria", "Bavaria", True),
        ("bavaria", "BAVARIA", True),
        ("New York", "York", False),
        ("York", "New York", False),
        ("Papua New Guinea", "Guinea", False),
        ("Northern Ireland", "Ireland", False),
        ("Portugal", "Bavaria, Germany", False),
        ("Germany", "DE", True),
        ("de", "Bavaria, Germany", True),
        ("UK", "United Kingdom", True),
        ("The Netherlands", "NL", True),
        ("USA", "United States of America", True),
        ("Korea", "KR", True),
        ("Canada", "Los Angeles, CA", False),
        ("Austria", "Australia", False),
        ("Bavaria", "remote", None),
        ("remote", "Bavaria", None),
        ("", "Bavaria", None),
        ("Bavaria", "...", None),
    ],
)
def test_where_the_work_is(asked: str, told: str, works: bool | None) -> None:
    assert works_in(asked, [told]) is works


def test_one_of_several_regions_is_enough() -> None:
    assert works_in("Austria", ["Bavaria", "AT"]) is True
    assert works_in("Austria", ["remote", "AT"]) is True
    assert works_in("Austria", ["remote", "Bavaria"]) is None
    assert works_in("Austria", []) is None


@given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=4))
def test_any_text_is_read(asked: str, told: list[str]) -> None:
    works_in(asked, told)
    assert works_in(asked, [asked]) in (True, None)
