"""A member's card: its public keys and its cap, signed by the key that signs its messages."""

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from mesh_fl.errors import ConfigError
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.signing import public_bytes, sign, verifies

OPERATOR = "operator"
"""Who signs for the operator, so no member's name."""

TAG = "card"


def _of_a_member(name: str) -> str:
    if name == OPERATOR:
        raise ValueError(f"{OPERATOR!r} is no member's name")
    return name


Name = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"), AfterValidator(_of_a_member)
]  # fmt: skip
"""Small letters, digits and hyphens, as in a host name."""

Cap = Annotated[int, Field(ge=1, le=10**12)]
AgentName = Annotated[str, Field(min_length=1, max_length=200)]


class Card(BaseModel):
    """Public facts of a member.

    Parameters
    ----------
    name : str
        How the network calls it.
    identity : str
        EC P-384 public key in OpenSSH form: who connects.
    signing : str
        Ed25519 public key, base64: who signs.
    cap : int
        Declared public upper bound on the member's records.
    caps : dict of str to int
        Bounds by agent, of a member that takes part in these agents only; `cap` holds for any
        agent where it is empty.
    serial : int
        Rises with each renewal, so that an old card never replaces a newer one.
    signature : str
        Ed25519 by the signing key over the other fields, base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    identity: str = Field(max_length=512)
    signing: str = Field(max_length=64)
    cap: Cap
    caps: dict[AgentName, Cap] = Field(default={}, max_length=100)
    serial: int = Field(default=1, ge=1, le=10**12)
    signature: str = Field(default="", max_length=128)

    @classmethod
    def make(
        cls,
        name: str,
        cap: int,
        identity: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey,
        signing: Ed25519PrivateKey,
        serial: int = 1,
        caps: Mapping[str, int] | None = None,
    ) -> Self:
        """Return a signed card; of the identity, only the public part is used."""
        if isinstance(identity, ec.EllipticCurvePrivateKey):
            identity = identity.public_key()
        card = cls(
            name=name,
            identity=_openssh(identity),
            signing=base64.b64encode(public_bytes(signing)).decode(),
            cap=cap,
            caps=dict(caps or {}),
            serial=serial,
        )
        return card.model_copy(update={"signature": sign(signing, TAG, card.digest)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card and verify it.

        Raises
        ------
        ConfigError
            If the file is missing, is no card, or was changed after it was signed.
        """
        try:
            card = cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read card {path}: {error.strerror}") from None
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, problem["loc"])) or "file"
            raise ConfigError(
                f"{path} is no member's card ({where}: {problem['msg']}): ask the member for the "
                "card.json that `mesh-client init` made"
            ) from None
        card.verify()
        return card

    def verify(self) -> None:
        """Check the signature and the keys.

        Raises
        ------
        ConfigError
            If the card was changed after it was signed, or a key is of the wrong kind.
        """
        if not (self._identity_is_sound() and self._signature_is_sound()):
            raise ConfigError(
                f"the card of {self.name} was changed after it was signed: ask for it again"
            )

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Write no bounds by agent where there are none: so older cards keep their digests."""
        found: dict[str, object] = write(self)
        if not self.caps:
            found.pop("caps", None)
        return found

    def takes_part(self, agent: str) -> bool:
        """Tell whether the member offers to take part in an agent's trainings."""
        return not self.caps or agent in self.caps

    def cap_of(self, agent: str) -> int:
        """Return the upper bound on the member's records for an agent."""
        return self.caps.get(agent, self.cap)

    @property
    def bounds(self) -> str:
        """The declared bounds in words: one for all agents, or one for each."""
        by_agent = [f"{agent} {cap}" for agent, cap in self.caps.items()]
        return ", ".join(by_agent) or str(self.cap)

    @property
    def signing_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return _decoded(self.signing)

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the signature, hexadecimal."""
        return digest_of(TAG, self.model_dump(exclude={"signature"}))

    @property
    def fingerprint(self) -> str:
        """The first 96 bits of the digest, for people to compare."""
        return " ".join(self.digest[place : place + 4] for place in range(0, 24, 4))

    def _identity_is_sound(self) -> bool:
        try:
            key = serialization.load_ssh_public_key(self.identity.encode())
        except (ValueError, UnsupportedAlgorithm, NotImplementedError):
            return False
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
            return False
        # One key has one spelling, so that it is told apart from others by its text.
        return self.identity == _openssh(key)

    def _signature_is_sound(self) -> bool:
        try:
            key = self.signing_key
        except (ValueError, binascii.Error):
            return False
        one_spelling = self.signing == base64.b64encode(key).decode()
        return one_spelling and verifies(key, TAG, self.digest, self.signature)


@lru_cache(maxsize=4096)
def _decoded(signing: str) -> bytes:
    # The same few keys are asked for with every signature.
    return base64.b64decode(signing, validate=True)


def _openssh(key: ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()
