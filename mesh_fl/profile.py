"""A member's profile: what it offers, under its name or hidden behind a handle.

A card is a profile as others see it, signed by a key made for that card alone. A named card is
signed by the member's roster key as well. A directory is a list of cards.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, model_validator

from mesh_fl.card import Name
from mesh_fl.config import Settings, load_toml
from mesh_fl.entry import parsed
from mesh_fl.errors import ConfigError, ProtocolError
from mesh_fl.introductions.texts import Contact, Long, Short
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.signing import public_bytes, sign, verifies

FILE = "profile.toml"

LARGEST_CARD_BYTES = 64 << 10
LARGEST_DIRECTORY_BYTES = 8 << 20
MOST_ENTRIES = 100
TAG = "profile"

T = TypeVar("T")


Shorts = Annotated[tuple[Short, ...], Field(max_length=MOST_ENTRIES), FailFast()]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A public key, 32 bytes in hexadecimal."""

Handle = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Offering(Settings):
    """What a member can do for others.

    Parameters
    ----------
    about : str
        In its own words.
    services, skills, certifications, regions : tuple of str
        Short texts, at most 100 each.
    capacity_h_month : float, optional
        Hours a month that it could give away.
    """

    about: Long = ""
    services: Shorts = ()
    skills: Shorts = ()
    certifications: Shorts = ()
    regions: Shorts = ()
    capacity_h_month: float | None = Field(default=None, ge=0, le=1e6)

    @property
    def offered(self) -> str:
        """Everything but the capacity, as one text."""
        lists = (self.services, self.skills, self.certifications, self.regions)
        return "\n".join(part for part in (self.about, *("; ".join(one) for one in lists)) if part)


class OwnProfile(Offering):
    """A home's profile.toml: no name and no key stands in it.

    Parameters
    ----------
    contact : str
        How to reach us; told in introductions only, never on a card.
    """

    contact: Contact = ""


