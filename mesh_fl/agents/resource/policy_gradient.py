"""The gradient of a policy: what turned out well is made more likely, within a clip.

Proximal policy optimization (Schulman et al. 2017, arXiv 1707.06347) without a critic, since
`policy_credit` says how good each decision was. Adam's steps (Kingma and Ba 2015, arXiv 1412.6980)
shrink to nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.resource.policy_learned import LearnedPolicy
from mesh_fl.agents.resource.policy_trial import Decisions
from mesh_fl.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

Vector = NDArray[np.float64]

TEMPERATURE, LEAST_TEMPERATURE = 0.25, 0.05
"""Of the softmax: what learning begins with, and how sure of itself it may become."""

STEP = 0.02
CLIP = 0.2
EPOCHS, PARTS = 4, 4
"""How often trials are gone through, and in how many parts."""

LONGEST = 1.0
"""Of a gradient."""

EXTRA = "policy: learning needs torch, not installed here: pip install 'mesh_fl[torch]'"


class Learner:
    """Weights on their way.

    The temperature of the softmax is learned too. To be surer of an order, gradients would
    otherwise stretch its scores, some more than others, and so distort it.

    Parameters
    ----------
    start : LearnedPolicy
    batches : int
        Of trials to come; the steps shrink towards the last.
    seed : int

    Raises
    ------
    ConfigError
        If torch is not installed.
    """

    def __init__(self, start: LearnedPolicy, batches: int, seed: int) -> None:
        try:
            import torch
        except ImportError:
            raise ConfigError(EXTRA) from None
        self._blocks = {
            name: torch.tensor(block, requires_grad=True) for name, block in start.blocks.items()
        }
        self._log_temperature = torch.tensor(np.log(TEMPERATURE), requires_grad=True)
        self._every = [*self._blocks.values(), self._log_temperature]
        self._adam = torch.optim.Adam(self._every, lr=STEP)
        self._batches, self._seen = batches, 0
        self._random = np.random.default_rng([seed, 0x5EED])

    @property
    def policy(self) -> LearnedPolicy:
        """What is learned so far."""
        blocks = {name: block.detach().numpy() for name, block in self._blocks.items()}
        return LearnedPolicy.of(blocks)

    @property
    def temperature(self) -> float:
        """At which trials are to be played."""
        return float(self._log_temperature.detach().exp())

    def learn(self, trials: Sequence[Decisions], advantages: Sequence[Vector]) -> None:
        """Move towards what turned out well.

        Parameters
        ----------
        trials : sequence of Decisions
            By the policy as it is.
        advantages : sequence of ndarray, each shape (decisions,)
        """
        with _one_thread():
            batches = [_Batch.of(one) for one in trials]
            before = [self._log_chance(one).detach() for one in batches]
            for group in self._adam.param_groups:
                group["lr"] = STEP * max(0.0, 1 - self._seen / self._batches)
            for _ in range(EPOCHS):
                for part in np.array_split(self._random.permutation(len(batches)), PARTS):
                    if len(part):
                        self._step([(batches[k], before[k], advantages[k]) for k in part.tolist()])
        self._seen += 1

    def _step(self, part: "Sequence[tuple[_Batch, Tensor, Vector]]") -> None:
        import torch

        ratios = [torch.exp(self._log_chance(batch) - before) for batch, before, _ in part]
        ratio = torch.cat(ratios)
        good = torch.from_numpy(np.concatenate([found for _, _, found in part]))
        if not len(good):
            return
        gain = torch.minimum(ratio * good, ratio.clamp(1 - CLIP, 1 + CLIP) * good)
        self._adam.zero_grad()
        torch.autograd.backward(-gain.mean())
        torch.nn.utils.clip_grad_norm_(self._every, LONGEST)
        self._adam.step()
        with torch.no_grad():
            self._log_temperature.clamp_(min=np.log(LEAST_TEMPERATURE))

    def _log_chance(self, batch: "_Batch") -> "Tensor":
        """Return the logarithm of how likely each decision is, shape (decisions,)."""
        import torch

        blocks = self._blocks
        hidden = torch.tanh(batch.features @ blocks["hidden"] + blocks["bias"])
        added = batch.features @ blocks["linear"] + hidden @ blocks["out"]
        scores = -(batch.log_ratio + added) / torch.exp(self._log_temperature)
        decisions = len(batch.chosen)
        # The greatest score of each decision, so that no exponential overflows.
        greatest = torch.full((decisions,), -torch.inf, dtype=scores.dtype)
        greatest = greatest.scatter_reduce(0, batch.decision, scores.detach(), "amax")
        shifted = scores - greatest[batch.decision]
        sums = torch.zeros(decisions, dtype=scores.dtype)
        sums = sums.index_add(0, batch.decision, torch.exp(shifted))
        return shifted[batch.chosen] - torch.log(sums)


class _Batch(NamedTuple):
    """The decisions of a trial as tensors; `chosen` are rows of `features`."""

    features: "Tensor"
    log_ratio: "Tensor"
    decision: "Tensor"
    chosen: "Tensor"

    @classmethod
    def of(cls, found: Decisions) -> "_Batch":
        import torch

        first = np.cumsum(found.waiting) - found.waiting
        decision = np.repeat(np.arange(len(found.waiting)), found.waiting)
        arrays = (found.features, found.log_ratio, decision, first + found.chosen)
        return cls(*map(torch.from_numpy, arrays))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Add up in one order: sums of several threads differ by their number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
