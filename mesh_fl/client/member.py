"""The member that a home holds: its keys, roster, tables and ledger, put together."""

from mesh_fl.client.holdings import holdings
from mesh_fl.client.home import Home
from mesh_fl.errors import ConfigError, LedgerError
from mesh_fl.member import Member


def open_member(home: Home) -> Member:
    """Return the member of a home, with its ledger checked."""
    # Name, keys and roster are checked before the ledger is touched.
    settings, card, roster = home.settings, home.card, home.roster()
    ledger, blobs = home.ledger(), home.blobs()
    if renamed := ledger.tables - settings.tables.keys():
        raise ConfigError(
            f"the ledger has charges for table {', '.join(sorted(renamed))}, which client.toml no "
            "longer describes: a record's budget is kept under its table's name, so keep the name"
        )
    answered = {name.removesuffix(".reply") for name in blobs if name.endswith(".reply")}
    if answered - {charge.training for charge in ledger.charges}:
        raise LedgerError(
            f"{home.path} answered trainings that its ledger does not know: put the ledger back, "
            "since without it the spent budget is unknown"
        )
    return Member(
        name=card.name,
        signing=home.signing,
        roster=roster,
        holdings=holdings(settings, ledger.dealt),
        ledger=ledger,
        blobs=blobs,
        on_roster=home.keep_roster,
    )
