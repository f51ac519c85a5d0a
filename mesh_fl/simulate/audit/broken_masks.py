"""Masks and encryption that hide less than they must, and a reply that tells more."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mesh_fl.keyring import Term
from mesh_fl.member import Member
from mesh_fl.privacy import pipeline
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.masking import hide, mask_of
from mesh_fl.privacy.pipeline import Hide, unmasked
from mesh_fl.simulate.audit.swap import Function, Swap, instead
from mesh_fl.statements import Account, Call

Vector = NDArray[np.int64]


def no_masks(*args: object) -> Hide:
    """Hide nothing."""
    return unmasked


def without_attempt(original: Function) -> Function:
    """Bind masks to everything but the attempt."""

    def hidden(self: Term, name: str, call: Call, *rest: object) -> object:
        return original(self, name, call.model_copy(update={"attempt": 1}), *rest)

    return hidden


def with_two_only(self: Term, name: str, call: Call, model: str, modulus: int) -> Hide:
    """Agree on masks with the two next to us in the cohort."""
    place, ring = call.cohort.index(name), call.cohort
    before, after = ring[place - 1], ring[(place + 1) % len(ring)]
    keys = _keys(self, call, model, [before, after])
    return _hides([keys[after]], [keys[before]], modulus)


def equal_signs(self: Term, name: str, call: Call, model: str, modulus: int) -> Hide:
    """Add every mask, as the peers do, too."""
    keys = _keys(self, call, model, [peer for peer in call.cohort if peer != name])
    return _hides(list(keys.values()), [], modulus)


def _keys(term: Term, call: Call, model: str, peers: Sequence[str]) -> dict[str, bytes]:
    context = call.binding(model).encode()
    return {peer: term._pair_key(peer, context) for peer in peers}


def _hides(plus: Sequence[bytes], minus: Sequence[bytes], modulus: int) -> Hide:
    return lambda slots: hide(slots, mask_of(plus, minus, modulus, len(slots)), modulus)


def _clear(self: Bfv, values: Vector) -> bytes:
    return values.astype("<i8").tobytes()


def _added_clear(self: Bfv, parts: Sequence[bytes], size: int | None = None) -> bytes:
    vectors = [np.frombuffer(part, dtype="<i8") for part in parts]
    total = np.sum(vectors, axis=0, dtype=np.int64) % self.parameters.plain_modulus
    return total.astype("<i8").tobytes()


def _opened_clear(self: Bfv, blob: bytes, size: int) -> Vector:
    residues, modulus = np.frombuffer(blob, dtype="<i8"), self.parameters.plain_modulus
    return np.where(residues > modulus // 2, residues - modulus, residues).astype(np.int64)


NOT_ENCRYPTED = (
    instead(Bfv, "encrypt", _clear),
    instead(Bfv, "add", _added_clear),
    instead(Bfv, "decrypt", _opened_clear),
)


def raw_sum_told() -> tuple[Swap, ...]:
    """Have the raw sum travel in a field that is meant for a digest."""
    raw = list[str]()

    def summed(original: Function) -> Function:
        def kept(*args: object) -> Vector:
            total = cast("Vector", original(*args))
            raw.append(total.astype("<i8").tobytes().hex())
            return total

        return kept

    def accounted(original: Function) -> Function:
        def told(self: Member, *args: object) -> Account:
            account = cast("Account", original(self, *args))
            head = raw.pop() if raw else account.head
            return account.model_copy(update={"head": head}).signed(self.signing)

        return told

    return Swap(pipeline, "sum_rows", summed), Swap(Member, "account", accounted)
