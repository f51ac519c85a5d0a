"""What is written down of a computation, and what becomes of it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import cross_entropy, mse_loss, nll_loss

from mesh_fl.torch_flops import flops_of
from mesh_fl.torch_graph import as_compiled, compile_graph
from mesh_fl.torch_losses import mapped_losses
from mesh_fl.torch_record import Recording, record

# Threads that wait for each other cost more than these small products are worth.
torch.set_num_threads(1)

X = torch.arange(12.0).view(3, 4)
TABLE = torch.linspace(-1, 1, 4)


def recorded_square(wanted: Literal["pure", "writes", "random"]) -> Recording:
    def step(x: Tensor) -> list[Tensor]:
        one = torch.ones_like(x)
        y = x.transpose(0, 1).transpose(0, 1).view(3, 4) * one * 1
        if wanted == "writes":
            x.add_(1)
        if wanted == "random":
            y = y + torch.rand(3, 4)
        return [y * y + (y * y).expand(3, 4), torch.zeros(2) + 3]

    return record(step, [X.clone()])


def test_a_graph_gets_shorter_and_gives_the_same() -> None:
    recording = recorded_square("pure")
    short = compile_graph(recording, [X])
    left = [node for node in recording.graph.nodes if node.op == "call_function"]
    assert [str(node.target) for node in left] == ["aten.mul.Tensor", "aten.add.Tensor"]
    for values in (X, X + 1, X - 7):
        square, three = short(values)
        assert torch.equal(square, 2 * values**2)
        assert torch.equal(three, torch.full((2,), 3.0))


@pytest.mark.parametrize("wanted", ["writes", "random"])
def test_side_effects_are_refused(wanted: Literal["writes", "random"]) -> None:
    with pytest.raises(ValueError, match="expected operations without side effects, found aten"):
        recorded_square(wanted)


def test_a_graph_runs_without_torchscript(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.jit, "trace")
    monkeypatch.delattr(torch.jit, "optimized_execution")
    with as_compiled():
        assert torch.equal(compile_graph(recorded_square("pure"), [X])(X)[0], 2 * X**2)


STEPS: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "parts": lambda x: [a * b for a, b in zip(*torch.split(x, 2, dim=1), strict=True)],
    "two results": lambda x: [x.max(dim=1).values, x.max(dim=1).indices, *x.unbind(1)],
    "itself": lambda x: [x, x.detach(), x[0]],
    "constants": lambda x: [x * TABLE + torch.tensor([1.0, 2, 3, 4]) * torch.eye(4)[1], TABLE],
    "kinds": lambda x: [x.double() / 3, (x > 2).long() + 1, x.half() * 2],
    "new": lambda x: [x.new_full((2, 3), 7.0), x.new_zeros(2), torch.full_like(x, 2) * x],
    "large": lambda x: [torch.zeros(200, 200) + x[0, 0]],
    "lists": lambda x: [torch.cat([x, x + 1]), torch.einsum("ij,kj->ik", x, x), x[:, [2, 0]]],
    "gradient": lambda x: [torch.autograd.grad((x @ x.T).tanh().sum(), x)[0]],
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_recorded_gives_the_same_again(name: str) -> None:
    example = X.clone().requires_grad_(name == "gradient")
    recording = record(STEPS[name], [example])
    again = compile_graph(recording, [X])
    for values in (X, X.flip(0) / 3 - 1):
        expected = STEPS[name](values.clone().requires_grad_(name == "gradient"))
        for found, wanted in zip(again(values), expected, strict=True):
            assert found.dtype == wanted.dtype
            assert torch.allclose(found, wanted, rtol=1e-6)


def test_small_constants_are_kept_and_large_ones_computed() -> None:
    assert list(record(lambda x: [x + torch.ones(3, 1) * 2], [X]).constants) == ["constant_0"]
    large = record(STEPS["large"], [X])
    compile_graph(large, [X])
    assert large.constants == {}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (lambda x: [x * x.sum().item()], "expected operations that give tensors, found aten"),
        (lambda x: [x if x[0, 0] > 1 else -x], "expected operations that give tensors, found"),
        (lambda x: [torch.from_numpy(x.numpy()) * 2], "found one made unseen"),
        (lambda x: [torch.from_numpy(x.numpy())], "found one made unseen"),
        (lambda x: [torch.add(x, 1, out=torch.empty(3, 4))], "side effects, found aten.add.out"),
        (lambda x: [nn.functional.dropout(x)], "side effects, found aten"),
    ],
)
def test_what_would_differ_the_next_time_is_refused(
    step: Callable[[Tensor], list[Tensor]], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        record(step, [X])


def test_products_are_counted() -> None:
    assert record(lambda x: [x @ x.T + 1], [X]).flops == 2 * 3 * 4 * 3
    assert flops_of(lambda: nn.Linear(4, 5)(X)) == 2 * 3 * 4 * 5
    pictures = torch.rand(2, 3, 8, 8)
    assert flops_of(lambda: nn.Conv2d(3, 5, 3, padding=1)(pictures)) == 2 * 2 * 5 * 3 * 9 * 64
    assert flops_of(lambda: X.tanh()) == 0


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(5,), (4, 5), (4, 5, 3), (0, 5)]),
    ignored=st.sampled_from([-100, 2, 7]),
    seed=st.integers(0, 99),
    logarithm=st.booleans(),
)
def test_losses_by_class_are_those_of_torch(
    shape: tuple[int, ...], ignored: int, seed: int, logarithm: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(shape, generator=generator, requires_grad=True)
    classes = torch.randint(
        0, 5, (*shape[:1], *shape[2:]) if shape[1:] else (), generator=generator
    )
    classes = classes.masked_fill(classes == 4, ignored)
    loss = cross_entropy if logarithm else nll_loss
    with mapped_losses():
        found = loss(scores, classes, ignore_index=ignored, reduction="none")
    expected = loss(scores, classes, ignore_index=ignored, reduction="none")
    assert torch.allclose(found, expected)
    weights = torch.rand(expected.shape, generator=generator)
    (slope,) = torch.autograd.grad((found * weights).sum(), scores)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), scores)
    assert torch.allclose(slope, wanted, atol=1e-7)


@pytest.mark.parametrize(
    "layer",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(weight=torch.linspace(1, 2, 4), reduction="none"),
        nn.CrossEntropyLoss(label_smoothing=0.3, reduction="none"),
        nn.CrossEntropyLoss(reduction="none"),
        nn.NLLLoss(weight=torch.linspace(1, 2, 4), reduction="none"),
    ],
)
def test_other_losses_stay_as_they_are(layer: nn.Module) -> None:
    classes = torch.tensor([0, 3, 1])
    with mapped_losses():
        assert torch.allclose(layer(X, classes), layer(X, classes))
        found = layer(X, classes)
    assert torch.allclose(found, layer(X, classes))
    odds = X.softmax(dim=1)
    if isinstance(layer, nn.CrossEntropyLoss):
        with mapped_losses():
            found = layer(X, odds)
        assert torch.allclose(found, layer(X, odds))


def test_a_class_out_of_range_is_told_as_torch_tells_it() -> None:
    with mapped_losses(), pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        vmap(lambda x, y: cross_entropy(x, y, reduction="none"))(X[None], torch.tensor([[0, 4, 1]]))


def test_squares_are_those_of_torch_and_warn_as_they_do() -> None:
    wanted = X.flip(0)
    with mapped_losses():
        found = mse_loss(X, wanted, reduction="none")
        assert mse_loss(X, wanted) == ((X - wanted) ** 2).mean()
        with pytest.warns(UserWarning, match="Using a target size"):
            mse_loss(X, wanted[:1], reduction="none")
    assert torch.equal(found, (X - wanted) ** 2)


FIRST_ROUND = """
import sys
import test_torch_fedavg as net
from torch.nn import functional
def squares(self, output, data):
    return functional.mse_loss(output[:, 0], data["y"].float(), reduction="none")
def odds(self, output, data):
    return functional.binary_cross_entropy_with_logits(output[:, 0], data["y"].float(),
                                                       reduction="none")
for kind, agent in net.TRACED.items():
    agent.contribute_many(agent.init(), net.shards_for(kind, (12, 12)))
for seed, net.Net.loss in enumerate((squares, odds), 1):
    agent = net.Net(seed=seed)
    agent.contribute_many(agent.init(), net.shards_for("mlp", (12, 12)))
print(*{"torch._dynamo", "torch._inductor", "sympy", "opacus"} & set(sys.modules))
"""


def test_a_first_round_imports_no_compiler() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{FIRST_ROUND}"
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""
