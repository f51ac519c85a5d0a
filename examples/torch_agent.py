"""A torch module as an agent: which alerts need a person, learned by a small network.

Run it: python examples/torch_agent.py
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mesh_fl import Data, State
from mesh_fl.planning import make_plan
from mesh_fl.simulate.engine import simulate
from mesh_fl.torch_agent import TorchAgent


@dataclass(frozen=True, kw_only=True)
class AlertTriage(TorchAgent):
    """A network with one hidden layer; an alert needs a person if it is odd in one way only."""

    hidden: int = 16

    def module(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2, self.hidden), nn.Tanh(), nn.Linear(self.hidden, 1))

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        wanted = data["y"].to(output.dtype)
        return nn.functional.binary_cross_entropy_with_logits(
            output[:, 0], wanted, reduction="none"
        )

    @staticmethod
    def example() -> Data:
        return alerts(np.random.default_rng(0), 400)


def alerts(random: np.random.Generator, count: int) -> Data:
    """Draw alerts: two scores, and whether exactly one of them is high."""
    x = random.uniform(-1, 1, (count, 2))
    return {"x": x, "y": (x[:, 0] * x[:, 1] < 0).astype(np.int64)}


def accuracy(agent: AlertTriage, state: State, data: Data) -> float:
    """Return the share of alerts that are sorted rightly."""
    odds = agent.predict(state, data)[:, 0].astype(float)
    return float(((odds > 0) == data["y"].astype(bool)).mean())


def main() -> None:
    random = np.random.default_rng(1)
    members = {f"msp-{k + 1}": alerts(random, 500) for k in range(5)}
    agent = AlertTriage(records=2500, learning_rate=2.0)
    plan = make_plan(
        agent,
        "alert-triage",
        dict.fromkeys(members, 512),
        rounds=60,
        measures=0,
        spares=0,
        epsilon=8.0,
    )
    state = simulate(agent, plan, members).state
    unseen = alerts(random, 2000)
    print(f"accuracy before: {accuracy(agent, agent.init(), unseen):.3f}")
    print(f"accuracy after:  {accuracy(agent, state, unseen):.3f} (epsilon = {plan.epsilon:g})")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
