"""One row of the benchmark: an agent on a data set at one epsilon, over several seeds."""

import json
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.statistics import Verdict


class Row(BaseModel):
    """What came of an agent on a data set, at one epsilon; means over seeds.

    Parameters
    ----------
    agent, dataset, metric : str
    higher_is_better : bool
        Of the metric.
    epsilon : float or "inf"
        The total promise; "inf" is clipped rows without noise.
    members, records : int
        How many clients of how many records each.
    public : float
        The model before any training.
    alone, adapted : float
        Means over members too; `adapted` starts from the federated model.
    federated : float
    pooled : float
        The same agent on everybody's records, without privacy.
    baseline : float
        What an MSP would use otherwise, fitted on its own records; mean over members.
    se : mapping
        Standard errors of the figures and of the paired differences; None for a single seed.
    seeds : int
        How many splits, each with noise of its own.
    verdict : str
    seconds : float
        What this row would take alone.
    baseline_name : str
    first_seed : int
    differences : mapping
        Paired: of the same splits.
    baseline_pooled : float
        The baseline on everybody's records, without privacy.
    made_with : mapping
        Machine and versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    agent: str
    dataset: str
    metric: str
    higher_is_better: bool
    epsilon: float | Literal["inf"]
    members: int
    records: int
    public: float
    alone: float
    federated: float
    adapted: float
    pooled: float
    baseline: float
    se: Mapping[str, float | None]
    seeds: int
    verdict: Verdict
    seconds: float
    baseline_name: str
    first_seed: int
    differences: Mapping[str, float]
    baseline_pooled: float
    made_with: Mapping[str, str]

    @property
    def limit(self) -> float:
        """Epsilon as a number."""
        return inf if self.epsilon == "inf" else self.epsilon

    def told(self, figure: str, decimals: int = 4) -> str:
        """Return a figure or a paired difference with its standard error."""
        mean = self.differences[figure] if figure in self.differences else getattr(self, figure)
        error = self.se[figure]
        told = f"{mean:.{decimals}f}"
        return told if error is None else f"{told} ± {error:.{decimals}f}"


def task_of(row: Row) -> tuple[str, str, str]:
    """Return what rows that differ in epsilon alone have in common."""
    return row.agent, row.dataset, row.metric


def as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return rows as JSON objects, their keys in the order of the class."""
    return [row.model_dump(mode="json") for row in rows]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows to a file.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    text = json.dumps(as_json(rows), indent=2, ensure_ascii=False) + "\n"
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None


def read_rows(path: Path) -> list[Row]:
    """Read rows that `mesh-sim benchmark` wrote.

    Raises
    ------
    DataError
        If there is no such file, or it holds something else.
    """
    try:
        rows = TypeAdapter(list[Row]).validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"{path}: expected rows of `mesh-sim benchmark --output`; {where}: {first['msg']}"
        ) from None
    if not rows:
        raise DataError(f"{path}: expected rows of `mesh-sim benchmark --output`, found none")
    return rows
