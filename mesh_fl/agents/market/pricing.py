"""What a price's place in the network, and how clients sound, say for it."""

from collections.abc import Sequence
from typing import Literal

from mesh_fl.agents._histogram import Band
from mesh_fl.agents.market.answer import PricingRecommendation, Reason
from mesh_fl.agents.market.mood import Mood
from mesh_fl.agents.market.positions import Standing

Action = Literal["raise", "lower", "no change", "not enough data"]

QUARTERS = (0.25, 0.5, 0.75)

CAUTION = (
    "Nobody here knows how clients react to a price: this tells where it stands among the "
    "network's, not what it should be."
)

NETWORK = "released histogram of the network, 90% band"


def recommend(standing: Standing, mood: Mood | None) -> PricingRecommendation:
    """Say what follows for one price.

    A price that lies surely among the lowest quarter may rise into the second one; one surely among
    the highest may come down into the third, if clients complain. Between, or where the band
    reaches over a quarter's end, nothing follows.
    """
    share, network = standing.percentile, standing.distribution
    if share is None or network is None:
        return _told(standing, "not enough data", (), standing.why_no_percentile)
    quarters = [network.quantile(one) for one in QUARTERS]
    reasons = [_where(standing, share), *([mood.reason] if mood else [])]
    unhappy = mood is not None and mood.is_unhappy
    if share.high < QUARTERS[0] and not unhappy:
        return _toward(standing, "raise", quarters[:2], reasons)
    if share.low > QUARTERS[2] and unhappy:
        return _toward(standing, "lower", quarters[1:], reasons)
    return _told(standing, "no change", tuple(reasons))


def _toward(
    standing: Standing, action: Action, ends: Sequence[Band], reasons: Sequence[Reason]
) -> PricingRecommendation:
    """Recommend the quarter between two quantiles."""
    value = standing.value if standing.value is not None else 0.0
    low, high = ends[0].value, ends[1].value
    named = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}
    shares = QUARTERS[:2] if action == "raise" else QUARTERS[1:]
    told = [
        Reason(
            because=f"{named[share]} of the network's records lie below "
            f"{standing.written(end.value)}",
            value=end.value,
            low=end.low,
            high=end.high,
            source=NETWORK,
        )
        for share, end in zip(shares, ends, strict=True)
    ]
    return PricingRecommendation(
        figure=standing.figure.name,
        action=action,
        suggested_low=low,
        suggested_high=high,
        difference_low=low - value,
        difference_high=high - value,
        reasons=(*reasons, *told),
        caution=CAUTION,
    )


def _where(standing: Standing, share: Band) -> Reason:
    if share.high < QUARTERS[0]:
        said = "surely among the lowest quarter"
    elif share.low > QUARTERS[2]:
        said = "surely among the highest quarter"
    else:
        said = "not surely among the lowest or the highest quarter"
    return Reason(
        because=f"the {standing.figure.title} of {standing.written(standing.value or 0.0)} is "
        f"{said}: percentile {100 * share.value:.0f}",
        value=100 * share.value,
        low=100 * share.low,
        high=100 * share.high,
        source=NETWORK,
    )


def _told(
    standing: Standing, action: Action, reasons: tuple[Reason, ...], why: str = ""
) -> PricingRecommendation:
    """Recommend no other price."""
    return PricingRecommendation(
        figure=standing.figure.name,
        action=action,
        suggested_low=None,
        suggested_high=None,
        difference_low=None,
        difference_high=None,
        reasons=reasons,
        caution=f"{why}. {CAUTION}" if why else CAUTION,
    )
