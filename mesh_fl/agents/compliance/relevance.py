"""How likely a text answers a control, as far as public knowledge tells."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.compliance.controls import public_controls
from mesh_fl.agents.compliance.wording import Wording
from mesh_fl.text.encoder import Vectors, load_encoder

INTERCEPT, BY_MEANING, BY_WORDING = -5.0, 12.0, 3.0
"""Log-odds of relevance: by the cosine of the encoder and by that of the words."""

Matrix = NDArray[np.float64]


class Candidates:
    """Controls that texts are compared with; their wordings are encoded once.

    Parameters
    ----------
    wordings : sequence of str
        Title and text of each.
    encoder : str
        Setting of `mesh_fl.text.encoder.load_encoder`.
    """

    def __init__(self, wordings: Sequence[str], encoder: str) -> None:
        self.vectors: Vectors = load_encoder(encoder).encode(wordings)
        self._transposed = self.vectors.astype(np.float64).T
        self._wording = Wording(wordings)

    def cosines(self, vectors: Vectors) -> Matrix:
        """Compare encoded texts with the controls by meaning: shape (n, controls)."""
        return vectors.astype(np.float64) @ self._transposed

    def by_wording(self, texts: Sequence[str]) -> Matrix:
        """Compare texts with the controls by their words: shape (n, controls)."""
        return self._wording.cosines(texts)

    def log_odds(self, vectors: Vectors, by_wording: Matrix) -> Matrix:
        """Return the log-odds that texts answer the controls: shape (n, controls).

        Parameters
        ----------
        vectors : ndarray, shape (n, dimension)
        by_wording : ndarray, shape (n, controls)
            The texts' cosines by their words.
        """
        return INTERCEPT + BY_MEANING * self.cosines(vectors) + BY_WORDING * by_wording


@cache
def load_candidates(controls: tuple[str, ...], encoder: str) -> Candidates:
    """Return shipped controls as candidates, encoded once for all."""
    known = public_controls()
    return Candidates([known[name].wording for name in controls], encoder)
