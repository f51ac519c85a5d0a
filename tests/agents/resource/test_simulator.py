"""The simulator gives what queueing theory says, and breaks none of its own rules."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_fl.agents.resource.arrivals import Arrivals, Known, QueueSetting, made_up_arrivals
from mesh_fl.agents.resource.dispatching import RULES, Atc, Edd, Fifo, Oracle, Spt, Wspt, oracles
from mesh_fl.agents.resource.dispatching_crew import Calendar, Crew
from mesh_fl.agents.resource.dispatching_figures import figures
from mesh_fl.agents.resource.dispatching_hours import HoursModel
from mesh_fl.agents.resource.dispatching_solver import RollingPlan
from mesh_fl.agents.resource.policy import Chooser, Seen
from mesh_fl.agents.resource.policy_learned import LearnedPolicy
from mesh_fl.agents.resource.simulator import simulate_queue
from mesh_fl.errors import ConfigError, DataError

Vector = NDArray[np.float64]

TICKETS = 60_000
BATCHES = 30


def tickets(opened: Vector, hours: Vector, predicted: Vector | None = None) -> Arrivals:
    n = len(opened)
    known = Known(
        opened_h=opened,
        predicted_h=hours if predicted is None else predicted,
        weight=np.ones(n),
        due_h=np.full(n, np.inf),
        skill=np.zeros(n, dtype=np.int64),
    )
    return Arrivals(known, hours)


def poisson(rate: float, seed: int, hours: Vector) -> Arrivals:
    random = np.random.default_rng(seed)
    return tickets(np.cumsum(random.exponential(1 / rate, len(hours))), hours)


def exponential(seed: int) -> Vector:
    return np.random.default_rng([seed, 1]).exponential(1.0, TICKETS)


def waits(arrivals: Arrivals, technicians: int, policy=Fifo()) -> Vector:  # noqa: B008
    played = simulate_queue(arrivals, Crew.alike(technicians), policy)
    return played.start_h - arrivals.known.opened_h


def off(found: Vector, expected: float) -> float:
    """By how many standard errors a mean is off; waits in a row are alike, so batches are."""
    batches = found[len(found) // 20 :]
    batches = batches[: len(batches) // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
    return abs(batches.mean() - expected) / (batches.std(ddof=1) / math.sqrt(BATCHES))


def erlang_c(technicians: int, offered: float) -> float:
    below = sum(offered**k / math.factorial(k) for k in range(technicians))
    share = offered / technicians
    all_busy = offered**technicians / math.factorial(technicians) / (1 - share)
    return all_busy / (below + all_busy)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_one_technician_and_exponential_hours_wait_as_theory_says(load: float) -> None:
    assert off(waits(poisson(load, 1, exponential(1)), 1), load / (1 - load)) < 3.5


@pytest.mark.parametrize("kind", ["lognormal", "constant"])
def test_other_hours_wait_as_pollaczek_and_khinchine_say(kind: str) -> None:
    random = np.random.default_rng(2)
    sd = 0.8 if kind == "lognormal" else 0.0
    hours = np.exp(sd * random.normal(size=TICKETS) - sd**2 / 2)
    expected = 0.7 * math.exp(sd**2) / (2 * (1 - 0.7))
    assert off(waits(poisson(0.7, 3, hours), 1), expected) < 3.5


@pytest.mark.parametrize(("technicians", "load"), [(3, 0.7), (5, 0.9)])
def test_several_technicians_wait_as_erlang_says(technicians: int, load: float) -> None:
    offered = load * technicians
    found = waits(poisson(offered, 4, exponential(5)), technicians)
    expected = erlang_c(technicians, offered) / (technicians - offered)
    assert off(found, expected) < 3.5
    assert off((found > 0).astype(float), erlang_c(technicians, offered)) < 3.5


def test_mean_wait_does_not_depend_on_an_order_that_knows_no_hours() -> None:
    """The mean does not, whoever goes first (Kleinrock's conservation law)."""
    blind = np.random.default_rng(6).random(TICKETS) + 0.1
    arrivals = poisson(0.7, 7, exponential(8))
    shuffled = tickets(arrivals.known.opened_h, arrivals.hours, blind)
    assert off(waits(shuffled, 1, Spt()), 0.7 / 0.3) < 3.5


def test_shortest_first_waits_as_phipps_says() -> None:
    """Two lengths: the short ones have priority that does not interrupt (Cobham 1954)."""
    random = np.random.default_rng(9)
    hours = np.where(random.random(TICKETS) < 0.5, 0.5, 1.5)
    found = waits(poisson(0.8, 10, hours), 1, Spt())
    rest = 0.8 * (0.5 * 0.25 + 0.5 * 2.25) / 2
    short, every = 0.8 * 0.25, 0.8
    assert off(found[hours < 1], rest / (1 - short)) < 3.5
    assert off(found[hours > 1], rest / (1 - short) / (1 - every)) < 3.5


def test_tickets_in_the_system_are_as_little_says() -> None:
    """Counted at random moments, they are rate times stay."""
    rate = 0.8 * 3
    arrivals = poisson(rate, 11, exponential(12))
    played = simulate_queue(arrivals, Crew.alike(3), Fifo())
    opened, until = arrivals.known.opened_h, float(arrivals.known.opened_h[-1])
    moments = np.random.default_rng(13).uniform(0, until, 200_000)
    inside = np.searchsorted(opened, moments) - np.searchsorted(np.sort(played.end_h), moments)
    stay = float((played.end_h - opened).mean())
    assert inside.mean() == pytest.approx(rate * stay, rel=0.03)
    assert figures(arrivals, Crew.alike(3), played).utilisation == pytest.approx(0.8, abs=0.01)


@dataclass(frozen=True)
class Looking:
    """A rule with fixed ranks that is asked at each decision all the same."""

    rule: Fifo | Spt | Edd | Wspt
    name: str = "looking"

    def begin(self, known: Known, crew: Crew) -> Chooser:
        ranks = self.rule.begin(known, crew)

        def choose(seen: Seen) -> Vector:
            assert (known.opened_h[seen.waiting] <= seen.now_h).all()
            assert crew.can[seen.technician, known.skill[seen.waiting]].all()
            assert not crew.can[seen.technician, known.skill[seen.others]].any()
            return ranks[seen.waiting]

        return choose


@pytest.mark.parametrize("rule", [Fifo(), Spt(), Wspt(), Edd()])
def test_asking_at_each_decision_comes_to_the_same(rule) -> None:
    setting = QueueSetting(load=0.95, weeks=6)
    arrivals = made_up_arrivals(setting, 1)
    one, other = (simulate_queue(arrivals, setting.crew, each) for each in (rule, Looking(rule)))
    assert np.array_equal(one.start_h, other.start_h)
    assert np.array_equal(one.technician, other.technician)


@st.composite
def queues(draw: st.DrawFn) -> tuple[Arrivals, Crew]:
    people, skills = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    n = draw(st.integers(0, 25))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    can = random.random((people, skills)) < 0.6
    can[0] = True
    opened = np.sort(np.round(random.uniform(0, 40, n), draw(st.integers(0, 2))))
    edges = [np.sort(random.choice(200, 6, replace=False) / 2.0) for _ in range(people)]
    calendars = tuple(
        Calendar() if random.random() < 0.3 else Calendar(tuple(map(tuple, one.reshape(3, 2))))
        for one in edges
    )
    known = Known(
        opened_h=opened,
        predicted_h=random.uniform(0.1, 5, n),
        weight=random.choice([1.0, 2.0, 4.0, 8.0], n),
        due_h=np.where(random.random(n) < 0.2, np.inf, opened + random.uniform(0, 30, n)),
        skill=random.integers(0, skills, n),
    )
    return Arrivals(known, random.uniform(0.05, 6, n)), Crew(can, calendars)


POLICIES = [*RULES, Atc(8), LearnedPolicy.start(), RollingPlan(seconds=0.0)]


@settings(max_examples=60, deadline=None)
@given(queues(), st.sampled_from(POLICIES))
def test_nobody_breaks_a_rule(queue: tuple[Arrivals, Crew], policy) -> None:
    arrivals, crew = queue
    played = simulate_queue(arrivals, crew, policy)
    known = arrivals.known
    assert (played.start_h >= known.opened_h).all()
    for technician, calendar in enumerate(crew.calendars):
        own = np.flatnonzero(played.technician == technician)
        own = own[np.argsort(played.start_h[own])]
        assert crew.can[technician, known.skill[own]].all()
        starts, ends = played.start_h[own], played.end_h[own]
        assert (starts[1:] >= ends[:-1] - 1e-9).all()
        for ticket, start, end in zip(own, starts, ends, strict=True):
            assert calendar.opens(start) == start
            assert calendar.worked(start, end) == pytest.approx(arrivals.hours[ticket], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(queues(), st.sampled_from([Fifo(), Wspt(), LearnedPolicy.start()]))
def test_nobody_idles_while_a_ticket_waits_that_they_can_do(queue, policy) -> None:
    arrivals, crew = queue
    played = simulate_queue(arrivals, crew, policy)
    for ticket, (opened, start) in enumerate(
        zip(arrivals.known.opened_h, played.start_h, strict=True)
    ):
        for technician in crew.able[arrivals.known.skill[ticket]]:
            own = played.technician == technician
            begun, ended = np.maximum(played.start_h, opened), np.minimum(played.end_h, start)
            calendar = crew.calendars[technician]
            spans = zip(begun[own], ended[own], strict=True)
            busy = sum(calendar.worked(a, b) for a, b in spans)
            assert busy == pytest.approx(calendar.worked(opened, start), abs=1e-6)


@given(
    st.lists(st.floats(0.1, 30), min_size=2, max_size=12),
    st.floats(0, 200),
    st.floats(0.01, 300),
)
def test_calendars_count_hours_of_work_alone(
    lengths: list[float], now: float, hours: float
) -> None:
    edges = np.cumsum(lengths)[: len(lengths) // 2 * 2].reshape(-1, 2)
    calendar = Calendar(tuple((float(a), float(b)) for a, b in edges))
    start = calendar.opens(now)
    end = calendar.ends(start, hours)
    assert start >= now
    assert calendar.worked(now, start) == pytest.approx(0, abs=1e-9)
    assert calendar.worked(start, end) == pytest.approx(hours, rel=1e-9, abs=1e-9)
    assert calendar.left(start) > 0


@pytest.mark.parametrize("spans", [((1.0, 1.0),), ((0.0, 2.0), (1.0, 3.0)), ((2.0, 1.0),)])
def test_calendars_that_do_not_rise_are_refused(spans) -> None:
    with pytest.raises(DataError, match="rising spans"):
        Calendar(spans)


def test_who_can_do_less_goes_first() -> None:
    can = np.array([[True, True], [True, False]])
    arrivals = tickets(np.array([0.0]), np.array([1.0]))
    assert simulate_queue(arrivals, Crew(can, (Calendar(), Calendar())), Fifo()).technician == [1]


def test_a_skill_that_nobody_has_is_refused() -> None:
    known = tickets(np.array([0.0]), np.array([1.0])).known
    lacking = Known(known.opened_h, known.predicted_h, known.weight, known.due_h, np.array([3]))
    with pytest.raises(DataError, match="skill 3: nobody has it"):
        simulate_queue(Arrivals(lacking, np.array([1.0])), Crew.alike(2), Fifo())


@pytest.mark.parametrize("hours", [[1.0, np.nan], [1.0, 0.0], [1.0, -1.0], [1.0, np.inf], [1.0]])
def test_arrivals_that_cannot_be_are_refused(hours: list[float]) -> None:
    with pytest.raises(DataError):
        Arrivals(tickets(np.array([0.0, 1.0]), np.ones(2)).known, np.array(hours))


def test_no_tickets_at_all_are_done_at_once_but_have_no_figures() -> None:
    arrivals = tickets(np.zeros(0), np.zeros(0))
    played = simulate_queue(arrivals, Crew.alike(1), Fifo())
    assert len(played.end_h) == 0
    with pytest.raises(DataError, match="expected tickets to count"):
        figures(arrivals, Crew.alike(1), played)


def test_figures_are_those_of_a_queue_by_hand() -> None:
    known = Known(
        opened_h=np.array([0.0, 1.0]),
        predicted_h=np.array([2.0, 2.0]),
        weight=np.array([1.0, 3.0]),
        due_h=np.array([2.0, 3.0]),
        skill=np.zeros(2, dtype=np.int64),
    )
    arrivals = Arrivals(known, np.array([2.0, 2.0]))
    found = figures(arrivals, Crew.alike(1), simulate_queue(arrivals, Crew.alike(1), Fifo()))
    assert (found.flow_h, found.wait_h) == (2.5, 0.5)
    assert found.weighted_flow_h == (2 * 1 + 3 * 3) / 4
    assert found.tardiness_h == 3 / 4
    assert found.cost_h == found.weighted_flow_h + found.tardiness_h
    assert (found.sla_share, found.utilisation) == (0.5, 1.0)


@pytest.mark.parametrize("load", [0.6, 0.9])
def test_made_up_queues_have_the_load_that_was_asked_for(load: float) -> None:
    setting = QueueSetting(load=load, weeks=200)
    arrivals = made_up_arrivals(setting, 3)
    there = 200 * 40 * setting.technicians
    assert arrivals.hours.sum() / there == pytest.approx(load, rel=0.04)
    logs = np.log(arrivals.hours), np.log(arrivals.known.predicted_h)
    assert np.corrcoef(*logs)[0, 1] ** 2 == pytest.approx(0.2, abs=0.03)


def test_few_may_have_a_speciality_that_many_tickets_need_soon() -> None:
    usual = QueueSetting(weeks=50)
    scarce = QueueSetting(weeks=50, specialists=2, special_share=0.6, agreed=0.5)
    assert scarce.crew.can.sum(axis=0).tolist() == [5, 1, 1]
    one, other = (made_up_arrivals(setting, 4) for setting in (usual, scarce))
    assert np.array_equal(one.hours, other.hours)
    assert (other.known.skill > 0).mean() == pytest.approx(0.6, abs=0.03)
    opened = one.known.opened_h
    assert other.known.due_h - opened == pytest.approx((one.known.due_h - opened) / 2)


def test_the_same_seed_brings_the_same_tickets_and_another_others() -> None:
    setting = QueueSetting()
    one, same, other = (made_up_arrivals(setting, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.hours, same.hours)
    assert len(one.hours) != len(other.hours) or not np.array_equal(one.hours, other.hours)


@pytest.mark.parametrize(
    "wrong",
    [
        {"technicians": 0},
        {"load": 0.0},
        {"load": 3.0},
        {"weeks": 0},
        {"margin_weeks": 6},
        {"specialists": 1},
        {"specialists": 6},
        {"special_share": 1.5},
        {"agreed": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        QueueSetting(**wrong)


def test_hours_of_a_model_are_drawn_around_its_predictions() -> None:
    from mesh_fl.agents.resource.agent import ResourceAllocation

    agent = ResourceAllocation()
    data = agent.simulated(500, seed=1)
    state = agent.adapt(agent.init(), data)
    hours = HoursModel.of(agent, state, {"cells": data["cells"]})
    predicted, true = hours.draw(np.random.default_rng(0), 40_000)
    assert set(predicted) <= set(hours.medians_h)
    assert np.std(np.log(true / predicted)) == pytest.approx(hours.log_sd, rel=0.1)
    assert true.mean() == pytest.approx(hours.mean_h, rel=0.05)
    assert len(set(np.round(hours.medians_h, 6))) > 100


@pytest.mark.parametrize(("medians", "sd"), [([], 1.0), ([1.0, -1.0], 1.0), ([1.0], np.nan)])
def test_hours_that_cannot_be_are_refused(medians: list[float], sd: float) -> None:
    with pytest.raises(ConfigError, match="predictions above 0"):
        HoursModel(np.array(medians), sd)


def test_knowing_the_hours_beats_predicting_them_and_both_beat_fifo() -> None:
    setting = QueueSetting(load=0.95)
    flows: dict[str, list[float]] = {}
    for seed in range(8):
        arrivals = made_up_arrivals(setting, seed)
        for policy in (Fifo(), Spt(), Wspt(), *oracles(arrivals)):
            played = simulate_queue(arrivals, setting.crew, policy)
            found = figures(arrivals, setting.crew, played, setting.counted_h)
            flows.setdefault(policy.name, []).append(found.flow_h)
            flows.setdefault(f"{policy.name} by weight", []).append(found.weighted_flow_h)
    mean = {name: np.mean(found) for name, found in flows.items()}
    assert mean["true SPT"] < mean["SPT"] < mean["FIFO"]
    assert mean["true WSPT by weight"] < mean["WSPT by weight"] < mean["FIFO by weight"]


def test_atc_lies_between_wspt_and_what_is_due() -> None:
    """With a long lookahead slack counts nothing; with a short one what is late goes first."""
    known = Known(
        opened_h=np.zeros(2),
        predicted_h=np.array([1.0, 4.0]),
        weight=np.ones(2),
        due_h=np.array([100.0, 2.0]),
        skill=np.zeros(2, dtype=np.int64),
    )
    crew, both = Crew.alike(1), np.array([0, 1])
    seen = Seen(0.0, both, np.zeros(0, dtype=np.int64), 0, [0.0], known, crew)
    ranks = {k: Atc(k).begin(known, crew)(seen) for k in (0.5, 1e6)}
    assert ranks[0.5].argmin() == 1
    assert ranks[1e6].argmin() == 0
    never = Known(np.zeros(2), known.predicted_h, known.weight, np.full(2, np.inf), known.skill)
    found = Atc(2).begin(never, crew)(Seen(0.0, both, both[:0], 0, [0.0], never, crew))
    assert np.isfinite(found).all()
    assert found.argmin() == 0


def test_the_rolling_plan_is_near_the_best_order_of_a_batch() -> None:
    """Tickets that all wait at once and take what was predicted: WSPT is optimal for one."""
    random = np.random.default_rng(4)
    hours = random.uniform(0.5, 4, 12)
    known = Known(
        opened_h=np.zeros(12),
        predicted_h=hours,
        weight=random.choice([1.0, 8.0], 12),
        due_h=np.full(12, np.inf),
        skill=np.zeros(12, dtype=np.int64),
    )
    arrivals, crew = Arrivals(known, hours), Crew.alike(1)
    best, plan, fifo = (
        figures(arrivals, crew, simulate_queue(arrivals, crew, policy)).weighted_flow_h
        for policy in (Oracle(hours), RollingPlan(seconds=0.2), Fifo())
    )
    assert plan <= best * 1.02 < fifo
