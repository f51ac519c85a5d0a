"""Where a training stands at the server, stored before anybody is asked."""

from typing import Literal, Self

import msgpack
from pydantic import BaseModel, ConfigDict, ValidationError

from mesh_fl.errors import ConfigError
from mesh_fl.messages import Pending
from mesh_fl.privacy.plan import Plan
from mesh_fl.statements import Account, Charter, Presence
from mesh_fl.store import Blobs

BLOB = "training"

Status = Literal["running", "finished", "exhausted", "split"]


class RoundRecord(BaseModel):
    """One finished release.

    Parameters
    ----------
    step : int
        Its place in the schedule, from 1.
    kind : str
        "train" or "measure".
    attempts : int
        Attempts that it took.
    members : int
        Members in its sum.
    seconds : float
        From the first ask to the encrypted sum.
    bytes_up, bytes_down : int
        Bytes of messages from and to all members, over all its attempts.
    scores : dict of str to float
        What a measure found, once its sum was opened.
    noise : dict of str to float
        About one standard deviation that noise moved each of them by; see `score_noise.spreads`.
    """

    model_config = ConfigDict(extra="forbid")

    step: int
    kind: str
    attempts: int
    members: int
    seconds: float
    bytes_up: int
    bytes_down: int
    scores: dict[str, float] = {}
    noise: dict[str, float] = {}


class Checkpoint(BaseModel):
    """All that a server needs to go on after a crash.

    Parameters
    ----------
    training, plan : str, Plan
        Which training, on what terms.
    status : str
        "running", "finished", "exhausted" (spare attempts used up) or "split" (members disagree).
    charter, sealed_keys : Charter or None, dict of str to bytes
        The epoch, and its key sealed to each of its members.
    entered : tuple of str
        Members who said that they hold that key.
    epoch_began : int
        Releases that were done when it began.
    latest : dict of str to Account or Presence
        The last word of each member.
    witnesses : tuple of Account
        Members' words on the model.
    step : int
        Releases whose encrypted sum is complete.
    attempt : int
        Attempts begun, in all.
    cohort : tuple of str
        Who is asked in the open attempt; empty when none is open.
    spent : float
        Squared mu charged for all attempts so far to a member that took part in each.
    digest, state : str, bytes
        The model before `pending` is applied.
    pending : Pending or None
        The last encrypted sum, not yet opened.
    applied : int
        Releases that the model has seen.
    """

    model_config = ConfigDict(extra="forbid")

    training: str
    plan: Plan
    status: Status = "running"
    charter: Charter | None = None
    sealed_keys: dict[str, bytes] = {}
    entered: tuple[str, ...] = ()
    epoch_began: int = 0
    latest: dict[str, Account | Presence] = {}
    witnesses: tuple[Account, ...] = ()
    step: int = 0
    attempt: int = 0
    cohort: tuple[str, ...] = ()
    spent: float = 0.0
    digest: str
    state: bytes
    pending: Pending | None = None
    applied: int = 0
    history: list[RoundRecord] = []

    @property
    def epoch(self) -> int:
        """Number of the epoch, from 1; 0 before the first."""
        return 0 if self.charter is None else self.charter.notice.epoch

    def save(self, blobs: Blobs) -> None:
        """Store the checkpoint, atomically and durably."""
        blobs[BLOB] = msgpack.packb(self.model_dump())

    @classmethod
    def load(cls, blobs: Blobs, name: str = BLOB) -> Self | None:
        """Return the stored checkpoint, or None where no training was begun.

        Parameters
        ----------
        blobs : Blobs
            Where it is stored.
        name : str
            That of an earlier training, which was kept when a new one began.

        Raises
        ------
        ConfigError
            If what is stored is no checkpoint.
        """
        blob = blobs.get(name)
        if blob is None:
            return None
        try:
            return cls.model_validate(msgpack.unpackb(blob, use_list=False))
        except (ValidationError, ValueError, TypeError, msgpack.UnpackException) as error:
            raise ConfigError(
                f"the stored training cannot be read ({type(error).__name__}): put back the file "
                f"'{name}' of the server's home, or begin a new one by `mesh-server start --new`"
            ) from error
