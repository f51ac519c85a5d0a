"""What a question may be about."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Likely:
    """How a question stands to the declared intents.

    Parameters
    ----------
    chances : ndarray, shape (intents,)
        Under the model that is served.
    likeness : ndarray, shape (phrases,)
        Cosine to each phrase; public, whatever was learned.
    phrases : tuple of str
    owners : ndarray, shape (phrases,)
        Place of the intent of each phrase.
    """

    chances: NDArray[np.float64]
    likeness: NDArray[np.float64]
    phrases: tuple[str, ...]
    owners: NDArray[np.int64]

    @property
    def best(self) -> int:
        """Place of the likeliest intent."""
        return int(self.chances.argmax())

    @property
    def most(self) -> float:
        """Likeness to the nearest phrase of any intent."""
        return float(self.likeness.max())

    def nearest(self, intent: int) -> tuple[str, ...]:
        """Return the phrases of an intent, the most alike first."""
        order = np.argsort(-self.likeness, kind="stable")
        return tuple(self.phrases[place] for place in order if self.owners[place] == intent)
