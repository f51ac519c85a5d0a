"""What `mesh-client data check` tells of a table, on the member's own terminal only."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mesh_fl.client.data import Records
from mesh_fl.schema import Field

SMALLEST_CAP = 64
SECOND_CAP = 256


class FieldReport(BaseModel):
    """One field as it stands in the kept records.

    Parameters
    ----------
    name, kind : str
        As declared.
    columns : tuple of str
        The member's columns that it was read from.
    present : float
        Share of the records that have a value, 0 to 1.
    low, high : float, optional
        Smallest and largest value of a number; of a time, in seconds since 1970.
    counts : mapping
        Records at each level of a category, and at "no" and "yes" of a flag.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    columns: tuple[str, ...]
    present: float
    low: float | None = None
    high: float | None = None
    counts: Mapping[str, int] = {}


class DataReport(BaseModel):
    """A table as it was read. It holds exact counts: private, never to be sent.

    Parameters
    ----------
    rows_read, kept, left_out : int
        Rows in the file, and how many of them became records or did not.
    problems : int
        What was wrong with those left out; a row can have several problems.
    public_cap : int
        Upper bound on the records that the member declares to the network.
    fields : tuple of FieldReport
        In the order of the schema.
    """

    model_config = ConfigDict(frozen=True)

    rows_read: int
    kept: int
    left_out: int
    problems: int
    public_cap: int
    fields: tuple[FieldReport, ...]


def data_report(records: Records, schema: tuple[Field, ...]) -> DataReport:
    """Describe the records of a table.

    Parameters
    ----------
    records : Records
        As `read_records` gave them for the same schema.
    schema : tuple of Field
        The fields to tell of.
    """
    kept = len(records.ids)
    return DataReport(
        rows_read=records.rows_read,
        kept=kept,
        left_out=records.rows_read - kept,
        problems=len(records.problems),
        public_cap=public_cap(kept),
        fields=tuple(_field_report(field, records) for field in schema),
    )


def public_cap(rows: int) -> int:
    """Round a number of records up to 64, 256, 512, 1024, and so on by doubling.

    Guarantee
    ---------
    None of differential privacy: the cap is declared, and tells the order of magnitude of a
    member's records. A record more or less changes it only where it crosses a step.
    """
    if rows <= SMALLEST_CAP:
        return SMALLEST_CAP
    return max(SECOND_CAP, 1 << (rows - 1).bit_length())


def _field_report(field: Field, records: Records) -> FieldReport:
    values = records.table[field.name]
    present = _present(values)
    number = field.kind in ("number", "time") and present.size > 0
    return FieldReport(
        name=field.name,
        kind=field.kind,
        columns=records.sources.get(field.name, ()),
        present=present.size / values.size if values.size else 0.0,
        low=float(present.min()) if number else None,
        high=float(present.max()) if number else None,
        counts=_counts(field, present),
    )


def _present(values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.dtype.kind == "f":
        return values[~np.isnan(values.astype(np.float64))]
    filled: NDArray[np.generic] = values[values != ""]
    return filled


def _counts(field: Field, present: NDArray[np.generic]) -> dict[str, int]:
    """Count every declared level, those that do not occur as 0."""
    found = Counter(present.tolist())
    if field.kind == "flag":
        return {"no": found[0.0], "yes": found[1.0]}
    return {level: found[level] for level in field.levels} if field.kind == "category" else {}
