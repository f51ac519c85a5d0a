"""mesh_fl: its engine with the built-in perceptron; clients learn many at a time, in numpy."""

from mesh_fl.agent import Agent, Data
from mesh_fl.mlp import Mlp
from mesh_fl.planning import make_plan
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.plan import DISCRETE_SLACK, Plan, largest_delta
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.shards import Shards
from mesh_fl.simulate.speed.workload import (
    CLASSES,
    FEATURES,
    HIDDEN,
    Outcome,
    Task,
    answer,
    now,
    shards,
    test_set,
)


def train(task: Task) -> Outcome:
    """Do the task with the built-in perceptron."""
    return train_with(perceptron(task), task)


def perceptron(task: Task) -> Mlp:
    """Return the agent that the task describes."""
    return Mlp(
        inputs=FEATURES,
        hidden=(HIDDEN,),
        classes=CLASSES,
        clients=task.cohort,
        learning_rate=task.learning_rate,
        batch=task.batch,
        clip=task.clip,
        seed=task.seed,
    )


def train_with(agent: Agent, task: Task) -> Outcome:
    """Run the task with an agent for "x" and "y"."""
    dealt = Shards.of({f"client-{i}": {"x": x, "y": y} for i, (x, y) in enumerate(shards(task))})
    terms = plan(agent, task, dealt) if task.private else Exact(rounds=task.rounds, clipped=False)
    marks = [now()]
    trained = simulate(
        agent,
        terms,
        dealt,
        cohort=task.cohort,
        seed=task.seed,
        on_round=lambda _: marks.append(now()),
    )
    features, labels = test_set(task)
    asked: Data = {"x": features}
    right = agent.predict(trained.state, asked) == labels
    return Outcome(marks, float(right.mean()))


def plan(agent: Agent, task: Task, dealt: Shards) -> Plan:
    """Return the plan whose noise is as large as the task wants it, whatever that promises."""
    delta = largest_delta(dict.fromkeys(dealt.names, 1))
    epsilon = epsilon_of(task.rounds**0.5 * task.clip / task.sigma, delta) / DISCRETE_SLACK
    return make_plan(
        agent,
        "peers",
        dealt.caps,
        rounds=task.rounds,
        measures=0,
        spares=0,
        epsilon=epsilon,
        delta=delta,
        survivors=task.cohort,
        colluders=0,
    )


if __name__ == "__main__":
    answer(train)
