"""ATT&CK techniques that a text speaks of: those it names, and those whose description is like it.

ATT&CK (attack.mitre.org) is MITRE's catalogue of what attackers do. The one that comes with the
package holds the techniques that are met most, in our own words; a bundle of the user's replaces
it. The constants were chosen on 37 sentences of our own and 700 examples that ATT&CK v15 gives.
"""

import math
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.threat._attack_files import (
    TECHNIQUE_ID,
    AttackFile,
    Mitigation,
    Technique,
    read_attack_file,
)
from mesh_fl.errors import DataError
from mesh_fl.text.encoder import Encoder, Vectors, cut

THRESHOLD = 0.4
"""Score below which a technique is not told; no right one of the texts it was set on fell below."""
MARGIN = 0.15
"""How far behind the best a technique may be and still be told."""
WORD_WEIGHT = 0.1
MOST_WORDS = 3.0
"""So many words of the greatest rarity count, so that long texts are not like everything."""
TOLD_WORDS = 5
RARE = 0.5
"""Share of the greatest rarity from which a word is told as a reason."""
CHARACTERS = 1_000_000
"""Of a text, what is searched for ids."""

How = Literal["named in the text", "by similarity", "named in the text, unknown to the catalogue"]
NAMED: How = "named in the text"
SIMILAR: How = "by similarity"
NOT_IN_CATALOGUE: How = "named in the text, unknown to the catalogue"

_NAMED = re.compile(rf"(?<![\w.]){TECHNIQUE_ID.pattern}(?!\w|\.\d)", re.ASCII)
_WORDS = re.compile(r"[a-z0-9$]+")


