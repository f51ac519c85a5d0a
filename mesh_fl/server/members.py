"""The network's roster in the operator's home: founded once, then changed by signed entries."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from mesh_fl.card import OPERATOR, Card
from mesh_fl.entry import Entry
from mesh_fl.errors import ConfigError
from mesh_fl.roster import Roster
from mesh_fl.server.certificates import operator_key
from mesh_fl.store import write_durably

FILE = "roster.json"

Stamp = tuple[int, int, int]
"""When a file was written (ns), its size (bytes), and its inode."""


class Members:
    """Reads and changes the roster; a running server follows the file.

    Parameters
    ----------
    home : Path
        The server's home.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / FILE
        self._known: tuple[Stamp, Roster] | None = None

    def roster(self) -> Roster:
        """Return the roster; it is read again only when the file changed.

        Raises
        ------
        ConfigError
            If the network is not founded yet, or the file was tampered with.
        """
        stamp = self._stamp()
        if self._known is None or self._known[0] != stamp:
            self._known = (stamp, Roster.read(self._path))
        return self._known[1]

    def cards(self) -> Mapping[str, Card]:
        """Return the members' cards by name."""
        return self.roster().cards

    def found(self, network: str, colluders: int, cards: Sequence[Card]) -> Roster:
        """Found the network with its first members.

        Raises
        ------
        MeshError
            If it was founded before, or these members cannot found one.
        """
        with self._alone():
            if self._path.exists():
                raise ConfigError(
                    f"{self._path} is there already, and a network is founded once: let others "
                    "join by `mesh-server members propose`"
                )
            roster = Roster.found(network, operator_key(self._home), colluders, cards)
            self._keep(roster)
        return roster

    def propose(self, cards: Sequence[Card]) -> Entry:
        """Return the entry by which new members join, or one member's card is renewed.

        Raises
        ------
        MeshError
            If cards of both kinds are given, or the roster's rules forbid it.
        """
        roster = self.roster()
        known = [card for card in cards if card.name in roster.cards]
        if not known:
            return roster.propose_join(cards)
        if len(cards) == 1:
            return roster.propose_renewal(cards[0])
        raise ConfigError(
            f"{known[0].name} is a member already: renew its card by `mesh-server members add "
            f"{self._home} CARD`, and propose the others without it"
        )

    def add(self, entry: Entry) -> Roster:
        """Append an entry that enough members approved.

        Raises
        ------
        ProtocolError
            If it lacks approvals, or breaks a rule.
        """
        with self._alone():
            roster = self.roster().appended(entry)
            self._keep(roster)
        return roster

    def renew(self, card: Card) -> Roster:
        """Put a member's newer card in the place of its older one.

        Raises
        ------
        MeshError
            If nobody is called so, the signing key is another one, or the card is not newer.
        """
        roster = self.roster()
        if card.name not in roster.cards:
            raise ConfigError(
                f"{card.name} is no member yet, and members decide who joins: run `mesh-server "
                f"members propose {self._home} {card.name}.card.json -o entry.json`, have "
                f"{roster.colluders + 1} of them run `mesh-client members approve HOME "
                f"entry.json`, then add entry.json"
            )
        return self.add(roster.propose_renewal(card))

    def remove(self, name: str) -> Roster:
        """Take a member out; its key gets in nowhere from then on.

        Raises
        ------
        MeshError
            If nobody is called so, or nobody would be left.
        """
        roster = self.roster()
        if name not in roster.cards:
            known = ", ".join(sorted(roster.cards))
            raise ConfigError(f"no member is called {name!r}; registered: {known}")
        removal = roster.propose_removal([name])
        return self.add(roster.sign(removal, OPERATOR, operator_key(self._home)))

    def _stamp(self) -> Stamp:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise ConfigError(
                f"{self._home} has no roster: when the first members' cards are here, found the "
                f"network by `mesh-server members found {self._home} CARD...`"
            ) from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _keep(self, roster: Roster) -> None:
        write_durably(self._path, roster.dumps())

    def _alone(self) -> FileLock:
        """Two commands at once must not drop each other's entry; the server only reads."""
        return FileLock(self._home / ".roster.lock")
