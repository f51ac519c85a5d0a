"""What client health answers of a client of one's own tables, beyond the risk and its reasons."""

from mesh_fl.agents.health.answer import (
    Answer,
    ChurnPrediction,
    ClientHealthAnswer,
    Recommendation,
)
from mesh_fl.agents.health.revenue_at_risk import RevenueAtRisk

CAUTION = (
    "arithmetic with the model's risks, not a promise: nobody has shown that the action changes "
    "what the client does"
)


class Saving(Answer):
    """At stake, times the difference of two risks."""

    amount: float
    currency: str | None
    arithmetic: str


class Intervention(Recommendation):
    """What to do about a feature that raises the risk.

    Attributes
    ----------
    value : float or None
        What was measured or told of the feature; None of an interaction.
    because : str
        The same in words.
    expected_revenue_saved : tuple of Saving
        By currency, were the feature typical; empty where no revenue is known.
    caution : str
    """

    value: float | None
    because: str
    expected_revenue_saved: tuple[Saving, ...]
    caution: str = CAUTION


class Prediction(ChurnPrediction):
    """The risk, and the revenue that it puts at risk, by currency."""

    revenue_at_risk: tuple[RevenueAtRisk, ...] | None


class LastContact(Answer):
    """When somebody last spoke with the client; no part of the risk."""

    days: float
    with_management: bool


class ClientAnswer(ClientHealthAnswer):
    """The health of one client of an MSP.

    Attributes
    ----------
    client_id : str or None
    as_of : str
        What was known before this moment was read.
    caution : str
        Why the risk says little of this client: its agreements have all ended; else empty.
    rows_read : dict of str to int
        Rows of the client in each of one's own tables.
    missing : dict of str to str
        Features that are not known and count as typical, and why.
    ignored : dict of str to str
        Fields of the request that counted nothing, and why.
    """

    client_id: str | None
    as_of: str
    predictions: Prediction
    recommendations: tuple[Intervention, ...]
    last_contact: LastContact | None
    caution: str
    rows_read: dict[str, int]
    missing: dict[str, str]
    ignored: dict[str, str]
