"""The database reads nothing but the tables, writes nothing, and stops in time."""

from collections.abc import Mapping

import numpy as np
import pytest

from mesh_fl.agents.query import database as module
from mesh_fl.agents.query.database import Database
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES
from mesh_fl.schema import Field, Table
from mesh_fl.site import OwnRows, OwnTable


class Columns(OwnTable):
    """Columns in memory; the others are empty."""

    def __init__(self, columns: Mapping[str, object]) -> None:
        self.columns = columns

    @property
    def stamp(self) -> tuple[int, ...]:
        return (0,)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        size = len(self.columns[key])  # type: ignore[arg-type]
        table: Table = {
            f.name: np.asarray(
                self.columns.get(
                    f.name, [np.nan if f.kind in {"number", "flag", "time"} else ""] * size
                ),
                dtype=np.float64 if f.kind in {"number", "flag", "time"} else np.object_,
            )
            for f in schema
        }
        return OwnRows(table)


@pytest.fixture
def tickets() -> Database:
    columns = {"ticket_id": ["a", "b"], "opened_at": [0.5, np.nan], "sla_met": [1, np.nan]}
    built = Database({"tickets": Columns(columns), "no_such": Columns(columns)})
    built.refresh()
    return built


def test_missing_values_are_null_and_types_are_kept(tickets: Database) -> None:
    got = tickets.run("SELECT ticket_id, opened_at, sla_met, priority FROM tickets ORDER BY 1").rows
    assert got == (("a", "1970-01-01T00:00:00.500000Z", True, None), ("b", None, None, None))


def test_only_columns_with_a_value_count_as_filled(tickets: Database) -> None:
    assert tickets.loaded["tickets"].filled == {"ticket_id", "opened_at", "sla_met"}
    assert set(tickets.loaded) == {"tickets"}


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE tickets",
        "DELETE FROM tickets",
        "INSERT INTO tickets SELECT * FROM tickets",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DROP TABLE tickets",
        "SELECT 1; SELECT 2",
        "COPY tickets TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/x.db'",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "LOAD httpfs",
        "not sql at all",
        "",
    ],
)
def test_anything_but_one_select_is_refused(tickets: Database, sql: str) -> None:
    with pytest.raises(DataError):
        tickets.run(sql)
    assert tickets.run("SELECT count(*) FROM tickets").rows == ((2,),)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://example.com/x.parquet')",
    ],
)
def test_no_file_and_no_address_is_read(tickets: Database, sql: str) -> None:
    with pytest.raises(DataError, match=r"disabled|cannot answer"):
        tickets.run(sql)


def test_a_long_statement_is_ended(tickets: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 0.2)
    with pytest.raises(DataError, match="took longer"):
        tickets.run(
            "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range % 7 = 1"
        )
    assert tickets.run("SELECT 1").rows == ((1,),)


def test_rows_are_cut_at_the_limit(tickets: Database) -> None:
    got = tickets.run("SELECT range FROM range(5000)", most_rows=10)
    assert (len(got.rows), got.truncated) == (10, True)
    assert not tickets.run("SELECT range FROM range(10)", most_rows=10).truncated


def test_every_table_of_the_product_can_be_held() -> None:
    tables = {name: Columns({t.key: ["x"]}) for name, t in TABLES.items()}
    built = Database(tables)
    assert built.refresh()
    assert not built.refresh()
    for name in TABLES:
        assert built.run(f'SELECT count(*) FROM "{name}"').rows == ((1,),)
