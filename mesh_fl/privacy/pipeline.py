"""From rows to sealed bytes, and from the encrypted sum to the noised total.

The only way out of a member is a `Sealed` or an `Opened`, and only this file makes them::

    Sealed = encrypt( masks + pack( noise_share + Σ round(scale · row · min(1, clip/‖row‖)) ) )
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mesh_fl.agent import Rows
from mesh_fl.errors import EncryptionError, ProtocolError
from mesh_fl.privacy.clipping import sum_rows
from mesh_fl.privacy.digest import chain
from mesh_fl.privacy.encryption import Parameters
from mesh_fl.privacy.noise import Source, discrete_gaussian
from mesh_fl.privacy.plan import TALLY, Release


class Cipher(Protocol):
    """Encryption that adds: exact integer vectors in, their exact sum out."""

    def encrypt(self, values: NDArray[np.int64]) -> bytes:
        """Encrypt a vector."""

    def add(self, ciphertexts: Sequence[bytes], size: int) -> bytes:
        """Add encrypted vectors of a known length without opening them."""

    def add_plain(self, ciphertext: bytes, values: NDArray[np.int64]) -> bytes:
        """Add a public vector to an encrypted one without opening it."""

    def decrypt(self, ciphertext: bytes, size: int) -> NDArray[np.int64]:
        """Open a vector of a known length."""


CipherFactory = Callable[[Parameters, bytes | None], Cipher]
"""Makes a cipher from parameters and the secret key; without the key it can only add."""


Hide = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Adds a member's masks to its slots, modulo the plaintext modulus."""


def unmasked(slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hide nothing: for simulations, where nobody is to be kept out."""
    return slots


class Sealed(BaseModel):
    """A member's noised, masked and encrypted contribution: made by `seal`, opened by nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    ciphertext: bytes


class Opened(BaseModel):
    """A member's word on an opened sum: the digest of all of it, and every n-th value.

    The members hand over disjoint slices, so the total travels once and not once a member.

    Attributes
    ----------
    digest : str
        The chain of the initial state and all integer totals, this one included.
    size : int
        Length of the whole total.
    first, step : int
        The slice holds the values at first, first + step, ...
    values : bytes
        Little-endian int64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    digest: str
    size: int
    first: int
    step: int
    values: bytes


def seal(
    rows: Rows, release: Release, cipher: Cipher, source: Source, hide: Hide = unmasked
) -> Sealed:
    """Clip, sum, noise, mask and encrypt rows.

    Parameters
    ----------
    rows : Rows, shape (n, release.dimension)
        One row per record.
    release : Release
        Clip, scale, noise and range of this kind of release.
    cipher : Cipher
        With the key of the epoch.
    source : Source
        Where the noise comes from; the operating system's generator outside of tests.
    hide : Hide
        Adds masks that cancel in the sum of the whole cohort, and nowhere else.

    Returns
    -------
    Sealed
        What may leave the member.

    Guarantee
    ---------
    Neighbouring relation: add or remove one record. The integer sum moves by at most
    `release.sensitivity` in L2, and a discrete Gaussian of standard deviation `release.share` is
    added before masks and encryption. Alone this is weaker than the plan's promise: that needs the
    shares of the other members (`Plan`), so nobody may open less than the whole sum. That is what
    the masks are for, also against those who hold the epoch's key. Broken by a source that can be
    predicted, and by sealing the same noise or the same masks twice.
    """
    summed = sum_rows(rows, release.clip, release.scale, release.dimension)
    noise = discrete_gaussian(release.share, release.dimension, source)
    slots = release.packing.pack(np.append(summed + noise, np.ones(TALLY, dtype=np.int64)))
    return Sealed(ciphertext=cipher.encrypt(hide(slots)))


def slots_of(release: Release) -> int:
    """Return how many slots a contribution fills."""
    return release.packing.slots(release.dimension + TALLY)


def add(sealed: Sequence[Sealed], release: Release, cipher: Cipher) -> bytes:
    """Add what the members sealed, still encrypted."""
    return cipher.add([one.ciphertext for one in sealed], slots_of(release))


def unmask(encrypted: bytes, masks: NDArray[np.int64], cipher: Cipher, modulus: int) -> bytes:
    """Take masks off a sum that stays encrypted: what is left of members who dropped out."""
    return cipher.add_plain(encrypted, -masks % modulus)


def open_sum(encrypted: bytes, release: Release, cipher: Cipher, members: int) -> NDArray[np.int64]:
    """Open an encrypted sum into its noised integers.

    Raises
    ------
    EncryptionError
        If it cannot be decrypted, or is not the sum of so many members' whole contributions: then
        what is left of the masks makes it uniform.
    """
    slots = cipher.decrypt(encrypted, slots_of(release))
    values = release.packing.unpack(slots, release.dimension + TALLY)
    total, tally = values[:-TALLY], values[-TALLY:]
    if (tally != members).any():
        raise EncryptionError(
            f"expected the sum of {members} members, found one whose masks do not cancel: the "
            "members were not all asked the same, or not all of them are in it"
        )
    return total


def rescale(total: NDArray[np.int64], release: Release) -> NDArray[np.float64]:
    """Turn integer units back into units of a row."""
    return total / release.scale


def next_digest(digest: str, total: NDArray[np.int64]) -> str:
    """Return the digest after one more integer total (floats would differ between machines)."""
    return chain("total", digest, np.ascontiguousarray(total, dtype="<i8").tobytes())


def hand_over(total: NDArray[np.int64], digest: str, position: int, members: int) -> Opened:
    """Return the slice of an opened total that falls to a position in the cohort."""
    values = np.ascontiguousarray(total[position::members], dtype="<i8").tobytes()
    return Opened(digest=digest, size=len(total), first=position, step=members, values=values)


def fills(one: Opened, size: int, position: int, members: int) -> bool:
    """Tell whether a slice is the one that falls to a position, and holds all its values."""
    length = len(range(position, size, members))
    placed = (one.size, one.first, one.step) == (size, position, members)
    return placed and len(one.values) == 8 * length


def assemble(slices: Sequence[Opened], size: int) -> NDArray[np.int64]:
    """Put the members' slices together.

    Raises
    ------
    ProtocolError
        If a slice has the wrong length or place, or one is missing.
    """
    total = np.zeros(size, dtype=np.int64)
    filled = np.zeros(size, dtype=np.bool_)
    for one in slices:
        if not 0 <= one.first < one.step or not fills(one, size, one.first, one.step):
            raise ProtocolError(
                f"expected a slice of {size} values, got {len(one.values)} bytes of {one.size} "
                f"values: the member and the server run different versions or plans"
            )
        total[one.first :: one.step] = np.frombuffer(one.values, dtype="<i8")
        filled[one.first :: one.step] = True
    if not filled.all():
        raise ProtocolError(f"{size - int(filled.sum())} of {size} values of the total are missing")
    return total
