"""What kind of threat a text is about, by its likeness to sentences of known kinds.

The score of a kind is the mean cosine to the `NEAREST` most alike of its sentences, plus
`WORD_WEIGHT` for each of its words in the text; a denied word of a threat, or a question, speaks
for no threat. The constants were chosen on one half of 197 sentences that were written before the
catalogue; of the other half, 93 of 98 come out right. Denials and drills are its weak side: of
twenty new ones, four were taken for threats.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import softmax

from mesh_fl.agents.threat._denials import affirmed, asks, denies
from mesh_fl.errors import DataError
from mesh_fl.text.encoder import Encoder, Vectors, cut
from mesh_fl.text.language import unreadable

KindName = Literal[
    "ransomware",
    "phishing",
    "malware",
    "credential_attack",
    "account_compromise",
    "business_email_compromise",
    "data_leak",
    "denial_of_service",
    "web_attack",
    "vulnerability",
    "insider_misuse",
    "supply_chain",
    "intrusion",
    "cryptomining",
    "misconfiguration",
    "none",
    "unknown",
]

NEAREST = 3
WORD_WEIGHT = 0.1
MOST_WORDS = 3
FLOOR = 0.3
"""Score below which a text is like nothing known; none that it was chosen on fell below it."""
TEMPERATURE = 0.03
"""Of the softmax from scores to shares: it gave the lowest log-loss, of those tried."""
RUNNERS_UP = 3

LEAST_NONE = 0.7
"""Share below which "none" is left to a person: no harmless text that it was chosen on has less."""

UNKNOWN_TITLE = "Unknown"
UNKNOWN_DEFINITION = "Like nothing that is known here; a person should read it."

_WORDS = re.compile(r"[a-z0-9$'./-]*[a-z0-9]|[,.;:!?](?!\S)")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(_Frozen):
    """One kind: its meaning, the words and sentences that show it, what to do, most urgent first.

    The words are lower case and match whole words only.
    """

    name: KindName
    title: str
    definition: str
    words: tuple[str, ...]
    examples: tuple[str, ...]
    steps: tuple[str, ...]


class Likeness(_Frozen):
    """A known sentence, and its cosine to the text."""

    kind: KindName
    text: str
    similarity: float


class RunnerUp(_Frozen):
    """Another kind, and its share of the evidence."""

    kind: KindName
    title: str
    share: float


class KindAnswer(_Frozen):
    """What a text is about.

    Attributes
    ----------
    kind : str
        A kind of threat; "none" for everyday business; "unknown" for what is like neither, or
        not surely harmless.
    confidence : float
        Its share of the evidence: a softmax over the scores of all kinds; 0 when unknown.
    score : float
        Of the best kind, even if it was too low to name it.
    words : tuple of str
        Words of the best kind that stand in the text; for "none" also "no ... WORD" for each word
        of a threat that is denied, and "?" for a question.
    nearest : tuple of Likeness
        The best kind's sentences that are most alike.
    reason : str
        One sentence for people.
    """

    kind: KindName
    title: str
    definition: str
    confidence: float
    score: float
    runners_up: tuple[RunnerUp, ...]
    words: tuple[str, ...]
    nearest: tuple[Likeness, ...]
    reason: str

    @property
    def is_threat(self) -> bool:
        """Whether a kind of threat was named."""
        return self.kind not in ("none", "unknown")


class Kinds:
    """The catalogue of kinds, its sentences encoded once.

    Parameters
    ----------
    encoder : Encoder
        The one that the texts' vectors come from.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.kinds = read_kinds()
        self._none = [kind.name for kind in self.kinds].index("none")
        self._examples = [(kind.name, text) for kind in self.kinds for text in kind.examples]
        self._vectors = encoder.encode([text for _, text in self._examples])
        counts = [len(kind.examples) for kind in self.kinds]
        ends = np.cumsum(counts)
        self._spans = [slice(end - count, end) for count, end in zip(counts, ends, strict=True)]

    def kind(self, name: str) -> Kind | None:
        """Return a kind by its name; None for "unknown" and names that do not exist."""
        return next((kind for kind in self.kinds if kind.name == name), None)

    def scores(self, vectors: Vectors, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the score of each kind, shape (n, kinds), in the order of `kinds`.

        Parameters
        ----------
        vectors : ndarray, shape (n, dimension)
            The texts, encoded.
        texts : sequence of str
            Of each, the part that the encoder reads counts.

        Raises
        ------
        DataError
            If there are not as many vectors as texts.
        """
        return self._scores(self._cosines(vectors, texts), [self._found(text) for text in texts])

    def shares(self, vectors: Vectors, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return each kind's share of the evidence, shape (n, kinds); arguments as for `scores`.

        Rows sum to one.
        """
        return _shares(self.scores(vectors, texts))

    def classify(self, vectors: Vectors, texts: Sequence[str]) -> tuple[KindAnswer, ...]:
        """Say for each text which kind it is about, and why; arguments as for `scores`."""
        cosines = self._cosines(vectors, texts)
        found = [self._found(text) for text in texts]
        scores = self._scores(cosines, found)
        return tuple(
            self._answer(text, *parts)
            for text, *parts in zip(texts, cosines, scores, found, strict=True)
        )

    def _cosines(self, vectors: Vectors, texts: Sequence[str]) -> NDArray[np.float64]:
        expected = (len(texts), self._vectors.shape[1])
        if vectors.shape != expected:
            raise DataError(f"kinds: expected vectors of shape {expected}, found {vectors.shape}")
        return vectors.astype(np.float64) @ self._vectors.T.astype(np.float64)

    def _found(self, text: str) -> list[tuple[str, ...]]:
        """Return the words of each kind that stand in a text and are not denied there."""
        words = _WORDS.findall(cut(text).lower().replace("\u2019", "'"))
        said = f" {' '.join(words)} "
        kept = f" {' '.join(affirmed(words))} "
        found = [
            tuple(w for w in kind.words if f" {w} " in (said if denies(w) else kept))
            for kind in self.kinds
        ]
        found[self._none] += tuple(self._harmless(words, said, kept))
        return found

    def _harmless(self, words: Sequence[str], said: str, kept: str) -> Iterator[str]:
        """Yield what makes a text about threats harmless: those that it denies or asks about."""
        if asks(words):
            yield "?"
        for kind in self.kinds:
            if kind.name != "none":
                held = (w for w in kind.words if not denies(w) and f" {w} " in said)
                yield from (f"no ... {w}" for w in held if f" {w} " not in kept)

    def _scores(
        self, cosines: NDArray[np.float64], found: Sequence[Sequence[tuple[str, ...]]]
    ) -> NDArray[np.float64]:
        alike = [np.sort(cosines[:, span])[:, -NEAREST:].mean(axis=1) for span in self._spans]
        words = np.array([[min(len(w), MOST_WORDS) for w in row] for row in found], dtype=float)
        return np.stack(alike, axis=1) + WORD_WEIGHT * words.reshape(-1, len(self.kinds))

    def _answer(
        self,
        text: str,
        cosines: NDArray[np.float64],
        scores: NDArray[np.float64],
        found: Sequence[tuple[str, ...]],
    ) -> KindAnswer:
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        shares = _shares(scores)
        kind, words, nearest = self.kinds[best], found[best], self._nearest(best, cosines)
        score = float(scores[best])
        refusal = unreadable(cut(text)) or _too_far(score)
        if kind.name == "none":
            refusal = refusal or self._unsure(shares, int(order[1]))
        return KindAnswer(
            kind="unknown" if refusal else kind.name,
            title=UNKNOWN_TITLE if refusal else kind.title,
            definition=UNKNOWN_DEFINITION if refusal else kind.definition,
            confidence=0.0 if refusal else float(shares[best]),
            score=score,
            runners_up=tuple(self._runner_up(int(i), shares) for i in order[1 : RUNNERS_UP + 1]),
            words=words,
            nearest=nearest,
            reason=refusal or _reason(nearest[0], words),
        )

    def _unsure(self, shares: NDArray[np.float64], second: int) -> str | None:
        share, other = float(shares[self._none]), self.kinds[second].title
        if share >= LEAST_NONE:
            return None
        return (
            f"the text is not surely harmless: {self.kinds[self._none].title} has {share:.2f} of "
            f"the evidence, below {LEAST_NONE:.2f}, and {other} {shares[second]:.2f}"
        )

    def _nearest(self, kind: int, cosines: NDArray[np.float64]) -> tuple[Likeness, ...]:
        span = self._spans[kind]
        places = span.start + np.argsort(-cosines[span], kind="stable")[:NEAREST]
        return tuple(
            Likeness(kind=name, text=text, similarity=float(cosines[place]))
            for place, (name, text) in ((int(i), self._examples[int(i)]) for i in places)
        )

    def _runner_up(self, place: int, shares: NDArray[np.float64]) -> RunnerUp:
        kind = self.kinds[place]
        return RunnerUp(kind=kind.name, title=kind.title, share=float(shares[place]))


def read_kinds() -> tuple[Kind, ...]:
    """Read the catalogue that comes with the package."""
    tables = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text(encoding="utf-8"))
    return tuple(Kind.model_validate(table) for table in tables["kind"])


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = softmax(scores / TEMPERATURE, axis=-1)
    return shares


def _too_far(score: float) -> str | None:
    if score >= FLOOR:
        return None
    return f"the text is like nothing known: its best score is {score:.2f}, below {FLOOR:.2f}"


def _reason(nearest: Likeness, words: tuple[str, ...]) -> str:
    said = f"; it says {', '.join(map(repr, words))}" if words else ""
    return f"it is like {nearest.text!r} (similarity {nearest.similarity:.2f}){said}"
