"""What each member is sent: one signed call for all, and along with it what each of them lacks."""

from collections.abc import Mapping

import msgpack
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.enrolment import Enrolment
from mesh_fl.messages import Ask, Pending, Reply
from mesh_fl.privacy.circle import Advertised
from mesh_fl.privacy.robust import Revealed
from mesh_fl.statements import Account, Call, Phase
from mesh_fl.store import Blobs
from mesh_fl.verification import recounter, sha256


class Asking:
    """Makes the asks of one training.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the training stands.
    enrolment : Enrolment
        How many releases each member's model has seen.
    blobs : Blobs
        Where opened totals are kept for members that missed them.
    operator : Ed25519PrivateKey
        Signs the calls.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        enrolment: Enrolment,
        blobs: Blobs,
        operator: Ed25519PrivateKey,
    ) -> None:
        self._checkpoint = checkpoint
        self._enrolment = enrolment
        self._blobs = blobs
        self._operator = operator
        self._entered: dict[str, str] = {}
        self._receipts: dict[str, str] = {}

    def ask(
        self, phase: Phase, cohort: tuple[str, ...], *, circle: str = "", publish: bool = False
    ) -> Ask:
        """Return what a whole cohort is asked.

        Parameters
        ----------
        phase : {"train", "measure", "close"}
            What for.
        cohort : tuple of str
            Members of the epoch.
        circle : str
            Digest of the attempt's keys in a large cohort.
        publish : bool
            Whether to send our model along, to be compared.
        """
        at, closing = self._checkpoint, phase == "close"
        call = Call(
            training=at.training,
            agent=at.plan.agent,
            plan=at.plan.digest,
            phase=phase,
            step=max(1, at.step + (not closing)),
            attempt=0 if closing else at.attempt,
            cohort=cohort,
            epoch=at.charter.digest if at.charter else "",
            model=at.digest,
            seen=at.applied,
            pending=sha256(at.pending.encrypted) if at.pending else "",
            circle=circle,
        )
        model = at.state if publish else None
        return Ask(call=call.signed(self._operator), pending=at.pending, model=model)

    def each(self, ask: Ask) -> dict[str, Ask]:
        """Return what each member of the cohort is sent."""
        return {name: ask.model_copy(update=self._extras(ask, name)) for name in ask.call.cohort}

    def note(self, replies: Mapping[str, Reply]) -> None:
        """Remember whose model is up to date, and sign receipts."""
        at = self._checkpoint
        for name, reply in replies.items():
            account = reply.account
            self._entered[name] = at.charter.digest if at.charter else ""
            self._enrolment.enrolled[name] = at.applied + (reply.opened is not None)
            if reply.sealed is not None:
                self._receipts[name] = account.receipt(self._operator)
            at.latest[name] = account

    def keep_total(self, step: int, total: NDArray[np.int64]) -> None:
        """Keep an opened total, for members that missed it."""
        self._blobs[self._place(step)] = total.astype("<i8").tobytes()

    def keep_parts(
        self,
        pending: Pending,
        replies: Mapping[str, Reply],
        advertised: Mapping[str, Advertised],
        revealed: Mapping[str, Revealed],
    ) -> None:
        """Keep what a sum is made of, for the member that adds it up again."""
        sealed = [replies[one.by].sealed for one in pending.accounts]
        parts = [one.ciphertext for one in sealed if one is not None]
        keys = {name: one.model_dump() for name, one in advertised.items()}
        shares = {name: one.model_dump() for name, one in revealed.items()}
        self._blobs[self._parts(pending.step)] = msgpack.packb([parts, keys, shares])
        self._blobs.pop(self._parts(pending.step - 2), None)

    def _recount(self, ask: Ask, name: str) -> dict[str, object]:
        if ask.pending is None or recounter(ask.call.cohort, ask.call.step) != name:
            return {}
        if self._enrolment.enrolled.get(name, 0) >= ask.pending.step:
            return {}
        blob = self._blobs.get(self._parts(ask.pending.step))
        if blob is None:
            return {}
        parts, keys, shares = msgpack.unpackb(blob)
        advertised = {name: Advertised.model_validate(one) for name, one in keys.items()}
        revealed = {name: Revealed.model_validate(one) for name, one in shares.items()}
        return {"recount": tuple(parts), "advertised": advertised, "revealed": revealed}

    def _extras(self, ask: Ask, name: str) -> dict[str, object]:
        at = self._checkpoint
        # The member itself says how far it got when it consents.
        seen = self._enrolment.enrolled.get(name, 0)
        missed = range(min(seen, at.applied), at.applied)
        witnesses: tuple[Account, ...] = at.witnesses if missed else ()
        entered = self._entered.get(name) == ask.call.epoch
        return {
            **self._recount(ask, name),
            "missed": tuple(self._blobs[self._place(step)] for step in missed),
            "witnesses": witnesses,
            "charter": None if entered else at.charter,
            "sealed_key": None if entered else at.sealed_keys.get(name),
            "receipt": self._receipts.get(name, ""),
        }

    def _place(self, step: int) -> str:
        return f"{self._checkpoint.training}.total.{step}"

    def _parts(self, step: int) -> str:
        return f"{self._checkpoint.training}.parts.{step}"
