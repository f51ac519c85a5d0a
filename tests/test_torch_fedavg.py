import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from mesh_fl.fedavg import ROUND
from mesh_fl.layout import size, unpack
from mesh_fl.local_steps import steps_of
from mesh_fl.registry import build, config_of
from mesh_fl.torch_fedavg import TorchFedAvg
from mesh_fl.torch_together import places

# Threads that wait for each other cost more than these small products are worth.
torch.set_num_threads(1)

SIZES = (7, 0, 100, 1, 23, 7)


@dataclass(frozen=True, kw_only=True)
class Net(TorchFedAvg):
    """Two classes by a network with one hidden layer."""

    clients: float = 6.0
    learning_rate: float = 0.3
    hidden: int = 6

    def module(self) -> nn.Module:
        return nn.Sequential(nn.Linear(3, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 2))

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(output, data["y"], reduction="none")


@dataclass(frozen=True, kw_only=True)
class Pictures(Net):
    def module(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.GroupNorm(2, 4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 2),
        )


class _Words(nn.Module):
    """Ties two layers, freezes one and never uses another."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.idle = nn.Linear(2, 2)
        self.frozen = nn.Linear(4, 4)
        self.frozen.requires_grad_(False)
        self.scores = nn.Linear(4, 7, bias=False)
        self.scores.weight = self.embedding.weight
        self.out = nn.Linear(7, 2)
        self.register_buffer("shift", torch.linspace(-1, 1, 4))

    def forward(self, words: Tensor, last: Tensor) -> Tensor:
        inside = self.norm(self.embedding(words).mean(dim=1)) + self.shift
        out: Tensor = self.out(self.scores(self.frozen(inside) + self.embedding(last)))
        return out


@dataclass(frozen=True, kw_only=True)
class Words(Net):
    inputs: ClassVar[tuple[str, ...]] = ("words", "last")

    def module(self) -> nn.Module:
        return _Words()


class _Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True, num_layers=2, dropout=0.5)
        self.out = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.gru(x)[0][:, -1])
        return out


@dataclass(frozen=True, kw_only=True)
class Sequences(Net):
    def module(self) -> nn.Module:
        return _Sequences()


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Linear(3, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.layer(self.grow(x)).mean(dim=1))
        return out


@dataclass(frozen=True, kw_only=True)
class Attention(Net):
    def module(self) -> nn.Module:
        return _Attention()


@dataclass(frozen=True, kw_only=True)
class Numbers(Net):
    """A regression in which a record has a weight of its own."""

    def module(self) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        return data["x"][:, 0].abs() * (output - data["y"].to(output.dtype)) ** 2


class _Chooses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.left(x) if float(x.sum()) > 0 else self.right(x)
        return out


@dataclass(frozen=True, kw_only=True)
class Chooses(Net):
    """Looks at values to choose its way: no trace can follow."""

    def module(self) -> nn.Module:
        return _Chooses()


TRACED: dict[str, Net] = {
    "mlp": Net(),
    "pictures": Pictures(),
    "words": Words(),
    "sequences": Sequences(),
    "attention": Attention(),
    "numbers": Numbers(),
}
SHAPES = {"pictures": (1, 4, 4), "sequences": (2, 3), "attention": (4, 3)}
KINDS = pytest.mark.parametrize("kind", TRACED)


def data_for(kind: str, count: int, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    if kind == "words":
        words = random.integers(0, 7, (count, 5))
        return {"words": words, "last": random.integers(0, 7, count), "y": y}
    x = random.normal(size=(count, *SHAPES.get(kind, (3,))))
    return {"x": x, "y": y, "name": np.array(["text"] * count)}


def shards_for(kind: str, sizes: Sequence[int] = SIZES) -> list[Data]:
    return [data_for(kind, count, seed) for seed, count in enumerate(sizes)]


def row_by_hand(agent: Net, state: State, data: Data) -> NDArray[np.float64]:
    """One client's change, by an optimiser of torch."""
    count = len(data["y"])
    torch.manual_seed(agent.seed)
    module = agent.module().eval()
    # cuDNN's rule that an RNN cannot be trained in evaluation mode does not hold on CPUs.
    own = {name: p for name, p in module.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(torch.tensor(state[name]))
    before = {name: p.detach().clone() for name, p in own.items()}
    optimiser = torch.optim.SGD(own.values(), lr=agent.learning_rate)
    at = (agent.seed, int(state[ROUND]))
    steps = steps_of([count], agent.batch, agent.epochs, at)
    for step in steps:
        which = steps.records[step, 0][steps.weights[step, 0] > 0]
        one = {
            name: torch.tensor(values[which]).to(
                torch.float32 if values.dtype.kind == "f" else torch.int64
            )
            for name, values in data.items()
            if values.dtype.kind != "U"
        }
        optimiser.zero_grad()
        agent.loss(module(*(one[name] for name in agent.inputs)), one).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    parts = [(own[name].detach() - before[name]).flatten() for name in own]
    return torch.cat(parts).numpy().astype(np.float64)


@KINDS
def test_clients_who_learn_at_once_change_what_torch_changes(kind: str) -> None:
    agent = type(TRACED[kind])(epochs=2)
    state, shards = agent.init(), shards_for(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = agent.contribute_many(state, shards)
    for row, shard in zip(rows, shards, strict=True):
        expected = row_by_hand(agent, state, shard)
        assert np.asarray(row).shape == (1, size(agent.layout(state)))
        np.testing.assert_allclose(row[0], expected, rtol=0, atol=2e-5)
    assert np.abs(rows[2]).max() > 0.05
    assert not np.any(rows[1])


@pytest.mark.parametrize("kind", [*TRACED, "chooses"])
def test_clients_who_learn_one_after_the_other_change_the_same(kind: str) -> None:
    agent = {**TRACED, "chooses": Chooses()}[kind]
    state, shards = agent.init(), shards_for(kind, (7, 100, 13))
    for shard in shards:
        row = agent.contribute(state, shard)
        expected = row_by_hand(agent, state, shard)
        np.testing.assert_allclose(row[0], expected, rtol=0, atol=2e-6)
        assert np.abs(expected).max() > 0.01


def test_a_module_that_looks_at_values_learns_as_right_with_a_warning() -> None:
    agent = Chooses(epochs=2)
    state, shards = agent.init(), shards_for("chooses")
    with pytest.warns(RuntimeWarning, match="Chooses: clients learn one after the other"):
        rows = agent.contribute_many(state, shards)
    for row, shard in zip(rows, shards, strict=True):
        np.testing.assert_allclose(row[0], row_by_hand(agent, state, shard), rtol=0, atol=2e-6)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 23), min_size=1, max_size=12),
    batch=st.sampled_from([1, 4, 10]),
    seed=st.integers(0, 2**16),
)
def test_a_client_changes_the_same_whoever_learns_beside_it(
    sizes: list[int], batch: int, seed: int
) -> None:
    agent = Net(batch=batch, epochs=2)
    state = moved(agent, seed)
    shards = [data_for("mlp", count, seed + k) for k, count in enumerate(sizes)]
    for row, shard in zip(agent.contribute_many(state, shards), shards, strict=True):
        alone = agent.contribute(state, shard)
        np.testing.assert_allclose(row, alone, rtol=0, atol=2e-5)


