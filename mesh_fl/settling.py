"""From the members' replies to the next model at the server, and whom to blame if they differ."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, State
from mesh_fl.delivery import Delivery
from mesh_fl.enrolment import Enrolment
from mesh_fl.errors import MeshError
from mesh_fl.layout import unpack
from mesh_fl.logbook import Logbook
from mesh_fl.messages import Ask, Reply
from mesh_fl.opening import Opening, liars, settle, step_model
from mesh_fl.privacy.pipeline import next_digest, rescale
from mesh_fl.privacy.plan import LARGE
from mesh_fl.score_noise import in_words, spreads
from mesh_fl.state import dump_state, load_state
from mesh_fl.verification import check_pending


class Settling:
    """Takes opened totals, and keeps the server's model.

    Parameters
    ----------
    agent : Agent
        As the plan configures it.
    logbook : Logbook
        Holds the checkpoint.
    enrolment : Enrolment
        Leaves out who is to blame.
    delivery : Delivery
        Asks for what is missing.

    Attributes
    ----------
    state : State
        The global model, up to the last total that was opened.
    """

    def __init__(
        self, agent: Agent, logbook: Logbook, enrolment: Enrolment, delivery: Delivery
    ) -> None:
        self._agent = agent
        self._logbook, self._enrolment, self._delivery = logbook, enrolment, delivery
        self._at = logbook.checkpoint
        self.state: State = load_state(self._at.state, agent.init())

    def have_opened(self, present: tuple[str, ...]) -> bool:
        """Have the pending sum opened without asking for more; False where too few can."""
        if len(present) <= self._at.plan.colluders:
            self._logbook.tell("waiting", "for members who can open the last sum")
            return False
        ask, replies = self._delivery.close(present)
        self.take(ask, replies)
        return True

    def take(self, ask: Ask, replies: Mapping[str, Reply]) -> bool:
        """Take the total that replies open; False where the members do not agree on it."""
        plan = self._at.plan
        if ask.pending is None or self._at.pending is None:
            return True
        if self._delivery.nobody_opens(ask):
            self.give_up()
            return True
        opening = settle(ask, replies, plan)
        if not opening.model:
            if opening.dissenters:
                named = ", ".join(opening.dissenters)
                why = f"members signed for different totals of the same sum: {named}"
                self._logbook.end("split", why)
            return not opening.dissenters
        for name in opening.dissenters:
            self._enrolment.blame(name, "it signed for another total than the others opened")
        total = opening.total
        if total is None and (opening.dissenters or _complete(ask, opening)):
            total = self._from_one(opening, replies)
        if total is not None:
            self._apply(total, opening)
        return not opening.dissenters

    def openable(self) -> bool:
        """Tell whether members would open the pending sum: not if a tampered server stored it."""
        pending = self._at.pending
        if pending is None:
            return True
        try:
            check_pending(pending, pending.call, self._at.plan, self._enrolment.roster)
        except MeshError:
            return False
        return pending.call.training == self._at.training

    def give_up(self) -> None:
        """Give up a sum that nobody can open: somebody sealed under another key."""
        if self._at.pending is None:
            return
        if self._at.status == "finished":
            self._at.status = "running"
        self._at.pending = None
        self._at.step -= 1
        self._at.history.pop()
        why = "the last sum cannot be opened by any member; its release is repeated"
        self._logbook.tell("dead", why)

    def _from_one(self, opening: Opening, replies: Mapping[str, Reply]) -> NDArray[np.int64] | None:
        """Get the whole total from one member that signed for it, and find whose slice is wrong."""
        for witness in opening.witnesses:
            ask, alone = self._delivery.close((witness.by,))
            told = settle(ask, alone, self._at.plan.model_copy(update={"colluders": 0}))
            if told.model == opening.model and told.total is not None:
                for name in liars(replies, told.total):
                    if name not in opening.dissenters:
                        self._enrolment.blame(name, "its slice is not of the total it signed for")
                return told.total
        return None

    def _apply(self, total: NDArray[np.int64], opening: Opening) -> None:
        at = self._at
        kind = at.plan.schedule[at.applied]
        self.state = step_model(self._agent, at.plan, kind, self.state, total)
        at.state = dump_state(self.state)
        at.digest = next_digest(at.digest, total)
        at.witnesses = opening.witnesses
        self._delivery.asking.keep_total(at.applied, total)
        at.applied += 1
        at.pending = None
        if kind == "measure":
            self._score(total)

    def _score(self, total: NDArray[np.int64]) -> None:
        release = self._at.plan.release("measure")
        record, rows = self._at.history[self._at.applied - 1], rescale(total, release)
        record.scores = dict(self._agent.score(unpack(self._agent.measure_layout(), rows)))
        sd = release.share * sqrt(record.members) / release.scale
        record.noise = spreads(self._agent, rows, sd)
        self._logbook.tell("measured", in_words(record.scores, record.noise))


def _complete(ask: Ask, opening: Opening) -> bool:
    # In a large cohort some are always missing; in a small one the next ask deals anew.
    large = ask.call.circle or len(ask.call.cohort) > LARGE
    return bool(large) or len(opening.witnesses) == len(ask.call.cohort)
