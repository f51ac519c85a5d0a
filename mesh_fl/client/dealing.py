"""What goes wrong where records are dealt anew: budgets that other agents have spent."""

from collections.abc import Iterator

from mesh_fl.client.data import read_records
from mesh_fl.client.settings import ClientSettings
from mesh_fl.errors import MeshError
from mesh_fl.privacy.ledger import Ledger


def late_deals(settings: ClientSettings, ledger: Ledger) -> Iterator[str]:
    """Say which agents were dealt records that others of [deal] have trained on before.

    Parameters
    ----------
    settings : ClientSettings
    ledger : Ledger
        Knows what was charged.
    """
    for table, agents in settings.deal.items():
        try:
            ids = read_records(settings.tables[table], ()).ids
        except MeshError:
            continue  # told when that table is read to train on
        for agent in agents:
            kept = ledger.dealt(table, ids, agents, agent).tolist()
            ours = ledger.records(table, [one for one, own in zip(ids, kept, strict=True) if own])
            if ledger.were_charged(ours, set(agents) - {agent}):
                yield (
                    f"deal.{table}: records that are now dealt to {agent} have paid for other "
                    f"agents, and at most epsilon {ledger.epsilon_left(ours):.4g} is left to "
                    f"{agent}: deal before the first training; with {agent} out of [deal] the "
                    "others keep their records"
                )
