"""Whose records were there: attacks on opened sums, and on a released model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mesh_fl.agent import Data, Rows, State
from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.errors import ConfigError
from mesh_fl.planning import make_plan
from mesh_fl.simulate.audit.canaries import NAMES, Canaries, canaries
from mesh_fl.simulate.audit.finding import Check, Finding, Setting
from mesh_fl.simulate.audit.one_run import epsilon_bound
from mesh_fl.simulate.audit.subject import Subject, Terms, plan_of
from mesh_fl.simulate.network import rehearse

UNLIKELY = 1e-8
"""Below this an attack counts as better than chance: what epsilon = .1 allows is not chance."""

LENGTH = 512.0
"""Of a canary's row, in units of the clip: without clipping it cannot be missed."""

PROMISED = 0.1
ROUNDS = 2
TRACED = 400
TRACED_WIDTH = 4096
CUSTOMERS = (56, 150, 420, 1500, 3500)

Vector = NDArray[np.float64]


def check_one_run(setting: Setting) -> Finding:
    """Guess from all that was opened which canaries were there, and bound epsilon from below.

    Each canary is one record along an axis of its own: gradient space, the strongest attack of
    Steinke, Nasr and Jagielski 2023 (section 6). It finds gross bugs only: a promise of .1 lets
    52.5 % of all guesses be right, and right code stays below that.
    """
    runs = [_one_run(setting, number) for number in range(setting.runs)]
    opened = all(bound is not None for bound, _ in runs)
    found = [bound for bound, _ in runs if bound is not None]
    told = ", ".join(
        f"{bound:.3f} ({share:.1%} right)" for bound, share in runs if bound is not None
    )
    return Finding(
        passed=opened and max(found) < PROMISED,
        expected=f"epsilon bounds below {PROMISED:g} at 95 %, {setting.canaries} canaries a run",
        found=told or "nothing was opened",
        # 53.1 % right guesses are 7 standard deviations away from the 50.5 % that are expected.
        false_alarm=setting.runs * 1e-11,
    )


def _one_run(setting: Setting, number: int) -> tuple[float | None, float]:
    there = setting.random(f"one-run {number}").random(setting.canaries) < 0.5
    agent = Canaries(width=setting.canaries)
    cap = 2 ** int(setting.canaries / len(NAMES)).bit_length()
    plan = plan_of(agent, Terms(rounds=ROUNDS, measures=1), cap)
    subject = Subject(agent, plan, canaries(np.flatnonzero(there), LENGTH)).run()
    if len(subject.totals) < len(plan.schedule):
        return None, 0.0
    right = int(np.sum(_guessed(subject) == there))
    return epsilon_bound(len(there), len(there), right, plan.delta), right / len(there)


def _guessed(subject: Subject) -> NDArray[np.bool_]:
    """Weigh opened sums by their signal over noise, and guess that the upper half was there."""
    plan, score = subject.plan, np.zeros(subject.plan.dimension)
    for kind, total in zip(plan.schedule, subject.totals, strict=True):
        release = plan.release(kind)
        unit = release.scale * release.clip
        score += total * unit / release.sigma**2
    # By rank and not by a threshold: without noise there are but two scores.
    return stats.rankdata(score, method="ordinal") > len(score) / 2


@dataclass(frozen=True, kw_only=True)
class Traced(Canaries):
    """Adds up dense rows of unit length, which are far more spread out than they are many."""

    def contribute(self, state: State, data: Data) -> Rows:
        """Return the rows themselves."""
        return data["row"].astype(np.float64)


def check_tracing(setting: Setting) -> Finding:
    """Correlate records with the sum of all: without noise this tells nearly all members.

    Dwork, Smith, Steinke, Ullman and Vadhan 2015, "Robust Traceability from Trace Amounts".
    """
    draw = setting.random("tracing")
    rows = draw.choice([-1.0, 1.0], (2 * TRACED, TRACED_WIDTH)) / np.sqrt(TRACED_WIDTH)
    inside, outside = rows[:TRACED], rows[TRACED:]
    agent, width = Traced(width=TRACED_WIDTH), len(NAMES)
    shards = {name: {"row": inside[k::width]} for k, name in enumerate(NAMES)}
    subject = Subject(agent, plan_of(agent, cap=128), shards).run()
    released = sum(subject.totals, np.zeros(TRACED_WIDTH))
    return _judged(inside @ released, outside @ released)


