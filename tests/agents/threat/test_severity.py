import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.agents.threat.severity import (
    KindWeight,
    Words,
    declared,
    features,
    kinds_of,
    pattern_of,
)
from mesh_fl.text.encoder import load_encoder

TEXTS = (
    "SQL injection lets an unauthenticated user read the database",
    "The printer on floor 2 is out of paper",
    "",
)


def rows(texts: tuple[str, ...]) -> np.ndarray:
    encoder, known = load_encoder(), declared()
    return features(known.words, known.kinds, texts, encoder.encode(texts), kinds_of(encoder))


def test_declarations_are_sound() -> None:
    known = declared()
    names = [one.name for one in known.words]
    assert len(set(names)) == len(names)
    assert {one.kind for one in known.kinds} == {one.name for one in kinds_of(load_encoder()).kinds}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a remote attacker", True),
        ("Remotely exploitable", True),
        ("premote", False),
        ("remotes", False),
        ("re mote", False),
    ],
)
def test_phrases_are_whole_words(text: str, found: bool) -> None:
    pattern = pattern_of(("remote", "remotely"))
    assert bool(pattern.search(text.lower())) == found


def test_a_star_stands_for_the_rest_of_a_word() -> None:
    pattern = pattern_of(("deseriali*", "c++ (old)"))
    assert pattern.search("deserialization of data")
    assert pattern.search("in c++ (old) code")
    assert not pattern.search("serialization")


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5), st.text(max_size=200))
def test_any_phrase_makes_a_pattern(phrases: list[str], text: str) -> None:
    pattern_of(tuple(phrases)).search(text)


def test_a_phrase_of_many_stars_takes_no_long_time() -> None:
    """An operator declares the words, and members search their own texts for them."""
    assert not pattern_of(("a*" * 20 + "!",)).search("a" * 2000)


def test_features_say_what_is_there() -> None:
    found = rows(TEXTS)
    names = [one.name for one in declared().words]
    kinds = [one.kind for one in declared().kinds]
    assert found.shape == (3, len(names) + len(kinds))
    assert (found >= 0).all()
    assert (found <= 1).all()
    held = {name for name, value in zip(names, found[0], strict=False) if value}
    assert held == {"SQL injection", "no account needed"}
    assert found[1, len(names) + kinds.index("none")] > 0.9
    assert not found[2].any()


def test_a_row_depends_on_its_own_text_alone() -> None:
    together = rows(TEXTS)
    for place, text in enumerate(TEXTS):
        assert rows((text,))[0] == pytest.approx(together[place], abs=1e-9)


@pytest.mark.parametrize(
    "wrong", [{"name": "a", "phrases": [], "weight": 1}, {"name": "a", "phrases": ["b"]}]
)
def test_wrong_words_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Words.model_validate(wrong)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError):
        KindWeight.model_validate({"kind": "sorcery", "weight": 1})
