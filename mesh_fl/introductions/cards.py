"""A member's own cards, with their private keys, in its home."""

import os
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.entry import parsed
from mesh_fl.errors import ConfigError, ProtocolError
from mesh_fl.introductions.ours import CARDS, GONE, handles_in
from mesh_fl.privacy.signing import public_bytes
from mesh_fl.profile import Key, Offering, Profile, SignedProfile, handle_of
from mesh_fl.store import Folder, make_home

LONGEST_DAYS = 366


class OwnCard(BaseModel):
    """A card of ours and its keys.

    Parameters
    ----------
    signing, sealing : str
        Ed25519 and X25519 private keys, hexadecimal; never shown.
    card : SignedProfile
        What others have, as we last signed it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    signing: Key = Field(repr=False)
    sealing: Key = Field(repr=False)
    card: SignedProfile

    @classmethod
    def fresh(
        cls,
        offering: Offering,
        name: str | None,
        member: Ed25519PrivateKey,
        last: date,
        today: date,
    ) -> Self:
        """Make a card with keys of its own; without a name it is hidden."""
        signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        own = {
            "handle": handle_of(public_bytes(signing)),
            "name": name,
            "hidden": name is None,
            "seal_key": sealing.public_key().public_bytes_raw().hex(),
        }
        profile = _profile(offering, own, issued=today, expires=last, serial=1)
        return cls(
            signing=signing.private_bytes_raw().hex(),
            sealing=sealing.private_bytes_raw().hex(),
            card=SignedProfile.make(profile, signing, member),
        )

    def renewed(
        self, offering: Offering, member: Ed25519PrivateKey, last: date, today: date
    ) -> Self:
        """Return it with another profile under the same handle and keys."""
        old = self.card.profile
        kept = old.model_dump(include={"handle", "name", "hidden", "seal_key"})
        profile = _profile(offering, kept, issued=today, expires=last, serial=old.serial + 1)
        card = SignedProfile.make(profile, self.signing_key, member)
        return self.model_copy(update={"card": card})

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """What signs for this card."""
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.signing))

    @property
    def sealing_key(self) -> X25519PrivateKey:
        """What opens requests to this card."""
        return X25519PrivateKey.from_private_bytes(bytes.fromhex(self.sealing))


class OwnCards:
    """The cards that a member made and has not withdrawn.

    Parameters
    ----------
    home : Path
        The member's home.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / CARDS

    def issue(
        self,
        offering: Offering,
        name: str | None,
        member: Ed25519PrivateKey,
        *,
        days: int,
        fresh: bool,
        today: date,
    ) -> SignedProfile:
        """Renew the newest card of this kind, or make one.

        Parameters
        ----------
        offering : Offering
            What the card says.
        name : str, optional
            Ours on the roster; None for a hidden card.
        member : Ed25519PrivateKey
            Our roster key; it signs named cards only.
        days : int
            How long the card counts, from today.
        fresh : bool
            Make a new handle, which nobody can link to an older one but by its text.
        today : date
            In UTC.

        Raises
        ------
        ConfigError
            If the keys of a card cannot be read or written, or the days are out of range.
        """
        if not 1 <= days <= LONGEST_DAYS:
            raise ConfigError(f"--days: expected 1 to {LONGEST_DAYS}, found {days}")
        last = today + timedelta(days=days)
        old = None if fresh else self._newest(hidden=name is None)
        if old is not None and old.card.profile.name == name:
            made = old.renewed(offering, member, last, today)
        else:
            made = OwnCard.fresh(offering, name, member, last, today)
        make_home(self._path.parent)
        Folder(self._path)[f"{made.card.profile.handle}.json"] = made.model_dump_json().encode()
        return made.card

    def all(self) -> tuple[OwnCard, ...]:
        """Return every card, by its handle.

        Raises
        ------
        ConfigError
            If one cannot be read, was changed, or can be read by others.
        """
        if not self._path.is_dir():
            return ()
        return tuple(_read(path) for path in sorted(self._path.glob("*.json")))

    def has(self, handle: str) -> bool:
        """Tell whether a card is ours, or was before we withdrew it."""
        return handle in handles_in(self._path)

    def find(self, handle: str) -> OwnCard:
        """Return a card of ours.

        Raises
        ------
        ConfigError
            If none has this handle.
        """
        for card in self.all():
            if card.card.profile.handle == handle:
                return card
        raise ConfigError(
            f"expected the handle of a card of ours, found {handle!a:.80}: it is for another "
            "member, or we withdrew that card"
        )

    def withdraw(self, handle: str) -> None:
        """Delete a card's private keys; requests to it can be read no more.

        Raises
        ------
        ConfigError
            If no card of ours has this handle.
        """
        self.find(handle)
        cards = Folder(self._path)
        # Others go on showing the card for a while, and we should know that it was ours.
        cards[f"{handle}{GONE}"] = b""
        del cards[f"{handle}.json"]

    def _newest(self, *, hidden: bool) -> OwnCard | None:
        kind = [card for card in self.all() if card.card.profile.hidden == hidden]
        return max(
            kind, key=lambda one: (one.card.profile.issued, one.card.profile.serial), default=None
        )


def _profile(
    offering: Offering, own: Mapping[str, object], *, issued: date, expires: date, serial: int
) -> Profile:
    # A home's profile.toml holds our contact too, and that is for introductions only.
    told = offering.model_dump(include=set(Offering.model_fields))
    days = {"issued": issued, "expires": expires, "serial": serial}
    return Profile.model_validate({**told, **own, **days})


def _read(path: Path) -> OwnCard:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others: run `chmod 600 {path}`")
    try:
        own = parsed(path.read_bytes(), OwnCard.model_validate_json, "the keys of a card")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ProtocolError as error:
        raise ConfigError(f"{path}: {error}; put the right file back, or delete it") from None
    own.card.verify(str(path))
    if own.card.key != public_bytes(own.signing_key).hex():
        raise ConfigError(f"{path}: expected the keys of its card, found others: put them back")
    return own
