"""Pairwise masks: added to what each member sends, they cancel in the sum of all members.

The masks of Bonawitz et al. 2017, "Practical Secure Aggregation for Privacy-Preserving Machine
Learning", section 4.1, over X25519 (RFC 7748), HKDF-SHA256 (RFC 5869) and ChaCha20 (RFC 8439).
"""

from collections.abc import Collection

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from mesh_fl.errors import EncryptionError, PlanError

KEY_BYTES = 32
LARGEST_MODULUS = 2**55 - 1

_CHUNK = 1 << 14
_ZEROS = memoryview(bytes(8 * _CHUNK))
_INT64_MAX = 2**63 - 1


def pair_key(own: X25519PrivateKey, peer: bytes, context: bytes) -> bytes:
    r"""Return the key that two members share for one mask.

    Parameters
    ----------
    own : X25519PrivateKey
        Our key of this epoch.
    peer : bytes, 32
        The peer's public key.
    context : bytes
        Names the training, epoch, cohort, round and attempt; the same on both sides.

    Returns
    -------
    bytes, 32
        HKDF-SHA256(X25519(own, peer)), without salt, with info ``b"mesh_fl/mask\0" + context``.

    Raises
    ------
    EncryptionError
        If the peer's key is not 32 bytes long, or is a degenerate point.

    Notes
    -----
    Guarantee
    ---------
    Whoever holds neither private key cannot tell the result from 32 random bytes
    (Diffie-Hellman on Curve25519, HKDF as a random oracle). It says nothing about who the peer
    is: the public key has to come signed. Equal contexts give equal keys.
    """
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError as error:
        raise EncryptionError(
            f"expected a usable X25519 key of the peer, found: {error}; check the roster"
        ) from None
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"mesh_fl/mask\0" + context).derive(shared)


def mask_of(
    plus: Collection[bytes], minus: Collection[bytes], modulus: int, size: int
) -> NDArray[np.int64]:
    """Return the sum of some key streams less the sum of others, modulo any number.

    Parameters
    ----------
    plus, minus : collection of bytes
        From `pair_key`, each for this mask only. Of two members one adds what the other
        subtracts. Without any key the mask is zero and hides nothing.
    modulus : int
        From 2 to 2^55 - 1; need not be prime.
    size : int
        Length of the mask.

    Returns
    -------
    ndarray of int64, shape (size,)
        Residues from 0 to ``modulus - 1``. A shorter mask is the beginning of a longer one.

    Raises
    ------
    PlanError
        If modulus or size is out of range.
    EncryptionError
        If a key is not 32 bytes long, or occurs twice.

    Notes
    -----
    The stream of a key, with b the bits of ``modulus - 1``: cut the ChaCha20 key stream (nonce and
    counter zero) into little-endian words, of 4 bytes if b <= 32 and of 8 otherwise; keep the low
    b bits of each; drop those that are not below the modulus.

    Guarantee
    ---------
    Each value is uniform and independent of all others to whoever lacks one of the keys (ChaCha20
    as a pseudorandom function; the rejection adds no bias). So the server and all members but two
    learn from what those two send no more than its sum. Broken by a key that serves two masks:
    their difference shows what they hide. Contexts must therefore never repeat.
    """
    _check(plus, minus, modulus, size)
    streams: list[tuple[np.ufunc, _Stream]] = [(np.add, _Stream(key, modulus)) for key in plus]
    streams += [(np.subtract, _Stream(key, modulus)) for key in minus]
    # So many residues fit into int64 on top of a reduced one.
    room = _INT64_MAX // modulus - 1
    total = np.zeros(size, dtype=np.int64)
    for start in range(0, size, _CHUNK):
        part = total[start : start + _CHUNK]
        for count, (combine, stream) in enumerate(streams, 1):
            combine(part, stream.take(part.size), out=part)
            if count % room == 0:
                part %= modulus
        part %= modulus
    return total


