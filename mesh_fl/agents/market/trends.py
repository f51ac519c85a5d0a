"""Changes that stand out: in documents at hand, from month to month, and over the network."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from mesh_fl.agents._histogram import REACH, WELL_ABOVE, Histogram
from mesh_fl.agents.market.answer import Trend
from mesh_fl.agents.market.network import takes
from mesh_fl.agents.market.sentiment import SIGNS
from mesh_fl.agents.market.topics import topics

FEWEST = 5
"""Texts in each of two months below which nothing is said of their change."""

ERROR_RATE = 0.05
"""Chance that any trend at all is told where there is none, all comparisons taken together."""

LEAST_SPREAD = 0.1
"""Standard deviation of scores that is reckoned with at least: a few texts may sound the same."""

MOST_CHANGE = {"share": 1.0, "sentiment": 2.0}

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Texts as they were judged.

    Parameters
    ----------
    at : ndarray, shape (n,)
        Seconds since 1970, NaN where it is not told.
    score : ndarray, shape (n,)
        -1 to 1.
    sign : ndarray, shape (n,)
        Place of the likeliest sentiment in `SIGNS`.
    topic : ndarray, shape (n,)
        Place of the topic, -1 for none.
    """

    at: Vector
    score: Vector
    sign: NDArray[np.int64]
    topic: NDArray[np.int64]

    def part(self, start: int) -> "Judged":
        """Return the texts from one on."""
        return Judged(self.at[start:], self.score[start:], self.sign[start:], self.topic[start:])


@dataclass(frozen=True)
class _Change:
    topic: int | None
    measure: Literal["share", "sentiment"]
    change: float
    error: float


def document_trends(texts: Judged) -> tuple[tuple[Trend, ...], str]:
    """Compare the latest month that has texts enough with all before it.

    Returns
    -------
    trends : tuple of Trend
        The largest first, in standard errors. Bands allow for all comparisons at once
        (Bonferroni).
    reason : str
        Why there is none; empty if there is one.
    """
    months = np.array([_month(at) for at in texts.at.tolist()])
    known = sorted(set(months.tolist()) - {""})
    if len(known) < 2:
        return (), "the documents tell no two months: give each a time at"
    latest = _latest(months, known)
    if latest is None:
        return (), f"expected at least {FEWEST} documents in a month and as many before it"
    after, before = months == latest, (months < latest) & (months != "")
    changes = list(_changes(texts, before, after))
    reach = float(norm.isf(ERROR_RATE / 2 / len(changes)))
    told = sorted(
        (one for one in changes if abs(one.change) > reach * one.error),
        key=lambda one: -abs(one.change) / one.error,
    )
    names = (known[0] if known.index(latest) == 1 else "before", latest)
    found = tuple(_trend(one, reach, names, int(after.sum() + before.sum())) for one in told)
    return found, "" if found else "no change stands out of chance"


def _latest(months: NDArray[np.str_], known: Sequence[str]) -> str | None:
    """Return the latest month with `FEWEST` texts and as many before; a new month has few yet."""
    for month in reversed(known):
        earlier = (months < month) & (months != "")
        if min((months == month).sum(), earlier.sum()) >= FEWEST:
            return month
    return None


def network_trends(released: Histogram, periods: Sequence[str]) -> tuple[tuple[Trend, ...], str]:
    """Compare each topic's share, and its share of complaints, in the last two periods.

    Returns
    -------
    trends : tuple of Trend
        Bands are those of the noise.
    reason : str
        Why there is none; empty if there is one.
    """
    if len(periods) < 2:
        return (), "fewer than two periods were declared"
    size = len(topics()) * len(SIGNS)
    before, after = (
        released.cells(number * size, (number + 1) * size)
        for number in (len(periods) - 2, len(periods) - 1)
    )
    if not (before.is_seen and after.is_seen):
        needed = takes(REACH * WELL_ABOVE * before.noise_sd * math.sqrt(size), "texts in each")
        return (), f"not enough data: the noise hides the texts of a period; {needed}"
    found = tuple(
        trend
        for place in range(len(topics()))
        if (trend := _network_trend(place, before, after, periods)) is not None
    )
    return found, "" if found else "no change stands out of the noise"


def _network_trend(
    place: int, before: Histogram, after: Histogram, periods: Sequence[str]
) -> Trend | None:
    cells = np.zeros(len(topics()) * len(SIGNS))
    cells[place * len(SIGNS) : (place + 1) * len(SIGNS)] = 1.0
    one, other = before.share(cells), after.share(cells)
    change = other.value - one.value
    reach = math.hypot(_reach(before, cells, one.value), _reach(after, cells, other.value))
    if abs(change) <= reach:
        return None
    topic = topics()[place]
    return Trend(
        topic=topic.name,
        title=topic.title,
        measure="share",
        direction="up" if change > 0 else "down",
        change=change,
        low=max(-1.0, change - reach),
        high=min(1.0, change + reach),
        before=f"from {periods[-2]}",
        after=f"from {periods[-1]}",
        source="network",
        texts=None,
    )


def _reach(histogram: Histogram, cells: Vector, value: float) -> float:
    """Return half of a share's band before it is cut off at 0 and 1."""
    away = float(np.linalg.norm(cells - value))
    return REACH * histogram.noise_sd * away / histogram.records.value


def _changes(
    texts: Judged, before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> Iterator[_Change]:
    yield _mean_change(None, texts.score[before], texts.score[after])
    for place in range(len(topics())):
        is_topic = texts.topic == place
        if not (is_topic & (before | after)).any():
            continue
        yield _share_change(place, is_topic[before], is_topic[after])
        one, other = texts.score[before & is_topic], texts.score[after & is_topic]
        if min(len(one), len(other)) >= FEWEST:
            yield _mean_change(place, one, other)


def _mean_change(topic: int | None, before: Vector, after: Vector) -> _Change:
    """Return the change of a mean, its error as Welch's (1947)."""
    error = math.hypot(*(spread(one) / math.sqrt(len(one)) for one in (before, after)))
    return _Change(topic, "sentiment", float(after.mean() - before.mean()), error)


def spread(scores: Vector) -> float:
    """Return the standard deviation of scores, no less than `LEAST_SPREAD`."""
    return max(LEAST_SPREAD, float(scores.std(ddof=1)) if len(scores) > 1 else 0.0)


def _share_change(topic: int, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> _Change:
    """Return the change of a share, its error from shares with a success and a failure added.

    Agresti and Caffo 2000.
    """
    shares = [(float(one.sum()) + 1) / (len(one) + 2) for one in (before, after)]
    variance = sum(
        share * (1 - share) / (len(one) + 2)
        for share, one in zip(shares, (before, after), strict=True)
    )
    return _Change(topic, "share", shares[1] - shares[0], math.sqrt(variance))


def _trend(one: _Change, reach: float, names: tuple[str, str], texts: int) -> Trend:
    topic = None if one.topic is None else topics()[one.topic]
    most = MOST_CHANGE[one.measure]
    return Trend(
        topic=topic.name if topic else "all",
        title=topic.title if topic else "All texts",
        measure=one.measure,
        direction="up" if one.change > 0 else "down",
        change=one.change,
        low=max(-most, one.change - reach * one.error),
        high=min(most, one.change + reach * one.error),
        before=names[0],
        after=names[1],
        source="documents",
        texts=texts,
    )


def _month(at: float) -> str:
    if math.isnan(at):
        return ""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"
    except (OverflowError, ValueError, OSError):
        return ""
