"""The clip in an answer."""

from typing import Literal

from mesh_fl.agents._histogram import Band
from mesh_fl.agents.federation.answer import ClipChoice, Length
from mesh_fl.agents.federation.clip import Lengths

SHOWN = (0.1, 0.25, 0.5, 0.75, 0.9)


def choice(agent: str, configured: float, lengths: Lengths) -> ClipChoice:
    """Return the clip that lengths speak for; nothing but the configured one if they are hidden."""
    if not lengths.is_seen:
        return ClipChoice(
            agent=agent,
            configured=configured,
            action="not enough data",
            clip=None,
            low=None,
            high=None,
            records=None,
            idle=None,
            idle_low=None,
            idle_high=None,
            lengths=(),
        )
    clip, idle = lengths.clip(), lengths.idle
    return ClipChoice(
        agent=agent,
        configured=configured,
        action=_action(configured, clip),
        clip=clip.value,
        low=clip.low,
        high=clip.high,
        records=lengths.records.value,
        idle=idle.value,
        idle_low=idle.low,
        idle_high=idle.high,
        lengths=tuple(_length(share, lengths.quantile(share)) for share in SHOWN),
    )


def _action(configured: float, clip: Band) -> Literal["raise", "lower", "no change"]:
    if configured < clip.low:
        return "raise"
    return "lower" if configured > clip.high else "no change"


def _length(share: float, found: Band) -> Length:
    return Length(share=share, length=found.value, low=found.low, high=found.high)
