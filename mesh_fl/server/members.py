"""The members that an operator registered: one card a file."""

import contextlib
from pathlib import Path

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError
from mesh_fl.store import write_durably

SUFFIX = ".card.json"

Stamp = tuple[tuple[str, int], ...]
"""Names of the cards' files, and when each was written (ns)."""


class Members:
    """Reads and changes the folder of cards; a running server follows it.

    Parameters
    ----------
    home : Path
        The server's home.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "members"
        self._known: tuple[Stamp, dict[str, Card]] = ((), {})

    def cards(self) -> dict[str, Card]:
        """Return all cards by name; files are read again only when the folder changed."""
        stamp = self._stamp()
        while stamp != self._known[0]:
            try:
                self._known = (stamp, self._read(stamp))
            except ConfigError:
                before, stamp = stamp, self._stamp()
                # The operator may have taken a card away while it was read.
                if stamp == before:
                    raise
        return self._known[1]

    def add(self, card: Card, *, replace: bool = False) -> None:
        """Register a member, or renew the card of one.

        Parameters
        ----------
        card : Card
            Verified.
        replace : bool
            Whether a known name may change hands: anybody can sign a card with any name.

        Raises
        ------
        ConfigError
            If another member has this identity, or this name has another identity.
        """
        known = self.cards().get(card.name)
        if known is not None and known.identity != card.identity and not replace:
            raise ConfigError(
                f"{card.name} is registered with another key: make sure that this card is theirs, "
                "then add it with --replace"
            )
        for other in self.cards().values():
            if other.name != card.name and other.identity == card.identity:
                raise ConfigError(
                    f"{card.name} has the same key as {other.name}: every member makes its own "
                    "by `mesh-client init`"
                )
        self._folder.mkdir(mode=0o700, exist_ok=True)
        blob = card.model_dump_json(indent=2).encode() + b"\n"
        write_durably(self._folder / f"{card.name}{SUFFIX}", blob)

    def remove(self, name: str) -> None:
        """Take a member out; its key gets in nowhere from then on.

        Raises
        ------
        ConfigError
            If no member has that name.
        """
        if name not in self.cards():
            known = ", ".join(self.cards()) or "none"
            raise ConfigError(f"no member is called {name!r}; registered: {known}")
        (self._folder / f"{name}{SUFFIX}").unlink()

    def _stamp(self) -> Stamp:
        found: list[tuple[str, int]] = []
        for file in sorted(self._folder.glob(f"*{SUFFIX}")):
            with contextlib.suppress(FileNotFoundError):
                found.append((file.name, file.stat().st_mtime_ns))
        return tuple(found)

    def _read(self, stamp: Stamp) -> dict[str, Card]:
        cards: dict[str, Card] = {}
        for name, _ in stamp:
            card = Card.read(self._folder / name)
            if name != card.name + SUFFIX:
                raise ConfigError(
                    f"{self._folder / name} holds the card of {card.name}: take it out, and "
                    "register cards by `mesh-server members add`"
                )
            cards[card.name] = card
        return cards