class Profile(Offering):
    """What others see.

    Parameters
    ----------
    handle : str
        128 bits of a hash of the card's own key, hexadecimal: random, and nobody else's.
    name : str, optional
        The member's name on the roster; None while it is hidden.
    hidden : bool
        Whether the name is withheld.
    seal_key : str
        X25519 public key to which requests are sealed, hexadecimal.
    issued, expires : date
        Days in UTC; it counts until the end of the last one.
    serial : int
        Rises with each renewal under one handle.
    """

    model_config = ConfigDict(strict=True)

    handle: Handle
    name: Name | None = None
    hidden: bool
    seal_key: Key
    issued: date
    expires: date
    serial: int = Field(default=1, ge=1, le=10**12)

    @model_validator(mode="after")
    def _hidden_means_no_name(self) -> Self:
        if self.hidden != (self.name is None):
            raise ValueError("expected a name, or hidden and no name")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal."""
        return digest_of(TAG, self.model_dump(mode="json"))

    def is_expired(self, today: date | None = None) -> bool:
        """Tell whether its last day is over."""
        return (today or today_utc()) > self.expires


class SignedProfile(BaseModel):
    """A card: a profile in its envelope.

    Parameters
    ----------
    profile : Profile
        What is signed.
    key : str
        Ed25519 public key of this card alone, hexadecimal; the handle is its hash.
    signature : str
        Ed25519 by that key over the profile's digest, base64.
    member_signature : str
        The same by the member's roster key; empty on a hidden card.

    Guarantee
    ---------
    Whoever has the handle has the key: nobody can put another profile under it without the private
    key, or a second preimage of 128 bits of SHA-256. A hidden card holds nothing that was made with
    a key that has the member's name anywhere. What breaks it is the profile's own text, and whoever
    saw where the file came from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: Profile
    key: Key
    signature: str = Field(max_length=128)
    member_signature: str = Field(default="", max_length=128)

    @classmethod
    def make(
        cls, profile: Profile, key: Ed25519PrivateKey, member: Ed25519PrivateKey | None
    ) -> Self:
        """Sign a profile by its card's key, and by the member's where it is named."""
        named = member is not None and not profile.hidden
        return cls(
            profile=profile,
            key=public_bytes(key).hex(),
            signature=sign(key, TAG, profile.digest),
            member_signature=sign(member, TAG, profile.digest) if member and named else "",
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card's file and verify it.

        Raises
        ------
        ConfigError
            If it cannot be read, is no card, or was changed after it was signed.
        """
        card = _read(path, LARGEST_CARD_BYTES, cls.model_validate_json, "a profile card")
        card.verify(str(path))
        return card

    def verify(self, where: str) -> None:
        """Check that handle, key, signatures and profile belong together.

        Raises
        ------
        ConfigError
            If they do not.
        """
        profile, key = self.profile, bytes.fromhex(self.key)
        sound = profile.handle == handle_of(key) and bool(self.member_signature) != profile.hidden
        if not (sound and verifies(key, TAG, profile.digest, self.signature)):
            raise ConfigError(
                f"{where}: expected card {profile.handle} as it was signed, found one that was "
                "changed or put together from others: ask for it again"
            )

    def verify_name(self, keys: Mapping[str, bytes]) -> None:
        """Check that a named card comes from the member of that name; a hidden one passes.

        Parameters
        ----------
        keys : mapping of str to bytes
            Ed25519 public keys on the roster, by name.

        Raises
        ------
        ConfigError
            If nobody is called so, or the signature is not made with that member's key.
        """
        profile = self.profile
        if profile.name is None:
            return
        key = keys.get(profile.name)
        if key is None or not verifies(key, TAG, profile.digest, self.member_signature):
            found = "that name is not on it" if key is None else "another key signed the card"
            raise ConfigError(
                f"card {profile.handle} claims to be {profile.name}'s: expected that member's "
                f"signature as the roster has its key, found that {found}: ask that member, or get "
                "the newest roster.json"
            )

    def dumps(self) -> bytes:
        """Return the card as JSON."""
        return self.model_dump_json(indent=2).encode() + b"\n"


_DIRECTORY = TypeAdapter(Annotated[tuple[SignedProfile, ...], FailFast()])


def handle_of(key: bytes) -> str:
    """Return the handle of a card's Ed25519 public key."""
    return digest_of("profile handle", key.hex())[:32]


def today_utc() -> date:
    """Return the day, the same for every member."""
    return datetime.now(UTC).date()


def read_profile(path: Path) -> OwnProfile:
    """Read a profile.toml.

    Raises
    ------
    ConfigError
        If it is missing, or with one line for each mistake.
    """
    return load_toml(path, OwnProfile, hint="mesh-client profile init HOME")


def read_cards(path: Path) -> tuple[SignedProfile, ...]:
    """Read a directory and verify every card in it, expired ones too.

    Raises
    ------
    ConfigError
        If it cannot be read, a card was changed, or two cards have one handle.
    """
    cards = _read(path, LARGEST_DIRECTORY_BYTES, _DIRECTORY.validate_json, "a directory of cards")
    for card in cards:
        card.verify(str(path))
    if len({card.profile.handle for card in cards}) < len(cards):
        raise ConfigError(
            f"{path}: expected one card for each handle, found two for one: ask the operator for "
            "a directory made by `mesh-server directory`"
        )
    return cards


def read_directory(path: Path, today: date | None = None) -> tuple[Profile, ...]:
    """Return the profiles of a directory that have not expired.

    Parameters
    ----------
    path : Path
        directory.json, as `mesh-server directory` makes it.
    today : date, optional
        In UTC; now when left out.

    Raises
    ------
    ConfigError
        As `read_cards`.

    Notes
    -----
    A name is what the card claims: the operator's command and `introductions ask` hold it against
    the roster, this does not.
    """
    return tuple(card.profile for card in read_cards(path) if not card.profile.is_expired(today))


def _read(path: Path, largest_bytes: int, parse: Callable[[bytes], T], what: str) -> T:
    try:
        with path.open("rb") as file:
            blob = file.read(largest_bytes + 1)
        if len(blob) > largest_bytes:
            raise ProtocolError(f"expected {what} of at most {largest_bytes} bytes, found more")
        return parsed(blob, parse, what)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot read {what} from {path}: {reason}") from None
    except ProtocolError as error:
        raise ConfigError(f"{path}: {error}; ask for the file again") from None
