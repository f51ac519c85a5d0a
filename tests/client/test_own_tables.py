"""A member's tables as its own agents read them."""

import math
import os

import pytest

from mesh_fl.client.own_tables import own_tables
from mesh_fl.client.settings import ClientSettings
from mesh_fl.errors import DataError
from mesh_fl.msp_tables import TABLES

TICKETS = TABLES["tickets"]


def tables(path):
    described = {
        "path": path,
        "id": "No",
        "columns": {"opened_at": {"column": "Opened"}, "priority": {"column": "Prio"}},
    }
    settings = {"name": "acme", "server": "localhost:1", "tables": {"tickets": described}}
    return own_tables(ClientSettings.model_validate(settings))


def test_rows_come_through_the_column_map_and_bad_ones_are_counted(tmp_path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "No,Opened,Prio,Contact\n7,2026-03-31,1,Ada\n8,2026-04-01T08:00:00Z,,Bob\n9,soon,2,Eve\n"
    )
    rows = tables(path)["tickets"].read(TICKETS.fields, TICKETS.key)
    assert rows.left_out == 1
    assert rows.table["ticket_id"].tolist() == ["7", "8"]
    assert rows.table["opened_at"].tolist() == [1_774_915_200.0, 1_775_030_400.0]
    assert rows.table["priority"][0] == 1
    assert math.isnan(rows.table["priority"][1])
    assert set(rows.table["title"].tolist()) == {""}
    assert "Ada" not in str(rows.table)


def test_a_change_of_the_file_shows(tmp_path) -> None:
    path = tmp_path / "export.csv"
    table = tables(path)["tickets"]
    assert table.stamp == ()
    path.write_text("No,Opened,Prio\n7,2026-03-31,1\n")
    os.utime(path, ns=(1, 1))
    before = table.stamp
    path.write_text("No,Opened,Prio\n7,2026-03-31,1\n8,2026-03-31,1\n")
    assert before != table.stamp != ()


def test_a_table_without_a_good_row_is_told(tmp_path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("No,Opened,Prio\n7,soon,1\n")
    with pytest.raises(DataError, match="none of 1 rows can be used"):
        tables(path)["tickets"].read(TICKETS.fields, TICKETS.key)


def test_every_table_has_its_key_and_no_contact() -> None:
    for name, table in TABLES.items():
        names = [field.name for field in table.fields]
        assert (table.name, table.key) == (name, names[0])
        assert len(set(names)) == len(names)
        assert not {"email", "phone", "contact"} & set(names)
