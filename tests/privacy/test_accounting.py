import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.errors import PlanError
from mesh_fl.privacy.accounting import compose, delta_of, epsilon_of, mu_of

EPSILON, DELTA, ROUNDS = 0.1, 1e-5, 64

# Roots of Balle and Wang's formula, found with 60 decimal digits.
EXACT_MU = {
    (0.001, 1e-12): 0.00018476425820003588,
    (0.001, 1e-5): 0.00057995926396368511,
    (0.1, 1e-12): 0.016249843047932859,
    (0.1, 1e-9): 0.019916423412681467,
    (0.1, 1e-5): 0.032520784056203912,
    (0.1, 0.5): 1.4251620731584688,
    (1.0, 1e-9): 0.18197480729533226,
    (1.0, 1e-5): 0.26805112321129422,
    (5.0, 1e-12): 0.70930149140774906,
    (20.0, 1e-12): 2.4749379575716709,
    (20.0, 0.01): 4.5304728739350686,
}

epsilons = st.floats(0.001, 20)
deltas = st.floats(-12, -0.4).map(lambda exponent: 10**exponent)
mus = st.floats(1e-3, 10)


def test_noise_multiplier_of_the_default_promise() -> None:
    assert 1 / mu_of(EPSILON, DELTA) == pytest.approx(30.7496, abs=5e-5)


@pytest.mark.parametrize(("promise", "mu"), EXACT_MU.items())
def test_exact_roots(promise: tuple[float, float], mu: float) -> None:
    epsilon, delta = promise
    assert mu_of(epsilon, delta) == pytest.approx(mu, rel=1e-11)
    assert epsilon_of(mu, delta) == pytest.approx(epsilon, rel=1e-10)
    assert delta_of(mu, epsilon) == pytest.approx(delta, rel=1e-9)


@pytest.mark.parametrize(
    ("mu", "epsilon", "delta"),
    [
        (1, 0, 0.38292492254802621),
        (1, 1, 0.12693673750664395),
        (10, 20, 0.99802918146542763),
        (0.001, 0, 0.00039894226377883829),
        (50, 1, 1.0),
        (1e-300, 1e-3, 0.0),
        (0, 0, 0.0),
        (1e9, 1e3, 1.0),
        (1e-3, 1e9, 0.0),
        (1e3, 1e6, 0.0),
    ],
)
def test_known_deltas(mu: float, epsilon: float, delta: float) -> None:
    assert delta_of(mu, epsilon) == pytest.approx(delta, rel=1e-11)


@given(epsilon=epsilons, delta=deltas)
def test_mu_is_the_largest_that_keeps_the_promise(epsilon: float, delta: float) -> None:
    mu = mu_of(epsilon, delta)
    assert delta_of(mu, epsilon) <= delta
    assert delta_of(mu * (1 + 1e-9), epsilon) > delta


@given(mu=mus, delta=deltas)
def test_epsilon_is_the_smallest_that_is_true(mu: float, delta: float) -> None:
    epsilon = epsilon_of(mu, delta)
    assert delta_of(mu, epsilon) <= delta
    assert epsilon == 0 or delta_of(mu, max(0, epsilon * (1 - 1e-9) - 1e-12)) > delta * (1 - 1e-9)


