"""Bugs that would break the claim, each with the checks that must find it.

A bug swaps functions of the real code where they are looked up, and nothing else.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mesh_fl import member, peers, round, verification
from mesh_fl.agent import Rows
from mesh_fl.keyring import Term
from mesh_fl.member import Member
from mesh_fl.opening import open_pending
from mesh_fl.privacy import pipeline, plan
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.ledger import Ledger, RecordSet
from mesh_fl.privacy.masking import hide, mask_of
from mesh_fl.privacy.noise import SystemSource
from mesh_fl.privacy.pipeline import hand_over, next_digest, unmasked
from mesh_fl.privacy.plan import Kind, Plan, Release
from mesh_fl.simulate.audit.subject import NAMES
from mesh_fl.simulate.audit.swap import Function, Swap, swapped
from mesh_fl.statements import Call, Statement

Vector = NDArray[np.int64]


@dataclass(frozen=True)
class Bug:
    """One way to break the claim.

    Parameters
    ----------
    name : str
        In a few words.
    caught_by : tuple of str
        Names of the checks that must fail.
    swaps : tuple of Swap
        What makes the bug.
    """

    name: str
    caught_by: tuple[str, ...]
    swaps: tuple[Swap, ...]

    def seeded(self) -> AbstractContextManager[Counter[str]]:
        """Put the bug in place; yields how often each swapped function was called."""
        return swapped(*self.swaps)


def _instead(place: object, name: str, function: Function) -> tuple[Swap, ...]:
    """Return one swap for a function that takes no notice of the original."""
    return (Swap(place, name, lambda original: function),)


def _around(place: object, name: str, make: Callable[[Function], Function]) -> tuple[Swap, ...]:
    """Return one swap for a function that calls the original."""
    return (Swap(place, name, make),)


# Rows.


@np.errstate(all="ignore")
def _unclipped(rows: Rows, clip: float, scale: float, dimension: int) -> Vector:
    units = csr_array(rows) * scale
    units.data = np.clip(np.nan_to_num(np.rint(units.data)), -(2.0**40), 2.0**40)
    total: Vector = units.sum(axis=0).astype(np.int64)
    return total


def _clipped_after(rows: Rows, clip: float, scale: float, dimension: int) -> Vector:
    whole = _unclipped(rows, clip, scale, dimension)
    longest = max(float(np.linalg.norm(whole)), clip * scale)
    return np.rint(whole * (clip * scale / longest)).astype(np.int64)


def _without_rounding(clip: float, scale: float, dimension: int) -> float:
    return scale * clip


# Noise.


def _no_noise(sigma: float, size: int, source: object) -> Vector:
    return np.zeros(size, dtype=np.int64)


def _one_share_dropped(draw: Function) -> Function:
    calls = count()

    def drawn(*args: object) -> object:
        share = cast("Vector", draw(*args))
        return share * int(next(calls) % len(NAMES) > 0)

    return drawn


def _drawn_once(draw: Function) -> Function:
    calls, kept = count(), dict[int, object]()

    def drawn(*args: object) -> object:
        place = next(calls) % len(NAMES)
        kept[place] = kept[place] if place in kept else draw(*args)
        return kept[place]

    return drawn


def _with_share(change: Callable[[Plan, Release], float]) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        def released(self: Plan, kind: Kind) -> Release:
            release = cast("Release", original(self, kind))
            return release.model_copy(update={"share": change(self, release)})

        return released

    return make


def _of_one_round(self: Plan, release: Release) -> float:
    return release.share * release.mu / plan.budget_of(self.epsilon, self.delta) ** 0.5


def _divided_by_all(self: Plan, release: Release) -> float:
    return release.sigma / (self.survivors - self.colluders)


def _for_everybody(self: Plan, release: Release) -> float:
    return release.sigma / len(self.caps) ** 0.5


def _numpy_words(self: SystemSource, number: int) -> NDArray[np.uint64]:
    return np.random.default_rng().integers(0, 2**64, number, dtype=np.uint64)


# Masks and encryption.


def _no_masks(*args: object) -> pipeline.Hide:
    return unmasked


def _without_attempt(original: Function) -> Function:
    def hidden(self: Term, name: str, call: Call, *rest: object) -> object:
        return original(self, name, call.model_copy(update={"attempt": 1}), *rest)

    return hidden


def _keys(term: Term, name: str, call: Call, model: str, others: Sequence[str]) -> dict[str, bytes]:
    context = call.binding(model).encode()
    return {peer: term._pair_key(peer, context) for peer in others if peer != name}


def _with_next_only(self: Term, name: str, call: Call, model: str, modulus: int) -> pipeline.Hide:
    place, ring = call.cohort.index(name), call.cohort
    before, after = ring[place - 1], ring[(place + 1) % len(ring)]
    keys = _keys(self, name, call, model, [before, after])
    return lambda slots: hide(
        slots, mask_of([keys[after]], [keys[before]], modulus, len(slots)), modulus
    )


def _equal_signs(self: Term, name: str, call: Call, model: str, modulus: int) -> pipeline.Hide:
    keys = _keys(self, name, call, model, call.cohort)
    return lambda slots: hide(
        slots, mask_of(list(keys.values()), [], modulus, len(slots)), modulus
    )


def _in_the_clear(self: Bfv, values: Vector) -> bytes:
    return values.astype("<i8").tobytes()


def _added_clear(self: Bfv, parts: Sequence[bytes], size: int | None = None) -> bytes:
    modulus = self.parameters.plain_modulus
    vectors = [np.frombuffer(part, dtype="<i8") for part in parts]
    return (np.sum(vectors, axis=0, dtype=np.int64) % modulus).astype("<i8").tobytes()


def _opened_clear(self: Bfv, blob: bytes, size: int) -> Vector:
    residues = np.frombuffer(blob, dtype="<i8").astype(np.int64)
    modulus = self.parameters.plain_modulus
    return np.where(residues > modulus // 2, residues - modulus, residues)


_UNENCRYPTED = (
    *_instead(Bfv, "encrypt", _in_the_clear),
    *_instead(Bfv, "add", _added_clear),
    *_instead(Bfv, "decrypt", _opened_clear),
)


def _raw_sum_along() -> tuple[Swap, ...]:
    """Have the raw sum travel in a field that is meant for a digest."""
    raw = [b""]

    def summed(original: Function) -> Function:
        def kept(*args: object) -> object:
            total = cast("Vector", original(*args))
            raw[0] = total.astype("<i8").tobytes()
            return total

        return kept

    def accounted(original: Function) -> Function:
        def told(self: Member, *args: object) -> object:
            account = cast("Statement", original(self, *args))
            return account.model_copy(update={"head": raw[0].hex()}).signed(self.signing)

        return told

    return (Swap(pipeline, "sum_rows", summed), Swap(Member, "account", accounted))


# The ledger.


def _uncharged(*args: object) -> bool:
    return True


def _charged_once_a_step(original: Function) -> Function:
    def charged(self: Ledger, charge: object, records: RecordSet) -> object:
        last = self.charges[-1] if self.charges else None
        if last is not None and last.step == getattr(charge, "step", None):
            return True
        return original(self, charge, records)

    return charged


def _spent_by_same_set(self: Ledger, records: RecordSet) -> float:
    return sum(one.cost for one in self.charges if one.records == records.digest)


# What an operator may ask for.


def _opened_anew(ask: object, seat: object, someone: object) -> object:
    from mesh_fl.messages import Ask
    from mesh_fl.seat import Seat

    if not isinstance(ask, Ask) or not isinstance(seat, Seat) or ask.pending is None:
        return None
    total = open_pending(ask, ask.pending, seat, cast("Member", someone))
    after = next_digest(ask.call.model, total)
    return hand_over(total, after, ask.call.cohort.index(seat.name), len(ask.call.cohort))


def _nothing(*args: object) -> None:
    return None


def _yes(*args: object) -> bool:
    return True


def _no(*args: object) -> bool:
    return False


def _too_much(original: Function) -> Function:
    return lambda *args: 1.1**2 * cast("float", original(*args))


BUGS = (
    Bug("rows are not clipped", ("sensitivity", "one-run"), _instead(pipeline, "sum_rows", _unclipped)),
    Bug("the sum is clipped, not its rows", ("sensitivity",), _instead(pipeline, "sum_rows", _clipped_after)),
    Bug("the sensitivity forgets rounding", ("sensitivity",), _instead(plan, "integer_bound", _without_rounding)),
    Bug("no noise", ("residuals", "one-run", "tracing"), _instead(pipeline, "discrete_gaussian", _no_noise)),
    Bug("noise of one round in every round", ("residuals", "accountant", "pld"), _around(Plan, "_release", _with_share(_of_one_round))),
    Bug("sigma / n for sigma / sqrt(n)", ("residuals", "accountant"), _around(Plan, "_release", _with_share(_divided_by_all))),
    Bug("shares that count on everybody", ("residuals", "accountant"), _around(Plan, "_release", _with_share(_for_everybody))),
    Bug("one member adds no share", ("residuals",), _around(pipeline, "discrete_gaussian", _one_share_dropped)),
    Bug("a second attempt reuses noise", ("fresh-noise",), _around(pipeline, "discrete_gaussian", _drawn_once)),
    Bug("numpy's generator for the system's", ("source",), _instead(SystemSource, "words", _numpy_words)),
    Bug("a budget of epsilon = .11", ("accountant", "pld", "residuals"), _around(plan, "budget_of", _too_much)),
    Bug("no masks", ("subsets", "fresh-masks", "colluders"), _instead(Term, "hide", _no_masks)),
    Bug("a second attempt reuses masks", ("fresh-masks",), _around(Term, "hide", _without_attempt)),
    Bug("masks with two neighbours only", ("colluders",), _instead(Term, "hide", _with_next_only)),
    Bug("both of a pair add their mask", ("residuals",), _instead(Term, "hide", _equal_signs)),
    Bug("no encryption", ("replies",), _UNENCRYPTED),
    Bug("the raw sum in place of a digest", ("replies",), _raw_sum_along()),
    Bug("attempts are not charged", ("charges",), _instead(Member, "charge", _uncharged)),
    Bug("a dead attempt is not charged", ("charges",), _around(Ledger, "charge", _charged_once_a_step)),
    Bug("overspending is not refused", ("budget",), _instead(Ledger, "affords", _yes)),
    Bug("a record's other sets are forgotten", ("overlap",), _instead(Ledger, "spent", _spent_by_same_set)),
    Bug("a replay passes for a repetition", ("replay",), _instead(Ledger, "_again", _no)),
    Bug("the same attempt is sealed anew", ("same-attempt",), _instead(Member, "stored_reply", _nothing)),
    Bug("a restored ledger starts", ("restored",), _instead(Member, "_refuse_restored", _nothing)),
    Bug("peers forget each other's ledgers", ("restored",), _around(peers, "_extended", lambda _: lambda known, one: {one.lines: one.head})),
    Bug("a second sum of a step is opened", ("second-opening",), (*_instead(member, "_refuse_step", _nothing), *_instead(round, "catch_up", _opened_anew))),
    Bug("a short cohort is joined", ("short-cohort",), _instead(verification, "check_cohort", _nothing)),
    Bug("any signature counts", ("forged-call",), _instead(Statement, "verifies", _yes)),
)