def moved(agent: Net, seed: int = 1) -> State:
    random = np.random.default_rng(seed)
    spread = {name: random.normal(0, 0.3, np.shape(v)) for name, v in agent.init().items()}
    return {n: v + (0 if n == ROUND else spread[n]) for n, v in agent.init().items()}


@given(clients=st.integers(1, 5000))
def test_few_places_stay_empty_and_few_traces_are_needed(clients: int) -> None:
    found = places(clients)
    assert clients <= found <= clients + max(3, clients / 4)
    assert places(found) == found
    assert len({places(one) for one in range(1, 65)}) == 12


def test_a_broken_record_of_one_client_reaches_no_other() -> None:
    agent = Net()
    state, shards = agent.init(), shards_for("mlp", (3, 5, 12, 0))
    sound = agent.contribute_many(state, shards)
    shards[0]["x"][:] = np.inf
    broken = agent.contribute_many(state, shards)
    assert np.isnan(broken[0]).any()
    for row, expected in list(zip(broken, sound, strict=True))[1:]:
        np.testing.assert_array_equal(row, expected)


class _Faulty(nn.Module):
    """Does what a client's steps must not do."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault, self.linear = fault, nn.Linear(3, 2)
        self.seen, self.calls = nn.Buffer(torch.zeros(3)), nn.Buffer(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.fault == "noise":
            x = x + torch.rand_like(x)
        if self.fault == "dropout":
            x = nn.functional.dropout(x, 0.5)
        if self.fault == "running mean":
            self.seen.mul_(0.9).add_(x.detach().mean(dim=0))
        if self.fault == "counter":
            self.calls.add_(1)
        if self.fault == "new buffer":
            self.calls = nn.Buffer(self.calls + 1)
        out: Tensor = self.linear(x)
        return out


@dataclass(frozen=True, kw_only=True)
class Faulty(Net):
    fault: str = ""

    def module(self) -> nn.Module:
        return _Faulty(self.fault)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("noise", "draws random numbers"),
        ("dropout", "draws random numbers"),
        ("running mean", "seen changes as records go by"),
        ("counter", "calls changes as records go by"),
        ("new buffer", "calls changes as records go by"),
    ],
)
def test_steps_that_are_not_the_same_each_time_are_refused(
    fault: str, told: str, together: bool
) -> None:
    agent = Faulty(fault=fault)
    shards = shards_for("mlp", (5, 12) if together else (12,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AgentError, match=told):
            agent.contribute_many(agent.init(), shards)


class _Shapely(nn.Module):
    """Goes by shapes, which a trace may: it is made anew for each."""

    def __init__(self) -> None:
        super().__init__()
        self.short, self.long = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.short if x.shape[1] < 5 else self.long
        out: Tensor = layer(x.sum(dim=1))
        return out


@dataclass(frozen=True, kw_only=True)
class Shapely(Net):
    def module(self) -> nn.Module:
        return _Shapely()


def test_a_trace_serves_only_the_shapes_it_was_made_for() -> None:
    agent = Shapely()
    state = agent.init()
    for length in (4, 6, 4):
        random = np.random.default_rng(length)
        shards: list[Data] = [
            {"x": random.normal(size=(n, length, 3)), "y": random.integers(0, 2, n)}
            for n in (12, 12)
        ]
        for row, shard in zip(agent.contribute_many(state, shards), shards, strict=True):
            expected = row_by_hand(agent, state, shard)
            np.testing.assert_allclose(row[0], expected, rtol=0, atol=2e-6)


class _Alternates(nn.Module):
    """Answers differently every other time: what a trace remembers is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 2), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        out: Tensor = self.linear(x) * (1 + self.calls % 2)
        return out


