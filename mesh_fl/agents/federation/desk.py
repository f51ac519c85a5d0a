"""Where questions about trainings are answered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mesh_fl.agent import State
from mesh_fl.agents.federation.answer import ClipChoice, FederatedAnswer, Next, TrainingReport
from mesh_fl.agents.federation.choosing import choice
from mesh_fl.agents.federation.clip import Lengths
from mesh_fl.agents.federation.outlook import Outlook
from mesh_fl.agents.federation.reports import report
from mesh_fl.agents.federation.steering import Candidate, Floor, Step, steer
from mesh_fl.errors import DataError
from mesh_fl.registry import agent_names
from mesh_fl.schema import Table
from mesh_fl.training_facts import TrainingFacts

MOST_SHOWN = 80
"""Characters of what was asked that are told again."""

TOP = ("round", "rounds", "participants", "epsilon_spent", "epsilon_left", "delta", "model_version")


@dataclass(frozen=True)
class Desk:
    """Answers for one agent.

    Parameters
    ----------
    trainings : callable
        Those that this member took part in, the oldest first.
    target : str
        The agent whose clip is chosen.
    configured : float or None
        Its clip; None where it cannot be built.
    lengths : callable or None
        How long its rows are, as far as a state tells.
    """

    trainings: Callable[[], Sequence[TrainingFacts]]
    target: str
    configured: float | None
    lengths: Callable[[State], Lengths] | None

    def answer(self, state: State, table: Table) -> list[FederatedAnswer]:
        """Answer for each record, which may name an agent.

        Raises
        ------
        DataError
            If it is no agent that is installed or was trained here.
        """
        facts = tuple(self.trainings())
        count = len(next(iter(table.values()), ()))
        given = table["agent"].tolist() if "agent" in table else [""] * count
        names = [str(name or "").strip() for name in given]
        self._refuse_strangers(names, facts)
        clip = self._clip(state)
        return [self._answer(facts, clip, name) for name in names]

    def _refuse_strangers(self, names: Sequence[str], facts: Sequence[TrainingFacts]) -> None:
        here = {"", self.target.casefold(), *(one.agent.casefold() for one in facts)}
        if all(name.casefold() in here for name in names):
            return
        # Looking up what is installed takes far longer than an answer.
        known = {self.target, *agent_names(), *(one.agent for one in facts)}
        folded = here | set(map(str.casefold, known))
        stranger = next((name for name in names if name.casefold() not in folded), None)
        if stranger is not None:
            raise DataError(
                f"agent: expected one of {', '.join(sorted(known))}, or nothing for all of "
                f"them; found {stranger[:MOST_SHOWN]!r}"
            )

    def _clip(self, state: State) -> ClipChoice | None:
        if self.lengths is None or self.configured is None:
            return None
        if state["round"] == 0 and "own_lengths" not in state:
            return None
        return choice(self.target, self.configured, self.lengths(state))

    def _answer(
        self, facts: Sequence[TrainingFacts], clip: ClipChoice | None, name: str
    ) -> FederatedAnswer:
        asked = [one for one in facts if not name or one.agent.casefold() == name.casefold()]
        reports = tuple(map(report, asked))
        last = reports[-1] if reports else None
        shown = clip if clip and (not name or name.casefold() == clip.agent.casefold()) else None
        answer = FederatedAnswer(
            agent=last.agent if last else None,
            **{field: getattr(last, field, None) for field in TOP},
            measures_before=last.measures_before if last else {},
            measures_after=last.measures_after if last else {},
            trainings=reports,
            next_recommended=tuple(recommended(asked)),
            clip=shown,
            unavailable={},
        )
        reasons = dict(self._unavailable(answer, last, name))
        return answer.model_copy(update={"unavailable": reasons})

    def _unavailable(
        self, answer: FederatedAnswer, last: TrainingReport | None, name: str
    ) -> Iterator[tuple[str, str]]:
        if last is None:
            why = f"no training of {name} is known here" if name else "no training is known here"
            measures = ("measures_before", "measures_after")
            for field in ("agent", *TOP, *measures, "trainings", "next_recommended"):
                yield field, why
        else:
            for field in ("measures_before", "measures_after"):
                if field in last.unavailable:
                    yield field, last.unavailable[field]
        if answer.clip is None:
            yield "clip", self._no_clip(name)

    def _no_clip(self, name: str) -> str:
        if name and name.casefold() != self.target.casefold():
            return f"clips are chosen for {self.target} here"
        if self.lengths is None:
            return f"{self.target} needs a configuration, and none was given as target_config"
        return f"no training has counted how long the rows of {self.target} are"


def recommended(facts: Sequence[TrainingFacts]) -> Iterator[Next]:
    """Yield what to do with each agent, by what its latest training tells."""
    latest = {one.agent: one for one in facts}
    for step in steer([_candidate(one) for one in latest.values()], Floor()):
        yield _next(step, latest[step.agent])


def _candidate(facts: TrainingFacts) -> Candidate:
    outlook = Outlook.of(facts.rounds, facts.forecast)
    return Candidate(
        agent=facts.agent,
        caps=dict.fromkeys(map(str, range(facts.members)), 1),
        outlooks=(outlook,) if outlook else (),
        cost=facts.epsilon_plan,
        left=facts.epsilon_left,
        usual_rounds=facts.rounds,
        spares=facts.spares,
        floor=Floor(survivors=facts.survivors, colluders=facts.colluders),
    )


def _next(step: Step, facts: TrainingFacts) -> Next:
    if not facts.finished:
        at = f"its training stands at round {facts.round} of {facts.rounds}"
        return Next(agent=step.agent, action="do not train", rounds=None, survivors=None, reason=at)
    return Next(
        agent=step.agent,
        action="train" if step.trains else "do not train",
        rounds=step.rounds if step.trains else None,
        survivors=step.survivors if step.trains else None,
        reason=step.reason,
    )
