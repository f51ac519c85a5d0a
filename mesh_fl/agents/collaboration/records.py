"""The member's records as arrays: three kinds of rows in one table."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents.collaboration.acceptance import FEATURES, Fit
from mesh_fl.agents.collaboration.denials import needed, offered
from mesh_fl.agents.collaboration.skills import Likeness, Vocabulary, listed
from mesh_fl.schema import Field, Table
from mesh_fl.text.encoder import Vectors, load_encoder
from mesh_fl.text.language import unreadable

LEARNED_FROM = (
    Field(
        name="needs",
        kind="text",
        optional=True,
        description="What a ticket or request needs: a category, or words. It makes a row a need.",
    ),
    Field(
        name="offered",
        kind="text",
        optional=True,
        description="The profile that an introduction offered for the requirements.",
    ),
    Field(
        name="accepted",
        kind="flag",
        optional=True,
        description="Whether the introduction was accepted. It makes a row an introduction.",
    ),
    Field(
        name="certifications_met",
        kind="number",
        low=0,
        high=1,
        optional=True,
        description="Of an introduction: the share of the certifications asked for.",
    ),
    Field(
        name="same_region",
        kind="flag",
        optional=True,
        description="Of an introduction: whether the partner works in the region asked for.",
    ),
    Field(
        name="capacity_ratio",
        kind="number",
        low=0,
        optional=True,
        description="Of an introduction: hours that the partner had over hours needed.",
    ),
    Field(
        name="skills_added",
        kind="number",
        low=0,
        high=1,
        optional=True,
        description="Of an introduction: the share of the partner's skills that we lack.",
    ),
    Field(
        name="likeness",
        kind="number",
        low=0,
        high=1,
        optional=True,
        description="How alike somebody judged requirements and profile; the cosine is tried on "
        "it, and nothing learned from it.",
    ),
)
"""What only records hold; requirements and skills are fields of requests, too."""


@dataclass(frozen=True)
class Reader:
    """Reads records by one agent's declarations.

    Parameters
    ----------
    vocabulary : Vocabulary
    least_similarity : float
        Cosine from which a text that names no skill means one.
    encoder : str
        Setting of `load_encoder`; it is loaded where words are not enough.
    """

    vocabulary: Vocabulary
    least_similarity: float
    encoder: str

    def read(self, table: Table) -> Data:
        """Return "supply", "need", "x", "accepted", "cosine" and "likeness", by record.

        A row's role is the first of these that it fits: an introduction (`accepted` is told, with
        `requirements` and `offered`), a need (`needs`), a technician (`skills`). A row that fits
        none is zero.
        """
        count = len(next(iter(table.values()), ()))
        columns = {name: _texts(table, name, count) for name in _TEXTS}
        # As in an answer, what is denied does not count; a text that only denies still is one.
        requirements = [needed(text) or text for text in columns["requirements"]]
        profiles = [offered(text) or text for text in columns["offered"]]
        pairs = _Pairs.of(self, requirements, profiles, _judged(table, count))
        outcome = np.where(pairs.is_whole, _numbers(table, "accepted", count), math.nan)
        is_introduction = np.isfinite(outcome)
        needs = [
            "" if taken else text
            for taken, text in zip(is_introduction, columns["needs"], strict=True)
        ]
        skills = [
            "" if taken or need else text
            for taken, need, text in zip(is_introduction, needs, columns["skills"], strict=True)
        ]
        meant = self.meant([*needs, *(entry for text in skills for entry in listed(text))])
        return {
            "supply": self._supply(skills, meant),
            "need": np.array([meant[text][0] if text else -1 for text in needs], dtype=np.int64),
            "x": pairs.features(table, is_introduction),
            "accepted": outcome,
            "cosine": pairs.cosines,
            "likeness": _numbers(table, "likeness", count),
        }

    def meant(
        self, texts: Sequence[str], judged: Collection[str] | None = None
    ) -> Mapping[str, tuple[int, ...]]:
        """Return the skills of each text: those that it names, else the likest, else `OTHER`.

        Only texts in `judged` are read for likeness; all of them where it is None.
        """
        found = {text: self.vocabulary.named(text) for text in dict.fromkeys(texts) if text}
        silent = [text for text, places in found.items() if not places]
        if judged is not None:
            silent = [text for text in silent if text in judged]
        if self.least_similarity < 1 and silent:
            silent = [text for text in silent if unreadable(text) is None]
            likeness = self.likeness()
            vectors = load_encoder(self.encoder).encode(silent)
            found |= {
                text: likeness.meant(vector, most=1)
                for text, vector in zip(silent, vectors, strict=True)
            }
        return {text: places or (self.vocabulary.other,) for text, places in found.items()}

    def likeness(self) -> Likeness:
        """Return what finds skills without words."""
        return Likeness(_skill_vectors(self.vocabulary, self.encoder), self.least_similarity)

    def _supply(
        self, texts: Sequence[str], meant: Mapping[str, tuple[int, ...]]
    ) -> NDArray[np.float64]:
        shares = np.zeros((len(texts), len(self.vocabulary.names)))
        for row, text in zip(shares, texts, strict=True):
            places = sorted({place for entry in listed(text) for place in meant[entry]})
            row[places] = 1 / max(1, len(places))
        return shares


@dataclass(frozen=True)
class _Pairs:
    """Requirements and what was offered for them."""

    reader: Reader
    requirements: Sequence[str]
    offered: Sequence[str]
    cosines: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        reader: Reader,
        requirements: Sequence[str],
        offered: Sequence[str],
        judged: NDArray[np.bool_],
    ) -> "_Pairs":
        cosines = np.full(len(requirements), math.nan)
        wanted = [
            row
            for row, pair in enumerate(zip(requirements, offered, strict=True))
            if judged[row] and all(pair)
        ]
        if wanted:
            encoder = load_encoder(reader.encoder)
            ours, theirs = (
                encoder.encode([texts[row] for row in wanted]) for texts in (requirements, offered)
            )
            cosines[wanted] = _dots(ours, theirs)
        return cls(reader, requirements, offered, cosines)

    @property
    def is_whole(self) -> NDArray[np.bool_]:
        return np.isfinite(self.cosines)

    def features(self, table: Table, is_introduction: NDArray[np.bool_]) -> NDArray[np.float64]:
        x = np.zeros((len(self.cosines), len(FEATURES)))
        columns = {name: _numbers(table, name, len(x)) for name in _NUMBERS}
        for row in np.flatnonzero(is_introduction).tolist():
            told = {name: column[row] for name, column in columns.items()}
            region = told["same_region"]
            x[row] = Fit(
                cosine=self.cosines[row],
                covered=self._covered(row),
                certified=told["certifications_met"],
                same_region=None if math.isnan(region) else bool(region),
                capacity=told["capacity_ratio"],
                added=told["skills_added"],
            ).encoded()
        return x

    def _covered(self, row: int) -> float | None:
        asked = set(self.reader.vocabulary.named(self.requirements[row]))
        has = set(self.reader.vocabulary.named(self.offered[row]))
        return len(asked & has) / len(asked) if asked else None


_TEXTS = ("skills", "needs", "requirements", "offered")
_NUMBERS = ("certifications_met", "same_region", "capacity_ratio", "skills_added")


@cache
def _skill_vectors(vocabulary: Vocabulary, encoder: str) -> Vectors:
    return vocabulary.encode(load_encoder(encoder))


def _dots(ours: Vectors, theirs: Vectors) -> list[float]:
    # Row by row: a product of matrices may round a row otherwise beside other rows.
    return [float(one @ other) for one, other in zip(ours, theirs, strict=True)]


def _judged(table: Table, count: int) -> NDArray[np.bool_]:
    """Tell which records need a cosine: those with an outcome or a judgement."""
    told = (_numbers(table, name, count) for name in ("accepted", "likeness"))
    outcome, likeness = (np.isfinite(column) for column in told)
    judged: NDArray[np.bool_] = outcome | likeness
    return judged


def _texts(table: Table, name: str, count: int) -> list[str]:
    if name not in table:
        return [""] * count
    return [str(text).strip() for text in table[name].tolist()]


def _numbers(table: Table, name: str, count: int) -> NDArray[np.float64]:
    return table[name].astype(np.float64) if name in table else np.full(count, math.nan)
