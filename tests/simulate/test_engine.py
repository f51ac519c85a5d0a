from dataclasses import dataclass

import numpy as np
import pytest
from small_network import AGENT, NAMES, RECORDS, Centre, plan_of

from mesh_fl.agent import Data, Rows, State, Total
from mesh_fl.errors import AgentError, ConfigError, PlanError
from mesh_fl.planning import make_plan
from mesh_fl.privacy.plan import LARGE
from mesh_fl.simulate.conduct import Conduct
from mesh_fl.simulate.engine import Exact, Round, simulate
from mesh_fl.simulate.network import rehearse
from mesh_fl.simulate.shards import Shards

SHARDS: dict[str, Data] = {
    name: {"point": np.random.default_rng(number).normal(0.4, 0.3, (RECORDS, 3))}
    for number, name in enumerate(NAMES)
}
PLAN = plan_of()


class TestParity:
    """The engine against members, messages, and where it says so masks and BFV."""

    @pytest.mark.parametrize("encrypted", [False, True])
    def test_with_shares_it_opens_the_very_integers_of_a_deployment(self, encrypted: bool) -> None:
        fast = simulate(AGENT, PLAN, SHARDS, seed=5, noise="shares")
        real = rehearse(AGENT, PLAN, SHARDS, seed=5, encrypted=encrypted)
        assert fast.digest == real.checkpoint.digest
        for name in real.state:
            assert fast.state[name].tobytes() == real.state[name].tobytes()

    def test_measures_tell_the_same(self) -> None:
        plan = plan_of(rounds=2, measures=2)
        fast = simulate(AGENT, plan, SHARDS, seed=4, noise="shares")
        real = rehearse(AGENT, plan, SHARDS, seed=4)
        assert [done.kind for done in fast.history] == list(plan.schedule)
        assert [dict(done.scores) for done in fast.history] == [
            dict(record.scores) for record in real.checkpoint.history
        ]

    def test_a_record_pays_the_same(self) -> None:
        fast = simulate(AGENT, PLAN, SHARDS, seed=1)
        real = rehearse(AGENT, PLAN, SHARDS, seed=1)
        spent = {member.ledger.most_spent for member in real.members.values()}
        assert len(spent) == 1
        assert spent.pop() == pytest.approx(fast.epsilon_spent)

    def test_one_draw_is_as_wide_as_all_shares(self) -> None:
        """A mean square of 600 draws is 35 % off its mean once in 1e8 runs."""
        wide = np.zeros((60, 10))
        plan = make_plan(
            Nothing(), "nothing", dict.fromkeys(NAMES, 64), rounds=1, measures=0, spares=0
        )
        shards: dict[str, Data] = {name: {"x": np.zeros((3, 1))} for name in NAMES}
        for seed in range(60):
            wide[seed] = simulate(Nothing(), plan, shards, seed=seed).state["sum"]
        release = plan.bare_release("train")
        expected = len(NAMES) * (release.share / release.scale) ** 2
        assert np.mean(wide**2) == pytest.approx(expected, rel=0.35)


@dataclass(frozen=True, kw_only=True)
class Nothing(Centre):
    """Adds up rows of zeros: what comes out is the noise."""

    def init(self) -> State:
        return {"sum": np.zeros(10)}

    def layout(self, state: State) -> dict[str, tuple[int, ...]]:
        return {"sum": (10,)}

    def contribute(self, state: State, data: Data) -> Rows:
        return np.zeros((len(data["x"]), 10))

    def apply(self, state: State, total: Total) -> State:
        return dict(total)


class TestReproducible:
    def test_to_the_bit_by_a_seed(self) -> None:
        conduct = Conduct(dropout=0.05, absent=0.05, median_s=1.0, spread=0.5, timeout_s=4.0)
        runs = [simulate(AGENT, PLAN, SHARDS, seed=seed, conduct=conduct) for seed in (3, 3, 4)]
        assert runs[0].digest == runs[1].digest != runs[2].digest
        assert runs[0].history == runs[1].history
        for name in runs[0].state:
            assert runs[0].state[name].tobytes() == runs[1].state[name].tobytes()

    def test_without_a_seed_afresh(self) -> None:
        assert simulate(AGENT, PLAN, SHARDS).digest != simulate(AGENT, PLAN, SHARDS).digest

    def test_however_records_are_dealt_out(self) -> None:
        points = np.random.default_rng(9).normal(0.4, 0.3, (200, 3))
        whole = {"point": points}
        parts = [np.split(np.arange(200), cuts) for cuts in ([1, 2, 10, 60], [40, 80, 120, 160])]
        caps = dict.fromkeys(Shards.deal(whole, parts[0]).names, 200)
        plan = make_plan(AGENT, "centre", caps, rounds=3)
        runs = [simulate(AGENT, plan, Shards.deal(whole, part), seed=1) for part in parts]
        assert runs[0].digest == runs[1].digest


