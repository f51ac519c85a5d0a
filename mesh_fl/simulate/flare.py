"""How NVIDIA FLARE encrypts a model: CKKS with its default parameters, layer by layer.

Only to measure against. Whoever decrypts and shows approximate sums gives the key away (eprint
2020/1533), so nothing here protects anybody.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tenseal
from numpy.typing import NDArray

DEGREE = 8192
MODULUS_BITS = (60, 40, 40)
SCALE = 2.0**40


class Ckks:
    """Keys of everybody in one object; `add` uses the public ones. All on one thread."""

    def __init__(self) -> None:
        self._own = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(MODULUS_BITS), n_threads=1
        )
        self._own.global_scale = SCALE
        public = self._own.serialize(save_secret_key=False)
        self._public = tenseal.context_from(public, n_threads=1)

    def encrypt(self, weights: NDArray[np.float64]) -> list[bytes]:
        """Return a model, encrypted and serialised."""
        return [tenseal.ckks_vector(self._own, part).serialize() for part in _parts(weights)]

    def add(self, uploads: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Return the serialised sum of serialised models."""
        first, *others = uploads
        sums = [tenseal.ckks_vector_from(self._public, part) for part in first]
        for other in others:
            for total, part in zip(sums, other, strict=True):
                total.add_(tenseal.ckks_vector_from(self._public, part))
        return [total.serialize() for total in sums]

    def decrypt(self, parts: Sequence[bytes]) -> NDArray[np.float64]:
        """Return the model in a serialised sum."""
        vectors = (tenseal.ckks_vector_from(self._own, part) for part in parts)
        return np.concatenate([vector.decrypt() for vector in vectors])


def _parts(weights: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Cut four layers into ciphertexts as TenSEAL itself does, but without its warnings."""
    half, quarter, last = (len(weights) // part for part in (2, 4, 1000))
    for layer in np.split(weights, [half, half + quarter, len(weights) - last]):
        for start in range(0, len(layer), DEGREE // 2):
            yield layer[start : start + DEGREE // 2]
