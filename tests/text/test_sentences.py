import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.text.sentences import LONGEST_SENTENCE, MOST_SENTENCES, sentences_of

POLICY = """# Information Security Policy

Version 3. All staff, e.g. engineers, must use MFA. Passwords are
stored hashed (see Sec. 4.2). Dr. Smith approves exceptions!

4.1 Access is granted on a need-to-know basis.
4.2 Backups
4.3. We do not:
- encrypt laptops
- review logs; and
  keep them for a year.

Setext title
------------

| Control | Status |
|---------|--------|
| MFA | enforced |

(a) Lettered item
"""


def said(text: str) -> list[tuple[str, int, str]]:
    return [(one.text, one.line, one.kind) for one in sentences_of(text)]


def test_a_policy_falls_into_what_it_says() -> None:
    assert said(POLICY) == [
        ("Information Security Policy", 1, "heading"),
        ("Version 3.", 3, "sentence"),
        ("All staff, e.g. engineers, must use MFA.", 3, "sentence"),
        ("Passwords are stored hashed (see Sec. 4.2).", 3, "sentence"),
        ("Dr. Smith approves exceptions!", 4, "sentence"),
        ("Access is granted on a need-to-know basis.", 6, "sentence"),
        ("Backups", 7, "heading"),
        ("We do not:", 8, "sentence"),
        ("encrypt laptops", 9, "item"),
        ("review logs; and keep them for a year.", 10, "item"),
        ("Setext title", 13, "heading"),
        ("Control; Status", 16, "heading"),
        ("MFA; enforced", 18, "row"),
        ("Lettered item", 20, "item"),
    ]


def test_an_item_is_read_after_what_introduces_it() -> None:
    found = {one.text: one.reading for one in sentences_of(POLICY)}
    assert found["encrypt laptops"] == "We do not: encrypt laptops"
    assert found["Lettered item"] == "Lettered item"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Version 1.2.3 of U.S. law applies. Yes.", ["Version 1.2.3 of U.S. law applies.", "Yes."]),
        ('"Is it so?" Yes.', ['"Is it so?"', "Yes."]),
        ("Wait... and see. Then go.", ["Wait... and see.", "Then go."]),
        ("备份已加密。日志保留一年。", ["备份已加密。", "日志保留一年。"]),
        ("> Quoted. Twice.", ["Quoted.", "Twice."]),
        ("Line one\r\nline two.\rLine three.", ["Line one line two.", "Line three."]),
        ("a\x00b\x1bc", ["a b c"]),
        ("```\ncode here\n```", ["code here"]),
        ("", []),
        ("\n \t\n---\n", []),
    ],
)
def test_marks_and_breaks(text: str, pieces: list[str]) -> None:
    assert [one.text for one in sentences_of(text)] == pieces


def test_what_never_ends_is_cut_and_nothing_is_lost() -> None:
    text = "word " * 1_000
    found = sentences_of(text)
    assert max(len(one.text) for one in found) <= LONGEST_SENTENCE
    assert " ".join(one.text for one in found) == text.strip()


def test_only_so_many_are_returned() -> None:
    assert len(sentences_of("It is so. " * (MOST_SENTENCES + 5))) == MOST_SENTENCES
    assert [one.number for one in sentences_of("One. Two. Three.", most=2)] == [1, 2]


@given(st.text(alphabet="aB .!?:;|-#>*1()\n\r\t\"'。\x00é\u2028", max_size=300))
def test_any_text_keeps_its_letters_in_order_with_true_lines(text: str) -> None:
    found = sentences_of(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    for one in found:
        first = next(iter(one.text.split()))[:1]
        assert first in lines[one.line - 1]
        assert one.text == one.text.strip() != ""
    kept = [sign for one in found for sign in one.text if sign in "é"]
    assert len(kept) == text.count("é")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [".", ". ", "a", "|", "|a|b|\n", "- a\n", "> ", "1.1 ", '."', "\n", "_ ", "。", "x.)", " "],
)
def test_a_megabyte_of_anything_takes_no_quadratic_time(unit: str) -> None:
    found = sentences_of(unit * (1_000_000 // len(unit)))
    assert all(one.text for one in found)
