"""Two hundred members, of whom one in ten drops out of every exchange: minutes."""

import numpy as np
import pytest
from large_network import PHASES, Cohort, Crowd, Spy, tenth, totals_of

from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.pipeline import CipherFactory
from mesh_fl.simulate.network import Clear


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("rounds", "cipher"), [(20, Clear), (2, Bfv)], ids=["masks", "bfv"])
def test_sums_are_exact(
    rounds: int, cipher: CipherFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = Cohort.of(200, rounds=rounds, survivors=120, colluders=10, epoch_steps=99)
    crowd = Crowd(cohort=cohort, make_cipher=cipher, drop=tenth(1))
    spy = Spy(monkeypatch, crowd)
    training = crowd.finished()
    assert training.checkpoint.attempt == rounds
    assert crowd.counts == dict.fromkeys(PHASES, rounds)
    totals, pendings = totals_of(training), crowd.pendings()
    assert totals.keys() == pendings.keys() == set(range(1, rounds + 1))
    for step, pending in pendings.items():
        assert 120 <= len(pending.accounts) <= 162
        np.testing.assert_array_equal(totals[step], spy.sum_of(pending))