@dataclass(frozen=True, kw_only=True)
class Alternates(Net):
    def module(self) -> nn.Module:
        return _Alternates()


def test_a_trace_that_differs_from_the_plain_gradient_is_not_used() -> None:
    agent = Alternates()
    with pytest.warns(
        RuntimeWarning, match="expected the plain gradient, found another one of linear"
    ):
        agent.contribute_many(agent.init(), shards_for("mlp", (12, 12)))


@dataclass(frozen=True, kw_only=True)
class Counting(Net):
    """Counts how often a module is built."""

    built: ClassVar[list[int]] = []

    def module(self) -> nn.Module:
        self.built.append(1)
        return super().module()


def test_a_step_is_traced_once_for_all_rounds() -> None:
    agent, shards = Counting(), shards_for("mlp", (20, 20, 20))
    state = agent.init()
    agent.contribute_many(state, shards)
    built = len(Counting.built)
    for seed in range(3):
        agent.contribute_many(moved(agent, seed), shards)
    assert len(Counting.built) == built + 6  # by `moved`, which asks for the start twice
    changed = type(agent)(learning_rate=0.6).contribute_many(state, shards)
    assert len(Counting.built) > built + 6
    assert not np.allclose(changed[0], agent.contribute_many(state, shards)[0])


def test_empty_clients_change_nothing_and_cost_no_trace() -> None:
    agent = Counting(seed=9)
    state = agent.init()
    built = len(Counting.built)
    rows = agent.contribute_many(state, shards_for("mlp", (0, 0)))
    assert not np.any(rows)
    assert len(rows) == 2
    assert len(Counting.built) == built
    assert agent.contribute_many(state, []) == []


