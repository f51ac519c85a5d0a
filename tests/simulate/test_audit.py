import json
import logging
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from mesh_fl.errors import ConfigError
from mesh_fl.privacy import pipeline
from mesh_fl.privacy.accounting import delta_of, mu_of
from mesh_fl.simulate.audit import checks_accounting, run
from mesh_fl.simulate.audit.bugs import BUGS, Bug
from mesh_fl.simulate.audit.canaries import NAMES, Canaries, canaries
from mesh_fl.simulate.audit.checks_noise import PLANS, expected_sigma
from mesh_fl.simulate.audit.finding import QUICK, THOROUGH, Check, Finding, Setting
from mesh_fl.simulate.audit.goodness import delta_of_gaussian, gaussian_p_value, uniform_p_value
from mesh_fl.simulate.audit.one_run import epsilon_bound, p_value
from mesh_fl.simulate.audit.run import CHECKS, Audit, Outcome, audit
from mesh_fl.simulate.audit.subject import Subject, Terms, plan_of, two_attempts
from mesh_fl.simulate.audit.swap import Swap, instead, listening, swapped
from mesh_fl.simulate.cli import app

FALSE_ALARM = 1e-4
UNBROKEN = {"membership"}
"""A model of nine parameters gives nobody away even without noise."""


PLACES = {swap.label: (swap.place, swap.name) for bug in BUGS for swap in bug.swaps}
ORIGINALS = {label: getattr(*place) for label, place in PLACES.items()}


def told(outcomes: list[Outcome]) -> list[str]:
    return [f"{o.verdict}: {o.bug or 'real code'} by {o.check}: {o.found}" for o in outcomes]


@pytest.fixture(scope="module")
def quick() -> Audit:
    return audit(replace(QUICK, seed=11))


class TestQuickAudit:
    def test_the_real_code_holds(self, quick: Audit) -> None:
        real = [o for o in quick.outcomes if not o.bug]
        assert {o.check for o in real} == CHECKS.keys()
        assert told([o for o in real if o.verdict != "holds"]) == []

    def test_every_bug_is_caught_by_every_check_that_must_find_it(self, quick: Audit) -> None:
        seeded = {(o.bug, o.check): o for o in quick.outcomes if o.bug}
        assert seeded.keys() == {(bug.name, name) for bug in BUGS for name in bug.caught_by}
        assert told([o for o in seeded.values() if o.verdict != "caught"]) == []
        assert quick.passed

    @pytest.mark.parametrize(
        "name", ["the raw sum in place of a digest", "a second attempt reuses masks"]
    )
    def test_a_bug_can_be_seeded_again(self, quick: Audit, name: str) -> None:
        """It keeps nothing of the time before."""
        assert quick.passed
        assert told([o for o in audit(QUICK, only=name).outcomes if not o.sound]) == []

    def test_false_alarms_are_rare(self, quick: Audit) -> None:
        assert 0 < quick.false_alarm < FALSE_ALARM

    def test_every_check_has_a_bug(self) -> None:
        found = {name for bug in BUGS for name in bug.caught_by}
        assert found == CHECKS.keys() - UNBROKEN
        assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.slow
def test_the_whole_audit_passes() -> None:
    whole = audit(replace(THOROUGH, seed=3))
    assert told([o for o in whole.outcomes if not o.sound]) == []
    assert whole.passed
    assert whole.false_alarm < FALSE_ALARM


class TestOneRunBound:
    @pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
    def test_randomized_response_is_bounded_from_below_and_nearly_reached(
        self, epsilon: float
    ) -> None:
        count, truth = 20_000, 1 / (1 + math.exp(-epsilon))
        right = np.random.default_rng(1).binomial(count, truth, 8)
        bounds = np.array([epsilon_bound(count, count, int(v), 0.0) for v in right])
        assert np.all(bounds > epsilon - 0.15)
        assert np.mean(bounds > epsilon) < 0.3
        error = math.sqrt(truth * (1 - truth) / count)
        expected = float(np.log((truth - 1.645 * error) / (1 - truth + 1.645 * error)))
        assert bounds.mean() == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize(("guesses", "right"), [(20_000, 11_000), (500, 430), (60, 60)])
    def test_without_delta_it_is_the_exact_binomial_bound(self, guesses: int, right: int) -> None:
        """Clopper and Pearson 1934."""
        least = stats.beta.ppf(0.05, right, guesses - right + 1)
        expected = math.log(least / (1 - least))
        assert epsilon_bound(20_000, guesses, right, 0.0) == pytest.approx(expected, abs=2e-4)

    @pytest.mark.parametrize(
        ("records", "guesses", "right", "epsilon", "delta"),
        [(1000, 100, 70, 0.3, 1e-5), (50, 50, 30, 0.0, 1e-3), (200, 40, 40, 2.0, 1e-4)],
    )
    def test_it_is_the_theorem_term_by_term(
        self, records: int, guesses: int, right: int, epsilon: float, delta: float
    ) -> None:
        q = 1 / (1 + math.exp(-epsilon))
        chance = [math.comb(guesses, w) * q**w * (1 - q) ** (guesses - w) for w in range(right + 1)]
        upper = 1 - sum(chance[:right])
        worst = max(sum(chance[right - i : right]) / i for i in range(1, right + 1))
        expected = upper + 2 * records * delta * worst
        found = p_value(records, guesses, right, epsilon, delta)
        assert found == pytest.approx(min(1.0, expected), abs=1e-12)

    def test_delta_weakens_the_bound_and_guessing_refutes_nothing(self) -> None:
        bounds = [epsilon_bound(20_000, 2000, 1300, delta) for delta in (0.0, 1e-6, 1e-5, 1e-3)]
        assert bounds == sorted(bounds, reverse=True)
        assert bounds[0] > bounds[-1]
        assert epsilon_bound(20_000, 20_000, 10_000, 1e-5) == 0.0
        assert epsilon_bound(20_000, 20_000, 0, 1e-5) == 0.0
        assert epsilon_bound(20_000, 20_000, 20_000, 0.0) > 8


