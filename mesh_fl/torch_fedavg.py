"""Federated averaging of any torch module: clients' local steps, many clients at once.

torch is imported when it is first used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data, State
from mesh_fl.errors import AgentError
from mesh_fl.fedavg import ROUND, FedAvg
from mesh_fl.local_steps import Steps
from mesh_fl.torch_alone import learn_alone
from mesh_fl.torch_module import TorchModel, array_of, refuse, tracking, trained
from mesh_fl.torch_together import learn_together

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TorchFedAvg(TorchModel, FedAvg):
    """Trains a torch module by averaging what clients' local steps of SGD change.

    Subclasses are frozen keyword-only dataclasses that give `module` and `loss`. The module
    computes in float32. Dropout is off, since a change may not be random. Only parameters that
    require a gradient are trained and travel; everything else must come out of `module` the same
    at every client, and stay so.

    Clients of a simulation learn at once, by a trace of one step. A module that torch cannot trace
    over clients, such as one that looks at values to choose its way, learns one client after the
    other, with a warning.

    Parameters
    ----------
    chunk_records : int
        Records that are answered at once by `predict`.

    See Also
    --------
    mesh_fl.fedavg.FedAvg : The other parameters.
    """

    precision: ClassVar[Literal["float32", "float64"]] = "float32"

    chunk_records: int = 1024

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        yield from super()._rules()
        yield "chunk_records", self.chunk_records >= 1, "at least 1"
        for field in fields(self):
            yield field.name, _hashes(getattr(self, field.name)), "a tuple rather than a list"

    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        """Return the module's first parameters.

        Raises
        ------
        AgentError
            If there is nothing to train, or a parameter has a name that is taken.
        """
        found = trained(self.build_module())
        if not found or ROUND in found:
            raise AgentError(
                f"{type(self).__name__}: expected at least one parameter that requires a gradient, "
                f"and none called {ROUND!r}, found {', '.join(found) or 'none'}"
            )
        return {name: array_of(p).astype(np.float64) for name, p in found.items()}

    def local_steps(self, state: State, data: Data, steps: Steps) -> NDArray[np.float64]:
        """Train some clients, each from `state` on its own records."""
        self._require_packages()
        tensors = self.tensors_of(data)
        learned = None
        # For one client the plain way is there sooner than a trace.
        if steps.active[0] > 1:
            learned = learn_together(self, self.learning_rate, state, tensors, steps)
        if learned is None:
            learned = learn_alone(self, self.learning_rate, state, tensors, steps)
        rows = np.zeros((len(steps.clients), learned.shape[1]))
        rows[: len(learned)] = learned
        return rows

    def _refuse_layers(self, module: "nn.Module") -> None:
        """Refuse layers that mix records: their statistics would be each client's own."""
        from torch.nn.modules.batchnorm import _BatchNorm

        mixing = [
            f"{path}: {type(part).__name__} takes statistics over a client's minibatch"
            for path, part in module.named_modules()
            if isinstance(part, _BatchNorm)
        ]
        refuse(type(self).__name__, mixing or tracking(module))


def _hashes(value: object) -> bool:
    """Tell whether traces can be kept by a configuration with this value."""
    try:
        hash(value)
    except TypeError:
        return False
    return True
