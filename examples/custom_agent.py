"""A custom agent from end to end: how long tickets of each priority take.

Run it: python examples/custom_agent.py
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl import Agent, Data, Rows, State, Total
from mesh_fl.planning import make_plan
from mesh_fl.simulate.engine import simulate


@dataclass(frozen=True, kw_only=True)
class MeanHours(Agent):
    """Mean hours to resolve a ticket, by priority: every ticket adds its hours and a one."""

    priorities: int = 4
    longest_h: float = 48.0
    clip: float = 2**0.5  # the length of a one and a share of at most one: no row is shortened

    def init(self) -> State:
        return {"hours": np.zeros(self.priorities), "tickets": np.zeros(self.priorities)}

    def contribute(self, state: State, data: Data) -> Rows:
        priority = np.eye(self.priorities)[data["priority"].astype(int)]
        share = np.clip(data["hours"].astype(float) / self.longest_h, 0, 1)
        return np.hstack([priority * share[:, None], priority])

    def apply(self, state: State, total: Total) -> State:
        return {name: state[name] + total[name] for name in state}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        share = np.clip(state["hours"] / np.maximum(state["tickets"], 1), 0, 1)
        return np.take(self.longest_h * share, data["priority"].astype(int))

    @staticmethod
    def example() -> Data:
        return tickets(np.random.default_rng(0), 400)


def tickets(random: np.random.Generator, count: int) -> Data:
    """Draw tickets: the less urgent, the longer they take."""
    priority = random.integers(0, 4, count)
    return {"priority": priority, "hours": random.gamma(2.0, 1.0 + 3.0 * priority)}


def main() -> None:
    agent = MeanHours()
    random = np.random.default_rng(1)
    members = {f"msp-{k + 1}": tickets(random, 500) for k in range(20)}
    caps = dict.fromkeys(members, 512)
    plan = make_plan(agent, "mean-hours", caps, rounds=1, measures=0, spares=0, survivors=18)
    state = simulate(agent, plan, members).state
    learned = agent.predict(state, {"priority": np.arange(agent.priorities)})
    print(f"epsilon = {plan.epsilon:g} over {len(members)} members")
    for priority, learned_h in enumerate(learned):
        hours = [m["hours"][m["priority"] == priority].astype(float) for m in members.values()]
        exact_h = np.concatenate(hours).mean()
        print(f"priority {priority}: {learned_h:5.1f} h with privacy, {exact_h:5.1f} h without")


if __name__ == "__main__":
    main()