class TechniqueMatch(BaseModel):
    """A technique that a text speaks of.

    Attributes
    ----------
    name : str or None
        As ATT&CK calls it; None where the catalogue does not know the id.
    similarity : float or None
        Greatest cosine of the text and the technique's descriptions.
    words : tuple of str
        Rare words that the text shares with the descriptions.
    source : str
        The catalogue.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str | None
    tactics: tuple[str, ...]
    similarity: float | None
    words: tuple[str, ...]
    source: str
    how: How


@dataclass(frozen=True)
class _Likeness:
    """How alike a text is to every technique, and the rare words that it shares with each."""

    cosines: NDArray[np.float64]
    rarity: NDArray[np.float64]
    words: Sequence[tuple[str, ...]]

    @property
    def scores(self) -> NDArray[np.float64]:
        return self.cosines + WORD_WEIGHT * np.minimum(self.rarity, MOST_WORDS)


class Techniques:
    """A catalogue of techniques, its descriptions encoded once.

    Parameters
    ----------
    techniques : sequence of Technique
        At least one.
    source : str
        What to call the catalogue.
    encoder : Encoder
        The one that the texts' vectors come from.
    """

    def __init__(self, techniques: Sequence[Technique], source: str, encoder: Encoder) -> None:
        self.source = source
        self._techniques = tuple(techniques)
        self._places = {technique.id: place for place, technique in enumerate(self._techniques)}
        texts = [(*technique.texts, technique.name) for technique in self._techniques]
        self._vectors = encoder.encode([text for each in texts for text in each])
        counts = [len(each) for each in texts]
        self._starts = np.cumsum([0, *counts[:-1]])
        self._words = _word_index(self._techniques)

    def __len__(self) -> int:
        return len(self._techniques)

    def name(self, id_: str) -> str | None:
        """Return a technique's name, after its parent's; None if the catalogue lacks it."""
        technique, parent = self._get(id_), self._get(id_.partition(".")[0])
        if technique is None:
            return None
        own = parent is None or parent is technique
        return technique.name if own or parent is None else f"{parent.name}: {technique.name}"

    def mitigations(self, id_: str) -> tuple[Mitigation, ...]:
        """Return what to do against a technique or, where nothing is told, against its parent."""
        for candidate in (id_, id_.partition(".")[0]):
            technique = self._get(candidate)
            if technique is not None and technique.mitigations:
                return technique.mitigations
        return ()

    def find(self, vector: Vectors, text: str, most: int = 5) -> tuple[TechniqueMatch, ...]:
        """Return the techniques that a text names, in its order, then those that it is like.

        It is for texts that are known to be about a threat: everyday ones may be like one, too.

        Parameters
        ----------
        vector : ndarray, shape (dimension,)
            The text, encoded.
        text : str
            Ids in it count literally, such as T1566.001.
        most : int
            How many are told.

        Raises
        ------
        DataError
            If the vector has another dimension than the catalogue's.
        """
        if vector.shape != self._vectors.shape[1:]:
            expected = self._vectors.shape[1:]
            raise DataError(f"techniques: expected a vector {expected}, found {vector.shape}")
        likeness = self._likeness(vector, text)
        named = dict.fromkeys(_NAMED.findall(text[:CHARACTERS]))
        found = [self._named(id_, likeness) for id_ in list(named)[:most]]
        alike = [
            place for place in self._alike(likeness) if self._techniques[place].id not in named
        ]
        found += [self._match(place, likeness, SIMILAR) for place in alike]
        return tuple(found[:most])

    def _get(self, id_: str) -> Technique | None:
        place = self._places.get(id_)
        return None if place is None else self._techniques[place]

    def _likeness(self, vector: Vectors, text: str) -> _Likeness:
        cosines = np.maximum.reduceat(
            self._vectors.astype(np.float64) @ vector.astype(np.float64), self._starts
        )
        rarity = np.zeros(len(self._techniques))
        shared: list[list[tuple[float, str]]] = [[] for _ in self._techniques]
        for word in sorted(set(_WORDS.findall(cut(text).lower()))):
            weight, places = self._words.get(word, (0.0, ()))
            for place in places:
                rarity[place] += weight
                if weight >= RARE:
                    shared[place].append((-weight, word))
        return _Likeness(
            cosines, rarity, [tuple(word for _, word in sorted(w)[:TOLD_WORDS]) for w in shared]
        )

    def _alike(self, likeness: _Likeness) -> list[int]:
        scores = likeness.scores
        enough = max(THRESHOLD, float(scores.max()) - MARGIN)
        order = np.argsort(-scores, kind="stable")
        return [int(place) for place in order if scores[place] >= enough]

    def _named(self, id_: str, likeness: _Likeness) -> TechniqueMatch:
        if id_ in self._places:
            return self._match(self._places[id_], likeness, NAMED)
        return TechniqueMatch(
            id=id_,
            name=None,
            tactics=(),
            similarity=None,
            words=(),
            source=self.source,
            how=NOT_IN_CATALOGUE,
        )

    def _match(self, place: int, likeness: _Likeness, how: How) -> TechniqueMatch:
        technique = self._techniques[place]
        return TechniqueMatch(
            id=technique.id,
            name=self.name(technique.id),
            tactics=technique.tactics,
            similarity=float(likeness.cosines[place]),
            words=likeness.words[place],
            source=self.source,
            how=how,
        )


def load_techniques(encoder: Encoder) -> Techniques:
    """Return the catalogue that comes with the package."""
    own = _own()
    return Techniques(own.techniques, own.source, encoder)


def read_attack(path: Path, encoder: Encoder) -> Techniques:
    """Return the catalogue in an ATT&CK STIX bundle, or in a CTID mapping file (names only).

    Techniques that our own catalogue knows too are found by its sentences as well, and take its
    tactics and steps where the file tells none.

    Raises
    ------
    ConfigError
        If the file cannot be read or is neither.
    """
    file = read_attack_file(path)
    own = {technique.id: technique for technique in _own().techniques}
    joined = [_joined(technique, own.get(technique.id)) for technique in file.techniques]
    return Techniques(joined, file.source, encoder)


def _joined(technique: Technique, own: Technique | None) -> Technique:
    if own is None:
        return technique
    return replace(
        technique,
        texts=technique.texts + own.texts,
        tactics=technique.tactics or own.tactics,
        mitigations=technique.mitigations or own.mitigations,
    )


def _own() -> AttackFile:
    path = Path(__file__).parents[1] / "_techniques.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    source, version = tables.pop("source"), tables.pop("attack_version")
    techniques = tuple(
        Technique(
            id=id_,
            name=entry["name"],
            tactics=tuple(entry["tactics"]),
            texts=tuple(entry["examples"]),
            mitigations=tuple(Mitigation(step, source) for step in entry["steps"]),
        )
        for id_, entry in tables.items()
    )
    return AttackFile(techniques, f"{source} (names of ATT&CK {version})")


def _word_index(techniques: Sequence[Technique]) -> dict[str, tuple[float, tuple[int, ...]]]:
    """Return, for each word, its rarity from 0 to 1 and the places of techniques that have it."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, technique in enumerate(techniques):
        for word in sorted(
            set(_WORDS.findall(" ".join([technique.name, *technique.texts]).lower()))
        ):
            places[word].append(place)
    counts = Counter({word: len(found) for word, found in places.items()})
    scale = math.log(len(techniques) + 1)
    return {
        word: (
            max(0.0, math.log((len(techniques) + 1) / (count + 0.5)) / scale),
            tuple(places[word]),
        )
        for word, count in counts.items()
    }