def test_the_order_of_the_blocks_is_that_of_the_state() -> None:
    agent, shards = Net(), shards_for("mlp", (12, 7))
    state = agent.init()
    turned = {name: state[name] for name in list(state)[::-1]}
    layout, other = agent.layout(state), agent.layout(turned)
    assert list(other) == list(layout)[::-1]
    for some in (shards, shards[:1]):
        for row, same in zip(
            agent.contribute_many(state, some), agent.contribute_many(turned, some), strict=True
        ):
            blocks = unpack(other, same[0])
            for name, block in unpack(layout, row[0]).items():
                np.testing.assert_array_equal(blocks[name], block)


def test_threads_and_random_numbers_of_the_user_stay_as_they_are() -> None:
    torch.manual_seed(77)
    expected = torch.rand(3)
    torch.manual_seed(77)
    torch.set_num_threads(2)
    try:
        agent = Net(seed=3)
        rows = agent.contribute_many(agent.init(), shards_for("mlp", (12, 7)))
        agent.contribute(agent.init(), data_for("mlp", 3))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(
        rows, agent.contribute_many(agent.init(), shards_for("mlp", (12, 7)))
    )


@KINDS
def test_only_what_is_trained_travels_in_float64(kind: str) -> None:
    agent = TRACED[kind]
    state = agent.init()
    assert all(value.dtype == np.float64 for value in state.values())
    assert not any("frozen" in name or "shift" in name for name in state)
    assert {name: value.tobytes() for name, value in agent.init().items()} == {
        name: value.tobytes() for name, value in state.items()
    }
    if kind == "words":
        assert "scores.weight" not in state
        assert "embedding.weight" in state


@KINDS
def test_predictions_are_those_of_the_module_in_evaluation_mode(kind: str) -> None:
    agent = type(TRACED[kind])(chunk_records=3)
    state, data = moved(agent), data_for(kind, 8)
    module = agent.build_module(state).eval()
    tensors = agent.tensors_of(data)
    with torch.no_grad():
        expected = module(*(tensors[name] for name in agent.inputs)).numpy()
    found = agent.predict(state, data)
    np.testing.assert_allclose(found.astype(float), expected, atol=1e-6)
    assert agent.predict(state, data_for(kind, 0)).shape == (0, *expected.shape[1:])


@dataclass(frozen=True, kw_only=True)
class Refused(Net):
    fault: Literal["batch", "instance", "mean", "frozen", "taken"] = "batch"

    def module(self) -> nn.Module:
        layers: dict[str, nn.Module] = {
            "batch": nn.BatchNorm1d(3, track_running_stats=False),
            "instance": nn.InstanceNorm1d(3, track_running_stats=True),
        }
        module = nn.Sequential(layers.get(self.fault, nn.Identity()), nn.Linear(3, 2))
        if self.fault == "taken":
            module.register_parameter(ROUND, nn.Parameter(torch.zeros(2)))
        return module.requires_grad_(self.fault != "frozen")

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        losses = super().loss(output, data)
        return losses.mean() if self.fault == "mean" else losses


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("batch", "0: BatchNorm1d takes statistics over a client's minibatch"),
        ("instance", "track_running_stats keeps an average"),
        ("frozen", "expected at least one parameter that requires a gradient.*found none"),
        ("taken", "none called 'round', found round"),
    ],
)
def test_modules_that_cannot_be_averaged_are_refused(fault: str, told: str) -> None:
    with pytest.raises(AgentError, match=told):
        build(f"{__name__}:Refused", {"fault": fault}).init()


