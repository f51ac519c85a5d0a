"""Digests with a domain tag, so that a hash of one thing is never taken for a hash of another."""

import hashlib
import json


def digest_of(tag: str, value: object) -> str:
    """Return the SHA-256 of a JSON value in canonical form, hexadecimal.

    Keys are sorted, floats are written in their shortest exact form (RFC 8259 numbers), and bytes
    must be handed over as hexadecimal text.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"mesh_fl/{tag}\0{text}".encode()).hexdigest()


def chain(tag: str, previous: str, payload: bytes) -> str:
    """Return the next link of a hash chain over byte strings, hexadecimal."""
    digest = hashlib.sha256(f"mesh_fl/{tag}\0{previous}\0".encode())
    digest.update(payload)
    return digest.hexdigest()
