"""Learned policies: what they begin with, how they are kept, and that trial improves them."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from mesh_fl.agents.resource import policy_training
from mesh_fl.agents.resource.arrivals import Arrivals, Known, QueueSetting, made_up_arrivals
from mesh_fl.agents.resource.dispatching import Wspt
from mesh_fl.agents.resource.dispatching_crew import Calendar, Crew
from mesh_fl.agents.resource.dispatching_figures import figures
from mesh_fl.agents.resource.policy import DispatchPolicy, Seen
from mesh_fl.agents.resource.policy_credit import CostRate, Discount, advantages
from mesh_fl.agents.resource.policy_features import FEATURES, Tickets
from mesh_fl.agents.resource.policy_gradient import TEMPERATURE, Learner, _Batch
from mesh_fl.agents.resource.policy_learned import SIZE, LearnedPolicy
from mesh_fl.agents.resource.policy_training import FEWEST_EPISODES, cost, train
from mesh_fl.agents.resource.policy_trial import Decisions, play
from mesh_fl.agents.resource.simulator import simulate_queue
from mesh_fl.errors import ConfigError

Vector = NDArray[np.float64]

SMALL = QueueSetting(technicians=2, load=0.9, weeks=4, margin_weeks=1, specialities=0)


def test_learning_begins_with_the_order_of_wspt() -> None:
    for seed, setting in enumerate([QueueSetting(load=0.95, weeks=6), QueueSetting(load=1.2)]):
        arrivals = made_up_arrivals(setting, seed)
        one, other = (
            simulate_queue(arrivals, setting.crew, policy)
            for policy in (Wspt(), LearnedPolicy.start())
        )
        assert np.array_equal(one.start_h, other.start_h)
        assert np.array_equal(one.technician, other.technician)


def test_a_policy_is_the_same_once_it_was_written_and_read(tmp_path: Path) -> None:
    policy = LearnedPolicy(np.random.default_rng(0).normal(size=SIZE))
    policy.save(tmp_path / "policy.safetensors")
    again = LearnedPolicy.load(tmp_path / "policy.safetensors")
    assert np.array_equal(policy.weights, again.weights)
    assert cost(policy, SMALL, 1) == cost(again, SMALL, 1)


@pytest.mark.parametrize("kind", ["pickle", "empty", "other", "large", "narrow", "cut", "nan"])
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "policy.safetensors"
    LearnedPolicy.start().save(path)
    blocks = load_file(path)
    if kind == "pickle":
        path.write_bytes(pickle.dumps(blocks))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "other":
        save_file({"weights": np.zeros(3)}, path)
    elif kind == "large":
        path.write_bytes(b"\0" * 10_000_000)
    elif kind == "narrow":
        save_file({name: block.astype(np.float32) for name, block in blocks.items()}, path)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        save_file({**blocks, "bias": np.full_like(blocks["bias"], np.nan)}, path)
    with pytest.raises(ConfigError, match=r"policy: expected .*train"):
        LearnedPolicy.load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        LearnedPolicy.load(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot write"):
        LearnedPolicy.start().save(tmp_path / "none" / "policy")


@pytest.mark.parametrize("weights", [np.zeros(3), np.full(SIZE, np.nan), np.full(SIZE, 1e9)])
def test_weights_that_cannot_be_are_refused(weights) -> None:
    with pytest.raises(ConfigError, match="finite weights"):
        LearnedPolicy(weights)


def test_features_are_bounded_and_see_nothing_but_what_is_known() -> None:
    known = Known(
        opened_h=np.array([0.0, 5.0, 5.0]),
        predicted_h=np.array([0.01, 40.0, 1.0]),
        weight=np.array([8.0, 1.0, 0.0]),
        due_h=np.array([-1e6, np.inf, 6.0]),
        skill=np.zeros(3, dtype=np.int64),
    )
    every = np.arange(3)
    tickets = Tickets(known, Crew.alike(1))
    for now_h in (5.0, 1e5):
        found = tickets.features(Seen(now_h, every, every[:0], 0, [0.0], known, Crew.alike(1)))
        assert found.shape == (3, len(FEATURES))
        assert np.isfinite(found).all()
        assert np.abs(found).max() < 25


def test_what_comes_later_does_not_change_what_is_decided_now() -> None:
    """Tickets opened later may differ in any way: what was begun before stays as it was."""
    setting = QueueSetting(load=0.95, weeks=4, margin_weeks=1)
    arrivals = made_up_arrivals(setting, 5)
    policy = LearnedPolicy(LearnedPolicy.start().weights + 0.1)
    cut = len(arrivals.hours) // 2
    known = arrivals.known
    moment = known.opened_h[cut]
    first = Arrivals(
        Known(*(getattr(known, name)[:cut] for name in known.__dataclass_fields__)),
        arrivals.hours[:cut],
    )
    whole, part = (simulate_queue(one, setting.crew, policy) for one in (arrivals, first))
    before = whole.start_h[:cut] < moment
    assert before.sum() > cut / 2
    assert np.array_equal(whole.start_h[:cut][before], part.start_h[before])


def two_tickets(chosen: int) -> Decisions:
    """One decision between two tickets that are alike to WSPT, and one of a single ticket."""
    features = np.zeros((3, len(FEATURES)))
    features[0, 0], features[1, 1] = 1.0, 2.0
    return Decisions(
        at_h=np.array([0.0, 1.0]),
        features=features,
        log_ratio=np.zeros(3),
        waiting=np.array([2, 1]),
        chosen=np.array([chosen, 0]),
    )


def test_the_gradient_is_that_of_a_softmax_by_hand() -> None:
    """Each of two has half the chance, so the gradient is half of the features' difference."""
    learner = Learner(LearnedPolicy.start(), 1, seed=0)
    chance = learner._log_chance(_Batch.of(two_tickets(0)))
    assert chance.tolist() == pytest.approx([np.log(0.5), 0.0])
    chance[0].backward()
    by_hand = np.zeros(len(FEATURES))
    by_hand[:2] = -0.5 / TEMPERATURE, 1.0 / TEMPERATURE
    assert learner._blocks["linear"].grad.tolist() == pytest.approx(by_hand.tolist())