@pytest.mark.parametrize("sizes", [(12,), (12, 12)])
def test_a_loss_over_all_records_is_refused(sizes: Sequence[int]) -> None:
    agent = Refused(fault="mean")
    with pytest.raises(AgentError, match='use reduction="none"'):
        agent.contribute_many(agent.init(), shards_for("mlp", sizes))


@pytest.mark.parametrize("clients", [1, 3])
def test_a_missing_input_is_named(clients: int) -> None:
    agent = Net()
    with pytest.raises(AgentError, match="expected arrays of numbers x, found y"):
        agent.contribute_many(agent.init(), [{"y": np.zeros(3)}] * clients)


@dataclass(frozen=True, kw_only=True)
class Listed(Net):
    widths: list[int] = field(default_factory=list)


def test_an_impossible_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="Net, chunk_records: expected at least 1, found 0"):
        Net(chunk_records=0)
    with pytest.raises(ConfigError, match="Net, batch: expected at least 1, found 0"):
        Net(batch=0)
    with pytest.raises(ConfigError, match="Listed, widths: expected a tuple rather than a list"):
        Listed()


def test_a_missing_install_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(AgentError, match=r"torch cannot be imported: pip install mesh_fl\[torch\]"):
        Net().init()


def test_opacus_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opacus", None)
    agent = Net(seed=5)
    agent.contribute_many(agent.init(), shards_for("mlp", (3, 4)))


def test_importing_is_light() -> None:
    code = (
        "import sys, mesh_fl.torch_fedavg; print(*{'torch', 'flwr', 'opacus'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def toy(count: int, seed: int) -> Data:
    """A ring and its inside: no linear model tells them apart."""
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    inside = (x**2).sum(axis=1) < 2 / np.pi
    return {"x": np.column_stack([x, np.ones(count)]), "y": inside.astype(np.int64)}


def accuracy(agent: Agent, state: State, data: Data) -> float:
    return float((agent.predict(state, data).argmax(axis=1) == data["y"]).mean())


def test_it_learns_from_clients_of_unequal_sizes() -> None:
    agent = Net(hidden=16, clients=8.0, epochs=3)
    shards = [toy(count, seed) for seed, count in enumerate((10, 80, 0, 55, 100, 31, 64, 90))]
    state, unseen = agent.init(), toy(2000, 99)
    before = accuracy(agent, state, unseen)
    for _ in range(25):
        total = np.sum(agent.contribute_many(state, shards), axis=0)[0]
        state = agent.apply(state, unpack(agent.layout(state), total))
    assert before < 0.7
    assert accuracy(agent, state, unseen) > 0.9


def test_it_keeps_its_contract() -> None:
    agent = Net(hidden=12, clients=1.0)
    report = check_agent(agent, toy(600, 0), quality=accuracy, rounds=20)
    assert report.passed, str(report)
    checked = {finding.check for finding in report.findings if finding.outcome == "passed"}
    assert {"same in another process", "many are each", "no learned state"} <= checked
    assert "learns without noise" in checked


def test_its_configuration_is_plain() -> None:
    config = json.loads(config_of(Net(seed=3)))
    assert config["seed"] == 3
    assert build(f"{__name__}:Net", config) == Net(seed=3)


def test_other_threads_may_draw_random_numbers_meanwhile() -> None:
    """A member trains in one thread and answers in another."""
    agent, shard = Net(), toy(30, 0)
    state, over = agent.init(), threading.Event()
    expected = agent.contribute(state, shard)

    def answer() -> None:
        while not over.is_set():
            torch.rand(3)
            agent.predict(state, shard)

    other = threading.Thread(target=answer)
    other.start()
    try:
        rows = [agent.contribute(state, shard) for _ in range(20)]
    finally:
        over.set()
        other.join()
    for row in rows:
        np.testing.assert_array_equal(row, expected)
