from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mesh_fl.agent import Data, State
from mesh_fl.check import check_agent
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.layout import pack, size, unpack
from mesh_fl.mlp import Mlp
from mesh_fl.planning import make_plan
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Shards

CENTRES = np.random.default_rng(0).normal(size=(4, 6))


def blobs(seed: int, count: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 4, count)
    return {"x": (CENTRES[y] + 0.7 * random.normal(size=(count, 6))).astype(np.float32), "y": y}


def agent(**terms: object) -> Mlp:
    return Mlp(**{"inputs": 6, "hidden": (8,), "classes": 4, "clients": 5.0, **terms})


def by_torch(agent: Mlp, state: State, data: Data) -> NDArray[np.float64]:
    """What one client's local steps change, one step after the other, by automatic gradients."""
    layers = [
        torch.tensor(block, dtype=torch.float64, requires_grad=True)
        for name, block in state.items()
        if name != "round"
    ]
    from mesh_fl.local_steps import steps_of

    steps = steps_of([len(data["y"])], agent.batch, agent.epochs, (agent.seed, int(state["round"])))
    for step in steps:
        x = torch.tensor(data["x"][steps.records[step, 0]], dtype=torch.float64)
        y = torch.tensor(data["y"][steps.records[step, 0]])
        for number, layer in enumerate(layers):
            x = x @ layer[:-1] + layer[-1]
            x = torch.relu(x) if number + 1 < len(layers) else x
        losses = torch.nn.functional.cross_entropy(x, y, reduction="none")
        loss = (losses * torch.tensor(steps.weights[step, 0], dtype=torch.float64)).sum()
        slopes = torch.autograd.grad(loss, layers)
        with torch.no_grad():
            for layer, slope in zip(layers, slopes, strict=True):
                layer -= agent.learning_rate * slope
    names = [name for name in state if name != "round"]
    changed = {n: layer.detach().numpy() - state[n] for n, layer in zip(names, layers, strict=True)}
    return pack(agent.layout(state), changed)


@pytest.mark.parametrize("hidden", [(), (8,), (7, 5)])
@pytest.mark.parametrize("count", [1, 9, 10, 37])
def test_local_steps_are_those_of_automatic_gradients(hidden: tuple[int, ...], count: int) -> None:
    mlp = agent(hidden=hidden, epochs=2)
    state, data = mlp.init(), blobs(3, count)
    row = mlp.contribute(state, data)
    assert row.shape == (1, size(mlp.layout(state)))
    np.testing.assert_allclose(row[0], by_torch(mlp, state, data), atol=2e-6)


def test_clients_learn_together_what_they_learn_alone() -> None:
    """More clients than fit into one batch, of all sizes."""
    mlp = agent(epochs=2)
    state = mlp.init()
    shards: list[Data] = [blobs(k, (7 * k) % 31) for k in range(2 * mlp.together + 3)]
    together = mlp.contribute_many(state, shards)
    assert len(together) == len(shards)
    for row, shard in zip(together, shards, strict=True):
        np.testing.assert_allclose(row, mlp.contribute(state, shard), atol=1e-6)


def test_a_client_without_records_changes_nothing() -> None:
    mlp = agent()
    assert not mlp.contribute(mlp.init(), blobs(0, 0)).any()


def test_apply_moves_by_the_mean_change() -> None:
    mlp = agent(clients=4.0, server_rate=0.5)
    state = mlp.init()
    total = unpack(mlp.layout(state), np.full(size(mlp.layout(state)), 8.0))
    moved = mlp.apply(state, total)
    for name in total:
        np.testing.assert_allclose(moved[name], state[name] + 1.0)
    assert moved["round"] == 1


def test_it_learns_in_federated_rounds_and_under_privacy() -> None:
    crowd = Shards.of({f"c{k}": blobs(k, 30) for k in range(40)})
    test = blobs(99, 400)
    mlp = agent(clients=40.0)
    before = mlp.evaluate(mlp.init(), test)["accuracy"]
    exact = simulate(mlp, Exact(rounds=20, clipped=False), crowd, seed=0)
    assert mlp.evaluate(exact.state, test)["accuracy"] > before + 0.3
    plan = make_plan(
        mlp, "mlp", crowd.caps, rounds=20, measures=1, survivors=40, colluders=0, epsilon=50.0
    )
    private = simulate(mlp, plan, crowd, seed=0)
    assert mlp.evaluate(private.state, test)["accuracy"] > before + 0.2
    # Measured through the noise, on the clients' own records.
    assert private.history[-1].scores["accuracy"] == pytest.approx(
        mlp.evaluate(private.state, crowd.data)["accuracy"], abs=0.15
    )


def test_it_keeps_the_contract() -> None:
    report = check_agent(agent(clients=5.0), blobs(0, 300), quality=accuracy, rounds=8)
    assert report.passed, str(report)
    passed = {finding.check for finding in report.findings if finding.outcome == "passed"}
    assert {"learns without noise", "many are each"} <= passed


def accuracy(mlp: Mlp, state: State, data: Data) -> float:
    return float(mlp.evaluate(state, data)["accuracy"])


def test_huge_logits_stay_finite() -> None:
    mlp = agent()
    far = {name: 1e4 * block if name != "round" else block for name, block in mlp.init().items()}
    assert np.isfinite(mlp.contribute(far, blobs(0, 40))).all()
    assert np.isfinite(list(mlp.evaluate(far, blobs(0, 40)).values())).all()


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"inputs": 0}, "inputs: expected at least 1"),
        ({"hidden": (4, 0)}, "hidden: expected at least 1 unit"),
        ({"classes": 1}, "classes: expected at least 2"),
        ({"batch": 0}, "batch: expected at least 1"),
        ({"clients": 0.0}, "clients: expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0"),
    ],
)
def test_what_cannot_train_is_refused(terms: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        agent(**terms)


def test_data_that_do_not_fit_are_refused() -> None:
    mlp = agent()
    with pytest.raises(AgentError, match=r"expected x of shape \(n, 6\)"):
        mlp.contribute(mlp.init(), {"x": np.zeros((3, 5)), "y": np.zeros(3, int)})
    with pytest.raises(AgentError, match="expected y from 0 to 3, found 0 to 4"):
        mlp.contribute(mlp.init(), {"x": np.zeros((2, 6)), "y": np.array([0, 4])})