def check_membership(setting: Setting) -> Finding:
    """Tell the customers that a model was trained on from others by their smaller loss.

    Yeom, Giacomelli, Fredrikson and Jha 2018, "Privacy Risk in Machine Learning", section 3.2. A
    model of nine parameters gives nobody away even without noise; `tracing` shows that an attack
    can succeed.
    """
    what, agent, shards, others = _customers(setting)
    caps = {name: 2 ** (len(data["y"]) - 1).bit_length() for name, data in shards.items()}
    plan = make_plan(agent, "health", caps, rounds=16)
    state = rehearse(agent, plan, shards, encrypted=True).state
    losses = [_loss(agent, state, data) for data in (*shards.values(), others)]
    return _judged(-np.concatenate(losses[:-1]), -losses[-1], f" ({what})")


def _judged(inside: Vector, outside: Vector, what: str = "") -> Finding:
    test = stats.mannwhitneyu(inside, outside, alternative="greater")
    auc, p = float(test.statistic) / (len(inside) * len(outside)), float(test.pvalue)
    error = ((len(inside) + len(outside) + 1) / (12 * len(inside) * len(outside))) ** 0.5
    return Finding(
        passed=p > UNLIKELY,
        expected=f"AUC .5 within its sampling error of {error:.3f}, p > {UNLIKELY:g}",
        found=f"AUC {auc:.3f}, p {p:.2g}{what}",
        # The best attack on mu = .025 shifts it by .8 of a standard error: 5.6 - .8 = 4.8 are left.
        false_alarm=1e-6,
    )


def _loss(agent: ClientHealth, state: State, data: Data) -> Vector:
    risk = np.clip(agent.predict(state, data), 1e-12, 1 - 1e-12)
    return -np.log(np.where(data["y"].astype(np.bool_), risk, 1 - risk))


def _customers(
    setting: Setting,
) -> tuple[str, ClientHealth, Mapping[str, Data], Data]:
    """Return the demo's customers; made-up ones in haste, or where its extra is not installed."""
    if setting.quick:
        return _made_up(setting)
    try:
        from mesh_fl.simulate.demo.telco import deal, demo_agent, load_telco, prepare

        split = deal(load_telco(), CUSTOMERS, setting.seed)
    except (ImportError, ConfigError):
        return _made_up(setting)
    agent = demo_agent({name: len(own) for name, own in split.members.items()})
    shards = {name: prepare(agent, own) for name, own in split.members.items()}
    return "Telco churn", agent, shards, prepare(agent, split.test)


def _made_up(setting: Setting) -> tuple[str, ClientHealth, Mapping[str, Data], Data]:
    draw, names = setting.random("customers"), [f"x{k}" for k in range(8)]
    features = tuple(Feature(name=n, kind="number", low=-1.0, high=1.0) for n in names)
    agent = ClientHealth(features=features, records=float(sum(CUSTOMERS)))
    shards = {f"msp-{size}": _people(draw, size) for size in CUSTOMERS}
    return "made-up customers", agent, shards, _people(draw, 1400)


def _people(draw: np.random.Generator, count: int) -> Data:
    x = np.hstack([draw.uniform(-1, 1, (count, 8)), np.ones((count, 1))])
    y = (draw.random(count) < 1 / (1 + np.exp(-x[:, :4].sum(axis=1)))).astype(np.float64)
    return {"x": x, "y": y}


CHECKS = (
    Check("one-run", "opened sums show no epsilon above the promise", check_one_run),
    Check("tracing", "the sum of many records traces none of them", check_tracing),
    Check("membership", "a released model does not tell who is in it", check_membership),
)
