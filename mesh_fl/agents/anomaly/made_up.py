"""Made-up records: usual ones with habits that depend on the seed, and anomalies that have none."""

import numpy as np

from mesh_fl.agent import Data

ANOMALOUS = 0.05
"""Share of the records that fall into cells at random."""

HABIT = 1.5
"""Standard deviation of the log odds of a usual record's cells."""


def made_up(cells: tuple[int, ...], records: int, seed: int) -> Data:
    """Return records with labels.

    Parameters
    ----------
    cells : tuple of int
        Of each trait.
    records, seed : int

    Returns
    -------
    dict
        "places", shape (records, traits), and "y", shape (records,).
    """
    random = np.random.default_rng(seed)
    y = random.random(records) < ANOMALOUS
    columns = []
    for count in cells:
        odds = np.exp(random.normal(0, HABIT, count))
        usual = random.choice(count, records, p=odds / odds.sum())
        columns.append(np.where(y, random.integers(0, count, records), usual))
    return {"places": np.stack(columns, axis=1).astype(np.int64), "y": y.astype(np.float64)}
