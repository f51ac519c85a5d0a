"""The directory in the operator's home: the cards of members that want to be found."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from filelock import FileLock

from mesh_fl.errors import ConfigError
from mesh_fl.profile import LARGEST_DIRECTORY_BYTES, SignedProfile, read_cards
from mesh_fl.server.members import Members
from mesh_fl.store import write_durably

FILE = "directory.json"


class Directory:
    """Reads and changes the directory.

    Parameters
    ----------
    home : Path
        The server's home.
    today : date
        In UTC.

    Guarantee
    ---------
    The file is the cards by their handles, which are hashes of random keys, so their order tells
    nothing about who came when. The operator knows whom it got each card from, unless somebody
    handed it over for others; two versions of the file show which cards are new.
    """

    def __init__(self, home: Path, today: date) -> None:
        self._home, self._path, self._today = home, home / FILE, today

    def cards(self) -> tuple[SignedProfile, ...]:
        """Return all cards, by handle.

        Raises
        ------
        ConfigError
            If the file was tampered with.
        """
        return read_cards(self._path) if self._path.exists() else ()

    def add(self, cards: Sequence[SignedProfile]) -> tuple[SignedProfile, ...]:
        """Add cards, or put newer ones in the place of older ones; expired ones are dropped.

        A handle has one card, and so has a name, under whatever handles: who is named once cannot
        fill the directory.

        Raises
        ------
        ConfigError
            If a card expired, is older than the one that is there, or claims a name that is not
            its signer's on the roster.
        """
        with self._alone():
            found = {card.profile.handle: card for card in self.cards()}
            for card in cards:
                namesakes = _namesakes(card, found.values())
                self._check(card, found.get(card.profile.handle), namesakes)
                for one in namesakes:
                    del found[one.profile.handle]
                found[card.profile.handle] = card
            return self._keep(found.values())

    def remove(self, handle: str) -> tuple[SignedProfile, ...]:
        """Take a card out.

        Raises
        ------
        ConfigError
            If no card has this handle.
        """
        with self._alone():
            cards = self.cards()
            rest = [card for card in cards if card.profile.handle != handle]
            if len(rest) == len(cards):
                raise ConfigError(
                    f"expected the handle of one of {len(cards)} cards, found {handle!a:.80}: see "
                    f"`mesh-server directory show {self._home}`"
                )
            return self._keep(rest)

    def _check(
        self, card: SignedProfile, old: SignedProfile | None, namesakes: Sequence[SignedProfile]
    ) -> None:
        profile = card.profile
        if profile.is_expired(self._today):
            raise ConfigError(
                f"card {profile.handle} expired on {profile.expires}: ask for a newer one, made by "
                "`mesh-client profile card`"
            )
        if old is not None and old != card and old.profile.serial >= profile.serial:
            raise ConfigError(
                f"card {profile.handle}: expected a serial above {old.profile.serial}, which is "
                f"there, found {profile.serial}: ask for the newest one"
            )
        newest = max((one.profile.issued for one in namesakes), default=profile.issued)
        if newest > profile.issued:
            raise ConfigError(
                f"card {profile.handle}: expected {profile.name}'s newest card, found one of "
                f"{profile.issued} while one of {newest} is there: ask for the newest one"
            )
        if not profile.hidden:
            roster = Members(self._home).roster()
            card.verify_name({name: one.signing_key for name, one in roster.cards.items()})

    def _keep(self, cards: Iterable[SignedProfile]) -> tuple[SignedProfile, ...]:
        fresh = (card for card in cards if not card.profile.is_expired(self._today))
        kept = tuple(sorted(fresh, key=lambda card: card.profile.handle))
        blob = b"[" + b",".join(card.dumps() for card in kept) + b"]\n"
        if len(blob) > LARGEST_DIRECTORY_BYTES:
            raise ConfigError(
                f"expected a directory of at most {LARGEST_DIRECTORY_BYTES} bytes, found "
                f"{len(blob)}: remove cards, or ask members for shorter ones"
            )
        write_durably(self._path, blob)
        return kept

    def _alone(self) -> FileLock:
        """Two commands at once must not drop each other's card."""
        if not self._home.is_dir():
            raise ConfigError(f"{self._home} is no folder: make one by `mesh-server init`")
        return FileLock(self._home / ".directory.lock")


def _namesakes(card: SignedProfile, others: Iterable[SignedProfile]) -> list[SignedProfile]:
    """Return the cards under the same name and another handle."""
    name, handle = card.profile.name, card.profile.handle
    return [
        one
        for one in others
        if name is not None and one.profile.name == name and one.profile.handle != handle
    ]
