"""What a model of client health sees of a client: features, interactions and a bias."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from mesh_fl.agents._features import Feature, encode
from mesh_fl.agents.health.axes import Axis
from mesh_fl.agents.health.interactions import Interaction
from mesh_fl.schema import Table


@dataclass(frozen=True)
class Inputs:
    """The columns of a model, in order: features that are inputs, interactions, and the bias.

    Parameters
    ----------
    features : tuple of Feature
    interactions : tuple of Interaction
    base_rate : float
        Share of clients that leave, as public knowledge has it.
    """

    features: tuple[Feature, ...]
    interactions: tuple[Interaction, ...] = ()
    base_rate: float = 0.05

    @property
    def alone(self) -> tuple[Feature, ...]:
        """The features that are inputs by themselves."""
        return tuple(feature for feature in self.features if feature.is_input)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns but for the bias."""
        products = (one.name for one in self.interactions)
        return (*(feature.name for feature in self.alone), *products)

    @property
    def actions(self) -> tuple[str, ...]:
        """What can be done about each column."""
        alone = (one.action or f"Look into {one.description or one.name}." for one in self.alone)
        return (*alone, *(one.action or f"Look into {one.name}." for one in self.interactions))

    @property
    def abouts(self) -> tuple[str, ...]:
        """What people call each column."""
        alone = (one.description or one.name for one in self.alone)
        return (*alone, *(one.name for one in self.interactions))

    @property
    def typical(self) -> tuple[float | None, ...]:
        """The value of each number that counts nothing; none of other columns."""
        middle = np.zeros(1)
        alone = (float(f.decode(middle)[0]) if f.kind == "number" else None for f in self.alone)
        return (*alone, *(None for _ in self.interactions))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The columns as trees split them."""
        products = [Axis(one.name, (0.0, 1.0) if one.is_step else ()) for one in self.interactions]
        return (*(Axis.of(feature) for feature in self.alone), *products)

    @property
    def scorecard(self) -> NDArray[np.float64]:
        """The rule score: declared weights on the columns, and the bias, shape (d + 1,)."""
        weights = [feature.weight for feature in self.alone]
        products = [one.weight for one in self.interactions]
        return np.array([*weights, *products, float(logit(self.base_rate))])

    @property
    def has_scorecard(self) -> bool:
        """Whether anything is known before a training."""
        return bool(self.scorecard[:-1].any())

    def encode(self, table: Table) -> NDArray[np.float64]:
        """Encode a table record by record: shape (n, d + 1), within [-1, 1], a one at the end."""
        every = encode(self.features, table)
        kept = [place for place, one in enumerate(self.features) if one.is_input]
        products = [one.encode(self.features, table) for one in self.interactions]
        return np.column_stack([every[:, kept], *products, every[:, -1]])
