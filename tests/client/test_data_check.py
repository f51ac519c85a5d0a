"""`mesh-client data check`: everything that is wrong, in one look, with what to do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mesh_fl.client.caps import Caps
from mesh_fl.client.cli import app
from mesh_fl.client.home import Home

TABLES = """
[tables.clients]
path = "clients.csv"
id = "client_id"

[tables.invoices]
path = "invoices.csv"
id = "no"

[tables.tickets]
path = "tickets.csv"
id = "ticket_id"
"""

FILES = {
    "clients.csv": "client_id,since\na,2024-01-01\nb,2024-01-02\n",
    "invoices.csv": "no,client_id,issued_at,total\n1,a,2024-02-01,5\n2,b,2024-02-01,7\n",
    "tickets.csv": "ticket_id,client_id,opened_at\n1,a,2024-03-01\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    Home.create(path, "acme", None, None, None)
    describe(path, '[agents.revenue]\ntables = ["clients", "invoices"]\n')
    for name, text in FILES.items():
        (path / name).write_text(text)
    return path


def describe(home: Path, agents: str) -> None:
    settings = home / "client.toml"
    settings.write_text(settings.read_text().split("\n[tables.clients]")[0] + TABLES + agents)


def check(home: Path) -> Result:
    return CliRunner().invoke(app, ["data", "check", str(home)])


def test_a_member_alone_checks_its_tables_without_a_card(home: Path) -> None:
    found = check(home)
    assert found.exit_code == 0, found.exception
    for name in ("clients", "invoices", "tickets"):
        assert f"{name} ({name}.csv)" in found.output


def test_all_tables_that_cannot_be_read_are_told_and_the_others_shown(home: Path) -> None:
    (home / "clients.csv").write_bytes("client_id,since\nä,2024\n".encode("latin-1"))
    (home / "invoices.csv").unlink()
    found = check(home)
    assert found.exit_code == 1
    assert "tickets (tickets.csv): 1 of 1 rows are good" in found.output
    said = str(found.exception)
    assert "table clients: clients.csv line 2: expected text in utf-8" in said
    assert 'encoding = "cp1252"' in said
    assert "table invoices: " in said
    assert "found no such file" in said


def test_rows_of_one_id_are_told_to_hinder_learning(home: Path) -> None:
    (home / "invoices.csv").write_text(FILES["invoices.csv"] + "2,b,2024-03-01,9\n")
    assert (
        "WARNING: invoices: 1 rows have the id of another row: revenue will" in check(home).output
    )


def test_more_records_than_declared_are_told_with_the_whole_command(home: Path) -> None:
    describe(home, '[agents.health]\ntable = "clients"\n')
    Home(home).renew_card(Caps(5, {"health": 1, "revenue": 5}))
    said = str(check(home).exception)
    assert "table clients has 2 records, our card declares at most 1" in said
    assert f"`mesh-client card {home} --cap revenue=5 --cap health=N`" in said
