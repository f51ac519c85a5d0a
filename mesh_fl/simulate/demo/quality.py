"""How good each kind of model is on the test set: alone, federated, adapted, pooled."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mesh_fl.agent import Data, State
from mesh_fl.agents.health import ClientHealth


@dataclass(frozen=True)
class Comparison:
    """Test AUC of every way to get a model.

    Parameters
    ----------
    alone : list of float
        Each member's own model, with the same declared features.
    federated : float
        The global model.
    adapted : list of float
        The global model, fitted on to each member's own data.
    pooled : float
        One model on everybody's records, without privacy.
    """

    alone: list[float]
    federated: float
    adapted: list[float]
    pooled: float


def compare(
    agent: ClientHealth, state: State, shards: Mapping[str, Data], test: Data
) -> Comparison:
    """Compare models on records of nobody.

    Parameters
    ----------
    agent : ClientHealth
        Whose models they are.
    state : State
        The global model.
    shards : dict of str to Data
        Each member's records.
    test : Data
        Records to compare on.
    """
    everybody = {
        key: np.concatenate([shard[key] for shard in shards.values()]) for key in ("x", "y")
    }

    def quality(model: State) -> float:
        return agent.evaluate(model, test)["auc"]

    return Comparison(
        alone=[quality(agent.adapt(agent.init(), shard)) for shard in shards.values()],
        federated=quality(state),
        adapted=[quality(agent.adapt(state, shard)) for shard in shards.values()],
        pooled=quality(agent.adapt(agent.init(), everybody)),
    )
