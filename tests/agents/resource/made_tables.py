"""Tables of an MSP, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh_fl.errors import DataError
from mesh_fl.schema import Field, column_of
from mesh_fl.site import OwnRows, OwnTable

DAY_S = 86_400.0


@dataclass
class MadeTable(OwnTable):
    name: str
    rows: Sequence[Mapping[str, object]]
    version: int = 0
    reads: int = 0

    @property
    def stamp(self) -> tuple[int, ...]:
        return (self.version,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        self.reads += 1
        if not self.rows:
            raise DataError(f"{self.name}.csv: expected rows below the column names, found none")
        rows = [{key: f"{key}-{n}", **row} for n, row in enumerate(self.rows)]
        columns = {f.name: [f.parse(row.get(f.name)) for row in rows] for f in schema}
        return OwnRows({f.name: column_of(f, columns[f.name]) for f in schema})


def own(tables: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, MadeTable]:
    return {name: MadeTable(name, rows) for name, rows in tables.items()}
