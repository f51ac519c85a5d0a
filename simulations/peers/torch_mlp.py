"""The workload's model in torch, and the local epoch that users of Flower and FLARE write."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from workload import CLASSES, FEATURES, HIDDEN, Task, accuracy, start


class Net(nn.Sequential):
    """A multilayer perceptron; without a task, torch starts it.

    Parameters
    ----------
    task : Task, optional
        Start as all engines do.
    """

    def __init__(self, task: Task | None = None) -> None:
        super().__init__(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
        if task is not None:
            begin_as_all(self, task)


def begin_as_all(net: nn.Module, task: Task) -> None:
    """Set a network to the start that all engines share; torch keeps weights transposed."""
    with torch.no_grad():
        for parameter, weights in zip(net.parameters(), start(task), strict=True):
            parameter.copy_(torch.from_numpy(weights.T.copy()))


def local_epoch(net: nn.Module, features: Tensor, labels: Tensor, task: Task) -> None:
    """Take one epoch of plain SGD over shuffled batches."""
    optimizer = torch.optim.SGD(net.parameters(), lr=task.learning_rate)
    order = torch.randperm(len(labels))
    for begin in range(0, len(order), task.batch):
        batch = order[begin : begin + task.batch]
        optimizer.zero_grad()
        loss = cross_entropy(net(features[batch]), labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()


def accuracy_of(net: nn.Module, task: Task) -> float:
    """Return the test accuracy, computed as for all engines."""
    return accuracy(tuple(p.detach().numpy().T for p in net.parameters()), task)
