"""What the noise that is drawn costs, by accountants other than our own."""

import math
from collections.abc import Iterator

from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.plan import Plan
from mesh_fl.simulate.audit.canaries import Canaries
from mesh_fl.simulate.audit.checks_noise import PLANS
from mesh_fl.simulate.audit.finding import Check, Finding, Setting
from mesh_fl.simulate.audit.goodness import delta_of_gaussian
from mesh_fl.simulate.audit.subject import COLLUDERS, SURVIVORS, Terms, plan_of

KNOWN = ((30.7496, 1e-5, 0.1), (3.73063, 1e-5, 1.0), (1.0, 1e-5, 4.37718))
"""Noise over sensitivity, delta, epsilon of one Gaussian release."""

CLAIMED = 0.1
WASTED = 0.099


def plans() -> list[Plan]:
    """Return the plans whose totals are computed again."""
    agent = Canaries(width=64)
    return [plan_of(agent, terms) for terms in (*PLANS, Terms(rounds=64, spares=6))]


def multipliers(plan: Plan) -> Iterator[tuple[float, int]]:
    """Yield noise over sensitivity and how often, by the shares that are really drawn."""
    for kind in ("train", "measure"):
        count = plan.rounds + plan.spares if kind == "train" else plan.measures
        if count:
            release = plan.release("train" if kind == "train" else "measure")
            left = release.share * math.sqrt(SURVIVORS - COLLUDERS)
            yield left / release.sensitivity, count


def check_accountant(_: Setting) -> Finding:
    """Compare our accountant with known answers, and every plan's total with what it claims."""
    wrong = [abs(epsilon_of(1 / z, delta) - epsilon) for z, delta, epsilon in KNOWN]
    deltas = [delta_of_gaussian(_mu(plan), CLAIMED) / plan.delta for plan in plans()]
    thrifty = [delta_of_gaussian(_mu(plan), WASTED) / plan.delta for plan in plans()]
    return Finding(
        passed=max(wrong) < 1e-5 and max(deltas) <= 1 and min(thrifty) > 1,
        expected="known answers within 1e-5; plans within delta at epsilon = .1, not at .099",
        found=f"off by {max(wrong):.1g}; {max(deltas):.4f} delta, {min(thrifty):.4f} delta",
    )


def _mu(plan: Plan) -> float:
    return math.sqrt(sum(count / z**2 for z, count in multipliers(plan)))


def check_pld(setting: Setting) -> Finding:
    """Compose every plan's releases by privacy loss distributions (Google's dp-accounting).

    Koskela, Jaelkoe and Honkela 2020, arXiv 1906.03049; rounding takes it to .1000055 and the like.
    """
    expected = f"epsilon of every plan from {WASTED:g} to .1001"
    try:
        found = [_pld_epsilon(plan) for plan in plans()]
    except ImportError:
        return Finding(None, expected, "not run: pip install 'mesh_fl[test]' brings dp-accounting")
    told = ", ".join(f"{epsilon:.5f}" for epsilon in found)
    return Finding(min(found) > WASTED and max(found) < CLAIMED + 1e-4, expected, told)


def _pld_epsilon(plan: Plan) -> float:
    from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    for multiplier, count in multipliers(plan):
        accountant.compose(SelfComposedDpEvent(GaussianDpEvent(multiplier), count))
    return float(accountant.get_epsilon(plan.delta))


CHECKS = (
    Check("accountant", "a plan's releases cost what it claims", check_accountant),
    Check("pld", "another accountant says the same", check_pld),
)
