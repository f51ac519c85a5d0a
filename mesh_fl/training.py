"""A whole training at the server: rounds with their attempts, and the close.

Every change of mind is stored before anybody hears of it, so a server that is killed asks the very
same attempt again, and the members answer with the very same bytes.
"""

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh_fl.agent import Agent, State
from mesh_fl.asking import Asking
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.cohorts import Cohorts
from mesh_fl.convening import Convening
from mesh_fl.delivery import Delivery
from mesh_fl.enrolment import Enrolment
from mesh_fl.exchange import Exchange
from mesh_fl.large_cohort import LargeCohort
from mesh_fl.logbook import Event, Logbook
from mesh_fl.messages import Pending
from mesh_fl.privacy.circle import Advertised
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.pipeline import CipherFactory
from mesh_fl.privacy.plan import LARGE, Plan
from mesh_fl.privacy.robust import Revealed
from mesh_fl.round import server_turn
from mesh_fl.settling import Settling
from mesh_fl.state import dump_state, first_digest
from mesh_fl.store import Blobs


def begin(agent: Agent, plan: Plan) -> Checkpoint:
    """Return the first checkpoint of a new training."""
    state = agent.init()
    return Checkpoint(
        training=secrets.token_hex(16),
        plan=plan,
        digest=first_digest(plan.digest, state),
        state=dump_state(state),
    )


def _ignore(event: Event) -> None:
    return None


