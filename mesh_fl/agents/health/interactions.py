"""Declared interactions: what several features say together, as one number in [-1, 1]."""

from collections.abc import Mapping
from typing import Annotated, Literal

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
        where a category, or a flag, is `level`. A missing value gives 0.
    at : float, optional
        In the feature's own units; a value of exactly `at` is neither above nor below.
    level : str
        Of a category; "yes" or "no" of a flag, yes when left out.
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
        if self.shape == "is" and feature.kind == "number":
            return f"{self.feature} is a number: use above or below"
        levels = feature.levels if feature.kind == "category" else ("", "yes", "no")
        if self.shape == "is" and self.level not in levels:
            return f"{self.feature}: expected level {', '.join(levels)}, found {self.level!r}"
        return ""

    def encode(self, feature: Feature, column: NDArray[np.generic]) -> Vector:
        """Return a factor in [-1, 1] for each value."""
        match self.shape:
            case "value":
                return feature.encode(column)
            case "is":
                of_flag = 0.0 if self.level == "no" else 1.0
                wanted = self.level if feature.kind == "category" else of_flag
                return np.asarray(column == wanted, dtype=np.float64)
            case "above":
                return np.asarray(column.astype(np.float64) > (self.at or 0.0), dtype=np.float64)
            case "below":
                return np.asarray(column.astype(np.float64) < (self.at or 0.0), dtype=np.float64)


Product = Annotated[tuple[Term, ...], Field(max_length=4)]


class Interaction(BaseModel):
    """The product of some terms, or the largest of several products, as one more input.

    The rarer an input is, the more of it the noise hides: what is rare and says the same goes
    together into one.

    Parameters
    ----------
    name : str
        What people call it.
    terms : tuple of Term
        Factors of the product.
    any_of : tuple of tuple of Term
        Several products instead.
    weight : float
        What it adds to the log odds of the rule score where it is 1.
    action : str
        What people can do when it raises the risk.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    terms: Product = ()
    any_of: tuple[Product, ...] = Field(default=(), max_length=8)
    weight: float = 0.0
    action: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> "Interaction":
        if bool(self.terms) == bool(self.any_of) or not all(self.products):
            raise ValueError(f"{self.name}: expected terms, or products of terms in any_of")
        return self

    @property
    def products(self) -> tuple[Product, ...]:
        """The products; the largest one counts."""
        return self.any_of or (self.terms,)

    @property
    def is_step(self) -> bool:
        """Whether it is 0 or 1 and nothing between."""
        return all(term.shape != "value" for product in self.products for term in product)

    def faults(self, features: tuple[Feature, ...]) -> list[str]:
        """Say what is wrong with the terms."""
        named = {feature.name: feature for feature in features}
        terms = (term for product in self.products for term in product)
        found = (term.fault(named.get(term.feature)) for term in terms)
        return [f"interaction {self.name}: {fault}" for fault in found if fault]

    def encode(self, features: tuple[Feature, ...], table: Table) -> Vector:
        """Return the largest product for each record of a table.

        Raises
        ------
        DataError
            If a column is missing or a value is outside its declaration.
        """
        named = {feature.name: feature for feature in features}
        products = [_product(one, named, table) for one in self.products]
        largest: Vector = np.max(products, axis=0)
        return largest


def _product(terms: Product, named: Mapping[str, Feature], table: Table) -> Vector:
    product = np.ones(len(next(iter(table.values()), ())))
    for term in terms:
        if term.feature not in table:
            raise DataError(f"expected a column {term.feature}, found {', '.join(table)}")
        product = product * term.encode(named[term.feature], table[term.feature])
    return product
