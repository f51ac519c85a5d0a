"""Where requests are read, judged and answered."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents._histogram import Histogram
from mesh_fl.agents._ordinal import level_chances
from mesh_fl.agents.market.answer import MarketAnswer, Reason, TopicFound, Trend
from mesh_fl.agents.market.positions import OWN, Standing, sentences
from mesh_fl.agents.market.pricing import PRICE_TOPIC, Mood, recommend
from mesh_fl.agents.market.records import Reading
from mesh_fl.agents.market.request import Request, requests_of
from mesh_fl.agents.market.sentiment import SIGNS, declared, features
from mesh_fl.agents.market.topics import NO_TOPIC, find_topics, topics
from mesh_fl.agents.market.trends import Judged, document_trends, network_trends
from mesh_fl.schema import Table
from mesh_fl.text.encoder import load_encoder

Split = Callable[[State], tuple[NDArray[np.float64], NDArray[np.float64]]]

MOST_REASONS = 8
LEAST_TOLD = 0.01
"""In log-odds; less moves no answer."""

NO_TEXT = "no text was given to judge: give text, documents, or a feedback as query (no question)"
PUBLIC = "declared words and sentences, weighted by the model"


@dataclass(frozen=True)
class _Texts:
    """All texts of one request, judged."""

    judged: Judged
    chances: NDArray[np.float64]
    contributions: NDArray[np.float64]


@dataclass(frozen=True)
class Desk:
    """Answers for one agent.

    Parameters
    ----------
    reading : Reading
    distributions : callable
        Gives the figures over the network of a state.
    split : callable
        Gives the weights and the cuts of a state.
    """

    reading: Reading
    distributions: Callable[[State], Sequence[Histogram]]
    split: Split

    def answer(self, state: State, table: Table) -> list[MarketAnswer]:
        """Answer for each record; see `MarketIntelligence.schema`.

        Raises
        ------
        DataError
            If documents cannot be read, or there are too many texts.
        """
        values, refused = self.reading.values(table)
        told = {name: column.tolist() for name, column in values.items()}
        requests = list(requests_of(table, self.reading.figures, told, refused))
        texts = self._judge(state, requests)
        return [self._answer(state, *one) for one in zip(requests, texts, strict=True)]

    def _judge(self, state: State, requests: Sequence[Request]) -> Iterator[_Texts]:
        """Judge the texts of all requests: they are encoded together."""
        documents = [list(_texts_of(request)) for request in requests]
        flat = [text for group in documents for text, _ in group]
        weights, cuts = self.split(state)
        z, topic = self._read(flat)
        chances = level_chances(z @ weights, cuts)
        ends = np.cumsum([len(group) for group in documents])
        for group, end in zip(documents, ends, strict=True):
            part = slice(end - len(group), end)
            scores = chances[part, -1] - chances[part, 0]
            at = np.array([when for _, when in group], dtype=np.float64)
            judged = Judged(at, scores, topic[part])
            yield _Texts(judged, chances[part], z[part] * weights)

    def _read(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        if not texts:
            return np.zeros((0, len(declared().names))), np.zeros(0, dtype=np.int64)
        vectors = load_encoder(self.reading.encoder).encode(texts, kept=False)
        found = find_topics(texts, vectors, self.reading.encoder)
        return features(texts, vectors, self.reading.encoder), found

    def _answer(self, state: State, request: Request, texts: _Texts) -> MarketAnswer:
        standings = list(self._standings(state, request))
        trends, no_trend = self._trends(state, request, texts)
        prices = [one for one in standings if one.figure.is_price]
        mood = _mood(texts.judged)
        score, error = _mean(texts.judged.score)
        said = sentences(standings)
        answer = MarketAnswer(
            sentiment_score=score,
            sentiment_error=error,
            sentiment=_chances(texts.chances),
            sentiment_of=_source(request),
            sentiment_reasons=tuple(_reasons(texts.contributions)),
            topics=tuple(_topics(texts.judged)),
            trends=trends,
            positions=tuple(one.position() for one in standings),
            competitive_position=said,
            pricing_recommendations=tuple(recommend(one, mood) for one in prices),
            model_used=self._models(state, texts),
            unavailable={},
        )
        return answer.model_copy(update={"unavailable": dict(_unavailable(answer, no_trend))})

    def _standings(self, state: State, request: Request) -> Iterator[Standing]:
        trained = state["round"] > 0 and "figures" in state
        released = self.distributions(state) if trained else None
        for number, figure in enumerate(self.reading.figures):
            if request.asked and figure.name not in request.asked:
                continue
            value, source = _value(request, state, number, figure.name)
            yield Standing(
                figure=figure,
                currency=self.reading.currency,
                released=None if released is None else released[number],
                segments=self.reading.segments,
                segment=request.segment,
                value=value,
                value_from=source,
                refused=request.refused.get(figure.name, ""),
            )

    def _trends(
        self, state: State, request: Request, texts: _Texts
    ) -> tuple[tuple[Trend, ...], str]:
        """Return trends of the documents, then of the network, or why there are none."""
        nothing: tuple[tuple[Trend, ...], str] = ((), "no documents were given")
        own, why = document_trends(texts.judged) if request.documents else nothing
        if "topics" not in state:
            return own, f"{why}; the network does not learn topics"
        if state["round"] == 0:
            return own, f"{why}; no training has told the network's topics yet"
        network, other = network_trends(Histogram.of(state["topics"]), self.reading.periods)
        return (*own, *network), f"{why}; {other}"

    def _models(self, state: State, texts: _Texts) -> str:
        used = []
        if len(texts.judged.score):
            used.append(load_encoder(self.reading.encoder).name)
            used.append("proportional odds over declared words and sentences")
        if state["round"] > 0 and "figures" in state:
            used.append("private histograms of the network")
        return "; ".join(used) or "none: nothing was there to compute from"


def _texts_of(request: Request) -> Iterator[tuple[str, float]]:
    """Yield what is judged: the one text, or else the documents."""
    text, _ = request.judged
    if text:
        yield text, math.nan
    else:
        yield from ((one.text, one.at) for one in request.documents)


def _value(
    request: Request, state: State, number: int, name: str
) -> tuple[float | None, str | None]:
    if name in request.values:
        return request.values[name], "request"
    if name not in request.refused and "own_medians" in state:
        median, count = state["own_medians"][number].tolist()
        if count > 0:
            return median, OWN
    return None, None


def _source(request: Request) -> str | None:
    _, field = request.judged
    return field or ("documents" if request.documents else None)


def _mean(scores: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Return the mean, and its standard error from two scores on."""
    if not len(scores):
        return None, None
    error = float(scores.std(ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else None
    return float(scores.mean()), error


def _chances(chances: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(chances):
        return None
    return dict(zip(SIGNS, chances.mean(axis=0).tolist(), strict=True))


def _reasons(contributions: NDArray[np.float64]) -> Iterator[Reason]:
    if len(contributions) != 1:
        return
    moved, names = contributions[0], declared().names
    for place in np.argsort(-np.abs(moved), kind="stable")[:MOST_REASONS]:
        if abs(moved[place]) >= LEAST_TOLD:
            yield Reason(because=names[place], value=float(moved[place]), source=PUBLIC)


def _topics(texts: Judged) -> Iterator[TopicFound]:
    """Yield the topics of the texts, the commonest first."""
    counts = np.bincount(texts.topic[texts.topic != NO_TOPIC], minlength=len(topics()))
    for place in np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]:
        yield TopicFound(
            topic=topics()[place].name,
            title=topics()[place].title,
            texts=int(counts[place]),
            share=float(counts[place]) / len(texts.topic),
            sentiment_score=float(texts.score[texts.topic == place].mean()),
        )


def _mood(texts: Judged) -> Mood | None:
    """Return how the texts about prices sound; None where there is none."""
    place = [one.name for one in topics()].index(PRICE_TOPIC)
    about = texts.score[texts.topic == place]
    return Mood(float(about.mean()), len(about)) if len(about) else None


def _unavailable(answer: MarketAnswer, no_trend: str) -> Iterator[tuple[str, str]]:
    """Say why a field is None or empty."""
    if answer.sentiment_of is None:
        for name in ("sentiment_score", "sentiment", "sentiment_of", "sentiment_error", "topics"):
            yield name, NO_TEXT
    elif answer.sentiment_error is None:
        yield "sentiment_error", "one text has no mean"
    if answer.sentiment_of is not None and not answer.topics:
        yield "topics", "the texts are about none of the declared topics"
    if not answer.sentiment_reasons:
        several = "told for one text only" if answer.sentiment else NO_TEXT
        yield "sentiment_reasons", several
    if not answer.trends:
        yield "trends", no_trend
    if not answer.competitive_position:
        yield "competitive_position", "no value has a percentile; see positions"
    if not answer.pricing_recommendations:
        yield "pricing_recommendations", "no price was asked for"
