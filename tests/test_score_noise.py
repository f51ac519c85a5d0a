"""Figures are told with what noise may have moved them by."""

import math

import numpy as np
import pytest

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.layout import size
from mesh_fl.score_noise import DRAWS, in_words, spreads


class Told:
    """Reads one number as it is, one that is cut at 1, and one that is mostly undefined."""

    def measure_layout(self):
        return {"a": (), "b": ()}

    def score(self, total):
        a, b = float(total["a"]), float(total["b"])
        return {"whole": a, "cut": min(1.0, b), "never": math.nan if abs(a) < 1e9 else a}


def test_a_spread_is_that_of_the_noise_and_what_is_undefined_has_none() -> None:
    found = spreads(Told(), np.array([3.0, -9.0]), 2.0)
    assert found["whole"] == pytest.approx(2.0, rel=4 / math.sqrt(2 * DRAWS))
    assert found["cut"] == pytest.approx(2.0, rel=4 / math.sqrt(2 * DRAWS))
    assert "never" not in found
    assert spreads(Told(), np.array([3.0, -9.0]), 0.0)["whole"] == 0.0


def test_small_crowds_measure_a_wide_figure() -> None:
    agent = ResourceAllocation()
    data = agent.simulated(2000, seed=1)
    rows = np.asarray(agent.measure(agent.init(), data).sum(axis=0)).ravel()
    assert len(rows) == size(agent.measure_layout())
    narrow, wide = (spreads(agent, rows, sd)["r2"] for sd in (0.5, 50.0))
    assert narrow < 0.05
    assert wide > 10 * narrow


def test_in_words() -> None:
    scores = {"r2": 1.0, "auc": math.nan, "f": 0.5}
    said = in_words(scores, {"r2": 0.62})
    assert said == "r2 1.000 ± 0.620, auc not told by the noise, f 0.500 ± ?"