@pytest.mark.parametrize("chosen", [0, 1])
@pytest.mark.parametrize("advantage", [-1.0, 1.0])
def test_what_turned_out_well_becomes_more_likely(chosen: int, advantage: float) -> None:
    learner = Learner(LearnedPolicy.start(), 1, seed=0)
    batch = _Batch.of(two_tickets(chosen))
    learner.learn([two_tickets(chosen)], [np.array([advantage, 0.0])])
    assert np.sign(learner._log_chance(batch)[0].item() - np.log(0.5)) == advantage


def test_being_surer_is_learned_as_a_temperature_and_leaves_the_order_alone() -> None:
    """What WSPT would take, by a little, always turns out well: no feature tells more."""
    toy = two_tickets(0)
    near = Decisions(
        toy.at_h, np.zeros_like(toy.features), np.array([0.0, 0.1, 0.0]), toy.waiting, toy.chosen
    )
    learner = Learner(LearnedPolicy.start(), 5, seed=0)
    for _ in range(5):
        learner.learn([near], [np.array([1.0, 0.0])])
    assert learner.temperature < TEMPERATURE
    assert np.array_equal(learner.policy.weights, LearnedPolicy.start().weights)


def test_chances_are_finite_however_far_scores_lie_apart() -> None:
    toy = two_tickets(0)
    far = Decisions(toy.at_h, toy.features, np.array([0.0, 1e4, 0.0]), toy.waiting, toy.chosen)
    chance = Learner(LearnedPolicy.start(), 1, seed=0)._log_chance(_Batch.of(far))
    assert chance.tolist() == [0.0, 0.0]


SHIFTS = Calendar(((9.0, 17.0), (33.0, 41.0), (57.0, 60.0)))


def test_hours_are_discounted_by_the_work_before_them() -> None:
    discount, fine = Discount(SHIFTS, 4.0), np.linspace(0, 80, 80_001)
    worked = np.array([SHIFTS.worked(0.0, one) for one in fine])
    steps = np.exp(-(worked[1:] + worked[:-1]) / 2 / 4.0) * np.diff(fine)
    found = discount.until(fine)
    assert found[1:] == pytest.approx(np.cumsum(steps), rel=1e-4)
    assert discount.growth(fine) == pytest.approx(np.exp(worked / 4.0))


def test_hours_of_those_who_never_pause_are_discounted_alike() -> None:
    found = Discount(Calendar(), 2.0).until(np.array([0.0, 2.0, 1e4]))
    assert found == pytest.approx([0.0, 2 * (1 - np.exp(-1)), 2.0])


@pytest.mark.parametrize("seed", range(3))
def test_what_is_paid_after_the_beginning_is_what_figures_tell(seed: int) -> None:
    """Hardly discounted, costs from the first moment on are those of the whole queue."""
    arrivals = made_up_arrivals(SMALL, seed)
    played = simulate_queue(arrivals, SMALL.crew, Wspt())
    rate = CostRate(arrivals.known, played)
    paid = rate.after(np.array([-1.0, 1e5]), Discount(SMALL.crew.calendars[0], 1e9))
    whole = figures(arrivals, SMALL.crew, played).cost_h * arrivals.known.weight.sum()
    assert paid == pytest.approx([whole, 0.0], rel=1e-5, abs=1e-6)


def misjudged(seed: int) -> Arrivals:
    """Too many tickets; urgent ones take far longer than was predicted, others less."""
    random, n = np.random.default_rng(seed), 50
    opened = np.sort(random.uniform(0, 40, n))
    known = Known(
        opened_h=opened,
        predicted_h=random.uniform(1, 2, n),
        weight=random.choice([1.0, 2.0], n),
        due_h=np.full(n, np.inf),
        skill=np.zeros(n, dtype=np.int64),
    )
    return Arrivals(known, known.predicted_h * np.where(known.weight > 1, 4.0, 0.5))


CREW = Crew.alike(3)


