"""The floor: a round's clients side by side in batched products; no framework, no isolation."""

import numpy as np
from numpy.typing import NDArray

from mesh_fl.simulate.speed.workload import (
    CLASSES,
    PARAMETERS,
    SHAPES,
    Outcome,
    Task,
    Weights,
    accuracy,
    answer,
    now,
    shards,
    start,
)

Floats = NDArray[np.float32]


def train(task: Task) -> Outcome:
    """Do the task with nothing but what it takes."""
    features, labels = (np.stack(arrays) for arrays in zip(*shards(task), strict=True))
    targets = np.eye(CLASSES, dtype=np.float32)[labels]
    source = np.random.default_rng(task.seed)
    model = np.concatenate([weights.ravel() for weights in start(task)])
    marks = [now()]
    for _ in range(task.rounds):
        chosen = source.choice(task.clients, task.cohort, replace=False)
        order = source.permuted(np.tile(np.arange(task.records), (task.cohort, 1)), axis=1)
        drawn = chosen[:, None], order
        updates = local_updates(model, features[drawn], targets[drawn], task)
        model = model + total(updates, task, source) / np.float32(task.cohort)
        marks.append(now())
    return Outcome(marks, accuracy(blocks(model), task))


def blocks(flat: Floats) -> Weights:
    """Return views of flat parameters, shape (..., 2762), as weights and biases."""
    ends = np.cumsum([np.prod(shape) for shape in SHAPES])[:-1]
    parts = np.split(flat, ends, axis=-1)
    return tuple(
        part.reshape(*flat.shape[:-1], *shape) for part, shape in zip(parts, SHAPES, strict=True)
    )


def local_updates(model: Floats, features: Floats, targets: Floats, task: Task) -> Floats:
    """Return how each client's epoch moves the model, shape (cohort, 2762)."""
    flat = np.tile(model, (len(features), 1))
    weights = blocks(flat)
    rate = np.float32(task.learning_rate / task.batch)
    for begin in range(0, features.shape[1], task.batch):
        batch = slice(begin, begin + task.batch)
        step(weights, features[:, batch], targets[:, batch], rate)
    return flat - model


def step(weights: Weights, features: Floats, targets: Floats, rate: np.float32) -> None:
    """Take one SGD step of every client in place, on softmax cross-entropy."""
    first, first_bias, second, second_bias = weights
    hidden = np.maximum(features @ first + first_bias[:, None], 0)
    scores = hidden @ second + second_bias[:, None]
    odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
    error = odds / odds.sum(axis=-1, keepdims=True) - targets
    hidden_error = (error @ second.transpose(0, 2, 1)) * (hidden > 0)
    second -= rate * (hidden.transpose(0, 2, 1) @ error)
    second_bias -= rate * error.sum(axis=1)
    first -= rate * (features.transpose(0, 2, 1) @ hidden_error)
    first_bias -= rate * hidden_error.sum(axis=1)


def total(updates: Floats, task: Task, source: np.random.Generator) -> Floats:
    """Return the sum of the updates; where privacy is asked for, of clipped ones and with noise."""
    noise = np.zeros(PARAMETERS, dtype=np.float32)
    if task.private:
        norms = np.linalg.norm(updates, axis=1, keepdims=True)
        updates = updates * np.minimum(1, np.float32(task.clip) / np.maximum(norms, 1e-12))
        noise = np.float32(task.sigma) * source.standard_normal(PARAMETERS, dtype=np.float32)
    summed: Floats = updates.sum(axis=0) + noise
    return summed


if __name__ == "__main__":
    answer(train)
