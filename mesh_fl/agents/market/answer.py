"""What market intelligence answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reason(Answer):
    """A computed value that speaks for something, its band, and where it comes from."""

    because: str
    value: float
    low: float | None = None
    high: float | None = None
    source: str


class TopicFound(Answer):
    """What share of the texts is about a topic, and how these sound on average, -1 to 1."""

    topic: str
    title: str
    texts: int
    share: float
    sentiment_score: float


class Trend(Answer):
    """A change that stands out of chance, or of the noise.

    Attributes
    ----------
    topic : str
        "all" for every text.
    measure : {"share", "sentiment"}
        Share of the texts that are about the topic; how they sound, -1 to 1.
    change, low, high : float
        From `before` to `after`, and the band that it lies in.
    texts : int or None
        How many texts it was read from; None for the network's.
    """

    topic: str
    title: str
    measure: Literal["share", "sentiment"]
    direction: Literal["up", "down"]
    change: float
    low: float
    high: float
    before: str
    after: str
    source: Literal["documents", "network"]
    texts: int | None


class Position(Answer):
    """Where a value stands in the network.

    Attributes
    ----------
    value : float or None
    value_from : str or None
        Who told it: the request, or the median of one's own records.
    percentile, percentile_low, percentile_high : float or None
        Share of the network's records below the value, 0 to 100, and its band.
    median, median_low, median_high : float or None
        Of the network.
    deciles : tuple of float
        Of the network, from the first to the ninth.
    records, records_low, records_high : float or None
        How many records the network told.
    segment : str or None
        The industry segment; None for all.
    standing : str or None
        Whether the value lies below or above the network's median, as far as the bands tell.
    is_better : bool or None
        Whether that is good; None where it cannot be said.
    """

    figure: str
    title: str
    unit: str
    value: float | None
    value_from: str | None
    percentile: float | None
    percentile_low: float | None
    percentile_high: float | None
    median: float | None
    median_low: float | None
    median_high: float | None
    deciles: tuple[float, ...]
    records: float | None
    records_low: float | None
    records_high: float | None
    segment: str | None
    standing: Literal["below the median", "around the median", "above the median"] | None
    is_better: bool | None
    unavailable: dict[str, str]


class PricingRecommendation(Answer):
    """What follows for a price.

    Attributes
    ----------
    action : str
        "no change" and "not enough data" are proper ones.
    suggested_low, suggested_high : float or None
        Where the price would come to lie.
    difference_low, difference_high : float or None
        The same, less the value.
    caution : str
        What nobody computed.
    """

    figure: str
    action: Literal["raise", "lower", "no change", "not enough data"]
    suggested_low: float | None
    suggested_high: float | None
    difference_low: float | None
    difference_high: float | None
    reasons: tuple[Reason, ...]
    caution: str


class MarketAnswer(Answer):
    """Where figures stand, how texts sound, and what follows.

    Attributes
    ----------
    sentiment_score : float or None
        Chance of positive less chance of negative, -1 to 1; the mean over several documents.
    sentiment_error : float or None
        Standard error of that mean.
    sentiment : dict or None
        Chance of each sentiment; the mean over several documents.
    sentiment_of : str or None
        The field that was judged.
    sentiment_reasons : tuple of Reason
        What moved the model, in log-odds of a better sentiment, the largest first; of one text.
    texts_read : str or None
        How many texts were judged, why others were not, and how much of each.
    topics : tuple of TopicFound
        Of all texts: of the one, and of the documents.
    trends : tuple of Trend
    positions : tuple of Position
    competitive_position : tuple of str
        The positions in words.
    pricing_recommendations : tuple of PricingRecommendation
        One for each price.
    model_used : str
    unavailable : dict of str to str
        Why each field that is None, or empty, could not be computed.
    """

    sentiment_score: float | None
    sentiment_error: float | None
    sentiment: dict[str, float] | None
    sentiment_of: str | None
    sentiment_reasons: tuple[Reason, ...]
    texts_read: str | None
    topics: tuple[TopicFound, ...]
    trends: tuple[Trend, ...]
    positions: tuple[Position, ...]
    competitive_position: tuple[str, ...]
    pricing_recommendations: tuple[PricingRecommendation, ...]
    model_used: str
    unavailable: dict[str, str]
