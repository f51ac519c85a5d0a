"""Declared interactions: what several features say together, as one number in [-1, 1]."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mesh_fl.agents._features import Feature
from mesh_fl.errors import DataError
from mesh_fl.schema import Table

Vector = NDArray[np.float64]


class Term(BaseModel):
    """One factor of an interaction.

    Parameters
    ----------
    feature : str
        A declared feature.
    shape : {"value", "above", "below", "is"}
        The encoded value in [-1, 1]; 1 where a number is above or below `at` and 0 elsewhere; 1
        where a category is `level`, or a flag is yes. A missing value gives 0.
    at : float, optional
        In the feature's own units; a value of exactly `at` is neither above nor below.
    level : str
        Of a category.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    feature: str
    shape: Literal["value", "above", "below", "is"] = "value"
    at: float | None = None
    level: str = ""

    @model_validator(mode="after")
    def _complete(self) -> "Term":
        if (self.shape in ("above", "below")) != (self.at is not None):
            raise ValueError(f"{self.feature}: above and below need at, the others have none")
        if self.level and self.shape != "is":
            raise ValueError(f"{self.feature}: a level belongs to shape is")
        return self

    def fault(self, feature: Feature | None) -> str:
        """Say what is wrong with the term, or nothing."""
        if feature is None:
            return f"no feature is called {self.feature!r}"
        if self.shape in ("above", "below") and feature.kind != "number":
            return f"{self.feature} is a {feature.kind}, and only a number is above something"
        if self.shape == "is" and feature.kind == "category" and self.level not in feature.levels:
            return f"expected one of {', '.join(feature.levels)}, found level {self.level!r}"
        if self.shape == "is" and feature.kind == "number":
            return f"{self.feature} is a number: use above or below"
        return ""

    def encode(self, feature: Feature, column: NDArray[np.generic]) -> Vector:
        """Return a factor in [-1, 1] for each value."""
        match self.shape:
            case "value":
                return feature.encode(column)
            case "is":
                wanted = self.level if feature.kind == "category" else 1.0
                return np.asarray(column == wanted, dtype=np.float64)
            case "above":
                return np.asarray(column.astype(np.float64) > (self.at or 0.0), dtype=np.float64)
            case "below":
                return np.asarray(column.astype(np.float64) < (self.at or 0.0), dtype=np.float64)


class Interaction(BaseModel):
    """The product of some terms, as one more input.

    Parameters
    ----------
    name : str
        What people call it.
    terms : tuple of Term
    weight : float
        What it adds to the log odds of the rule score where it is 1.
    action : str
        What people can do when it raises the risk.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    terms: tuple[Term, ...] = Field(min_length=1, max_length=4)
    weight: float = 0.0
    action: str = ""

    def faults(self, features: tuple[Feature, ...]) -> list[str]:
        """Say what is wrong with the terms."""
        named = {feature.name: feature for feature in features}
        found = (term.fault(named.get(term.feature)) for term in self.terms)
        return [f"interaction {self.name}: {fault}" for fault in found if fault]

    def encode(self, features: tuple[Feature, ...], table: Table) -> Vector:
        """Return the product for each record of a table.

        Raises
        ------
        DataError
            If a column is missing or a value is outside its declaration.
        """
        named = {feature.name: feature for feature in features}
        product = np.ones(len(next(iter(table.values()), ())))
        for term in self.terms:
            if term.feature not in table:
                raise DataError(f"expected a column {term.feature}, found {', '.join(table)}")
            product = product * term.encode(named[term.feature], table[term.feature])
        return product
