"""The members that an operator registered: one card a file."""

from pathlib import Path

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError
from mesh_fl.store import write_durably

SUFFIX = ".card.json"


class Members:
    """Reads and changes the folder of cards; a running server follows it.

    Parameters
    ----------
    home : Path
        The server's home.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "members"
        self._known: tuple[tuple[tuple[str, int], ...], dict[str, Card]] = ((), {})

    def cards(self) -> dict[str, Card]:
        """Return all cards by name; files are read again only when the folder changed."""
        files = sorted(self._folder.glob(f"*{SUFFIX}")) if self._folder.is_dir() else []
        stamp = tuple((file.name, file.stat().st_mtime_ns) for file in files)
        if stamp != self._known[0]:
            cards = [Card.read(file) for file in files]
            self._known = (stamp, {card.name: card for card in cards})
        return self._known[1]

    def add(self, card: Card) -> None:
        """Register a member, or replace the card of one.

        Raises
        ------
        ConfigError
            If another member already has this identity.
        """
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
