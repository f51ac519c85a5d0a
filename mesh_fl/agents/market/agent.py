"""Market intelligence: where one's prices stand, and what clients say, over a whole network.

A figure's distribution is a histogram of the network's records, released with noise that its empty
cells tell (`mesh_fl.agents._histogram`). Sentiment comes from declared words and sentences by
proportional odds (McCullagh 1980), trained by summed clipped gradients with momentum (Polyak 1964)
from weights set by hand, and served from a mean that favours late iterates (arXiv 1212.2002).
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.agents._histogram import Histogram, average, one_hot
from mesh_fl.agents._ordinal import Prior, fit_map, in_order, level_chances
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.market.answer import MarketAnswer
from mesh_fl.agents.market.arrays import Arrays
from mesh_fl.agents.market.desk import Desk
from mesh_fl.agents.market.figures import RATE_PER_SEAT, Figure
from mesh_fl.agents.market.likeness import scored
from mesh_fl.agents.market.made_up import made_up
from mesh_fl.agents.market.parts import PARTS, Part, Parts
from mesh_fl.agents.market.quality import Quality, measured
from mesh_fl.agents.market.records import Reading, moment
from mesh_fl.agents.market.request import RESERVED, fields
from mesh_fl.agents.market.rows import figure_rows, released_figures, sentiment_rows, weight
from mesh_fl.agents.market.sentiment import PUBLIC_CUTS, declared
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.text.encoder import ENCODERS

__all__ = ["Figure", "MarketAnswer", "MarketIntelligence"]

MOST_CELLS = 20_000


@dataclass(frozen=True, kw_only=True)
class MarketIntelligence(Agent):
    """Says where a member's prices and key figures stand in the network, and how texts sound.

    The record is one row of a table: an agreement, a rated ticket, a feedback.

    Parameters
    ----------
    figures : tuple of Figure
        What the network compares; public, the same at every member.
    segments : tuple of str
        Industries that are told apart; all others are taken together.
    learns : tuple of {"figures", "sentiment", "topics"}
        What a training sums. Each part gets an equal share of the clip.
    periods : tuple of str
        Dates on which a period of the topics begins, rising; topics need two.
    currency : str
        ISO 4217; prices in any other are left out.
    encoder : {"minilm-l6-int8", "minilm-l6"}
        Turns texts into vectors; see `mesh_fl.text.encoder.load_encoder`.
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a row.
    gradient_clip : float
        L2 bound of a text's gradient.
    learning_rate : float
        Step size on the mean gradient.
    momentum : float
        Share of the last step that is kept.
    prior_precision : float
        How firmly `adapt` holds to a trained global model.
    own_precision : float
        How firmly `adapt` holds to the public one, before any training.
    """

    endpoint: ClassVar[str] = "/market-intelligence"
    answers_untrained: ClassVar[bool] = True

    figures: tuple[Figure, ...] = (RATE_PER_SEAT,)
    segments: tuple[str, ...] = ()
    learns: tuple[Part, ...] = ("figures",)
    periods: tuple[str, ...] = ()
    currency: str = "USD"
    encoder: str = "minilm-l6-int8"
    records: float = 1000.0
    clip: float = 1.0
    gradient_clip: float = 1.0
    learning_rate: float = 0.05
    momentum: float = 0.8
    prior_precision: float = 300.0
    own_precision: float = 100.0

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "market", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [one.name for one in self.figures]
        lowered = [one.lower() for one in self.segments]
        yield "figures", len(names) > 0, "at least one figure"
        yield "figures", len(set(names)) == len(names), "a different name for each"
        yield "figures", RESERVED.isdisjoint(names), "names that no other field has"
        yield "segments", len(set(lowered)) == len(lowered) and all(lowered), "different names"
        yield "segments", sum(self._parts.cells) <= MOST_CELLS, f"at most {MOST_CELLS} cells in all"
        yield "learns", len(self.learns) > 0, f"one or more of {', '.join(PARTS)}"
        yield "learns", set(self.learns) <= set(PARTS), f"one or more of {', '.join(PARTS)}"
        yield "learns", len(set(self.learns)) == len(self.learns), "each part once"
        yield "periods", _rising(self.periods), "rising dates such as 2026-01-01"
        tells = "topics" not in self.learns or len(self.periods) > 1
        yield "periods", tells, "two at least where topics are learned, which tell changes only"
        yield "currency", self.currency.strip() != "", "a currency such as USD"
        yield "encoder", self.encoder in ENCODERS, f"one of {', '.join(ENCODERS)}"
        for name in ("records", "clip", "gradient_clip", "learning_rate"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("prior_precision", "own_precision"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"

    @property
    def schema(self) -> tuple[Field, ...]:
        """A record, and what else may be asked; all of it optional."""
        return fields(self.figures)

    def prepare(self, table: Table) -> Data:
        """Return arrays by record; see `records.Reading`."""
        return self._reading.read(table)

    def why_idle(self, table: Table) -> str:
        """Say what is most often wrong with figures, such as another currency."""
        whys = Counter(one for row in self._reading.refused(table) for one in set(row.values()))
        if not whys:
            return ""
        why, count = whys.most_common(1)[0]
        return f"{count} of them: {why}"

    def init(self) -> State:
        """Return sentiment as people declared it, and no counts at all."""
        model = declared().public_model
        state = {
            "weights": model,
            "velocity": np.zeros_like(model),
            "mean": model.copy(),
            "round": np.array(0.0),
        }
        counted = {n: shape for n, shape in self._parts.shapes.items() if n != "sentiment"}
        return state | {name: np.zeros(shape) for name, shape in counted.items()}

    def layout(self, state: State) -> Layout:
        """Return the parts that are summed."""
        return self._parts.shapes

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each record's bins, gradient and topic, as far as they are learned.

        Guarantee
        ---------
        A row depends on its own record and the public state; no row is longer than `clip`. Adding
        or removing a record moves the sum by at most that. See `rows`.
        """
        arrays = Arrays.of(data)
        parts = {
            "figures": lambda: figure_rows(
                arrays.places, self._parts.cells, self._parts.figures_shape[1]
            ),
            "sentiment": lambda: sentiment_rows(
                state["weights"], arrays.z, arrays.level, self.gradient_clip
            ),
            "topics": lambda: one_hot(arrays.trend, self._parts.trend_cells),
        }
        rows = np.hstack([parts[name]() for name in self._parts.shapes])
        rows *= self._parts.weight
        return rows

    def apply(self, state: State, total: Total) -> State:
        """Average the histograms, and take one step with momentum."""
        rounds = float(state["round"])
        after = dict(state)
        if "figures" in total:
            share = self._parts.weight * weight(1.0, len(self.figures))
            after["figures"] = average(state["figures"], total["figures"] / share, rounds)
        if "topics" in total:
            after["topics"] = average(state["topics"], total["topics"] / self._parts.weight, rounds)
        if "sentiment" in total:
            after |= self._stepped(
                state, total["sentiment"] * self.gradient_clip / self._parts.weight
            )
        return after | {"round": np.asarray(state["round"] + 1)}

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the chance of each sentiment: shape (n, 3)."""
        weights, cuts = split(state)
        return level_chances(scored(Arrays.of(data).z, weights), cuts)

    def distributions(self, state: State) -> tuple[Histogram, ...]:
        """Return each figure over the network, as far as it was released.

        Before any training these are a member's own records, if the state comes from `adapt`.
        """
        name = "figures" if state["round"] > 0 and "figures" in state else "own_figures"
        block = state.get(name, np.zeros(self._parts.figures_shape))
        return tuple(Histogram.of(one) for one in released_figures(block, self._parts.cells))

    def measure_layout(self) -> Layout:
        """Return what is summed: texts by sentiment, records by eighth of the histograms."""
        return self._parts.measured

    def measure(self, state: State, data: Data) -> Rows:
        """Return a row for each record: told and likeliest sentiment, and where figures fall."""
        parts = self._quality(state, data).rows()
        return np.hstack(parts) * weight(self.measure_clip, len(parts))

    def score(self, total: Total) -> Mapping[str, float]:
        """Return the figures of `evaluate`, as far as the noise lets them be seen.

        The total variation compares eighths of the histograms and not their cells, so it is smaller
        than that of `evaluate`.
        """
        return measured(total)

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "total_variation" of figures and topics, "accuracy" and "macro_f1" of sentiment.

        Each only where it is learned. The first is the mean over the histograms that the data fall
        into; each is NaN where they tell nothing.
        """
        return self._quality(state, data).exact()

    def adapt(self, state: State, data: Data) -> State:
        """Fit sentiment to the member's own labelled texts, and keep its own figures beside.

        Adds "own_figures", exact counts, and "own_medians", with how many records told each;
        "own_segment_medians" are the same for each segment.
        """
        arrays = Arrays.of(data)
        rows = figure_rows(arrays.places, self._parts.cells, self._parts.figures_shape[1])
        counts = rows.sum(axis=0).reshape(self._parts.figures_shape) / weight(
            1.0, len(self.figures)
        )
        bins = [one.bins for one in self.figures]
        own = {
            "own_figures": counts,
            "own_medians": arrays.medians(),
            "own_segment_medians": arrays.segment_medians(bins, len(self.segments) + 1),
        }
        if not np.isfinite(arrays.level).any():
            return {**state, **own}
        precision = self.prior_precision if state["round"] > 0 else self.own_precision
        mean = fit_map(Prior(state["mean"], precision), arrays.z, arrays.level)
        return {**state, **own, "mean": mean}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up figures and feedback; see `made_up`."""
        return made_up(self._reading, self._parts.trend_cells, records, seed)

    def answer(self, state: State, table: Table) -> list[MarketAnswer]:
        """Say where figures stand, how texts sound, and what that means for prices.

        Parameters
        ----------
        state : State
            Any model: `init`, a trained one, or one from `adapt`.
        table : Table
            See `schema`.

        Raises
        ------
        DataError
            If documents cannot be read, or there are too many texts.
        """
        return Desk(self._reading, self.distributions, split).answer(state, table)

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return MarketIntelligence().simulated(600, seed=0)

    @property
    def _reading(self) -> Reading:
        return Reading(
            figures=self.figures,
            segments=self.segments,
            periods=self.periods,
            currency=self.currency,
            encoder=self.encoder,
            learns_topics="topics" in self.learns,
        )

    @property
    def _parts(self) -> Parts:
        return Parts(self.figures, self.segments, self.periods, self.learns, self.clip)

    def _quality(self, state: State, data: Data) -> Quality:
        arrays = Arrays.of(data)
        figures = self.distributions(state) if "figures" in self.learns else ()
        topics = (Histogram.of(state["topics"]),) if "topics" in self.learns else ()
        cells = [arrays.places] if figures else []
        cells += [arrays.trend[:, None]] if topics else []
        return Quality(
            released=(*figures, *topics),
            places=np.hstack(cells) if cells else None,
            chances=self.predict(state, data) if "sentiment" in self.learns else None,
            level=arrays.level,
        )

    def _stepped(self, state: State, gradient: NDArray[np.float64]) -> State:
        """Take one step; the mean gives iterate t a weight proportional to t."""
        velocity = self.momentum * state["velocity"] - self.learning_rate * gradient / self.records
        weights = state["weights"] + velocity
        mean = state["mean"] + (weights - state["mean"]) * 2 / (state["round"] + 2)
        return {"weights": weights, "velocity": velocity, "mean": mean}


def split(state: State) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights that answers are given with, and the cuts, in order."""
    width = len(state["mean"]) - len(PUBLIC_CUTS)
    return state["mean"][:width], in_order(state["mean"][width:])


def _rising(dates: tuple[str, ...]) -> bool:
    try:
        return all(one < other for one, other in pairwise(map(moment, dates)))
    except (ValueError, OverflowError):
        return False