class TestGoodness:
    draws = np.rint(np.random.default_rng(5).normal(scale=1e6, size=20_000)).astype(np.int64)

    def test_the_right_sigma_passes_and_wrong_ones_do_not(self) -> None:
        assert gaussian_p_value(self.draws, 1e6) > 1e-3
        for factor in (0.95, 2 / 3, 3 / 2):
            assert gaussian_p_value(self.draws, factor * 1e6) < 1e-6

    def test_the_right_spread_of_another_shape_is_found(self) -> None:
        flat = np.random.default_rng(6).uniform(-1, 1, 20_000) * 1e6 * math.sqrt(3)
        assert gaussian_p_value(flat.astype(np.int64), 1e6) < 1e-6

    @pytest.mark.parametrize("modulus", [33_550_337, 2**54 - 33])
    def test_uniform_residues_pass_and_a_bell_does_not(self, modulus: int) -> None:
        residues = np.random.default_rng(7).integers(0, modulus, 8192)
        assert uniform_p_value(residues, modulus) > 1e-3
        assert uniform_p_value(residues // 4 * 3, modulus) < 1e-6
        assert uniform_p_value(self.draws % modulus, modulus) < 1e-6

    @pytest.mark.parametrize(("mu", "epsilon"), [(1 / 30.7496, 0.1), (0.25, 1.0), (1.0, 4.0)])
    def test_delta_is_the_accountants(self, mu: float, epsilon: float) -> None:
        assert delta_of_gaussian(mu, epsilon) == pytest.approx(delta_of(mu, epsilon), rel=1e-6)


class TestExpectedSigma:
    @pytest.mark.parametrize("terms", PLANS)
    def test_it_is_what_five_shares_add_up_to(self, terms: Terms) -> None:
        plan = plan_of(Canaries(width=500), terms)
        for kind in set(plan.schedule):
            whole = plan.release(kind).share * math.sqrt(len(NAMES))
            assert expected_sigma(plan, kind) == pytest.approx(whole, rel=1e-9)

    def test_a_known_answer(self) -> None:
        plan = plan_of(Canaries(width=500))
        multiplier = expected_sigma(plan, "train") * math.sqrt(3 / 5)
        assert plan.delta == 1e-5
        assert multiplier / plan.release("train").sensitivity == pytest.approx(30.78, abs=0.01)
        assert 1 / mu_of(0.1, 1e-5) == pytest.approx(30.7496, abs=1e-4)


class TestSubject:
    def test_what_is_opened_is_the_sum_of_all_rows_and_noise(self) -> None:
        agent = Canaries(width=2100)
        plan = plan_of(agent)
        subject = Subject(agent, plan, canaries(np.arange(2100)[::7], length=9.0)).run()
        (total,) = subject.totals
        exact = np.where(np.arange(2100) % 7 == 0, round(subject.release.scale), 0)
        assert np.abs(total - exact).max() < 7 * expected_sigma(plan, "train")
        assert np.corrcoef(total, exact)[0, 1] < 0.2
        np.testing.assert_array_equal(subject.training.state["sum"], total / subject.release.scale)

    def test_the_first_of_two_attempts_is_dead_and_the_auditor_heard_all_of_it(self) -> None:
        subject = two_attempts(64)
        assert subject.training.checkpoint.attempt == 2
        assert subject.training.checkpoint.applied == 0
        for attempt in (1, 2):
            assert subject.contributions(attempt).keys() == set(NAMES)
        assert subject.errors == []

    def test_with_noise_taken_away_the_opening_is_exact(self) -> None:
        def zeros(sigma: float, size: int, source: object) -> np.ndarray:
            return np.zeros(size, dtype=np.int64)

        with swapped(instead(pipeline, "discrete_gaussian", zeros)) as hits:
            subject = two_attempts(64)
        assert list(hits.values()) == [10]
        exact = np.where(np.arange(64) < 50, round(subject.release.scale), 0)
        for attempt in (1, 2):
            np.testing.assert_array_equal(subject.open(attempt), exact)


class Thing:
    def twice(self, number: int) -> int:
        return 2 * number


class TestSwap:
    def test_it_is_in_place_for_as_long_as_the_block_runs(self) -> None:
        with swapped(Swap(Thing, "twice", lambda real: lambda *args: real(*args) + 1)) as hits:
            assert Thing().twice(4) == 9
        assert Thing().twice(4) == 8
        assert hits == {"Thing.twice": 1}

    def test_it_goes_when_the_block_fails(self) -> None:
        with pytest.raises(ZeroDivisionError), swapped(instead(Thing, "twice", lambda *_: 0)):
            raise ZeroDivisionError
        assert Thing().twice(4) == 8

    def test_listening_changes_nothing(self) -> None:
        thing = Thing()
        with listening(Thing, "twice") as calls:
            assert thing.twice(5) == 10
        assert calls == [((thing, 5), 10)]

    def test_no_swap_outlives_the_audit(self, quick: Audit) -> None:
        assert quick.outcomes
        assert {label: getattr(*place) for label, place in PLACES.items()} == ORIGINALS


def passes(_: Setting) -> Finding:
    Thing().twice(1)
    return Finding(True, "all", "all")


def fails(_: Setting) -> Finding:
    Thing().twice(1)
    return Finding(False, "all", "none")


def breaks(_: Setting) -> Finding:
    raise ZeroDivisionError("a bug in the audit")


def absent(_: Setting) -> Finding:
    return Finding(None, "all", "not run")


BUG = Bug("odd", ("it",), (instead(Thing, "twice", lambda *_: 3),))


class TestVerdicts:
    """The audit cannot pass by not running."""

    @pytest.fixture
    def outcome(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
        def given(check: object, bug: Bug = BUG, setting: Setting = THOROUGH) -> tuple[Audit, list]:
            monkeypatch.setattr(run, "CHECKS", {"it": Check("it", "holds", check)})  # type: ignore[arg-type]
            monkeypatch.setattr(run, "BUGS", (bug,))
            done = audit(setting)
            return done, [o.verdict for o in done.outcomes]

        return given

    def test_a_bug_that_no_check_notices(self, outcome) -> None:
        done, verdicts = outcome(passes)
        assert verdicts == ["holds", "UNNOTICED"]
        assert not done.passed

    def test_a_check_that_fails_on_the_real_code(self, outcome) -> None:
        done, verdicts = outcome(fails)
        assert verdicts == ["FAILS", "caught"]
        assert not done.passed

    def test_a_check_that_crashes_catches_nothing(self, outcome) -> None:
        done, verdicts = outcome(breaks)
        assert verdicts == ["error", "error"]
        assert not done.passed
        assert "a bug in the audit" in done.outcomes[1].found

    @pytest.mark.parametrize("setting", [THOROUGH, QUICK])
    def test_what_was_not_run_passes_in_a_quick_audit_only(self, outcome, setting: Setting) -> None:
        done, verdicts = outcome(absent, setting=setting)
        assert verdicts == ["not run", "not run"]
        assert done.passed == setting.quick

    def test_a_bug_that_is_never_met_is_not_caught(self, outcome) -> None:
        bug = Bug(
            "far",
            ("it",),
            (instead(Thing, "twice", lambda *_: 3), instead(pipeline, "seal", passes)),
        )
        done, verdicts = outcome(fails, bug)
        assert verdicts[1] == "never met mesh_fl.privacy.pipeline.seal"
        assert not done.passed

    def test_nothing_at_all_is_no_success(self) -> None:
        assert not Audit(QUICK, (), 0.0).passed

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no check or bug is called 'sums'"):
            audit(QUICK, only="sums")


def test_a_missing_accountant_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dp_accounting", None)
    finding = checks_accounting.check_pld(QUICK)
    assert finding.passed is None
    assert "mesh_fl[test]" in finding.found


class TestCommand:
    def test_it_prints_json_for_programs(self) -> None:
        done = CliRunner().invoke(app, ["audit", "--quick", "--only", "sensitivity", "--json"])
        facts = json.loads(done.stdout)
        assert done.exit_code == 0
        assert facts["passed"]
        assert [o["verdict"] for o in facts["outcomes"]] == ["holds", "caught", "caught", "caught"]
        assert logging.getLogger("mesh_fl").isEnabledFor(logging.WARNING), "quiet for good"

    def test_one_bug_alone_and_the_exit_status(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bug = Bug("harmless", ("charges",), (Swap(pipeline, "seal", lambda real: real),))
        monkeypatch.setattr(run, "BUGS", (bug,))
        done = CliRunner().invoke(app, ["audit", "--quick", "--only", "harmless"])
        assert done.exit_code == 1
        assert "harmless" in done.stdout
        assert "FAILED" in done.stderr

    def test_people_get_two_tables(self) -> None:
        done = CliRunner().invoke(app, ["audit", "--quick", "--only", "replay"])
        assert done.exit_code == 0
        for word in ("the real code", "seeded bugs", "holds", "caught"):
            assert word in done.stdout
