"""What federated learning answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingReport(Answer):
    """One training, as this member saw it.

    Attributes
    ----------
    agent, training : str
    round, rounds : int
        Training rounds that the model here has seen, and that were planned.
    participants : int
        Members that the training was planned for.
    epsilon_plan, epsilon_spent, epsilon_left : float
        Promised by the whole training; spent by it, and left of their lifetime budget, of this
        member's records that spent most.
    delta : float
    model_version : str
    finished : bool
        Whether all planned rounds are done.
    measures_before, measures_after : dict
        Measured over the network, with noise: first, and last.
    own_before, own_after : dict
        On this member's own records: the public model, and the newest.
    expected : str or None
        The quality that was forecast before the training began.
    unavailable : dict of str to str
        Why a field is None or empty.
    """

    agent: str
    training: str
    round: int
    rounds: int
    participants: int
    epsilon_plan: float
    epsilon_spent: float
    epsilon_left: float
    delta: float
    model_version: str
    finished: bool
    measures_before: dict[str, float]
    measures_after: dict[str, float]
    own_before: dict[str, float]
    own_after: dict[str, float]
    expected: str | None
    unavailable: dict[str, str]


class Length(Answer):
    """The length that a share of an agent's rows does not exceed, with its band of 90 %."""

    share: float
    length: float
    low: float
    high: float


class ClipChoice(Answer):
    """The clip for an agent, from the lengths of its rows.

    Attributes
    ----------
    agent : str
    configured : float
        The clip that it is configured with.
    action : str
        "no change" where the configured clip lies in the band; "not enough data" where the noise
        hides the lengths.
    clip, low, high : float or None
        The one that the lengths speak for, and its band of 90 %.
    records : float or None
        Records that teach something: with rows on the grid.
    idle, idle_low, idle_high : float or None
        Share of the records that teach next to nothing at first, and its band.
    lengths : tuple of Length
    """

    agent: str
    configured: float
    action: Literal["raise", "lower", "no change", "not enough data"]
    clip: float | None
    low: float | None
    high: float | None
    records: float | None
    idle: float | None
    idle_low: float | None
    idle_high: float | None
    lengths: tuple[Length, ...]


class Next(Answer):
    """What to do with an agent next.

    Attributes
    ----------
    rounds, survivors : int or None
        To plan it with; None where it is not to be trained.
    """

    agent: str
    action: Literal["train", "do not train"]
    rounds: int | None
    survivors: int | None
    reason: str


class FederatedAnswer(Answer):
    """A training, all others, what to train next, and the clip for it.

    Attributes
    ----------
    agent, round, participants, epsilon_spent, delta, measures_before, measures_after, model_version
        Of the training asked about: see `TrainingReport`. None or empty where there is none.
    rounds, epsilon_left : int or None, float or None
        The same.
    trainings : tuple of TrainingReport
        Of the agent asked about, or of all; the oldest first.
    next_recommended : tuple of Next
        In order.
    clip : ClipChoice or None
    unavailable : dict of str to str
        Why a field is None or empty.
    """

    agent: str | None
    round: int | None
    rounds: int | None
    participants: int | None
    epsilon_spent: float | None
    epsilon_left: float | None
    delta: float | None
    measures_before: dict[str, float]
    measures_after: dict[str, float]
    model_version: str | None
    trainings: tuple[TrainingReport, ...]
    next_recommended: tuple[Next, ...]
    clip: ClipChoice | None
    unavailable: dict[str, str]
