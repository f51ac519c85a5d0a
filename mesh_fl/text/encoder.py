"""What a sentence encoder is, and how one is had by the name of a setting."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mesh_fl.errors import ConfigError

Vectors: TypeAlias = NDArray[np.float32]
"""One row per text, shape (n, dimension)."""

LONGEST_TEXT = 2000
"""Characters of a text that are looked at: more than `MOST_PIECES` word pieces of prose."""

MOST_PIECES = 128
"""Word pieces of a text that are looked at, as many as MiniLM-L6 was tuned on."""

EXTRA = "pip install 'mesh_fl[text]'"


class Encoder(ABC):
    """Turns texts into vectors whose scalar products say how alike the texts are.

    Attributes
    ----------
    name : str
        The model that runs, as answers tell it.
    dimension : int
        Length of a vector.
    """

    name: str
    dimension: int

    def encode(self, texts: Sequence[str], *, kept: bool = True) -> Vectors:
        """Encode texts, each by itself.

        Parameters
        ----------
        texts : sequence of str
            Of each, the first `LONGEST_TEXT` characters and `MOST_PIECES` word pieces count.
        kept : bool
            Whether vectors may be read from disk and left there. A text that somebody asks about
            should not be: how long the answer takes would tell whether it was known.

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            Rows of length one; zeros for an empty text.

        Guarantee
        ---------
        A row depends on its own text alone, to the bit, so texts of different records may be
        encoded together.
        """
        rows = self._rows if kept else self._unkept_rows
        return rows([cut(text) for text in texts])

    def _rows(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            if text:
                row[:] = unit(self._encode_one(text))
        return rows

    def _unkept_rows(self, texts: Sequence[str]) -> Vectors:
        """Encode without a cache; an encoder that has one leaves it alone."""
        return self._rows(texts)

    @abstractmethod
    def _encode_one(self, text: str) -> Vectors:
        """Encode a text that is not empty: shape (dimension,)."""


def cut(text: str) -> str:
    """Return what of a text counts: valid Unicode, no space around it, not too long."""
    return text[: 2 * LONGEST_TEXT].encode(errors="replace").decode().strip()[:LONGEST_TEXT]


def unit(vector: Vectors) -> Vectors:
    """Scale a vector to length one; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def load_encoder(setting: str = "minilm-l6-int8") -> Encoder:
    """Load an encoder once and keep it; what it has encoded is kept on disk.

    Parameters
    ----------
    setting : {"minilm-l6-int8", "minilm-l6"}
        all-MiniLM-L6-v2 (Wang et al. 2020, arXiv 2002.10957; Reimers and Gurevych 2019, arXiv
        1908.10084) with weights of eight bits, or in full precision by torch.

    Raises
    ------
    ConfigError
        If there is no such encoder, or its packages are not installed.
    """
    # A cache on this very function would load a second model where the setting goes unsaid.
    return _loaded(setting)


@cache
def _loaded(setting: str) -> Encoder:
    from mesh_fl.text.cache import Remembering, open_cache

    if setting not in ENCODERS:
        raise ConfigError(f"encoder: expected one of {', '.join(ENCODERS)}, found {setting!r}")
    return Remembering(ENCODERS[setting](), open_cache())


def _int8() -> Encoder:
    from mesh_fl.text.minilm import MiniLmInt8

    return MiniLmInt8()


def _torch() -> Encoder:
    from mesh_fl.text.minilm_torch import MiniLmTorch

    return MiniLmTorch()


ENCODERS: dict[str, Callable[[], Encoder]] = {"minilm-l6-int8": _int8, "minilm-l6": _torch}
