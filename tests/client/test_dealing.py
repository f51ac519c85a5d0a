"""An agent that is dealt in late finds its records spent, and is told so."""

import pytest

from mesh_fl.client.dealing import late_deals
from mesh_fl.client.settings import ClientSettings
from mesh_fl.privacy.ledger import Charge, Ledger
from mesh_fl.privacy.plan import Policy
from mesh_fl.store import MemoryJournal

POLICY = Policy()
IDS = [f"c{number}" for number in range(60)]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(MemoryJournal(), {}, b"k" * 32, POLICY)


def late(tmp_path, ledger, *agents) -> list[str]:
    (tmp_path / "clients.csv").write_text("\n".join(["id", *IDS]))
    settings = ClientSettings.model_validate(
        {
            "name": "acme",
            "server": "h:1",
            "tables": {"clients": {"path": tmp_path / "clients.csv", "id": "id"}},
            "agents": {name: {"table": "clients"} for name in ("health", "revenue", "threat")},
            "deal": {"clients": agents},
        }
    )
    return list(late_deals(settings, ledger))


def train(ledger, agent, *agents, charged_as="") -> None:
    ours = ledger.dealt("clients", IDS, agents, agent).tolist()
    records = ledger.records("clients", [one for one, own in zip(IDS, ours, strict=True) if own])
    name = charged_as or agent
    cost = POLICY.budget * 0.75
    ledger.charge(Charge(name, name, "p", 1, 1, "ask", records.digest, cost, "clients"), records)


def test_nothing_is_told_as_long_as_the_deal_stays(tmp_path, ledger) -> None:
    assert late(tmp_path, ledger, "health", "revenue") == []
    train(ledger, "health", "health", "revenue")
    train(ledger, "revenue", "health", "revenue", charged_as="federation")
    assert late(tmp_path, ledger, "health", "revenue") == []


def test_one_that_is_dealt_in_late_is_named_with_what_is_left(tmp_path, ledger) -> None:
    train(ledger, "health", "health", "revenue")
    (told,) = late(tmp_path, ledger, "health", "revenue", "threat")
    assert "dealt to threat" in told
    assert "at most epsilon 0.0" in told


def test_a_table_that_cannot_be_read_is_told_elsewhere(tmp_path, ledger) -> None:
    train(ledger, "health", "health", "revenue")
    settings = ClientSettings.model_validate(
        {
            "name": "acme",
            "server": "h:1",
            "tables": {"clients": {"path": tmp_path / "none.csv", "id": "id"}},
            "agents": {"health": {"table": "clients"}, "threat": {"table": "clients"}},
            "deal": {"clients": ["health", "threat"]},
        }
    )
    assert list(late_deals(settings, ledger)) == []
