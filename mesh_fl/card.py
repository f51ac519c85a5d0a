"""A member's card: what a member hands to the operator once, signed by its own key."""

import base64
import json
from pathlib import Path
from typing import Annotated, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh_fl.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Small letters, digits and hyphens, as in a host name."""


class Card(BaseModel):
    """Public facts of a member.

    Parameters
    ----------
    name : str
        How the network calls it.
    identity : str
        EC P-384 public key in OpenSSH form: who connects.
    sealing : str
        X25519 public key, base64: whom training keys are sealed to.
    cap : int
        Declared public upper bound on the member's records.
    signature : str
        ECDSA by the identity key over the other fields, base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    identity: str
    sealing: str
    cap: int = Field(ge=1, le=10**12)
    signature: str = ""

    @classmethod
    def make(
        cls, name: str, cap: int, identity: ec.EllipticCurvePrivateKey, sealing: X25519PrivateKey
    ) -> Self:
        """Return a signed card."""
        public = identity.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        sealed_to = base64.b64encode(sealing.public_key().public_bytes_raw()).decode()
        card = cls(name=name, identity=public.decode(), sealing=sealed_to, cap=cap)
        signature = identity.sign(card._signed(), ec.ECDSA(hashes.SHA384()))
        return card.model_copy(update={"signature": base64.b64encode(signature).decode()})

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
        try:
            key = serialization.load_ssh_public_key(self.identity.encode())
            signature = base64.b64decode(self.signature, validate=True)
            sealing = X25519PublicKey.from_public_bytes(self.sealing_key)
            # Refuses degenerate points, to which no member could seal a key.
            X25519PrivateKey.generate().exchange(sealing)
            sound = isinstance(key, ec.EllipticCurvePublicKey)
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, self._signed(), ec.ECDSA(hashes.SHA384()))
        except (ValueError, InvalidSignature, UnsupportedAlgorithm):
            sound = False
        if not sound:
            raise ConfigError(
                f"the card of {self.name} was changed after it was signed: ask for it again"
            )

    @property
    def sealing_key(self) -> bytes:
        """The X25519 public key, 32 bytes."""
        return base64.b64decode(self.sealing, validate=True)

    def _signed(self) -> bytes:
        fields = self.model_dump(exclude={"signature"})
        return b"mesh_fl/card\0" + json.dumps(fields, sort_keys=True).encode()
