"""Where requests are read, judged and answered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import State
from mesh_fl.agents._histogram import Histogram
from mesh_fl.agents.market.answer import MarketAnswer, Reason, TopicFound, Trend
from mesh_fl.agents.market.mood import mood_of
from mesh_fl.agents.market.network import Network
from mesh_fl.agents.market.own import own_median, value_of
from mesh_fl.agents.market.positions import Standing, sentences
from mesh_fl.agents.market.pricing import recommend
from mesh_fl.agents.market.records import Reading
from mesh_fl.agents.market.request import Request, requests_of
from mesh_fl.agents.market.sentiment import SIGNS, declared
from mesh_fl.agents.market.texts import NO_TEXT, Texts, judge, mean_and_error
from mesh_fl.agents.market.topics import NO_TOPIC, topics
from mesh_fl.agents.market.trends import Judged, document_trends, network_trends
from mesh_fl.schema import Table
from mesh_fl.text.encoder import load_encoder

Split = Callable[[State], tuple[NDArray[np.float64], NDArray[np.float64]]]

MOST_REASONS = 8
LEAST_TOLD = 0.01
"""In log-odds; less moves no answer."""

PUBLIC = "declared words and sentences, weighted by the model"


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
        values = {name: column.tolist() for name, column in self.reading.values(table).items()}
        refused = self.reading.refused(table)
        requests = list(requests_of(table, self.reading.figures, values, refused))
        texts = judge(requests, self.reading.encoder, *self.split(state))
        return [self._answer(state, *one) for one in zip(requests, texts, strict=True)]

    def _answer(self, state: State, request: Request, texts: Texts) -> MarketAnswer:
        standings = list(self._standings(state, request))
        trends, no_trend = self._trends(state, request, texts)
        prices = [one for one in standings if one.figure.is_price]
        mood = mood_of(texts.judged)
        score, error = mean_and_error(texts.judged.score[: texts.scored])
        answer = MarketAnswer(
            sentiment_score=score,
            sentiment_error=error,
            sentiment=_chances(texts.chances[: texts.scored]),
            sentiment_of=texts.source,
            sentiment_reasons=tuple(_reasons(texts.contributions[: texts.scored])),
            texts_read=texts.reading.told,
            topics=tuple(_topics(texts.judged)),
            trends=trends,
            positions=tuple(one.position() for one in standings),
            competitive_position=sentences(standings),
            pricing_recommendations=tuple(recommend(one, mood) for one in prices),
            model_used=self._models(state, texts),
            unavailable={},
        )
        reasons = dict(_unavailable(answer, texts, no_trend))
        return answer.model_copy(update={"unavailable": reasons})

    def _standings(self, state: State, request: Request) -> Iterator[Standing]:
        trained = state["round"] > 0 and "figures" in state
        released = self.distributions(state) if trained else None
        for number, figure in enumerate(self.reading.figures):
            if request.asked and figure.name not in request.asked:
                continue
            network = Network(
                figure=figure,
                released=None if released is None else released[number],
                segments=self.reading.segments,
                segment=request.segment,
            )
            found = value_of(figure.name, request, own_median(state, number, network))
            yield Standing(
                figure=figure,
                currency=self.reading.currency,
                network=network,
                value=found.value,
                value_from=found.source,
                refused=found.refused,
            )

    def _trends(
        self, state: State, request: Request, texts: Texts
    ) -> tuple[tuple[Trend, ...], str]:
        """Return trends of the documents, then of the network, or why there are none."""
        nothing: tuple[tuple[Trend, ...], str] = ((), "no documents were given")
        own, why = document_trends(texts.documents) if request.documents else nothing
        if "topics" not in state:
            return own, f"{why}; the network does not learn topics"
        if state["round"] == 0:
            return own, f"{why}; no training has told the network's topics yet"
        network, other = network_trends(Histogram.of(state["topics"]), self.reading.periods)
        return (*own, *network), f"{why}; {other}"

    def _models(self, state: State, texts: Texts) -> str:
        used = []
        if len(texts.judged.score):
            used.append(load_encoder(self.reading.encoder).name)
            used.append("proportional odds over declared words and sentences")
        if state["round"] > 0 and "figures" in state:
            used.append("private histograms of the network")
        return "; ".join(used) or "none: nothing was there to compute from"


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


def _unavailable(answer: MarketAnswer, texts: Texts, no_trend: str) -> Iterator[tuple[str, str]]:
    """Say why a field is None or empty."""
    if answer.texts_read is None:
        yield "texts_read", NO_TEXT
    if answer.sentiment_of is None:
        for name in ("sentiment_score", "sentiment", "sentiment_of", "sentiment_error"):
            yield name, texts.why_none
    elif answer.sentiment_error is None:
        yield "sentiment_error", "one text has no mean"
    if not answer.topics:
        is_judged = len(texts.chances) > 0
        yield "topics", "about none of the declared topics" if is_judged else texts.why_none
    if not answer.sentiment_reasons:
        several = "told for one text only, and where something moved the model"
        yield "sentiment_reasons", several if answer.sentiment else texts.why_none
    if not answer.trends:
        yield "trends", no_trend
    if not answer.competitive_position:
        yield "competitive_position", "no value has a percentile; see positions"
    if not answer.pricing_recommendations:
        yield "pricing_recommendations", "no price was asked for"
