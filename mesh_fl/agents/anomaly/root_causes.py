"""Root causes: what the anomalies of an answer have in common."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from mesh_fl.agents.anomaly.answer import Anomaly, RootCause

MOST_TOLD = 5


def root_causes(anomalies: Sequence[Anomaly]) -> tuple[RootCause, ...]:
    """Return traits and series by their share in all anomalies, the largest first.

    Every anomaly counts alike: a record's is divided among its causes, a reading's is its series'.
    """
    shares: defaultdict[str, float] = defaultdict(float)
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    usual: dict[str, str | None] = {}
    for feature, share, value, of_most in _parts(anomalies):
        shares[feature] += share
        values[feature][value] += 1
        usual.setdefault(feature, of_most)
    whole = sum(shares.values())
    ranked = sorted(shares, key=lambda one: (-shares[one], one))[:MOST_TOLD]
    return tuple(
        RootCause(
            feature=one,
            share=shares[one] / whole,
            anomalies=values[one].total(),
            value=values[one].most_common(1)[0][0],
            usual=usual[one],
        )
        for one in ranked
        if shares[one] > 0
    )


def _parts(anomalies: Sequence[Anomaly]) -> Iterator[tuple[str, float, str, str | None]]:
    for one in anomalies:
        if one.kind == "reading":
            expected = None if one.expected is None else f"{one.expected:.6g}"
            value = "" if one.value is None else f"{one.value:.6g}"
            yield one.subject, 1.0, value, expected
        for cause in one.causes:
            yield cause.feature, cause.share, cause.value, cause.usual
