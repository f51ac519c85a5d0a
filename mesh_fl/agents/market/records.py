"""Records as arrays, each by itself: nothing is fitted on a table."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.agents._ordinal import level_chances
from mesh_fl.agents.market.agreements import seat_rates, why_no_rate
from mesh_fl.agents.market.figures import Figure
from mesh_fl.agents.market.likeness import scored
from mesh_fl.agents.market.request import records_in, told
from mesh_fl.agents.market.sentiment import PUBLIC_CUTS, SIGNS, declared, features
from mesh_fl.agents.market.topics import NO_TOPIC, find_topics, topics
from mesh_fl.errors import DataError
from mesh_fl.schema import Table
from mesh_fl.text.encoder import load_encoder

Vector = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """How records are read.

    Parameters
    ----------
    figures : tuple of Figure
    segments : tuple of str
    periods : tuple of str
        Dates on which a period begins, rising; texts are counted by period and topic.
    currency : str
    encoder : str
    learns_topics : bool
        Whether texts without a label matter.
    """

    figures: tuple[Figure, ...]
    segments: tuple[str, ...]
    periods: tuple[str, ...]
    currency: str
    encoder: str
    learns_topics: bool

    def read(self, table: Table) -> Data:
        """Return "values" and "places", shape (n, figures), "z", "level" and "trend", shape (n,).

        A place is a bin in the record's segment, -1 where the figure is not told; "trend" is the
        period, topic and sign of its text, -1 where there is none; "level" is 0 for negative to 2,
        NaN where nobody told it.
        """
        values = self.values(table)
        group = self.groups(told(table, "industry_segment"))
        level = levels(told(table, "sentiment"))
        texts = told(table, "text")
        if not self.learns_topics:
            # Encoding takes long, and a text that nobody judged teaches no sentiment.
            texts = [t if known else "" for t, known in zip(texts, np.isfinite(level), strict=True)]
        z, topic = self._texts(texts)
        level = np.where([text != "" for text in texts], level, np.nan)
        return {
            "values": np.stack([values[one.name] for one in self.figures], axis=1),
            "places": np.stack([self._places(one, values, group) for one in self.figures], axis=1),
            "z": z,
            "level": level,
            "trend": self._trends(table, topic, level, z),
        }

    def values(self, table: Table) -> Mapping[str, Vector]:
        """Return each figure's values, NaN where there is none that counts."""
        is_foreign = np.array([one != "" for one in self._foreign(table)], dtype=np.bool_)
        return {
            figure.name: np.where(
                is_foreign & figure.is_price, np.nan, figure.known(self._told(table, figure))
            )
            for figure in self.figures
        }

    def refused(self, table: Table) -> list[Mapping[str, str]]:
        """Return for each record why figures that it tells, or tells of, do not count."""
        reasons: list[dict[str, str]] = [{} for _ in range(records_in(table))]
        for figure in self.figures:
            for row, why in enumerate(self._whys(table, figure)):
                if why:
                    reasons[row][figure.name] = why
        return list(reasons)

    def groups(self, segments: Sequence[str]) -> Places:
        """Return the place of each record's segment; one more for all others."""
        places = {name.lower(): place for place, name in enumerate(self.segments)}
        found = [places.get(one.lower(), len(self.segments)) for one in segments]
        return np.array(found, dtype=np.int64)

    def _whys(self, table: Table, figure: Figure) -> Iterator[str]:
        """Yield for each record why it gives no value; empty where it does, or tells nothing."""
        values, alone = self.values(table)[figure.name], _numbers(table, figure.name)
        foreign, agreements = self._foreign(table), list(_agreements(table))
        for row, number in enumerate(alone.tolist()):
            if math.isfinite(values[row]):
                yield ""
            elif foreign[row] and figure.is_price:
                yield f"expected a price in {self.currency}, found {foreign[row][:20]!r}"
            else:
                why = figure.why_unknown(number)
                gives = figure.from_agreement and not why
                yield why_no_rate(*agreements[row]) if gives else why

    def _foreign(self, table: Table) -> list[str]:
        """Return each record's currency where it is another; else empty."""
        return [
            one if one.upper() != self.currency.upper() else "" for one in told(table, "currency")
        ]

    def _told(self, table: Table, figure: Figure) -> Vector:
        found = _numbers(table, figure.name)
        if not figure.from_agreement:
            return found
        amounts, seats = _numbers(table, "amount"), _numbers(table, "seats")
        return np.where(
            np.isfinite(found), found, seat_rates(amounts, told(table, "period"), seats)
        )

    def _places(self, figure: Figure, values: Mapping[str, Vector], group: Places) -> Places:
        bins = figure.places(values[figure.name])
        return np.where(bins < 0, -1, group * figure.bins + bins)

    def _texts(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], Places]:
        if not any(texts):
            # Loading the encoder takes a second, which agreements without a text need not wait.
            return np.zeros((len(texts), len(declared().names))), np.full(len(texts), NO_TOPIC)
        vectors = load_encoder(self.encoder).encode(texts)
        topic = np.full(len(texts), NO_TOPIC)
        if self.learns_topics:
            topic = find_topics(texts, vectors, self.encoder)
        return features(texts, vectors, self.encoder), topic

    def _trends(self, table: Table, topic: Places, level: Vector, z: NDArray[np.float64]) -> Places:
        """Return the cell of each text: its period, topic and sign, told or as the public says."""
        weights = declared().public_model[: -len(PUBLIC_CUTS)]
        public = level_chances(scored(z, weights), np.array(PUBLIC_CUTS)).argmax(axis=1)
        sign = np.where(np.isfinite(level), np.nan_to_num(level), public).astype(np.int64)
        period = self._period(_numbers(table, "at"))
        cell = (period * len(topics()) + topic) * len(SIGNS) + sign
        return np.where((topic == NO_TOPIC) | (period < 0), -1, cell)

    def _period(self, at: Vector) -> Places:
        if not self.periods:
            return np.zeros(len(at), dtype=np.int64)
        starts = [moment(one) for one in self.periods]
        found = [-1 if math.isnan(one) else bisect_right(starts, one) - 1 for one in at.tolist()]
        return np.array(found, dtype=np.int64)


def levels(signs: Sequence[str]) -> Vector:
    """Return 0 for negative to 2 for positive, NaN where nothing is told."""
    codes = {"": math.nan, **{sign: float(code) for code, sign in enumerate(SIGNS)}}
    unknown = set(signs) - set(codes)
    if unknown:
        raise DataError(f"sentiment: expected {', '.join(SIGNS)}, found {min(unknown)[:80]!r}")
    return np.array([codes[one] for one in signs], dtype=np.float64)


def moment(date: str) -> float:
    """Return a date as seconds since 1970, UTC."""
    found = datetime.fromisoformat(date)
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _agreements(table: Table) -> Iterator[tuple[float, str, float]]:
    """Yield what each record tells of an agreement: amount, period, seats."""
    amounts, seats = (_numbers(table, name).tolist() for name in ("amount", "seats"))
    yield from zip(amounts, told(table, "period"), seats, strict=True)


def _numbers(table: Table, name: str) -> Vector:
    if name not in table:
        return np.full(records_in(table), np.nan)
    return table[name].astype(np.float64)
