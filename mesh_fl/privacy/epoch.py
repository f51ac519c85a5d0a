"""The period of one encryption key: one member makes it and seals it to each of the others.

The server forwards sealed keys that it cannot open. Sealing is HPKE in base mode (RFC 9180) with
X25519, HKDF-SHA256 and ChaCha20-Poly1305.
"""

import secrets
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.encryption import Bfv, Parameters, generate_key

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_VERSION = 1
_ID_BYTES = 16
_HEAD = struct.Struct(f">B{_ID_BYTES}sHBQ")


@dataclass(frozen=True)
class Epoch:
    """One encryption key and what it is for.

    Parameters
    ----------
    epoch_id : str
        128 random bits, hexadecimal.
    parameters : Parameters
        Parameters of the encryption.
    secret_key : bytes
        The secret key, from `generate_key`; never shown.
    """

    epoch_id: str
    parameters: Parameters
    secret_key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 that commits to everything, hexadecimal; the key's entropy hides the key."""
        return digest_of(
            "epoch",
            {
                "id": self.epoch_id,
                "degree": self.parameters.degree,
                "modulus_bits": self.parameters.modulus_bits,
                "plain_modulus": self.parameters.plain_modulus,
                "key": self.secret_key.hex(),
            },
        )


def new_epoch(parameters: Parameters) -> Epoch:
    """Return an epoch with a fresh identifier and a fresh key."""
    return Epoch(secrets.token_hex(_ID_BYTES), parameters, generate_key(parameters))


def seal_epoch(epoch: Epoch, recipient: X25519PublicKey, context: bytes) -> bytes:
    """Return an epoch that only one recipient can open.

    Parameters
    ----------
    epoch : Epoch
        What to seal.
    recipient : X25519PublicKey
        The recipient's key, as the roster has it.
    context : bytes
        Names the training and the recipient; must be the same when it is opened.

    Raises
    ------
    EncryptionError
        If the recipient's key is a degenerate point.

    Notes
    -----
    Guarantee
    ---------
    Confidential to the recipient (IND-CCA2). Anybody can seal, so the sender has to be
    authenticated by a signature. A recipient's key that leaks later opens what was sealed to it.
    """
    try:
        return _SUITE.encrypt(_encode(epoch), recipient, info=_info(context))
    except ValueError as error:
        raise EncryptionError(
            f"expected a usable X25519 key of the recipient, found: {error}; check the roster"
        ) from None


def open_epoch(sealed: bytes, key: X25519PrivateKey, context: bytes) -> Epoch:
    """Return the epoch that `seal_epoch` sealed to us.

    Raises
    ------
    EncryptionError
        If it was sealed to somebody else or for another context, is damaged, or holds a key that
        does not belong to its parameters.
    """
    try:
        plain = _SUITE.decrypt(sealed, key, info=_info(context))
    except (InvalidTag, ValueError):
        raise EncryptionError(
            "expected an epoch sealed to our key and this context, found one that does not open; "
            "ask the epoch's maker to seal it again"
        ) from None
    return _decode(plain)


def _info(context: bytes) -> bytes:
    return b"mesh_fl/epoch\0" + context


def _encode(epoch: Epoch) -> bytes:
    chosen = epoch.parameters
    head = _HEAD.pack(
        _VERSION,
        bytes.fromhex(epoch.epoch_id),
        chosen.degree,
        chosen.modulus_bits,
        chosen.plain_modulus,
    )
    return head + epoch.secret_key


def _decode(plain: bytes) -> Epoch:
    if len(plain) < _HEAD.size or plain[0] != _VERSION:
        raise EncryptionError(
            f"expected an epoch of version {_VERSION}, found another format; update mesh_fl"
        )
    _, identifier, degree, modulus_bits, plain_modulus = _HEAD.unpack_from(plain)
    try:
        parameters = Parameters(degree, modulus_bits, plain_modulus)
    except PlanError as error:
        raise EncryptionError(f"the epoch's parameters are unusable: {error}") from None
    epoch = Epoch(identifier.hex(), parameters, plain[_HEAD.size :])
    Bfv(
        parameters, epoch.secret_key
    )  # refuses a key that does not fit, before anybody relies on it
    return epoch