def mean_cost(policy: DispatchPolicy) -> float:
    queues = [misjudged(1000 + seed) for seed in range(20)]
    played = [simulate_queue(one, CREW, policy) for one in queues]
    costs = [figures(one, CREW, how).cost_h for one, how in zip(queues, played, strict=True)]
    return float(np.mean(costs))


class LightFirst:
    """What is best there."""

    name = "light first"

    def begin(self, known: Known, crew: Crew) -> Vector:
        return known.weight + known.predicted_h / 10


def test_trial_finds_out_what_wspt_is_clearly_wrong_about() -> None:
    learner, random = Learner(LearnedPolicy.start(), 10, seed=0), np.random.default_rng(0)
    for step in range(10):
        trials: list[Decisions] = []
        credit: list[Vector] = []
        for seed in range(2):
            queue = misjudged(2 * step + seed)
            found = [
                play(learner.policy, learner.temperature, queue, CREW, random) for _ in range(8)
            ]
            trials += [one for one, _ in found]
            credit += advantages(queue, CREW, found)
        learner.learn(trials, credit)
    wspt, learned = mean_cost(Wspt()), mean_cost(learner.policy)
    best = mean_cost(LightFirst())
    assert best < 0.9 * wspt
    assert learned < wspt - 0.7 * (wspt - best)


def test_credit_goes_to_the_trial_that_paid_less_and_adds_up_to_nothing() -> None:
    queue, random = made_up_arrivals(SMALL, 3), np.random.default_rng(0)
    found = [play(LearnedPolicy.start(), TEMPERATURE, queue, SMALL.crew, random) for _ in range(4)]
    credit = advantages(queue, SMALL.crew, found)
    assert [len(one) for one in credit] == [len(how.at_h) for how, _ in found]
    every = np.concatenate(credit)
    assert np.isfinite(every).all()
    assert np.abs(every).max() <= 5
    assert abs(every.mean()) < 0.2
    assert every.std() == pytest.approx(1, abs=0.2)


def test_trials_that_are_all_alike_give_no_credit() -> None:
    queue = made_up_arrivals(SMALL, 3)
    one = play(LearnedPolicy.start(), TEMPERATURE, queue, SMALL.crew, np.random.default_rng(0))
    for credit in advantages(queue, SMALL.crew, [one, one]):
        assert (credit == 0).all()


def test_decisions_tell_what_was_played() -> None:
    queue, random = made_up_arrivals(SMALL, 3), np.random.default_rng(0)
    decisions, played = play(LearnedPolicy.start(), TEMPERATURE, queue, SMALL.crew, random)
    assert len(decisions.features) == len(decisions.log_ratio) == decisions.waiting.sum()
    assert (decisions.waiting >= 2).all()
    assert ((decisions.chosen >= 0) & (decisions.chosen < decisions.waiting)).all()
    assert np.isin(decisions.at_h, played.start_h).all()
    taken = decisions.log_ratio[np.cumsum(decisions.waiting) - decisions.waiting + decisions.chosen]
    ratios = np.log(queue.known.predicted_h / queue.known.weight)
    for at_h, ratio in zip(decisions.at_h, taken, strict=True):
        assert ratio in ratios[played.start_h == at_h]


def test_training_depends_on_its_seed_alone_and_is_never_worse_on_held_out_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy_training, "HELD_OUT", 6)
    told: list[tuple[int, int]] = []
    few = FEWEST_EPISODES
    one = train(SMALL, (0.9,), 2 * few, 3, lambda done, of: told.append((done, of)))
    same, other = train(SMALL, (0.9,), 2 * few, 3), train(SMALL, (0.9,), 2 * few, 4)
    assert (one.before, one.after) == (same.before, same.after)
    assert np.array_equal(one.policy.weights, same.policy.weights)
    assert (one.before, one.after) != (other.before, other.after)
    assert told == [(few, 2 * few), (2 * few, 2 * few)]
    for lesson in (one, other):
        kept = lesson.after < lesson.before
        assert kept != np.array_equal(lesson.policy.weights, LearnedPolicy.start().weights)


def test_learning_leaves_the_threads_of_others_alone() -> None:
    import torch

    before = torch.get_num_threads()
    Learner(LearnedPolicy.start(), 1, 0).learn([two_tickets(0)], [np.zeros(2)])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("loads", "episodes"), [((), 100), ((0.9,), 1), ((0.9,), 10**9)])
def test_training_that_cannot_be_is_refused(loads: tuple[float, ...], episodes: int) -> None:
    with pytest.raises(ConfigError, match="episodes"):
        train(SMALL, loads, episodes, 0)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[torch\]'"):
        train(SMALL, (0.9,), FEWEST_EPISODES, 0)


def test_a_policy_plays_without_torch() -> None:
    code = (
        "import sys; "
        "from mesh_fl.agents.resource.arrivals import QueueSetting; "
        "from mesh_fl.agents.resource.policy_learned import LearnedPolicy; "
        "from mesh_fl.agents.resource.policy_training import cost; "
        "print(cost(LearnedPolicy.start(), QueueSetting(weeks=5), 0)); "
        "assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert float(found.stdout) == cost(LearnedPolicy.start(), QueueSetting(weeks=5), 0)
