"""What was once claimed, each beside the row that measures it or the reason why none does."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from mesh_fl.simulate.benchmarks.row import Row, task_of

CLAIMS = Path(__file__).with_name("claims.toml")


class Claim(BaseModel):
    """A figure that was promised.

    Parameters
    ----------
    text : str
    agent : str
        Whom it is about; empty where it is about all.
    dataset, metric : str
    epsilon : float, optional
        They name the row that measures it.
    unmeasured : str
        Why nothing measures it.
    remark : str
        What should be known to judge it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    agent: str = ""
    dataset: str = ""
    metric: str = ""
    epsilon: float | None = None
    unmeasured: str = ""
    remark: str = ""

    @model_validator(mode="after")
    def _measured_or_not(self) -> Self:
        reference = (self.dataset, self.metric, self.epsilon)
        if self.unmeasured and any(reference):
            raise ValueError(f"{self.text!r} is both measured and unmeasured")
        if not self.unmeasured and not (self.agent and all(reference)):
            raise ValueError(f"{self.text!r} names neither a row nor why there is none")
        return self

    def row(self, rows: Sequence[Row]) -> Row | None:
        """Return the row that measures it, if it is among these."""
        wanted = (self.agent, self.dataset, self.metric, self.epsilon)
        found = (row for row in rows if wanted == (*task_of(row), row.limit))
        return next(found, None)

    def measured(self, rows: Sequence[Row]) -> str:
        """Say what was measured, or why nothing was."""
        if self.unmeasured:
            return self.unmeasured
        row = self.row(rows)
        if row is None:
            return "not among these rows"
        told = [f"{name} {row.told(name)}" for name in ("federated", "adapted", "alone")]
        told.append(f"{row.baseline_name} {row.told('baseline')}")
        crowd = f"{row.members} x {row.records} records"
        where = f"{row.metric} on {row.dataset}, {crowd}, ε = {row.limit:g}"
        return f"{where}: {', '.join(told)}. {self.remark}".rstrip()


def read_claims(path: Path = CLAIMS) -> list[Claim]:
    """Read all claims."""
    claims = tomllib.loads(path.read_text("utf-8"))["claims"]
    return TypeAdapter(list[Claim]).validate_python(claims)
