import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mesh_fl.errors import ConfigError
from mesh_fl.text.minilm import MiniLmInt8
from mesh_fl.text.minilm_torch import MiniLmTorch

TICKETS = [
    "Outlook keeps asking for the password after the mailbox was moved.",
    "VPN drops every ten minutes when working from home.",
    "",
    "Le scanner n'envoie plus les documents par courriel.",
    "x",
]


@pytest.fixture(scope="module")
def encoder() -> MiniLmTorch:
    return MiniLmTorch()


def test_cosines_are_those_of_the_published_model(encoder: MiniLmTorch) -> None:
    """Those of the example in the documentation of Sentence Transformers, to every digit."""
    rows = encoder.encode(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    expected = [[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]
    assert np.abs(rows @ rows.T - expected).max() < 0.0001


def test_eight_bits_lose_little(encoder: MiniLmTorch) -> None:
    texts = [text for text in TICKETS if text]
    assert (encoder.encode(texts) * MiniLmInt8().encode(texts)).sum(axis=1).min() > 0.97


def test_a_row_has_the_same_bits_alone_among_others_and_in_threads(encoder: MiniLmTorch) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TICKETS])
    assert np.array_equal(encoder.encode(TICKETS[::-1]), alone[::-1])
    with ThreadPoolExecutor(4) as threads:
        for rows in threads.map(encoder.encode, [TICKETS] * 6):
            assert np.array_equal(rows, alone)


def test_empty_hostile_and_long_texts(encoder: MiniLmTorch) -> None:
    rows = encoder.encode(["", " \n", "\x00", "\ud800", "a " * 500_000, "a " * 126, "[PAD] [PAD]"])
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths[:2].tolist() == [0, 0]
    assert np.allclose(lengths[2:], 1, atol=1e-5)
    assert np.array_equal(rows[4], rows[5])
    assert encoder.encode([]).shape == (0, 384)


def test_it_tells_its_name(encoder: MiniLmTorch) -> None:
    assert encoder.name == "all-MiniLM-L6-v2, float32 torch"
    assert encoder.dimension == 384


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[checkpoints\]'"):
        MiniLmTorch()