class TestExact:
    def test_unclipped_sums_are_plain_sums(self) -> None:
        run = simulate(Adder(), Exact(rounds=1, clipped=False), SHARDS)
        expected = sum(shard["point"].astype(float).sum(axis=0) for shard in SHARDS.values())
        np.testing.assert_allclose(run.state["sum"], expected, rtol=1e-12)
        assert run.epsilon_spent is None

    def test_clipped_sums_are_clipped(self) -> None:
        far: dict[str, Data] = {"a": {"point": np.array([[30.0, 40.0, 0.0]])}}
        run = simulate(Adder(clip=5.0), Exact(rounds=1), far)
        np.testing.assert_allclose(run.state["sum"], [3.0, 4.0, 0.0], atol=1e-2)


@dataclass(frozen=True, kw_only=True)
class Adder(Centre):
    clip: float = 1.0

    def init(self) -> State:
        return {"sum": np.zeros(3)}

    def layout(self, state: State) -> dict[str, tuple[int, ...]]:
        return {"sum": (3,)}

    def contribute(self, state: State, data: Data) -> Rows:
        rows: Rows = data["point"].astype(np.float64)
        return rows

    def apply(self, state: State, total: Total) -> State:
        return dict(total)


class TestConduct:
    def crowd(self, count: int) -> Shards:
        data = {"point": np.random.default_rng(0).normal(0.4, 0.3, (2 * count, 3))}
        return Shards.deal(data, np.split(np.arange(2 * count), count))

    def test_in_a_small_cohort_one_silence_kills_the_attempt(self) -> None:
        """The next one asks whoever is there; spare attempts run out."""
        run = simulate(AGENT, plan_of(spares=1), SHARDS, seed=0, conduct=Conduct(dropout=0.3))
        assert run.status == "exhausted"
        # Three rounds and a measure, and one spare: whatever came to nothing is counted, too.
        assert run.attempts <= 5
        assert run.attempts >= sum(done.attempts for done in run.history)

    def test_in_a_large_cohort_the_rest_goes_on(self) -> None:
        crowd = self.crowd(3 * LARGE)
        plan = make_plan(AGENT, "centre", crowd.caps, rounds=4, measures=0, survivors=LARGE + 5)
        run = simulate(AGENT, plan, crowd, seed=0, conduct=Conduct(dropout=0.2))
        assert run.status == "finished"
        assert {done.attempts for done in run.history} == {1}
        assert all(LARGE + 5 <= done.clients < 3 * LARGE for done in run.history)

    def test_stragglers_are_waited_for_until_the_timeout(self) -> None:
        crowd = self.crowd(3 * LARGE)
        plan = make_plan(AGENT, "centre", crowd.caps, rounds=3, measures=0, survivors=5)
        slow = Conduct(median_s=2.0, spread=1.0, timeout_s=5.0)
        run = simulate(AGENT, plan, crowd, seed=0, conduct=slow)
        assert all(done.waited_s == 5.0 for done in run.history)
        # Nine in eleven log-normal times are below 5 s.
        assert all(30 < done.clients < 60 for done in run.history)

    def test_patience_without_end_hears_everybody(self) -> None:
        run = simulate(AGENT, PLAN, SHARDS, conduct=Conduct(median_s=1.0, spread=2.0))
        assert [done.clients for done in run.history] == [5] * 4
        assert all(done.waited_s > 0 for done in run.history)

    def test_absent_clients_are_not_asked(self) -> None:
        run = simulate(AGENT, PLAN, SHARDS, seed=2, conduct=Conduct(absent=0.2))
        assert run.status == "finished"
        assert {done.clients for done in run.history} == {4, 5}
        assert {done.attempts for done in run.history} == {1}

    def test_nobody_in_time_is_said_and_does_not_hang(self) -> None:
        late = Conduct(median_s=2.0, timeout_s=0.0)
        with pytest.raises(PlanError, match="too few clients answered in 1000 attempts"):
            simulate(AGENT, Exact(rounds=1), SHARDS, conduct=late)

    def test_without_a_plan_whoever_answers_is_added_up(self) -> None:
        run = simulate(AGENT, Exact(rounds=20), SHARDS, seed=0, conduct=Conduct(dropout=0.3))
        assert {done.attempts for done in run.history} == {1}
        assert min(done.clients for done in run.history) < len(NAMES)

    def test_too_many_absent_is_said(self) -> None:
        with pytest.raises(PlanError, match="too few clients were there"):
            simulate(AGENT, plan_of(survivors=5), SHARDS, conduct=Conduct(absent=0.999))

    @pytest.mark.parametrize(
        "wrong",
        [{"absent": 1.0}, {"dropout": -0.1}, {"median_s": -1.0}, {"timeout_s": float("nan")}],
    )
    def test_what_is_no_chance_and_no_time_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="expected"):
            Conduct(**wrong)


