"""Forty providers compare their rates per seat; none shows an agreement. Then one of them asks.

Run it: python examples/market_position.py 85 "Your price is too high for what we get"
"""

import sys

import numpy as np

from mesh_fl import State
from mesh_fl.agents.market.agent import MarketAnswer, MarketIntelligence
from mesh_fl.planning import make_plan
from mesh_fl.simulate.engine import simulate

PROVIDERS, AGREEMENTS = 40, 600


def made_up_agreements(agent: MarketIntelligence) -> dict[str, dict[str, np.ndarray]]:
    """Every provider has rates of its own: about 60 a seat at the cheapest, 190 at the dearest."""
    random = np.random.default_rng(7)
    shards = {}
    for number, usual in enumerate(np.geomspace(60, 190, PROVIDERS)):
        seats = random.integers(5, 120, AGREEMENTS).astype(float)
        agreements = {
            "amount": 12 * seats * usual * random.lognormal(0, 0.2, AGREEMENTS),
            "period": np.array(["year"] * AGREEMENTS, dtype=object),
            "seats": seats,
        }
        shards[f"provider-{number}"] = dict(agent.prepare(agreements))
    return shards


def trained() -> tuple[MarketIntelligence, State]:
    """Train under differential privacy: epsilon 0.1 for each agreement, all rounds together."""
    agent = MarketIntelligence(learns=("figures",), records=float(PROVIDERS * AGREEMENTS))
    shards = made_up_agreements(agent)
    caps = dict.fromkeys(shards, AGREEMENTS)
    plan = make_plan(agent, "market", caps, rounds=16, measures=0, survivors=36, epsilon=0.1)
    state = simulate(agent, plan, shards, seed=1).state
    return agent, agent.adapt(state, shards["provider-3"])


def ask(agent: MarketIntelligence, state: State, rate: float, said: str) -> MarketAnswer:
    question = {"rate_per_seat": np.array([rate]), "text": np.array([said], dtype=object)}
    (answer,) = agent.answer(state, question)
    return answer


def show(answer: MarketAnswer) -> None:
    for sentence in answer.competitive_position:
        print(sentence)
    if answer.sentiment_score is not None:
        print(f"sentiment: {answer.sentiment_score:+.2f}")
    for advice in answer.pricing_recommendations:
        print(f"recommendation: {advice.action}")
        if advice.suggested_low is not None and advice.suggested_high is not None:
            print(f"  to {advice.suggested_low:.0f} to {advice.suggested_high:.0f}")
        for reason in advice.reasons:
            print(f"  because {reason.because}")
        print(f"  {advice.caution}")


def main(rate: str = "62", said: str = "") -> None:
    agent, state = trained()
    show(ask(agent, state, float(rate), said))


if __name__ == "__main__":
    main(*sys.argv[1:3])