def hide(values: NDArray[np.int64], mask: NDArray[np.int64], modulus: int) -> NDArray[np.int64]:
    """Return values plus a mask, modulo any number.

    Parameters
    ----------
    values : ndarray of int64, shape (size,)
        To come back they have to lie above ``-modulus / 2`` and below ``modulus / 2``. No value is
        refused: whether noised values overflow is itself private.
    mask : ndarray of int64, shape (size,)
        From `mask_of`.
    modulus : int
        The one of the mask.

    Returns
    -------
    ndarray of int64, shape (size,)
        Residues from 0 to ``modulus - 1``.

    Raises
    ------
    PlanError
        If the modulus is out of range.
    EncryptionError
        If the arrays are not vectors of int64 of the same length.

    Notes
    -----
    Guarantee
    ---------
    As uniform as the mask, whatever the values are; broken by a mask that is used twice.
    """
    _check_vectors(values, mask, modulus)
    return (values % modulus + mask) % modulus


def reveal(residues: NDArray[np.int64], mask: NDArray[np.int64], modulus: int) -> NDArray[np.int64]:
    """Return residues less a mask; the inverse of `hide`.

    Parameters
    ----------
    residues : ndarray of int64, shape (size,)
        Modulo `modulus`, centred or not.
    mask : ndarray of int64, shape (size,)
        From `mask_of`.
    modulus : int
        The one of the mask.

    Returns
    -------
    ndarray of int64, shape (size,)
        Above ``-modulus / 2`` and at most ``modulus / 2``.

    Raises
    ------
    PlanError
        If the modulus is out of range.
    EncryptionError
        If the arrays are not vectors of int64 of the same length.
    """
    _check_vectors(residues, mask, modulus)
    plain = (residues % modulus - mask) % modulus
    return np.where(plain > modulus // 2, plain - modulus, plain)


class _Stream:
    """The uniform residues that follow from one key; they do not depend on how they are taken."""

    def __init__(self, key: bytes, modulus: int) -> None:
        self._cipher = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
        bits = (modulus - 1).bit_length()
        self._words = np.dtype("<u4" if bits <= 32 else "<i8")
        self._low_bits = self._words.type(2**bits - 1)
        self._modulus = modulus

    def take(self, count: int) -> NDArray[np.integer]:
        """Return the next `count` residues, at most 2^14 of them."""
        found = self._draw(count)
        while found.size < count:
            found = np.concatenate([found, self._draw(count - found.size)])
        return found

    def _draw(self, count: int) -> NDArray[np.integer]:
        """Return what is left of the next `count` words: never more than asked for."""
        raw = self._cipher.update(_ZEROS[: count * self._words.itemsize])
        words: NDArray[np.integer] = np.frombuffer(raw, self._words) & self._low_bits
        # Mostly nothing is rejected, and looking for the largest is faster than selecting.
        return words if words.max() < self._modulus else words[words < self._modulus]


def _check(plus: Collection[bytes], minus: Collection[bytes], modulus: int, size: int) -> None:
    _check_modulus(modulus)
    if size < 0:
        raise PlanError(f"expected a mask of 0 values or more, found {size}: correct the plan")
    keys = [*plus, *minus]
    if any(len(key) != KEY_BYTES for key in keys):
        raise EncryptionError(
            f"expected keys of {KEY_BYTES} bytes, found one of another length: use pair_key"
        )
    if len(set(keys)) != len(keys):
        raise EncryptionError(
            "expected another key for each peer, found one twice: check the roster for members "
            "that share a key"
        )


def _check_modulus(modulus: int) -> None:
    if not 2 <= modulus <= LARGEST_MODULUS:
        raise PlanError(
            f"expected a modulus from 2 to 2^55 - 1, found {modulus}: use Parameters.for_range"
        )


def _check_vectors(values: NDArray[np.int64], mask: NDArray[np.int64], modulus: int) -> None:
    """Refuse what numpy would broadcast: one mask value must never cover two values."""
    _check_modulus(modulus)
    if not (values.ndim == mask.ndim == 1 and values.dtype == mask.dtype == np.int64):
        raise EncryptionError(
            f"expected vectors of int64, found {values.dtype} of shape {values.shape} and "
            f"{mask.dtype} of shape {mask.shape}"
        )
    if values.size != mask.size:
        raise EncryptionError(
            f"expected a mask of {values.size} values, found {mask.size}: make it for this size"
        )
