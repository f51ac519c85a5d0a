"""What a training leaves behind: the stored checkpoint, and a sentence for the operator."""

from collections.abc import Callable
from dataclasses import dataclass

from mesh_fl.checkpoint import Checkpoint, RoundRecord, Status
from mesh_fl.store import Blobs


@dataclass(frozen=True)
class Event:
    """Something that the operator may want to know.

    Parameters
    ----------
    kind : str
        "waiting", "epoch", "asked", "round", "measured", "dead", "refused", "ended" or "closed".
    text : str
        One sentence for people.
    step, steps : int
        Where the training stands.
    """

    kind: str
    text: str
    step: int
    steps: int


@dataclass
class Logbook:
    """Stores the checkpoint and tells what happens.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the training stands.
    blobs : Blobs
        Where it is stored.
    on_event : callable
        Told what happens.
    """

    checkpoint: Checkpoint
    blobs: Blobs
    on_event: Callable[[Event], None]

    def save(self) -> None:
        """Store the checkpoint, durably."""
        self.checkpoint.save(self.blobs)

    def tell(self, kind: str, text: str) -> None:
        """Tell the operator."""
        steps = len(self.checkpoint.plan.schedule)
        self.on_event(Event(kind, text, self.checkpoint.step, steps))

    def refused(self, name: str, reason: str) -> None:
        """Tell that a member refuses, or is left out."""
        self.tell("refused", f"{name} refuses: {reason}")

    def end(self, status: Status, why: str) -> None:
        """End the training."""
        self.checkpoint.status = status
        self.checkpoint.cohort = ()
        self.save()
        self.tell("ended", why)

    def record(self, members: int, seconds: float, up: int, down: int) -> None:
        """Enter a finished release."""
        at = self.checkpoint
        earlier = sum(record.attempts for record in at.history)
        record = RoundRecord(
            step=at.step,
            kind=at.plan.schedule[at.step - 1],
            attempts=at.attempt - earlier,
            members=members,
            seconds=seconds,
            bytes_up=up,
            bytes_down=down,
        )
        at.history.append(record)
        self.save()
        self.tell("round", f"{record.kind} with {members} members in {seconds:.2f} s")
