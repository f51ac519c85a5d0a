"""One training in an answer."""

from collections.abc import Iterator

from mesh_fl.agents.federation.answer import TrainingReport
from mesh_fl.agents.federation.outlook import Outlook
from mesh_fl.training_facts import TrainingFacts


def report(facts: TrainingFacts) -> TrainingReport:
    """Return what is known of a training, and why the rest is not."""
    first, last = _measured(facts)
    outlook = Outlook.of(facts.rounds, facts.forecast)
    return TrainingReport(
        agent=facts.agent,
        training=facts.training,
        round=facts.round,
        rounds=facts.rounds,
        participants=facts.members,
        epsilon_plan=facts.epsilon_plan,
        epsilon_spent=facts.epsilon_spent,
        epsilon_left=facts.epsilon_left,
        delta=facts.delta,
        model_version=facts.version,
        finished=facts.finished,
        measures_before=first,
        measures_after=last,
        own_before=dict(facts.own_before),
        own_after=dict(facts.own_after),
        expected=_expected(outlook) if outlook else None,
        unavailable=dict(_unavailable(facts, first, last, outlook)),
    )


def _measured(facts: TrainingFacts) -> tuple[dict[str, float], dict[str, float]]:
    """Return the first measure and the last; the first is empty where there was only one."""
    steps = sorted({step for step, _, _ in facts.scores})
    found = [{name: value for at, name, value in facts.scores if at == step} for step in steps]
    return (found[0] if len(found) > 1 else {}), (found[-1] if found else {})


def _expected(outlook: Outlook) -> str:
    return (
        f"{outlook.metric} {outlook.expected:.3f}, against {outlook.rival:.3f} without a training: "
        f"{outlook.verdict}"
    )


def _unavailable(
    facts: TrainingFacts,
    first: dict[str, float],
    last: dict[str, float],
    outlook: Outlook | None,
) -> Iterator[tuple[str, str]]:
    if not last:
        yield "measures_after", "the training has measured nothing over the network yet"
    if not first:
        yield "measures_before", "the training measured less than twice over the network"
    for name, told in (("own_before", facts.own_before), ("own_after", facts.own_after)):
        if not told:
            yield name, "no quality could be told on this member's own records"
    if outlook is None:
        why = "members are not sent the forecast: the operator's `mesh-server plan` shows it"
        yield "expected", why
