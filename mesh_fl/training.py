"""A whole training at the server: rounds with their attempts, and the close.

Every change of mind is stored before anybody hears of it, so a server that is killed asks the very
same attempt again, and the members answer with the very same bytes.
"""

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from mesh_fl.agent import Agent, State
from mesh_fl.asking import Asking
from mesh_fl.checkpoint import Checkpoint, RoundRecord, Status
from mesh_fl.convening import Convening
from mesh_fl.enrolment import Enrolment
from mesh_fl.errors import MeshError
from mesh_fl.exchange import Exchange
from mesh_fl.large_cohort import LARGE, Gathered, LargeCohort
from mesh_fl.layout import unpack
from mesh_fl.messages import Ask, Pending, Refusal, Reply
from mesh_fl.opening import Opening, liars, settle, step_model
from mesh_fl.privacy.circle import Advertised
from mesh_fl.privacy.encryption import Bfv
from mesh_fl.privacy.pipeline import CipherFactory, next_digest, rescale
from mesh_fl.privacy.plan import Plan
from mesh_fl.privacy.robust import Revealed
from mesh_fl.round import fits, server_turn
from mesh_fl.state import dump_state, first_digest, load_state
from mesh_fl.store import Blobs
from mesh_fl.verification import check_pending

MISFIT = Refusal(cause="reply", lasting=True)


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
    _patient_until: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        """Read the model out of the checkpoint."""
        self.plan: Plan = self.checkpoint.plan
        self.state: State = load_state(self.checkpoint.state, self.agent.init())
        self._cipher = self.make_cipher(self.plan.parameters, None)
        self.enrolment = Enrolment(self.checkpoint, self.exchange, self._refused, self.timeout_s)
        self.epochs = Convening(
            self.checkpoint, self.exchange, self.enrolment, self.timeout_s, self._confirm
        )
        self.large = LargeCohort(self.checkpoint, self.exchange, self.enrolment, self.timeout_s)
        self._asking = Asking(self.checkpoint, self.enrolment, self.blobs, self.operator)

    def run(self) -> Checkpoint:
        """Train until all rounds are done, no further attempt is affordable, or `stopped`."""
        if not self._openable():
            self._drop_pending()
        self._save()
        if self.checkpoint.attempt:
            self._patient_until = time.monotonic() + self.patience_s
        while not self.stopped() and (self.checkpoint.status == "running" or self._unsettled()):
            if self._unsettled():
                self.close()
            elif self.checkpoint.step == len(self.plan.schedule):
                self._end("finished", "all rounds are done")
            elif cohort := self._open_attempt():
                self._attempt(cohort)
        return self.checkpoint

    def close(self) -> None:
        """Have the last sum opened, and the model compared by every member in reach."""
        if self.checkpoint.status == "split":
            return
        if self._unsettled():
            self._have_opened(self.enrolment.ready())
            return
        self.enrolment.follow_roster()
        behind = tuple(n for n in self.enrolment.ready() if n not in self._closed)
        if not behind:
            time.sleep(self.poll_s)
            return
        replies = self._send(self._asking.ask("close", behind, publish=True))
        told, self._closed = bool(self._closed), self._closed | replies.keys()
        if replies and not told:
            self._tell("closed", f"{len(replies)} members hold the last model")

    def _have_opened(self, ready: tuple[str, ...]) -> None:
        """Have the pending sum opened without asking for more."""
        present = self._within_epoch(ready)
        if len(present) <= self.plan.colluders:
            self._tell("waiting", "for members who can open the last sum")
            time.sleep(self.poll_s)
            return
        ask = self._asking.ask("close", present)
        if self._settle(ask, self._send(ask)):
            self._save()

    def _within_epoch(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted(set(self.checkpoint.entered) & set(names)))

    def _confirm(self, members: Collection[str]) -> Collection[str]:
        self._save()
        ask = self._asking.ask("close", tuple(sorted(members)))
        return self._send(ask).keys()

    def _attempt(self, cohort: tuple[str, ...]) -> None:
        began, traffic = time.monotonic(), self.exchange.traffic
        self._tell("asked", f"asking {len(cohort)} members (attempt {self.checkpoint.attempt})")
        kind, gathered = self.plan.schedule[self.checkpoint.step], None
        if self._is_large(cohort):
            gathered = self.large.gather(cohort, self.checkpoint.step + 1)
            if gathered is None:
                self._dead_unless_stopped(())
                return
        circle = gathered.circle.digest if gathered else ""
        ask = self._asking.ask(kind, gathered.dealers if gathered else cohort, circle=circle)
        replies = self._send(ask, gathered)
        agreed = self._settle(ask, replies)
        if self.checkpoint.status != "running":
            return
        outcome = server_turn(ask, replies, self.plan, self._cipher)
        unopened = self.checkpoint.pending is not None
        if not isinstance(outcome, Pending) or not agreed or unopened:
            # Nobody is to blame for a sum that could not be opened, or was opened differently.
            blamed = agreed and self.checkpoint.step == ask.call.step - 1
            missing = () if isinstance(outcome, Pending) or gathered or not blamed else outcome
            self._dead_unless_stopped(missing)
            return
        keys: Mapping[str, Advertised] = {}
        revealed: Mapping[str, Revealed] = {}
        if gathered is not None:
            found = self.large.unmasked(gathered, outcome, self._cipher)
            if found is None:
                self._dead_unless_stopped(())
                return
            keys, (outcome, revealed) = gathered.circle.advertised, found
        self._asking.keep_parts(outcome, replies, keys, revealed)
        self.checkpoint.pending = outcome
        self.checkpoint.cohort = ()
        self.checkpoint.step += 1
        down, up = (now - then for now, then in zip(self.exchange.traffic, traffic, strict=True))
        self._record(len(outcome.accounts), time.monotonic() - began, up, down)

    def _is_large(self, cohort: Collection[str]) -> bool:
        return self.masked and len(cohort) > LARGE

    def _dead_unless_stopped(self, missing: Collection[str]) -> None:
        # Of a server that stops, the attempt stays open: the next start asks for it again.
        if not self.stopped():
            self._dead(missing)

    def _open_attempt(self) -> tuple[str, ...]:
        """Return the cohort of the open attempt, or open a new one and store it; empty to retry."""
        if self._is_large(self.checkpoint.cohort):
            # Keys of a large cohort's attempt live in memory only.
            self._dead(())
        if self.checkpoint.cohort:
            self._await(self.checkpoint.cohort)
            return self.checkpoint.cohort
        cohort = self._in_epoch(self._gather())
        if not cohort:
            return ()
        if not self.plan.affords(self.checkpoint.spent, self.checkpoint.step):
            self._end("exhausted", "the spare attempts are used up; the last model stands")
            return ()
        self.checkpoint.attempt += 1
        self.checkpoint.spent += self.plan.cost(self.plan.schedule[self.checkpoint.step])
        self.checkpoint.cohort = cohort
        self._save()
        return cohort

    def _in_epoch(self, ready: tuple[str, ...]) -> tuple[str, ...]:
        """Begin a new epoch where one is due; empty to try again."""
        ready = self._let_in(ready)
        if not ready or not self.epochs.due(ready):
            return ready
        if self.checkpoint.pending is not None:
            # Only the members of the old epoch can open what was sealed in it.
            self._have_opened(ready)
            return ()
        if not self.epochs.begin(ready):
            self._tell("waiting", "too few members entered the new epoch")
            return ()
        self._tell("epoch", f"epoch {self.checkpoint.epoch}: {len(ready)} members made new keys")
        return self._within_epoch(self.enrolment.enrolled.keys() & set(ready))

    def _let_in(self, ready: tuple[str, ...]) -> tuple[str, ...]:
        """Have members enter a large epoch that were away when it began; leave out who does not."""
        at = self.checkpoint
        members = at.charter.members if at.charter else frozenset[str]()
        late = (members & set(ready)) - set(at.entered)
        # In a large cohort some are always late: a new epoch for them would be one each round.
        if not late or len(members) <= LARGE:
            return ready
        at.entered = tuple(sorted({*at.entered, *self._confirm(late)}))
        inside = tuple(name for name in ready if name not in late or name in at.entered)
        return inside if len(inside) >= self.plan.survivors else ready

    def _gather(self) -> tuple[str, ...]:
        if self.checkpoint.pending is None:
            self.enrolment.follow_roster()
        first = self.checkpoint.attempt == 0 or time.monotonic() < self._patient_until
        ready = self.enrolment.ready(enough=self.plan.survivors)
        willing = self.enrolment.candidates()
        # Whoever refuses for good is not waited for.
        needed = max(self.plan.survivors, min(self.quorum, len(willing)) if first else 0)
        if len(ready) >= needed:
            return ready
        if len(willing) < self.plan.survivors:
            return self._too_few(len(willing))
        absent = ", ".join(sorted(willing - set(ready)))
        self._tell("waiting", f"{len(ready)} of {needed} members are ready; absent: {absent}")
        time.sleep(self.poll_s)
        return ()

    def _too_few(self, willing: int) -> tuple[str, ...]:
        why = f"only {willing} members can take part, the plan needs {self.plan.survivors}"
        if not self.waits:
            self._end("exhausted", f"{why}; the last model stands")
            return ()
        refusals = [f"; {name}: {told}" for name, told in self.enrolment.excluded.items()]
        self._tell("waiting", f"{why}: it waits for members to come back{''.join(refusals)}")
        time.sleep(self.poll_s)
        return ()

    def _await(self, cohort: Collection[str]) -> None:
        until = time.monotonic() + self.patience_s
        while not self.stopped() and time.monotonic() < until:
            if set(cohort) <= set(self.enrolment.ready()) | self.enrolment.excluded.keys():
                return
            self._tell("waiting", "for the members of the attempt that was open")
            time.sleep(self.poll_s)

    def _send(self, ask: Ask, gathered: Gathered | None = None) -> dict[str, Reply]:
        cohort, asks = ask.call.cohort, self._asking.each(ask)
        if gathered is not None:
            asks = {
                name: one.model_copy(update={"dealt": gathered.dealt_to(name)})
                for name, one in asks.items()
            }
        answers = self.exchange.send(asks, self.timeout_s)
        replies = {
            name: answer
            for name, answer in answers.items()
            if isinstance(answer, Reply)
            and fits(answer, ask, name, self.plan, self.enrolment.roster.key_of(name))
        }
        strange = {
            name: answer if isinstance(answer, Refusal) else MISFIT
            for name, answer in answers.items()
            if name not in replies
        }
        for name in self.enrolment.restored([reply.account for reply in replies.values()]):
            del replies[name]
        self.enrolment.note(strange)
        self.enrolment.lost([name for name in cohort if name not in answers])
        self._asking.note(replies)
        unopened = [name for name, answer in strange.items() if answer.cause == "key"]
        # Whoever is silent may have opened it, and could never go back.
        holders = set(cohort) <= set(self.checkpoint.entered)
        if ask.pending and holders and len(unopened) == len(cohort) >= self.plan.survivors:
            self._drop_pending()
        return replies

    def _openable(self) -> bool:
        """Tell whether members would open the pending sum: not if a tampered server stored it."""
        pending = self.checkpoint.pending
        if pending is None:
            return True
        try:
            check_pending(pending, pending.call, self.plan, self.enrolment.roster)
        except MeshError:
            return False
        return pending.call.training == self.checkpoint.training

    def _drop_pending(self) -> None:
        """Give up a sum that nobody can open: somebody sealed under another key."""
        if self.checkpoint.pending is None:
            return
        if self.checkpoint.status == "finished":
            self.checkpoint.status = "running"
        self.checkpoint.pending = None
        self.checkpoint.step -= 1
        self.checkpoint.history.pop()
        self._tell("dead", "the last sum cannot be opened by any member; its release is repeated")

    def _settle(self, ask: Ask, replies: Mapping[str, Reply]) -> bool:
        """Take the opened total; False where the members do not agree on it."""
        if ask.pending is None or self.checkpoint.pending is None:
            return True
        opening = settle(ask, replies, self.plan)
        if not opening.model:
            if opening.dissenters:
                named = ", ".join(opening.dissenters)
                self._end("split", f"members signed for different totals of the same sum: {named}")
            return not opening.dissenters
        for name in opening.dissenters:
            self.enrolment.blame(name, "it signed for another total than the others opened")
        # In a large cohort some are always missing; in a small one the next ask deals anew.
        large = ask.call.circle or len(ask.call.cohort) > LARGE
        complete = large or len(opening.witnesses) == len(ask.call.cohort)
        total = opening.total
        if total is None and (complete or opening.dissenters):
            total = self._from_one(opening, replies)
        if total is not None:
            self._apply(total, opening)
        return not opening.dissenters

    def _from_one(self, opening: Opening, replies: Mapping[str, Reply]) -> NDArray[np.int64] | None:
        """Get the whole total from one member that signed for it, and find whose slice is wrong."""
        for witness in opening.witnesses:
            ask = self._asking.ask("close", (witness.by,))
            alone = settle(ask, self._send(ask), self.plan.model_copy(update={"colluders": 0}))
            if alone.model == opening.model and alone.total is not None:
                for name in liars(replies, alone.total):
                    if name not in opening.dissenters:
                        self.enrolment.blame(name, "its slice is not of the total it signed for")
                return alone.total
        return None

    def _apply(self, total: NDArray[np.int64], opening: Opening) -> None:
        kind = self.plan.schedule[self.checkpoint.applied]
        self.state = step_model(self.agent, self.plan, kind, self.state, total)
        self.checkpoint.state = dump_state(self.state)
        self.checkpoint.digest = next_digest(self.checkpoint.digest, total)
        self.checkpoint.witnesses = opening.witnesses
        self._asking.keep_total(self.checkpoint.applied, total)
        self.checkpoint.applied += 1
        self.checkpoint.pending = None
        if kind == "measure":
            layout, release = self.agent.measure_layout(), self.plan.release(kind)
            scores = dict(self.agent.score(unpack(layout, rescale(total, release))))
            self.checkpoint.history[self.checkpoint.applied - 1].scores = scores
            told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            self._tell("measured", f"{told} (with noise)")

    def _record(self, members: int, seconds: float, up: int, down: int) -> None:
        earlier = sum(record.attempts for record in self.checkpoint.history)
        record = RoundRecord(
            step=self.checkpoint.step,
            kind=self.plan.schedule[self.checkpoint.step - 1],
            attempts=self.checkpoint.attempt - earlier,
            members=members,
            seconds=seconds,
            bytes_up=up,
            bytes_down=down,
        )
        self.checkpoint.history.append(record)
        self._save()
        self._tell("round", f"{record.kind} with {members} members in {seconds:.2f} s")

    def _dead(self, missing: Collection[str]) -> None:
        self.enrolment.strike(missing)
        self.checkpoint.cohort = ()
        self._save()
        names = ", ".join(missing) or "anybody"
        why = f"attempt {self.checkpoint.attempt} is dead: nothing to add from {names}"
        self._tell("dead", why)

    def _unsettled(self) -> bool:
        ended = self.checkpoint.status in ("finished", "exhausted")
        return ended and self.checkpoint.pending is not None

    def _end(self, status: Status, why: str) -> None:
        self.checkpoint.status = status
        self.checkpoint.cohort = ()
        self._save()
        self._tell("ended", why)

    def _refused(self, name: str, reason: str) -> None:
        self._tell("refused", f"{name} refuses: {reason}")

    def _save(self) -> None:
        self.checkpoint.save(self.blobs)

    def _tell(self, kind: str, text: str) -> None:
        self.on_event(Event(kind, text, self.checkpoint.step, len(self.plan.schedule)))