class TestCohort:
    def test_a_cohort_is_drawn_for_each_release(self) -> None:
        run = simulate(AGENT, plan_of(survivors=4), SHARDS, cohort=4, seed=0)
        assert [done.clients for done in run.history] == [4] * 4

    def test_fewer_than_the_survivors_are_refused(self) -> None:
        with pytest.raises(PlanError, match="expected at least the plan's 4 survivors"):
            simulate(AGENT, plan_of(survivors=4), SHARDS, cohort=3)

    def test_nobody_is_no_cohort(self) -> None:
        with pytest.raises(ConfigError, match="at least 1 client"):
            simulate(AGENT, Exact(rounds=1), SHARDS, cohort=0)

    def test_a_plan_for_others_is_refused(self) -> None:
        with pytest.raises(PlanError, match="names no client 'zoe'"):
            simulate(AGENT, PLAN, {**SHARDS, "zoe": SHARDS["ash"]})

    def test_more_records_than_declared_are_refused(self) -> None:
        with pytest.raises(PlanError, match="ash has 65 records, its cap is 64"):
            simulate(AGENT, PLAN, {**SHARDS, "ash": {"point": np.zeros((65, 3))}})

    def test_each_release_is_told(self) -> None:
        told: list[Round] = []
        run = simulate(AGENT, PLAN, SHARDS, on_round=told.append)
        assert tuple(told) == run.history


@pytest.mark.parametrize(
    ("terms", "options"),
    [
        ({}, {"noise": "none"}),
        ({}, {"seed": -1}),
        ({"rounds": 0}, {}),
        ({"measures": 4}, {}),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    terms: dict[str, int], options: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="expected"):
        simulate(AGENT, Exact(**{"rounds": 3, **terms}), SHARDS, **options)


def test_the_noise_is_not_what_a_user_draws_from_the_same_seed() -> None:
    run = simulate(AGENT, plan_of(rounds=1, measures=0), SHARDS, seed=1)
    exact = simulate(AGENT, Exact(rounds=1), SHARDS, seed=1)
    drawn = np.random.default_rng(1).standard_normal(3)
    noise = np.arctanh(run.state["centre"]) - np.arctanh(exact.state["centre"])
    assert abs(np.corrcoef(noise, drawn)[0, 1]) < 0.999


class TestErrors:
    def test_the_client_is_named_at_which_the_agent_fails(self) -> None:
        class Picky(Centre):
            def contribute(self, state: State, data: Data) -> Rows:
                if (data["point"] > 100).any():
                    raise ZeroDivisionError("a bug")
                return super().contribute(state, data)

        shards = {**SHARDS, "elm": {"point": np.full((3, 3), 101.0)}}
        with pytest.raises(
            AgentError, match="elm: agent Picky failed in contribute: ZeroDivisionError: a bug"
        ):
            simulate(Picky(), PLAN, shards)

    def test_missing_rows_are_found(self) -> None:
        class Lazy(Centre):
            def contribute(self, state: State, data: Data) -> Rows:
                return super().contribute(state, data)[1:]

        with pytest.raises(AgentError, match=r"ash: .*contribute: expected 40 rows, got 39"):
            simulate(Lazy(), PLAN, SHARDS)

    def test_a_model_that_changes_its_form_is_refused_at_once(self) -> None:
        class Forgetful(Centre):
            def apply(self, state: State, total: Total) -> State:
                return {"centre": state["centre"]}

        with pytest.raises(AgentError, match="failed in apply: expected a model of"):
            simulate(Forgetful(), PLAN, SHARDS)

    def test_what_is_no_array_is_said_to_be_none(self) -> None:
        class Listing(Centre):
            def contribute(self, state: State, data: Data) -> Rows:
                return super().contribute(state, data).tolist()

        with pytest.raises(AgentError, match=r"ash: .*expected an array of rows, got a list"):
            simulate(Listing(), PLAN, SHARDS)

    def test_the_stage_is_named(self) -> None:
        class Stuck(Centre):
            def apply(self, state: State, total: Total) -> State:
                raise ValueError("stuck")

        with pytest.raises(AgentError, match="server: agent Stuck failed in apply: ValueError"):
            simulate(Stuck(), PLAN, SHARDS)
