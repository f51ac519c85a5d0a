"""What a member knows of a training that it took part in."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """A training as one member saw it; nothing here is computed from another member's records.

    Parameters
    ----------
    agent, training : str
        Which agent, in which training.
    round, rounds : int
        Training rounds that the model here has seen, and that were planned.
    members : int
        Members that the training was planned for.
    survivors, colluders : int
        Members that a sum is made of at least, and that may act together with the operator: the
        stricter of its plan and of this member's policy.
    spares : int
        Spare releases that were planned.
    epsilon_plan : float
        What the whole training promises.
    epsilon_spent, epsilon_left : float
        Of this member's records that spent most: by this training, and left of their lifetime
        budget.
    delta : float
    version : str
        Of the model that is served.
    scores : tuple of (int, str, float)
        Step, name and value of what the training measured over the network, with noise.
    own_before, own_after : mapping of str to float
        Quality on this member's own records, of the public model and of the newest.
    finished : bool
        Whether all planned rounds are done.
    forecast : mapping
        What was expected before it began, as a forecast's facts; empty where nobody told.
    """

    agent: str
    training: str
    round: int
    rounds: int
    members: int
    epsilon_plan: float
    epsilon_spent: float
    epsilon_left: float
    delta: float
    version: str
    survivors: int = 2
    colluders: int = 0
    spares: int = 2
    scores: tuple[tuple[int, str, float], ...] = ()
    own_before: Mapping[str, float] = field(default_factory=dict)
    own_after: Mapping[str, float] = field(default_factory=dict)
    finished: bool = False
    forecast: Mapping[str, object] = field(default_factory=dict)