@given(epsilon=epsilons, delta=deltas)
def test_round_trip_through_mu(epsilon: float, delta: float) -> None:
    assert epsilon_of(mu_of(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-9)


@given(epsilon=epsilons, delta=deltas, factor=st.floats(1.001, 10))
def test_more_noise_never_costs_more(epsilon: float, delta: float, factor: float) -> None:
    mu = mu_of(epsilon, delta)
    assert epsilon_of(mu / factor, delta) < epsilon_of(mu, delta)
    assert epsilon_of(mu, min(0.9, delta * factor)) <= epsilon_of(mu, delta)


def test_an_epsilon_of_zero_is_reported_when_delta_alone_suffices() -> None:
    assert epsilon_of(0.0, 1e-12) == 0.0
    assert epsilon_of(1e-6, 1e-5) == 0.0


@given(st.lists(st.floats(0, 1e3), max_size=20))
def test_composition_adds_squares(parts: list[float]) -> None:
    assert compose(parts) ** 2 == pytest.approx(math.fsum(mu * mu for mu in parts), rel=1e-12)
    assert compose(parts) >= max(parts, default=0.0)


@given(st.lists(st.floats(0, 10), max_size=10), st.lists(st.floats(0, 10), max_size=10))
def test_composition_does_not_depend_on_grouping(first: list[float], second: list[float]) -> None:
    grouped = compose([compose(first), compose(second)])
    assert grouped == pytest.approx(compose(iter(second + first)), rel=1e-12)


def test_rounds_share_one_budget() -> None:
    each = mu_of(EPSILON, DELTA) / math.sqrt(ROUNDS)
    assert epsilon_of(compose([each] * ROUNDS), DELTA) == pytest.approx(EPSILON, rel=1e-9)
    assert epsilon_of(compose([each] * (ROUNDS + 1)), DELTA) > EPSILON * 1.005


@pytest.mark.parametrize("missing", [1, 5, 10])
def test_missing_shares_of_noise_cost(missing: int) -> None:
    cost = {1: 0.103, 5: 0.117, 10: 0.146}
    mu = mu_of(EPSILON, DELTA) / math.sqrt(1 - missing / 20)
    assert epsilon_of(mu, DELTA) == pytest.approx(cost[missing], abs=6e-4)


@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf, -math.inf])
def test_impossible_mu_and_epsilon_are_refused(bad: float) -> None:
    with pytest.raises(PlanError, match="expected mu to be"):
        delta_of(bad, 0.1)
    with pytest.raises(PlanError, match="expected epsilon to be"):
        delta_of(0.1, bad)
    with pytest.raises(PlanError, match="expected mu to be"):
        epsilon_of(bad, 1e-5)
    with pytest.raises(PlanError, match="expected epsilon to be"):
        mu_of(bad, 1e-5)
    with pytest.raises(PlanError, match="expected mu to be"):
        compose([0.1, bad])


@pytest.mark.parametrize("bad", [0.0, 1.0, -1e-5, 2.0, math.nan, math.inf])
def test_impossible_delta_is_refused(bad: float) -> None:
    with pytest.raises(PlanError, match="expected delta strictly between 0 and 1"):
        mu_of(0.1, bad)
    with pytest.raises(PlanError, match="expected delta strictly between 0 and 1"):
        epsilon_of(0.1, bad)


class TestOtherAccountants:
    """64 equal releases that together spend exactly the default promise."""

    multiplier = math.sqrt(ROUNDS) / mu_of(EPSILON, DELTA)

    def test_privacy_loss_distribution_agrees(self) -> None:
        from dp_accounting import GaussianDpEvent, NeighboringRelation
        from dp_accounting.pld import PLDAccountant

        accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE)
        for _ in range(ROUNDS):
            accountant.compose(GaussianDpEvent(self.multiplier))
        assert accountant.get_epsilon(DELTA) == pytest.approx(EPSILON, abs=1e-4)

    def test_numerical_composition_is_never_below(self) -> None:
        epsilon = self._opacus("PRVAccountant", eps_error=0.001)
        assert EPSILON - 1e-9 <= epsilon <= EPSILON + 0.0015

    def test_renyi_accounting_is_never_below(self) -> None:
        assert EPSILON < self._opacus("RDPAccountant") < 0.14

    def _opacus(self, name: str, **precision: float) -> float:
        from opacus import accountants

        accountant = getattr(accountants, name)()
        for _ in range(ROUNDS):
            accountant.step(noise_multiplier=self.multiplier, sample_rate=1.0)
        with warnings.catch_warnings():
            # Sampling rate 1 makes Opacus take the logarithm of 0 in a branch that it discards.
            warnings.simplefilter("ignore")
            return float(accountant.get_epsilon(DELTA, **precision))
