"""Records of evidence as arrays: what was asked, which control answers it, who judged it so."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents.compliance.controls import base_control
from mesh_fl.agents.compliance.relevance import load_candidates
from mesh_fl.agents.compliance.techniques import described, family_of
from mesh_fl.agents.compliance.topics import load_topics
from mesh_fl.schema import Table
from mesh_fl.text.encoder import load_encoder

UNKNOWN = -1
"""Place of a control that is none of the public list."""


def read(table: Table, controls: tuple[str, ...], encoder: str) -> Data:
    """Turn a table of evidence into arrays, record by record.

    Parameters
    ----------
    table : Table
        Columns "technique", "control_ref", "text" and "satisfied"; each may be missing.
    controls : tuple of str
        Ids of the public list.
    encoder : str

    Returns
    -------
    Data
        "control": place in the list, or `UNKNOWN`. "judged": whether the text answers the control,
        NaN where nobody said. "is_technique", "is_text": what is asked about. "query": equal for
        equal questions. "vector", "topics", "family": of the technique. "public": of the question
        and each control, the cosine for a technique and the log-odds for a text.
    """
    count = len(next(iter(table.values()), ()))
    techniques, references, texts = (
        _column(table, name, count) for name in ("technique", "control_ref", "text")
    )
    places = {name: place for place, name in enumerate(controls)}
    asked = [
        _Question(described(technique), True) if technique else _Question(text, False)
        for technique, text in zip(techniques, texts, strict=True)
    ]
    known = _encoded(list(dict.fromkeys(asked)), controls, encoder)
    rows = np.array([known.numbers[question] for question in asked], dtype=np.int64)
    is_technique = np.array([question.is_technique for question in asked], dtype=bool)
    return {
        "control": np.array(
            [places.get(base_control(one), UNKNOWN) for one in references], np.int64
        ),
        "judged": _floats(table, "satisfied", count),
        "is_technique": is_technique,
        "is_text": np.array([question.text != "" for question in asked], bool) & ~is_technique,
        "query": np.array([question.digest for question in asked], dtype=np.int64),
        "vector": known.vectors[rows],
        "topics": known.topics[rows],
        "family": np.array([float(family_of(one)) for one in techniques]),
        "public": known.public[rows],
    }


def is_mapping(data: Data) -> NDArray[np.bool_]:
    """Tell which records say that a control answers a technique."""
    told: NDArray[np.bool_] = data["judged"].astype(np.float64) != 0
    return told & _said(data, "is_technique")


def is_judged(data: Data) -> NDArray[np.bool_]:
    """Tell which records say whether a text answers a control."""
    told: NDArray[np.bool_] = ~np.isnan(data["judged"].astype(np.float64))
    return told & _said(data, "is_text")


def is_right(data: Data) -> NDArray[np.bool_]:
    """Tell which records name a control that answers the question."""
    agreed: NDArray[np.bool_] = data["judged"].astype(np.float64) == 1
    return (agreed & is_judged(data)) | is_mapping(data)


def _said(data: Data, kind: str) -> NDArray[np.bool_]:
    """Tell which records of a kind name a control of the list."""
    known: NDArray[np.bool_] = data["control"].astype(np.int64) != UNKNOWN
    return known & data[kind].astype(np.bool_)


@dataclass(frozen=True)
class _Question:
    text: str
    is_technique: bool

    @property
    def digest(self) -> int:
        told = f"{int(self.is_technique)}{self.text}".encode(errors="replace")
        return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), signed=True)


@dataclass(frozen=True)
class _Encoded:
    numbers: Mapping[_Question, int]
    vectors: NDArray[np.float64]
    topics: NDArray[np.float64]
    public: NDArray[np.float64]


def _encoded(questions: list[_Question], controls: tuple[str, ...], encoder: str) -> _Encoded:
    """Encode each question once."""
    candidates, topics = load_candidates(controls, encoder), load_topics(encoder)
    texts = [question.text for question in questions]
    vectors = load_encoder(encoder).encode(texts)
    public = np.zeros((len(questions), len(controls)))
    is_technique = np.array([question.is_technique for question in questions], dtype=bool)
    by_text = np.flatnonzero(~is_technique)
    public[is_technique] = candidates.cosines(vectors[is_technique])
    public[by_text] = candidates.log_odds(
        vectors[by_text], candidates.by_wording([texts[k] for k in by_text])
    )
    numbers = {question: number for number, question in enumerate(questions)}
    return _Encoded(numbers, vectors.astype(np.float64), topics.place(vectors), public)


def _column(table: Table, name: str, count: int) -> list[str]:
    if name not in table:
        return [""] * count
    return [str(text).strip() for text in table[name].tolist()]


def _floats(table: Table, name: str, count: int) -> NDArray[np.float64]:
    if name not in table:
        return np.full(count, math.nan)
    return table[name].astype(np.float64)