@dataclass
class Training:
    """A training at the server, from wherever its checkpoint stands.

    Parameters
    ----------
    agent : Agent
        As the plan configures it.
    checkpoint : Checkpoint
        Where to go on from.
    exchange : Exchange
        How to reach the members.
    blobs : Blobs
        Where checkpoints and totals are stored.
    operator : Ed25519PrivateKey
        Signs what is asked.
    timeout_s : float
        How long an attempt waits for its members.
    patience_s : float
        How long members may take to come back when a server starts again.
    quorum : int
        Members to wait for before the first round, and after a restart for as long as `patience_s`;
        never less than the plan's fewest survivors.
    waits : bool
        Whether to wait where too few members are left, until they come back mended.
    make_cipher : CipherFactory
        BFV outside of simulations.
    masked : bool
        Whether members mask what they send; False in simulations only.
    stopped : callable
        Asked now and then; True leaves the training where it stands.
    on_event : callable
        Told what happens.
    """

    agent: Agent
    checkpoint: Checkpoint
    exchange: Exchange
    blobs: Blobs
    operator: Ed25519PrivateKey
    timeout_s: float = 30.0
    patience_s: float = 60.0
    quorum: int = 0
    waits: bool = False
    make_cipher: CipherFactory = Bfv
    masked: bool = True
    stopped: Callable[[], bool] = lambda: False
    on_event: Callable[[Event], None] = _ignore
    poll_s: float = 0.1
    _closed: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Read the model out of the checkpoint."""
        self.plan: Plan = self.checkpoint.plan
        self._cipher = self.make_cipher(self.plan.parameters, None)
        at, timeout_s = self.checkpoint, self.timeout_s
        self.logbook = Logbook(at, self.blobs, self.on_event)
        self.enrolment = Enrolment(at, self.exchange, self.logbook.refused, timeout_s)
        asking = Asking(at, self.enrolment, self.blobs, self.operator)
        self.delivery = Delivery(asking, self.exchange, self.enrolment, at, timeout_s)
        self.settling = Settling(self.agent, self.logbook, self.enrolment, self.delivery)
        self.large = LargeCohort(at, self.exchange, self.enrolment, timeout_s)
        self.cohorts = Cohorts(
            self.logbook,
            self.enrolment,
            self.settling,
            Convening(at, self.exchange, self.enrolment, timeout_s, self._confirm),
            quorum=self.quorum,
            patience_s=self.patience_s,
            waits=self.waits,
            stopped=self.stopped,
            poll_s=self.poll_s,
        )

    @property
    def state(self) -> State:
        """The global model, up to the last total that was opened."""
        return self.settling.state

    def run(self) -> Checkpoint:
        """Train until all rounds are done, no further attempt is affordable, or `stopped`."""
        if not self.settling.openable():
            self.settling.give_up()
        self.logbook.save()
        self.cohorts.begin()
        while not self.stopped() and (self.checkpoint.status == "running" or self._unsettled()):
            if self._unsettled():
                self.close()
            elif self.checkpoint.step == len(self.plan.schedule):
                self.logbook.end("finished", "all rounds are done")
            elif cohort := self._open_attempt():
                self._attempt(cohort)
        return self.checkpoint

    def close(self) -> None:
        """Have the last sum opened, and the model compared by every member in reach."""
        if self.checkpoint.status == "split":
            return
        if self._unsettled():
            self.cohorts.settle_last(self.enrolment.ready())
            return
        self.enrolment.follow_roster()
        behind = tuple(n for n in self.enrolment.ready() if n not in self._closed)
        if not behind:
            time.sleep(self.poll_s)
            return
        _, replies = self.delivery.close(behind, publish=True)
        told, self._closed = bool(self._closed), self._closed | replies.keys()
        if replies and not told:
            self.logbook.tell("closed", f"{len(replies)} members hold the last model")

    def _confirm(self, members: Collection[str]) -> Collection[str]:
        self.logbook.save()
        _, replies = self.delivery.close(tuple(sorted(members)))
        return replies.keys()

    def _open_attempt(self) -> tuple[str, ...]:
        """Return the cohort of the open attempt, or open a new one and store it; empty to retry."""
        at = self.checkpoint
        if self._is_large(at.cohort):
            # Keys of a large cohort's attempt live in memory only.
            self._dead(())
        if at.cohort:
            self.cohorts.await_again(at.cohort)
            return at.cohort
        cohort = self.cohorts.next()
        if not cohort:
            return ()
        if not self.plan.affords(at.spent, at.step):
            self.logbook.end("exhausted", "the spare attempts are used up; the last model stands")
            return ()
        at.attempt += 1
        at.spent += self.plan.cost(self.plan.schedule[at.step])
        at.cohort = cohort
        self.logbook.save()
        return cohort

    def _attempt(self, cohort: tuple[str, ...]) -> None:
        at, began, traffic = self.checkpoint, time.monotonic(), self.exchange.traffic
        self.logbook.tell("asked", f"asking {len(cohort)} members (attempt {at.attempt})")
        pending = self._sum_of(cohort)
        if pending is None:
            return
        at.pending, at.cohort, at.step = pending, (), at.step + 1
        down, up = (now - then for now, then in zip(self.exchange.traffic, traffic, strict=True))
        self.logbook.record(len(pending.accounts), time.monotonic() - began, up, down)

    def _sum_of(self, cohort: tuple[str, ...]) -> Pending | None:
        """Ask a cohort and add up what it seals; None where that came to nothing."""
        at, gathered, dealt = self.checkpoint, None, None
        if self._is_large(cohort):
            gathered = self.large.gather(cohort, at.step + 1)
            if gathered is None:
                self._dead_unless_stopped(())
                return None
            cohort, dealt = gathered.dealers, gathered.dealt
        circle = gathered.circle.digest if gathered else ""
        ask = self.delivery.asking.ask(self.plan.schedule[at.step], cohort, circle=circle)
        replies = self.delivery.send(ask, dealt)
        agreed = self.settling.take(ask, replies)
        if at.status != "running":
            return None
        outcome = server_turn(ask, replies, self.plan, self._cipher)
        if not isinstance(outcome, Pending) or not agreed or at.pending is not None:
            # Nobody is to blame for a sum that could not be opened, or was opened differently.
            blamed = agreed and at.step == ask.call.step - 1 and gathered is None
            self._dead_unless_stopped(outcome if blamed and isinstance(outcome, tuple) else ())
            return None
        keys: Mapping[str, Advertised] = {}
        revealed: Mapping[str, Revealed] = {}
        if gathered is not None:
            found = self.large.unmasked(gathered, outcome, self._cipher)
            if found is None:
                self._dead_unless_stopped(())
                return None
            keys, (outcome, revealed) = gathered.circle.advertised, found
        self.delivery.asking.keep_parts(outcome, replies, keys, revealed)
        return outcome

    def _is_large(self, cohort: Collection[str]) -> bool:
        return self.masked and len(cohort) > LARGE

    def _dead_unless_stopped(self, missing: Collection[str]) -> None:
        # Of a server that stops, the attempt stays open: the next start asks for it again.
        if not self.stopped():
            self._dead(missing)

    def _dead(self, missing: Collection[str]) -> None:
        self.enrolment.strike(missing)
        self.checkpoint.cohort = ()
        self.logbook.save()
        names = ", ".join(missing) or "anybody"
        why = f"attempt {self.checkpoint.attempt} is dead: nothing to add from {names}"
        self.logbook.tell("dead", why)

    def _unsettled(self) -> bool:
        ended = self.checkpoint.status in ("finished", "exhausted")
        return ended and self.checkpoint.pending is not None
