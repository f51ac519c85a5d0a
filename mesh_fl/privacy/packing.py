"""Several integers in one slot of a block, so that a sum of slots holds the sum of each of them."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.encryption import LONG, Parameters

MOST_PER_SLOT = 4
SLOT_BITS = 64


class Packing(BaseModel):
    """How values share slots: ``slot[j] = sum_i values[i * slots + j] * 2**(i * width)``.

    Parameters
    ----------
    per_slot : int
        Values in a slot; with 1 the slots are the values.
    width : int
        Bits of a field: sums are exact from ``1 - 2**(width - 1)`` to ``2**(width - 1) - 1``.

    Raises
    ------
    ValueError
        If the fields do not fit into 64 bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    per_slot: int = Field(ge=1, le=MOST_PER_SLOT)
    width: int = Field(ge=2)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.per_slot * self.width > SLOT_BITS:
            raise ValueError(
                f"expected fields of {SLOT_BITS} bits in all or fewer, found {self.per_slot} of "
                f"{self.width}: put fewer values into a slot"
            )
        return self

    @property
    def bound_factor(self) -> int:
        """The magnitude of a slot is at most that of its largest value times this."""
        return sum(1 << part * self.width for part in range(self.per_slot))

    def slots(self, size: int) -> int:
        """Return how many slots hold `size` values."""
        return -(-size // self.per_slot)

    def pack(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return values packed into slots; unused fields are zero.

        Parameters
        ----------
        values : ndarray of int64, shape (size,)
            No value is refused: whether noised values overflow is itself private. A sum that
            leaves its field spoils those in the same slot too.

        Returns
        -------
        ndarray of int64, shape (slots(size),)
            Centred, no larger in magnitude than `bound_factor` times the largest value.

        Raises
        ------
        EncryptionError
            If `values` is not a vector of int64.
        """
        _check_vector(values)
        fields = np.zeros((self.per_slot, self.slots(values.size)), dtype=np.int64)
        fields.reshape(-1)[: values.size] = values
        *lower, slots = fields
        for field in reversed(lower):
            slots <<= self.width
            slots += field
        return slots

    def unpack(self, slots: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Return the values in slots, which may be sums of what `pack` returned.

        Parameters
        ----------
        slots : ndarray of int64, shape (slots(size),)
            Centred.
        size : int
            How many values there are.

        Returns
        -------
        ndarray of int64, shape (size,)
            Exact where all sums of a slot are within their fields.

        Raises
        ------
        EncryptionError
            If `slots` is not a vector of int64 of that length.
        """
        _check_vector(slots)
        if slots.size != self.slots(size):
            raise EncryptionError(
                f"expected {self.slots(size)} slots for {size} values, found {slots.size}: use "
                "the packing and the size that the values were packed with"
            )
        fields = []
        unused = SLOT_BITS - self.width
        for _ in range(self.per_slot - 1):
            # Up and down again extends the sign of the lowest field.
            field = (slots << unused) >> unused
            slots = (slots - field) >> self.width
            fields.append(field)
        return np.concatenate([*fields, slots])[:size]


def packing_for(bound: int, per_slot: int) -> Packing:
    """Return the packing with the narrowest fields.

    Parameters
    ----------
    bound : int
        Every possible sum of values lies in ``[-bound, bound]``.
    per_slot : int
        Values in a slot, 1 to 4.

    Raises
    ------
    PlanError
        If there is no such packing.
    """
    if bound < 1:
        raise PlanError(f"expected a bound above 0, found {bound}: correct the plan")
    try:
        return Packing(per_slot=per_slot, width=(2 * bound).bit_length())
    except ValidationError:
        raise PlanError(
            f"expected 1 to {MOST_PER_SLOT} values in the {SLOT_BITS} bits of a slot, found "
            f"{per_slot} values of up to {bound}: lower the scale, or put fewer values into a slot"
        ) from None


def best_packing(bound: int, members: int, size: int | None = None) -> tuple[Packing, Parameters]:
    """Return the packing, with its encryption, that makes the shortest ciphertexts.

    Parameters
    ----------
    bound : int
        Every possible sum of values lies in ``[-bound, bound]``.
    members : int
        Largest number of ciphertexts that are added.
    size : int, optional
        Number of values to encrypt; without it many. Few values do not gain from packing: a block
        that is half empty is as long as a full one.

    Raises
    ------
    PlanError
        If not even one value fits into a slot.
    """
    plain = _encoding(bound, members, 1, size)
    # Of equals `min` takes the first, which has fewer values in a slot.
    return min([plain, *_denser(bound, members, size)], key=lambda choice: _bits(choice, size))


def _denser(bound: int, members: int, size: int | None) -> Iterator[tuple[Packing, Parameters]]:
    for per_slot in range(2, MOST_PER_SLOT + 1):
        with suppress(PlanError):
            yield _encoding(bound, members, per_slot, size)


def _encoding(
    bound: int, members: int, per_slot: int, size: int | None
) -> tuple[Packing, Parameters]:
    packing = packing_for(bound, per_slot)
    slots = LONG if size is None else packing.slots(size)
    return packing, Parameters.for_range(bound * packing.bound_factor, members, slots)


def _bits(choice: tuple[Packing, Parameters], size: int | None) -> float:
    """Return the bits of a ciphertext, or without a size those of a value; SEAL adds 7 to 30 %."""
    packing, parameters = choice
    if size is None:
        return parameters.modulus_bits / packing.per_slot
    blocks = -(-packing.slots(size) // parameters.degree)
    return blocks * parameters.degree * parameters.modulus_bits


def _check_vector(values: NDArray[np.int64]) -> None:
    if values.ndim != 1 or values.dtype != np.int64:
        raise EncryptionError(
            f"expected a vector of int64, found {values.dtype} of shape {values.shape}"
        )
