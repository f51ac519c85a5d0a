import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.errors import ConfigError
from mesh_fl.text import encoder as encoders
from mesh_fl.text.encoder import LONGEST_TEXT, Encoder, Vectors, cut, load_encoder, unit

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


class Lengths(Encoder):
    """Says how long a text is and what its first character is."""

    name = "lengths"
    dimension = 3

    def _encode_one(self, text: str) -> Vectors:
        return np.array([len(text), ord(text[0]), 1], dtype=np.float32)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        (" \t\r\n\u2003", ""),
        ("  the printer is offline \n", "the printer is offline"),
        ("a" * 2001, "a" * 2000),
        (" " * 1999 + "ab", "ab"),
        ("b" * 10_000_000, "b" * 2000),
        ("half a pair \ud83d here", "half a pair ? here"),
        ("\udc00", "?"),
        ("zero\x00byte", "zero\x00byte"),
        ("打印机离线了", "打印机离线了"),
    ],
)
def test_what_counts_of_a_text(text: str, left: str) -> None:
    assert cut(text) == left


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_left_is_short_valid_unicode(text: str) -> None:
    left = cut(text)
    assert len(left) <= LONGEST_TEXT
    assert left.encode().decode() == left
    assert left == left.lstrip()


@given(st.lists(ANY_TEXT, max_size=8))
def test_a_row_is_of_length_one_or_zero_and_depends_on_its_text_alone(texts: list[str]) -> None:
    rows = Lengths().encode(texts)
    assert rows.shape == (len(texts), 3)
    assert rows.dtype == np.float32
    for row, text in zip(rows, texts, strict=True):
        assert np.linalg.norm(row) == pytest.approx(1.0 if cut(text) else 0.0, abs=1e-6)
        assert np.array_equal(row, Lengths().encode([text])[0])


def test_only_the_beginning_of_a_text_is_encoded() -> None:
    seen: list[str] = []

    class Watched(Lengths):
        def _rows(self, texts: Sequence[str]) -> Vectors:
            seen.extend(texts)
            return super()._rows(texts)

    Watched().encode([" x" * 5000, "\n"])
    assert [len(text) for text in seen] == [2000, 0]


def test_zeros_have_no_direction() -> None:
    assert np.array_equal(unit(np.zeros(3, dtype=np.float32)), np.zeros(3))
    assert np.allclose(unit(np.array([3, 4], dtype=np.float32)), [0.6, 0.8])


def test_an_encoder_is_made_once_and_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_CACHE", "off")
    monkeypatch.setitem(encoders.ENCODERS, "lengths", Lengths)
    loaded = load_encoder("lengths")
    assert load_encoder("lengths") is loaded
    assert (loaded.name, loaded.dimension) == ("lengths", 3)
    assert np.array_equal(loaded.encode(["ab", ""]), Lengths().encode(["ab", ""]))


def test_an_unknown_encoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"one of minilm-l6-int8, minilm-l6, found 'word2vec'"):
        load_encoder("word2vec")


def test_importing_the_package_loads_no_model_and_no_framework() -> None:
    code = (
        "import sys, mesh_fl.text.cache, mesh_fl.text.minilm, mesh_fl.text.checkpoints, "
        "mesh_fl.text.minilm_torch; "
        "print(*{'torch', 'transformers', 'tokenizers', 'onnxruntime', 'sentence_transformers'} "
        "& {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
