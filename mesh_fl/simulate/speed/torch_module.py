"""mesh_fl: its engine with a user's torch module."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mesh_fl.agent import Data, State
from mesh_fl.simulate.speed.builtin import train_with
from mesh_fl.simulate.speed.workload import CLASSES, FEATURES, HIDDEN, Outcome, Task, answer
from mesh_fl.torch_fedavg import TorchFedAvg


@dataclass(frozen=True, kw_only=True)
class Perceptron(TorchFedAvg):
    """What a user writes."""

    def module(self) -> nn.Module:
        """Return the perceptron of the task."""
        return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))

    def loss(self, output: Tensor, data: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy of each record."""
        return cross_entropy(output, data["y"], reduction="none")

    def predict(self, state: State, data: Data) -> NDArray[np.int64]:
        """Return the likeliest class of each record."""
        return np.asarray(super().predict(state, data).argmax(axis=1), dtype=np.int64)


def train(task: Task) -> Outcome:
    """Do the task with a torch module."""
    torch.set_num_threads(1)
    agent = Perceptron(
        clients=task.cohort,
        learning_rate=task.learning_rate,
        batch=task.batch,
        clip=task.clip,
        seed=task.seed,
    )
    return train_with(agent, task)


if __name__ == "__main__":
    answer(train)
