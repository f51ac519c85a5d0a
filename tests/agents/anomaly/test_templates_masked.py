import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.anomaly import templates_masking
from mesh_fl.agents.anomaly.templates_made_up import log_lines
from mesh_fl.agents.anomaly.templates_masking import masked

EVERYTHING = re.compile("|".join(one for one, _ in templates_masking._NEEDS))

PARTS = (
    *("0x1f", "dead", "beef", "a", "f", "0", "1", "12", "2020-01-01", "t", "11:22:33", "z", "utc"),
    *("jan", "user", "host", "1e5", "é", "٣", "<n>", "x.y", "c:", "http://", "::", "10.0.0.1"),
    *("aa:bb:cc:dd:ee:ff", "aa-bb-cc-dd-ee-ff", "12345678-1234-1234-1234-123456789012", "\t"),
    *"+-.,:/\\@_~$%()[]{}=;",
)


def searched_for_everything(line: str) -> str:
    """Mask the words of a line as if each might hold anything."""
    words = []
    for word in line.lower().split():
        core = word.rstrip(",:;")
        found = EVERYTHING.sub(lambda one: f"<{one.lastgroup}>", core)
        words.append("<n>" if word.isdecimal() else found + word[len(core) :])
    return templates_masking._SPLIT_TIME.sub("<time>", " ".join(words))


@given(st.lists(st.sampled_from([*PARTS, " "]), max_size=16).map("".join))
@settings(max_examples=1500, deadline=None)
def test_what_a_word_cannot_hold_need_not_be_searched_for(line: str) -> None:
    assert masked(line) == searched_for_everything(line)


@given(st.text("01afx.:-/\\@ +_,", max_size=90))
@settings(max_examples=1000, deadline=None)
def test_the_same_of_few_letters(line: str) -> None:
    assert masked(line) == searched_for_everything(line)


def test_usual_lines_have_the_same_template() -> None:
    lines = [str(one[1]) for one in log_lines(2000)]
    plain = [one for one in lines if '"' not in one and "'" not in one]
    assert len(plain) > 1000
    assert [masked(one) for one in plain] == [searched_for_everything(one) for one in plain]


def test_long_words_are_masked_whole() -> None:
    assert masked("+1" * 2000) == "<n>" + "+<n>" * 1999
    assert masked("1/" * 2000).count("1") == 0
