"""Noise for simulations: as wide as the real noise, and many times as fast.

Nobody is kept out of a simulation, so the generator need not be a cryptographic one.
"""

import numpy as np
from numpy.typing import NDArray


def rounded_gaussian(sigma: float, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw Gaussian noise and round it to integers.

    Its variance is sigma^2 + 1/12, that of the discrete Gaussian of `mesh_fl.privacy.noise` is
    sigma^2 (Canonne, Kamath and Steinke 2020); in a plan sigma is some thousands. It protects
    nothing: numpy's generator can be predicted.

    Parameters
    ----------
    sigma : float
        Standard deviation in integer units.
    size : int
    random : numpy.random.Generator
    """
    return np.rint(random.standard_normal(size) * sigma).astype(np.int64)
