"""Federated averaging of a torch module: clients who each see other kinds of tickets.

Run it: python examples/torch_fedavg.py
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from mesh_fl import Data, State
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Shards
from mesh_fl.simulate.splits import dirichlet
from mesh_fl.torch_fedavg import TorchFedAvg

QUEUES, SIGNS = 4, 8


@dataclass(frozen=True, kw_only=True)
class TicketRouting(TorchFedAvg):
    """A network with one hidden layer that says which queue a ticket belongs to."""

    hidden: int = 32

    def module(self) -> nn.Module:
        return nn.Sequential(
            nn.Linear(SIGNS, self.hidden), nn.ReLU(), nn.Linear(self.hidden, QUEUES)
        )

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(output, data["y"], reduction="none")

    @staticmethod
    def example() -> Data:
        return tickets(np.random.default_rng(0), 400)


def tickets(random: np.random.Generator, count: int) -> Data:
    """Draw tickets: each queue has two clusters of signs, so that no line parts them."""
    centres = np.random.default_rng(7).normal(0, 1.5, (2, QUEUES, SIGNS))
    y = random.integers(0, QUEUES, count)
    x = centres[random.integers(0, 2, count), y] + random.normal(0, 1, (count, SIGNS))
    return {"x": x, "y": y}


def accuracy(agent: TicketRouting, state: State, data: Data) -> float:
    """Return the share of tickets that get into their queue."""
    found = agent.predict(state, data).astype(float).argmax(axis=1)
    return float((found == data["y"]).mean())


def main() -> None:
    random = np.random.default_rng(1)
    data = tickets(random, 4000)
    shards = Shards.deal(data, dirichlet(data["y"], 40, 0.3, random))
    agent = TicketRouting(clients=10)
    trained = simulate(agent, Exact(rounds=40, clipped=False), shards, cohort=10, seed=0)
    unseen = tickets(random, 2000)
    print(
        f"{len(shards)} clients hold {shards.sizes[0]} tickets each, most of them of a queue or two"
    )
    print(f"accuracy before: {accuracy(agent, agent.init(), unseen):.3f}")
    print(f"accuracy after:  {accuracy(agent, trained.state, unseen):.3f}")


if __name__ == "__main__":
    main()
