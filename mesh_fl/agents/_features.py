"""Declared features: each value becomes a number in [-1, 1] by its declaration alone."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table


class Feature(Field):
    """A declared input of a model.

    A number is placed between its declared bounds and a category's levels are spread evenly in
    their declared order; a flag is a category of two levels. Zero is the neutral value, which a
    missing optional value takes. Nothing is fitted on data.

    Parameters
    ----------
    scale : {"linear", "log"}
        How a number runs from `low` (-1) to `high` (+1); "log" is log(1 + value - low).
    action : str
        What people can do when this feature raises the risk; a general sentence when empty.
    weight : float
        What it adds to the log odds of a rule score at the high end of its scale.
    is_input : bool
        Whether it is an input by itself, and not only in interactions.
    """

    kind: Literal["number", "flag", "category"]
    scale: Literal["linear", "log"] = "linear"
    action: str = ""
    weight: float = 0.0
    is_input: bool = True

    @model_validator(mode="after")
    def _encodable(self) -> "Feature":
        if self.kind == "number" and (not _finite(self.low) or not _finite(self.high)):
            raise ValueError(
                f"number {self.name!r} needs finite low and high, found {self.low} and {self.high}"
            )
        if self.kind != "number" and self.scale != "linear":
            raise ValueError(f"{self.name!r}: scale {self.scale!r} is for numbers, not {self.kind}")
        return self

    def encode(self, column: NDArray[np.generic]) -> NDArray[np.float64]:
        """Place values in [-1, 1].

        Parameters
        ----------
        column : ndarray, shape (n,)
            Values as `Field.parse` gives them.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        DataError
            If a value is missing that is not optional, or lies outside the declaration.
        """
        codes = self._level_codes(column) if self.kind == "category" else self._codes(column)
        missing = np.isnan(codes)
        if missing.any() and not self.optional:
            raise DataError(f"{self.name}: expected {self.expects()}, found nothing")
        return np.where(missing, 0.0, codes)

    def decode(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers that stand at places in [-1, 1]: what `encode` undoes."""
        low, high = self.low or 0.0, self.high or 0.0
        share = (places + 1) / 2
        if self.scale == "log":
            return np.clip(low + np.expm1(share * math.log1p(high - low)), low, high)
        return np.clip(low + share * (high - low), low, high)

    def _codes(self, column: NDArray[np.generic]) -> NDArray[np.float64]:
        low, high = (0.0, 1.0) if self.kind == "flag" else (self.low or 0.0, self.high or 0.0)
        try:
            numbers = column.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{self.name}: expected {self.expects()}, found text") from None
        outside = (numbers < low) | (numbers > high)
        if outside.any():
            raise DataError(
                f"{self.name}: expected {self.expects()}, found {numbers[outside][0]:g}"
            )
        place = np.log1p(numbers - low) if self.scale == "log" else numbers - low
        end = math.log1p(high - low) if self.scale == "log" else high - low
        # Rounding alone could leave the range.
        return np.clip(2 * place / end - 1, -1.0, 1.0)

    def _level_codes(self, column: NDArray[np.generic]) -> NDArray[np.float64]:
        places = np.linspace(-1, 1, len(self.levels))
        code = dict(zip(self.levels, places.tolist(), strict=True)) | {"": math.nan}
        words = column.astype(np.str_).tolist()
        unknown = set(words) - set(code)
        if unknown:
            raise DataError(f"{self.name}: expected {self.expects()}, found {min(unknown)[:80]!r}")
        return np.array([code[word] for word in words], dtype=np.float64)


def encode(features: tuple[Feature, ...], table: Table) -> NDArray[np.float64]:
    """Encode a table record by record and append a bias of one.

    Parameters
    ----------
    features : tuple of Feature
        Declarations, in the order of the columns wanted.
    table : Table
        Columns by feature name, n entries each; others are ignored.

    Returns
    -------
    ndarray, shape (n, len(features) + 1)

    Raises
    ------
    DataError
        If a column is missing, the columns differ in length, or a value is outside its declaration.
    """
    lacking = [feature.name for feature in features if feature.name not in table]
    if lacking:
        raise DataError(
            f"expected columns {', '.join(lacking)}, found {', '.join(table) or 'none'}"
        )
    columns = [feature.encode(table[feature.name]) for feature in features]
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(f"expected columns of one length, found lengths {sorted(lengths)}")
    return np.column_stack([*columns, np.ones(lengths.pop())])


def _finite(bound: float | None) -> bool:
    return bound is not None and math.isfinite(bound)
