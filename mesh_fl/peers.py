"""What is remembered of the others' ledgers: one that went back was restored from a backup."""

from collections.abc import Iterable

import msgpack
from pydantic import TypeAdapter

from mesh_fl.errors import ConfigError, PeerError
from mesh_fl.roster import Roster
from mesh_fl.statements import Account, Presence
from mesh_fl.store import Blobs

BLOB = "peers"

REMEMBERED = 64
"""Links a member: enough for every statement that may still be on its way."""

_LINKS = TypeAdapter(dict[str, dict[int, str]])


class Peers:
    """Keeps the last links of each ledger, by its member's signing key.

    Parameters
    ----------
    blobs : Blobs
        Where they are kept.

    Raises
    ------
    ConfigError
        If what is kept cannot be read.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        blob = blobs.get(BLOB)
        self._links: dict[str, dict[int, str]] = {} if blob is None else _parsed(blob)

    def note(self, statements: Iterable[Account | Presence], roster: Roster) -> None:
        """Remember verified statements, durably.

        Raises
        ------
        PeerError
            Naming a member whose ledger went back, or has two ends of the same length.
        """
        links = dict(self._links)
        for one in statements:
            key = roster.key_of(one.by).hex()
            links[key] = _extended(links.get(key, {}), one)
        if links != self._links:
            self._blobs[BLOB] = msgpack.packb(links)
            self._links = links


def _parsed(blob: bytes) -> dict[str, dict[int, str]]:
    try:
        return _LINKS.validate_python(msgpack.unpackb(blob, strict_map_key=False))
    except (ValueError, TypeError, msgpack.UnpackException):
        raise ConfigError(
            f"our memory of the other members' ledgers cannot be read: put the file '{BLOB}' of "
            "the home back, or delete it, and with it what would betray a restored ledger"
        ) from None


def _extended(known: dict[int, str], one: Account | Presence) -> dict[int, str]:
    last = max(known, default=-1)
    if one.lines > last:
        recent = sorted(known)[1 - REMEMBERED :]
        return {**{lines: known[lines] for lines in recent}, one.lines: one.head}
    if known.get(one.lines) != one.head:
        raise PeerError(
            f"the ledger of {one.by} stood at {last} lines ({known[last][:12]}), and is now at "
            f"{one.lines} ({one.head[:12]}): it was restored from a backup, so its records may "
            "overspend; it has to put the newest ledger back, or leave the roster",
            one.by,
        )
    return known
