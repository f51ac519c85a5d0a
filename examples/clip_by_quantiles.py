"""Forty providers learn how grave threats are. Three percent of the budget choose the clip.

Run it: python examples/clip_by_quantiles.py
"""

import numpy as np

from mesh_fl import Data
from mesh_fl.agents.federation.agent import FederatedLearning
from mesh_fl.agents.federation.answer import ClipChoice
from mesh_fl.planning import configure, make_plan
from mesh_fl.simulate.engine import simulate

PROVIDERS, EVENTS = 40, 300
EPSILON = 0.1
EPSILON_OF_LENGTHS = 0.0143
"""Three percent of the budget of 0.1, as squared mu counts it."""

CAPS = {f"provider-{number}": EVENTS for number in range(PROVIDERS)}


def dealt(data: Data) -> dict[str, Data]:
    parts = np.split(np.arange(PROVIDERS * EVENTS), PROVIDERS)
    return {
        name: {key: values[part] for key, values in data.items()}
        for name, part in zip(CAPS, parts, strict=True)
    }


def chosen_clip(config: dict[str, object], events: Data) -> ClipChoice | None:
    """Count how long the rows of all providers are, with noise, and choose."""
    counting = FederatedLearning(target="threat", target_config=config)
    plan = make_plan(
        counting,
        "federation",
        CAPS,
        rounds=8,
        measures=0,
        survivors=36,
        epsilon=EPSILON_OF_LENGTHS,
    )
    state = simulate(counting, plan, dealt(counting.lengths_of(events)), seed=1).state
    question = {"agent": np.array(["threat"], dtype=object)}
    return counting.answer(state, question)[0].clip


def quality(config: dict[str, object], events: Data, test: Data) -> float:
    """Train with the whole budget, and tell how well grave threats are ranked."""
    agent = configure("threat", config, CAPS)
    plan = make_plan(agent, "threat", CAPS, rounds=16, measures=0, survivors=36, epsilon=EPSILON)
    state = simulate(agent, plan, dealt(events), seed=2).state
    return agent.evaluate(state, test)["auc"]


def main() -> None:
    made_up = configure("threat", {}, CAPS).simulated(PROVIDERS * EVENTS + 4000, seed=3)
    events = {key: values[: PROVIDERS * EVENTS] for key, values in made_up.items()}
    test = {key: values[PROVIDERS * EVENTS :] for key, values in made_up.items()}
    too_large: dict[str, object] = {"clip": 8.0}
    choice = chosen_clip(too_large, events)
    if choice is None or choice.clip is None:
        print("clip chosen: none, the noise hides the lengths")
        return
    for one in choice.lengths:
        print(f"{one.share:.0%} of rows are no longer than {one.length:.2f}")
    print(f"clip configured: {choice.configured:.2f}")
    print(f"clip chosen: {choice.clip:.2f} [{choice.low:.2f}, {choice.high:.2f}]: {choice.action}")
    for clip in (choice.configured, choice.clip):
        print(f"AUC with clip {clip:.2f}: {quality({'clip': clip}, events, test):.3f}")


if __name__ == "__main__":
    main()
