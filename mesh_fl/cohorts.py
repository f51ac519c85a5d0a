"""Whom to ask next: members that are ready, enough of them, all in the same epoch."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from mesh_fl.convening import Convening
from mesh_fl.enrolment import Enrolment
from mesh_fl.logbook import Logbook
from mesh_fl.privacy.plan import LARGE
from mesh_fl.settling import Settling


@dataclass
class Cohorts:
    """Gathers the cohort of each attempt.

    Parameters
    ----------
    logbook : Logbook
        Holds the checkpoint.
    enrolment : Enrolment
        Who is ready.
    settling : Settling
        Has the last sum of an epoch opened before the next begins.
    epochs : Convening
        Begins epochs.
    quorum : int
        Members to wait for before the first round, and after a restart for as long as `patience_s`.
    patience_s : float
        How long members may take to come back when a server starts again.
    waits : bool
        Whether to wait where too few members are left.
    stopped : callable
        Ends the waiting.
    poll_s : float
        Pause between two looks.
    """

    logbook: Logbook
    enrolment: Enrolment
    settling: Settling
    epochs: Convening
    quorum: int
    patience_s: float
    waits: bool
    stopped: Callable[[], bool]
    poll_s: float
    _patient_until: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        """Look at where the training stands."""
        self._at, self._plan = self.logbook.checkpoint, self.logbook.checkpoint.plan

    def begin(self) -> None:
        """Start the clock: who was here before the server stopped may take a while to be back."""
        if self._at.attempt:
            self._patient_until = time.monotonic() + self.patience_s

    def next(self) -> tuple[str, ...]:
        """Return the next cohort; empty to try again."""
        return self._in_epoch(self._gather())

    def await_again(self, cohort: Collection[str]) -> None:
        """Wait for the members of an attempt that was open when the server stopped."""
        until = time.monotonic() + self.patience_s
        while not self.stopped() and time.monotonic() < until:
            if set(cohort) <= set(self.enrolment.ready()) | self.enrolment.excluded.keys():
                return
            self.logbook.tell("waiting", "for the members of the attempt that was open")
            time.sleep(self.poll_s)

    def settle_last(self, ready: Collection[str]) -> None:
        """Have the pending sum opened by those who hold its epoch's key."""
        if self.settling.have_opened(self._entered(ready)):
            self.logbook.save()
        if self._at.pending is not None:
            time.sleep(self.poll_s)

    def _gather(self) -> tuple[str, ...]:
        if self._at.pending is None:
            self.enrolment.follow_roster()
        first = self._at.attempt == 0 or time.monotonic() < self._patient_until
        ready = self.enrolment.ready(enough=self._plan.survivors)
        # Who was taken out counts no more, even while the last sum is still that of the old roster.
        willing = self.enrolment.candidates() & self.enrolment.exchange.roster().cards.keys()
        # Whoever refuses for good is not waited for.
        needed = max(self._plan.survivors, min(self.quorum, len(willing)) if first else 0)
        if len(ready) >= needed:
            return ready
        if len(willing) < self._plan.survivors:
            return self._too_few(len(willing))
        absent = ", ".join(sorted(willing - set(ready)))
        self._wait(f"{len(ready)} of {needed} members are ready; absent: {absent}")
        return ()

    def _too_few(self, willing: int) -> tuple[str, ...]:
        why = f"only {willing} members can take part, the plan needs {self._plan.survivors}"
        if self.waits:
            refusals = [f"; {name}: {told}" for name, told in self.enrolment.excluded.items()]
            self._wait(f"{why}: it waits for members to come back{''.join(refusals)}")
        else:
            self.logbook.end("exhausted", f"{why}; the last model stands")
        return ()

    def _wait(self, why: str) -> None:
        self.logbook.tell("waiting", why)
        time.sleep(self.poll_s)

    def _in_epoch(self, ready: tuple[str, ...]) -> tuple[str, ...]:
        """Begin a new epoch where one is due; empty to try again."""
        ready = self._let_in(ready)
        if not ready or not self.epochs.due(ready):
            return ready
        if self._at.pending is not None:
            # Only the members of the old epoch can open what was sealed in it.
            self.settle_last(ready)
            return ()
        if not self.epochs.begin(ready):
            self._wait("too few members entered the new epoch")
            return ()
        present = self._entered(self.enrolment.enrolled.keys() & set(ready))
        self.logbook.tell("epoch", f"epoch {self._at.epoch}: {len(present)} members made new keys")
        return present

    def _let_in(self, ready: tuple[str, ...]) -> tuple[str, ...]:
        """Have members enter a large epoch that were away when it began; leave out who does not."""
        at = self._at
        members = at.charter.members if at.charter else frozenset[str]()
        late = (members & set(ready)) - set(at.entered)
        # In a large cohort some are always late: a new epoch for them would be one each round.
        if not late or len(members) <= LARGE:
            return ready
        at.entered = tuple(sorted({*at.entered, *self.epochs.confirm(late)}))
        inside = tuple(name for name in ready if name not in late or name in at.entered)
        return inside if len(inside) >= self._plan.survivors else ready

    def _entered(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted(set(self._at.entered) & set(names)))
