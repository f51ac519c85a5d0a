"""The features that can be made of an MSP's own tables, as they are declared."""

import tomllib
from functools import cache
from pathlib import Path

import numpy as np

from mesh_fl.agents._features import Feature
from mesh_fl.agents.health.windows import MEASURES
from mesh_fl.schema import Table

DECLARED = Path(__file__).with_name("product_features.toml")


@cache
def product_features() -> tuple[Feature, ...]:
    """Return the declared features with the weights of the rule score."""
    found = tomllib.loads(DECLARED.read_text("utf-8"))["features"]
    return tuple(Feature.model_validate(one) for one in found)


def are_measured(features: tuple[Feature, ...]) -> bool:
    """Tell whether every feature can be measured from tables, whatever its bounds and weight."""
    return all(one.name in MEASURES and one.kind == "number" and one.optional for one in features)


def within_bounds(feature: Feature, value: float) -> float:
    """Return a measured value, or the bound that it lies beyond."""
    return float(np.clip(value, feature.low, feature.high))


def columns_of(features: tuple[Feature, ...], found: list[dict[str, float | str]]) -> Table:
    """Return a column for each feature, NaN where a measure told why there is none."""
    columns = {}
    for one in features:
        values = [measured[one.name] for measured in found]
        numbers = [np.nan if isinstance(value, str) else value for value in values]
        columns[one.name] = np.clip(np.array(numbers, dtype=np.float64), one.low, one.high)
    return columns
