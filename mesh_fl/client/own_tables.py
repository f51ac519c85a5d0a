"""A member's tables as its own agents read them to answer with."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh_fl.client.columns import ColumnMap, TableSource
from mesh_fl.client.data import read_records
from mesh_fl.client.settings import ClientSettings
from mesh_fl.schema import Field
from mesh_fl.site import OwnRows, OwnTable


@dataclass(frozen=True)
class FileTable(OwnTable):
    """A table file with its column map."""

    source: TableSource

    @property
    def stamp(self) -> tuple[int, ...]:
        """The file's time and size; nothing where there is no file."""
        try:
            found = self.source.path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        """Read the good rows; the key is the record's id wherever the map names no other column."""
        columns = {key: ColumnMap(column=self.source.id), **self.source.columns}
        source = self.source.model_copy(update={"columns": columns})
        records = read_records(source, schema)
        return OwnRows(records.table, records.rows_read - len(records.ids))


def own_tables(settings: ClientSettings) -> Mapping[str, OwnTable]:
    """Return every table of client.toml by its name."""
    return {name: FileTable(source) for name, source in settings.tables.items()}
