"""Signatures with a domain tag, so that a signature on one thing is never taken for another's.

Ed25519 (RFC 8032).
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def sign(key: Ed25519PrivateKey, tag: str, digest: str) -> str:
    """Return a signature on a digest.

    Parameters
    ----------
    key : Ed25519PrivateKey
        Ours.
    tag : str
        What kind of thing the digest is of.
    digest : str
        Hexadecimal, from `digest_of`.

    Returns
    -------
    str
        Base64, 88 characters.
    """
    return base64.b64encode(key.sign(_tagged(tag, digest))).decode()


@lru_cache(maxsize=1 << 14)
def verifies(public: bytes, tag: str, digest: str, signature: str) -> bool:
    """Tell whether a signature on a digest was made with the private part of a 32-byte key.

    The same answer is remembered: statements are passed on and met again.
    """
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(raw, _tagged(tag, digest))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32-byte public part of a signing key."""
    return key.public_key().public_bytes_raw()


def _tagged(tag: str, digest: str) -> bytes:
    return f"mesh_fl/{tag}\0{digest}".encode()
