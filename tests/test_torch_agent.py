import json
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from mesh_fl import Agent, Data, State
from mesh_fl.check import check_agent
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.laws.case import dense
from mesh_fl.layout import pack, size
from mesh_fl.planning import make_plan
from mesh_fl.privacy.clipping import choose_scale, sum_rows
from mesh_fl.registry import build, config_of
from mesh_fl.simulate.engine import simulate
from mesh_fl.torch_agent import TorchAgent

# Threads that wait for each other cost more than these small products are worth.
torch.set_num_threads(1)


@dataclass(frozen=True, kw_only=True)
class Net(TorchAgent):
    """Two classes by a network with one hidden layer."""

    records: float = 600.0
    learning_rate: float = 2.0
    hidden: int = 6

    def module(self) -> nn.Module:
        return nn.Sequential(nn.Linear(3, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 2))

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(output, data["y"], reduction="none")


@dataclass(frozen=True, kw_only=True)
class Pictures(Net):
    def module(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.GroupNorm(1, 3),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 2),
        )


class _Words(nn.Module):
    """Shares its embedding between two places, and has a layer that it never uses."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.idle = nn.Linear(2, 2)
        self.frozen = nn.Linear(4, 4)
        self.frozen.requires_grad_(False)
        self.out = nn.Linear(4, 2)

    def forward(self, words: Tensor, last: Tensor) -> Tensor:
        inside = self.norm(self.embedding(words).mean(dim=1))
        out: Tensor = self.out(self.frozen(inside) + self.embedding(last))
        return out


@dataclass(frozen=True, kw_only=True)
class Words(Net):
    inputs: ClassVar[tuple[str, ...]] = ("words", "last")

    def module(self) -> nn.Module:
        return _Words()


def data_for(kind: str, count: int, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    if kind == "pictures":
        return {"x": random.normal(size=(count, 1, 4, 4)), "y": y}
    if kind == "words":
        words = random.integers(0, 7, (count, 5))
        return {"words": words, "last": random.integers(0, 7, count), "y": y}
    return {"x": random.normal(size=(count, 3)), "y": y, "name": np.array(["text"] * count)}


AGENTS: dict[str, Net] = {"numbers": Net(), "pictures": Pictures(), "words": Words()}
KINDS = pytest.mark.parametrize("kind", AGENTS)


def moved(agent: Net, seed: int = 1) -> State:
    random = np.random.default_rng(seed)
    return {
        name: value + random.normal(0, 0.5, value.shape) for name, value in agent.init().items()
    }


def loop_rows(agent: Net, state: State, data: Data) -> NDArray[np.float64]:
    """One backward pass a record, by torch alone."""
    layout = agent.layout(state)
    torch.manual_seed(agent.seed)
    module = agent.module().double()
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.tensor(state[name]))
    rows = []
    for record in range(len(data["y"])):
        one = {
            name: torch.tensor(values[record : record + 1])
            for name, values in data.items()
            if values.dtype.kind != "U"
        }
        module.zero_grad()
        agent.loss(module(*(one[name] for name in agent.inputs)), one).sum().backward()  # type: ignore[no-untyped-call]
        gradients = {
            name: (torch.zeros_like(p) if p.grad is None else p.grad).numpy()
            for name, p in parameters.items()
        }
        rows.append(pack(layout, gradients))
    return np.array(rows)


@KINDS
@pytest.mark.parametrize("chunk_records", [256, 4])
def test_rows_are_those_of_one_backward_pass_a_record(kind: str, chunk_records: int) -> None:
    agent = type(AGENTS[kind])(chunk_records=chunk_records)
    data, state = data_for(kind, 13), moved(agent)
    rows, expected = dense(agent.contribute(state, data)), loop_rows(agent, state, data)
    assert rows.shape == (13, size(agent.layout(state)))
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-10)
    assert np.abs(expected).max() > 0.1


@KINDS
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**20), clip=st.sampled_from([0.1, 1.0, 10.0]))
def test_the_clipped_integer_total_is_that_of_the_loop(kind: str, seed: int, clip: float) -> None:
    agent, data = AGENTS[kind], data_for(kind, 6, seed)
    state = moved(agent, seed)
    dimension = size(agent.layout(state))
    scale = choose_scale(clip, dimension)
    total = sum_rows(agent.contribute(state, data), clip, scale, dimension)
    expected = sum_rows(loop_rows(agent, state, data), clip, scale, dimension)
    np.testing.assert_array_equal(total, expected)


@KINDS
def test_apply_is_sgd_with_momentum_as_torch_does_it(kind: str) -> None:
    agent = type(AGENTS[kind])(records=10.0, learning_rate=0.3, momentum=0.7)
    state = agent.init()
    twins = {name: nn.Parameter(torch.tensor(state[name])) for name in agent.layout(state)}
    optimiser = torch.optim.SGD(twins.values(), lr=0.3, momentum=0.7)
    random = np.random.default_rng(0)
    for _ in range(4):
        total = {name: random.normal(size=shape) for name, shape in agent.layout(state).items()}
        state = agent.apply(state, total)
        for name, parameter in twins.items():
            parameter.grad = torch.tensor(total[name] / 10)
        optimiser.step()
    for name, parameter in twins.items():
        np.testing.assert_allclose(state[name], parameter.detach().numpy(), atol=1e-12)


def test_predictions_are_those_of_the_module_in_evaluation_mode() -> None:
    agent = DropsOut(chunk_records=3)
    state, data = moved(agent), data_for("numbers", 8)
    module = agent.module().double().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.tensor(state[name]))
        expected = module(torch.tensor(data["x"])).numpy()
    np.testing.assert_allclose(agent.predict(state, data).astype(float), expected, atol=1e-12)
    assert agent.predict(state, data_for("numbers", 0)).shape == (0, 2)


@dataclass(frozen=True, kw_only=True)
class DropsOut(Net):
    def module(self) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5), nn.AlphaDropout(), nn.Linear(50, 2))


def test_rows_are_not_random_where_the_module_drops_out() -> None:
    agent, data = DropsOut(), data_for("numbers", 5)
    state = agent.init()
    first = dense(agent.contribute(state, data))
    np.testing.assert_array_equal(dense(agent.contribute(state, data)), first)
    assert (first != 0).mean() > 0.9


def test_the_start_depends_on_the_seed_and_leaves_torch_alone() -> None:
    torch.manual_seed(77)
    expected = torch.rand(3)
    torch.manual_seed(77)
    first, second, other = Net().init(), Net().init(), Net(seed=1).init()
    Net().contribute(first, data_for("numbers", 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    assert not np.array_equal(first["0.weight"], other["0.weight"])


def test_frozen_parameters_stay_at_home() -> None:
    state = Words().init()
    assert "embedding.weight" in state
    assert not any("frozen" in name for name in state)
    assert all(value.dtype == np.float64 for value in state.values())


def test_a_shared_or_idle_layer_is_counted_right() -> None:
    agent, data = Words(), data_for("words", 3)
    state = agent.init()
    rows = dense(agent.contribute(state, data))
    layout = agent.layout(state)
    start = sum(int(np.prod(layout[n])) for n in list(layout)[: list(layout).index("idle.weight")])
    assert (rows[:, start : start + 6] == 0).all()


@KINDS
def test_a_chunk_boundary_changes_nothing(kind: str) -> None:
    data = data_for(kind, 9)
    state = moved(AGENTS[kind])
    whole = dense(AGENTS[kind].contribute(state, data))
    for chunk_records in (1, 3, 8, 9):
        cut = type(AGENTS[kind])(chunk_records=chunk_records).contribute(state, data)
        np.testing.assert_allclose(dense(cut), whole, rtol=0, atol=1e-13)


@dataclass(frozen=True, kw_only=True)
class Refused(Net):
    layer: Literal["batch", "instance", "lstm", "mean", "inputs"] = "batch"

    def module(self) -> nn.Module:
        layers: dict[str, nn.Module] = {
            "batch": nn.BatchNorm1d(3),
            "instance": nn.InstanceNorm1d(3, track_running_stats=True),
            "lstm": nn.LSTM(3, 3),
        }
        return nn.Sequential(layers.get(self.layer, nn.Identity()), nn.Linear(3, 2))

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        losses = super().loss(output, data)
        return losses.mean() if self.layer == "mean" else losses


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ("batch", "BatchNorm cannot support training with differential privacy"),
        ("instance", "track_running_stats keeps an average"),
        ("lstm", "DPLSTM"),
    ],
)
def test_layers_that_mix_records_are_refused(layer: str, told: str) -> None:
    with pytest.raises(AgentError, match=told):
        build(f"{__name__}:Refused", {"layer": layer}).init()


def test_a_loss_over_all_records_is_refused() -> None:
    agent = Refused(layer="mean")
    with pytest.raises(AgentError, match='use reduction="none"'):
        agent.contribute(agent.init(), data_for("numbers", 4))


def test_a_missing_input_is_named() -> None:
    agent = Net()
    with pytest.raises(AgentError, match="expected arrays of numbers x, found y"):
        agent.predict(agent.init(), {"y": np.zeros(3)})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("records", 0.0),
        ("clip", -1.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("chunk_records", 0),
    ],
)
def test_an_impossible_configuration_is_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"Net, {field}: expected"):
        Net(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("lacking", ["torch", "opacus"])
def test_a_missing_install_is_told(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, lacking, None)
    with pytest.raises(
        AgentError, match=rf"{lacking} cannot be imported: pip install mesh_fl\[torch\]"
    ):
        Net().init()


class _Watches(nn.Module):
    """Notes how many threads it may use."""

    def __init__(self, width: int, seen: list[int]) -> None:
        super().__init__()
        self.linear, self.seen = nn.Linear(3, width), seen

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(torch.get_num_threads())
        out: Tensor = self.linear(x)
        return out


@dataclass(frozen=True, kw_only=True)
class Watches(Net):
    seen: ClassVar[list[int]] = []

    def module(self) -> nn.Module:
        return _Watches(self.hidden, self.seen)


@pytest.mark.parametrize(("hidden", "threads"), [(6, 1), (20_000, 2)])
def test_small_work_is_left_to_one_thread(hidden: int, threads: int) -> None:
    agent = Watches(hidden=hidden)
    Watches.seen.clear()
    torch.set_num_threads(2)
    try:
        agent.contribute(agent.init(), data_for("numbers", 100))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert Watches.seen == [2, threads]


def test_no_warning_reaches_the_user() -> None:
    agent = Net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = agent.init()
        agent.contribute(state, data_for("numbers", 4))
        agent.predict(state, data_for("numbers", 4))


def test_importing_is_light() -> None:
    heavy = "{'torch', 'flwr', 'opacus'}"
    code = f"import sys, mesh_fl, mesh_fl.torch_agent; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def toy(count: int, seed: int) -> Data:
    """A ring and its inside: no linear model tells them apart."""
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    inside = (x**2).sum(axis=1) < 2 / np.pi
    return {"x": np.column_stack([x, np.ones(count)]), "y": inside.astype(np.int64)}


def accuracy(agent: Agent, state: State, data: Data) -> float:
    return float((agent.predict(state, data).argmax(axis=1) == data["y"]).mean())


def test_it_trains_privately_over_members() -> None:
    agent = Net(hidden=12, records=1500.0, learning_rate=1.0)
    shards = {f"member-{k}": toy(300, k) for k in range(5)}
    caps = dict.fromkeys(shards, 300)
    plan = make_plan(agent, "net", caps, rounds=40, measures=0, spares=0, epsilon=8.0)
    outcome = simulate(agent, plan, shards, seed=4)
    unseen = toy(2000, 99)
    assert outcome.status == "finished"
    assert accuracy(agent, agent.init(), unseen) < 0.65
    assert accuracy(agent, outcome.state, unseen) > 0.85


def test_it_keeps_its_contract() -> None:
    agent = Net(hidden=12)
    report = check_agent(agent, toy(600, 0), quality=accuracy, rounds=20)
    assert report.passed, str(report)
    checked = {finding.check for finding in report.findings if finding.outcome == "passed"}
    assert {"same in another process", "one record one row", "learns at modest epsilon"} <= checked


def test_its_configuration_is_plain() -> None:
    config = json.loads(config_of(Net(seed=3)))
    assert config["seed"] == 3
    assert build(f"{__name__}:Net", config) == Net(seed=3)
