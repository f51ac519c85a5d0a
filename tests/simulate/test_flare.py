import numpy as np
import pytest

from mesh_fl.simulate.flare import Ckks, _parts


@pytest.mark.parametrize("size", [1, 3, 999, 1001, 20_000])
def test_sums_are_those_of_the_weights(size: int) -> None:
    weights = np.random.default_rng(size).normal(size=size)
    cipher = Ckks()
    uploads = [cipher.encrypt(share * weights) for share in (1.0, 2.0, -0.5)]
    opened = cipher.decrypt(cipher.add(uploads))
    np.testing.assert_allclose(opened, 2.5 * weights, atol=1e-5)
    assert sum(map(len, uploads[0])) > 200_000


def test_a_million_weights_make_four_layers_cut_into_full_ciphertexts() -> None:
    weights = np.arange(1_000_000.0)
    parts = list(_parts(weights))
    np.testing.assert_array_equal(np.concatenate(parts), weights)
    assert max(map(len, parts)) == 4096
    short = [part[-1] + 1 for part in parts if len(part) < 4096]
    assert short == [500_000, 750_000, 999_000, 1_000_000]
