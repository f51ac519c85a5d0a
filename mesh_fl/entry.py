"""An entry of the roster: one change of who is a member, with the signatures that approve it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from mesh_fl.card import Card, Name
from mesh_fl.errors import ConfigError, ProtocolError
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.signing import sign, verifies

TAG = "roster"
LARGEST_BYTES = 8 << 20
"""A roster of some 12,000 members; what is larger is refused unread."""

MOST_KEYS = 20_000
"""Of one JSON object: more than a roster can have signers."""

Kind = Literal["found", "join", "renew", "remove"]
Signer = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Signature = Annotated[str, Field(max_length=128)]
T = TypeVar("T")


class Entry(BaseModel):
    """One change of the roster.

    Parameters
    ----------
    number : int
        Place in the chain, from 0.
    previous : str
        Digest of the entry before; 64 zeros for the first.
    kind : {"found", "join", "renew", "remove"}
        What it does.
    network, operator, colluders : str, str, int
        The network's name, the operator's Ed25519 public key (base64), and how many members may
        collude without harm; only where it founds.
    cards : tuple of Card
        Who founds, joins or renews.
    names : tuple of str
        Who is removed.
    signatures : dict of str to str
        By members, or by "operator", on the digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: int = Field(ge=0)
    previous: str = Field(pattern=r"^[0-9a-f]{64}$")
    kind: Kind
    network: str = Field(default="", max_length=200)
    operator: str = Field(default="", max_length=64)
    colluders: int = Field(default=0, ge=0, le=10**6)
    # Of hostile input only the first mistake is worth the time.
    cards: Annotated[tuple[Card, ...], FailFast()] = ()
    names: Annotated[tuple[Name, ...], FailFast()] = ()
    signatures: dict[Signer, Signature] = Field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an entry's file; whether it fits a roster is for the roster to say.

        Raises
        ------
        ConfigError
            If it cannot be read or is none.
        """
        try:
            return parsed(path.read_bytes(), cls.model_validate_json, "an entry of a roster")
        except OSError as error:
            raise ConfigError(f"cannot read entry {path}: {error.strerror}") from None
        except ProtocolError as error:
            raise ConfigError(f"{path}: {error}") from None

    def dumps(self) -> bytes:
        """Return the entry as JSON."""
        return self.model_dump_json(indent=2, exclude_defaults=True).encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the signatures, hexadecimal."""
        return digest_of(TAG, self.model_dump(mode="json", exclude={"signatures"}))

    @property
    def whom(self) -> tuple[str, ...]:
        """Names of those whom it is about."""
        return self.names or tuple(card.name for card in self.cards)

    def signed(self, name: str, key: Ed25519PrivateKey) -> "Entry":
        """Return the entry with one more signature."""
        signatures = {**self.signatures, name: sign(key, TAG, self.digest)}
        return self.model_copy(update={"signatures": signatures})

    def merged(self, other: "Entry") -> "Entry":
        """Return the entry with the signatures of another copy of it.

        Raises
        ------
        ConfigError
            If the other is a copy of something else.
        """
        if other.digest != self.digest:
            raise ConfigError(
                f"expected copies of one entry, found {self.kind} {', '.join(self.whom)} and "
                f"another {other.kind} {', '.join(other.whom)}: add one after the other"
            )
        return self.model_copy(update={"signatures": {**other.signatures, **self.signatures}})

    def forged(self, keys: Callable[[str], bytes]) -> list[str]:
        """Return the signers whose signature was not made on this entry with their key.

        Parameters
        ----------
        keys : callable
            Gives a signer's Ed25519 public key, 32 bytes.
        """
        digest = self.digest
        signed = self.signatures.items()
        return [name for name, one in signed if not verifies(keys(name), TAG, digest, one)]


def parsed(blob: bytes, parse: Callable[[bytes], T], what: str) -> T:
    """Return what JSON of bounded size holds.

    Raises
    ------
    ProtocolError
        If it holds something else.
    """
    if len(blob) > LARGEST_BYTES:
        raise ProtocolError(f"expected {what} of at most {LARGEST_BYTES} bytes, found {len(blob)}")
    try:
        json.loads(blob, object_pairs_hook=_told_once)
        return parse(blob)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "file"
        raise ProtocolError(f"expected {what}, found {where!a:.80}: {problem['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"expected {what} as JSON: {error}") from None


def _told_once(pairs: list[tuple[str, object]]) -> None:
    """Refuse a key told twice, such as two signatures of one signer: readers would differ."""
    if len(pairs) > MOST_KEYS:
        raise ValueError(f"an object has more than {MOST_KEYS} keys")
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("one key stands twice in an object")
