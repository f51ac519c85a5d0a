"""What a member knows of the trainings that it took part in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh_fl.agent import Agent, Data, State
from mesh_fl.errors import MeshError
from mesh_fl.member import Member
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.quality import told
from mesh_fl.seat import Seat
from mesh_fl.training_facts import TrainingFacts

Scores = Mapping[str, float]


@dataclass
class Trainings:
    """Tells of a member's trainings; quality on its own records is computed once a model.

    Parameters
    ----------
    member : Member
    """

    member: Member
    _told: dict[tuple[str, str], tuple[Scores, Scores]] = field(default_factory=dict, init=False)

    def facts(self) -> tuple[TrainingFacts, ...]:
        """Return what is known, the oldest first; what cannot be read is left out."""
        found = []
        for training in self.member.trainings():
            try:
                found.append(self._facts(self.member.resume(training)))
            except MeshError:
                continue
        return tuple(found)

    def _facts(self, seat: Seat) -> TrainingFacts:
        ledger, plan = self.member.ledger, seat.plan
        paid = ledger.paid_for(seat.training)
        before, after = self._own(seat)
        scores = sorted(seat.scores.items())
        return TrainingFacts(
            agent=plan.agent,
            training=seat.training,
            round=plan.schedule[: seat.step].count("train"),
            rounds=plan.rounds,
            members=len(plan.caps),
            epsilon_plan=plan.epsilon,
            epsilon_spent=epsilon_of(paid**0.5, ledger.policy.delta) if paid else 0.0,
            epsilon_left=ledger.epsilon_left(seat.records),
            delta=plan.delta,
            survivors=max(plan.survivors, ledger.policy.survivors),
            colluders=max(plan.colluders, ledger.policy.colluders),
            spares=plan.spares,
            version=f"{seat.training[:8]}-{seat.step}",
            scores=tuple((step, *one) for step, found in scores for one in found.items()),
            own_before=before,
            own_after=after,
            finished=seat.step == len(plan.schedule),
        )

    def _own(self, seat: Seat) -> tuple[Scores, Scores]:
        key = seat.training, seat.digest
        if key not in self._told:
            data = seat.dataset.at_home
            states = seat.agent.init(), seat.state
            before, after = (_quality(seat.agent, state, data) for state in states)
            self._told[key] = before, after
        return self._told[key]


def _quality(agent: Agent, state: State, data: Data) -> Scores:
    """Return what can be told of a model on one's own records; nothing where it cannot."""
    try:
        return told(agent.evaluate(state, data))
    except (MeshError, ValueError, ArithmeticError, KeyError):
        return {}
