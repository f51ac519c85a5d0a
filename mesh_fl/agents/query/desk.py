"""Where a question is read, routed and answered."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from mesh_fl.agent import State
from mesh_fl.agents._reading import Stamp, stamped
from mesh_fl.agents._reading import text as plain
from mesh_fl.agents.query.answer import QueryAnswer, Refusal
from mesh_fl.agents.query.intents import Intent
from mesh_fl.agents.query.likely import Likely
from mesh_fl.agents.query.reply import Reply, passed_on, refused, result
from mesh_fl.agents.query.result import Found, Refused
from mesh_fl.agents.query.routes import Route, route_by_words, route_to
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.schema import Table
from mesh_fl.site import Ask, Files
from mesh_fl.text.checkpoints import Phraser, load_phraser

LONGEST_QUESTION = 1000
"""Characters; the tables are not asked what is longer."""

LONGEST_READ = 200
"""Characters of a question that tell what it is about: half from its begin, half from its end."""

MOST_QUESTIONS = 1000
"""Of one request."""

MOST_CHARACTERS = 500_000
"""Of all questions of one request."""

LEAST_CHANCE = 0.8
"""Of an intent, from which on its agent is asked although no cue names it."""

MOST_SUGGESTIONS = 3

OTHER = "other"
"""The intent of a question that is about none of the declared ones."""


class Answers(Protocol):
    """What answers a question from tables."""

    def ask(self, question: str, as_of: datetime) -> Found | Refused:
        """Answer one question."""


@dataclass(frozen=True)
class Question:
    """One question of a request.

    Parameters
    ----------
    text : str
    as_of : datetime
        What now means, in UTC.
    intent : str
        What the request says that it is about; "" where it says nothing.
    """

    text: str
    as_of: datetime
    intent: str


@dataclass(frozen=True)
class Desk:
    """Answers with one agent's intents and what one member has at hand.

    Parameters
    ----------
    engine : Answers
    ask : callable
        Asks another agent.
    intents : tuple of Intent
    read : callable
        Says what a question is about, by a state.
    least_likeness : float
        Below it a question is out of scope.
    encoder : str
        Its name.
    phraser : Phraser, optional
    askable : dict
        Whether the tables answer a phrase, as far as the request has tried that.
    """

    engine: Answers
    ask: Ask
    intents: tuple[Intent, ...]
    read: Callable[[State, str], Likely]
    least_likeness: float
    encoder: str
    phraser: Phraser | None = None
    askable: dict[str, bool] = field(default_factory=dict)

    def answer(self, state: State, table: Table) -> list[QueryAnswer]:
        """Answer each question; see `PlainQuestions.schema`.

        Raises
        ------
        DataError
            If a question is empty, or there are too many for one request.
        """
        self.askable.clear()
        return [self._reply(state, question) for question in questions_of(table)]

    def _reply(self, state: State, question: Question) -> QueryAnswer:
        reply = self._ask(state, question)
        return reply.answer(question.as_of, self.phraser)

    def _ask(self, state: State, question: Question) -> Reply:
        if len(question.text) > LONGEST_QUESTION:
            reason = f"a question for the tables has at most {LONGEST_QUESTION} characters"
            found: Found | Refused = Refused(reason)
        else:
            found = self.engine.ask(question.text, question.as_of)
        if isinstance(found, Found):
            return result(found)
        return self._from_agents(state, question, found)

    def _from_agents(self, state: State, question: Question, refusal: Refused) -> Reply:
        """Pass a question on whose words or whose intent are another agent's."""
        route = None if question.intent else route_by_words(question.text)
        if route is not None:
            return self._pass_on(route, question.text)
        likely = self.read(state, gist(question.text))
        about = self._intent(question, likely)
        route = self._route_of(about, question, likely)
        reply = self._refuse(about, likely, refusal, question.as_of)
        if route is not None:
            reply = self._pass_on(route, question.text)
        return reply.read_as(about, self._chances(likely), likely.most, self.encoder)

    def _intent(self, question: Question, likely: Likely) -> Intent | None:
        """Return what a question is about: what was told, else the likeliest if it is in scope."""
        if question.intent:
            return next((one for one in self.intents if one.name == question.intent), None)
        return self.intents[likely.best] if likely.most >= self.least_likeness else None

    def _route_of(self, about: Intent | None, question: Question, likely: Likely) -> Route | None:
        if about is None or not about.agent:
            return None
        route = route_to(about.agent)
        if route is None or route.is_barred(question.text):
            return None
        is_sure = bool(question.intent) or likely.chances.max() >= LEAST_CHANCE
        return route if is_sure else None

    def _pass_on(self, route: Route, query: str) -> Reply:
        try:
            answered = self.ask(route.agent, route.request(query))
        except AgentError as error:
            return refused(_missing(route, error), self._named(route.agent))
        except (DataError, ConfigError) as error:
            reason = f"agent {route.agent} refused the question: {plain(str(error), 400)}"
            told = _refusal("agent refused", reason, [f"ask it at {route.endpoint}"])
            return refused(told, self._named(route.agent))
        return passed_on(route, answered, self._named(route.agent))

    def _named(self, agent: str) -> str | None:
        return next((intent.name for intent in self.intents if intent.agent == agent), None)

    def _refuse(
        self, about: Intent | None, likely: Likely, refusal: Refused, as_of: datetime
    ) -> Reply:
        if about is None:
            reason = (
                f"it is like nothing that can be asked here (likeness {likely.most:.2f}, expected "
                f"{self.least_likeness:.2f} or more); the tables say: {refusal.reason}"
            )
            suggestions = list(refusal.suggestions)
            return refused(_refusal("out of scope", reason, suggestions, refusal.words))
        suggestions = [*self._suggestions(about, likely, as_of), *refusal.suggestions]
        told = _refusal("not understood", refusal.reason, suggestions, refusal.words)
        return refused(told, about.name)

    def _suggestions(self, about: Intent, likely: Likely, as_of: datetime) -> Iterator[str]:
        """Yield the nearest questions of an intent that the tables answer, or whom to ask."""
        if about.agent:
            route = route_to(about.agent)
            where = (
                route.endpoint if route else f"its own endpoint, with the fields of {about.name}"
            )
            yield f"agent {about.agent} answers such questions, at {where}"
            return
        place = self.intents.index(about)
        for phrase in likely.nearest(place)[:MOST_SUGGESTIONS]:
            if self._is_askable(phrase, as_of):
                yield phrase

    def _is_askable(self, phrase: str, as_of: datetime) -> bool:
        """Say whether the tables answer a phrase; they are asked once a request."""
        known = self.askable.get(phrase)
        if known is None:
            known = isinstance(self.engine.ask(phrase, as_of), Found)
            self.askable[phrase] = known
        return known

    def _chances(self, likely: Likely) -> Mapping[str, float]:
        return {
            intent.name: float(c) for intent, c in zip(self.intents, likely.chances, strict=True)
        }


def gist(text: str) -> str:
    """Return what of a question says what it is about: a long one by its begin and its end."""
    half = LONGEST_READ // 2
    return text if len(text) <= LONGEST_READ else f"{text[:half]} {text[-half:]}"


def questions_of(table: Table) -> list[Question]:
    """Read the questions of a request.

    Raises
    ------
    DataError
        If one is empty, or they are too many or too long for one request.
    """
    if "query" not in table:
        raise DataError(f"expected a column query, found {', '.join(table) or 'none'}")
    count = len(table["query"])
    moments = table["as_of"].astype(np.float64).tolist() if "as_of" in table else [math.nan] * count
    told = [str(one) for one in table["intent"].tolist()] if "intent" in table else [""] * count
    texts = [plain(str(one)) for one in table["query"].tolist()]
    if not all(texts):
        raise DataError("query: expected a question, found nothing")
    characters = sum(map(len, texts))
    if count > MOST_QUESTIONS or characters > MOST_CHARACTERS:
        raise DataError(
            f"query: expected at most {MOST_QUESTIONS:,} questions of {MOST_CHARACTERS:,} "
            f"characters in all, found {count:,} of {characters:,}; ask in several requests"
        )
    return [Question(*one) for one in zip(texts, map(_moment, moments), told, strict=True)]


def _moment(seconds: float) -> datetime:
    if not math.isfinite(seconds):
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise DataError(
            f"as_of: expected a moment of the years 1 to 9999, found {seconds:g}"
        ) from None


def read_phraser(files: Files) -> Phraser | None:
    """Load the phraser that a member names, once.

    Raises
    ------
    ConfigError
        If a name is unknown, or the folder holds no such model.
    """
    for name in files:
        if name != "phraser":
            raise ConfigError(f"unknown key {name!r} in [agents.query.files]; known: phraser")
    return _read(stamped(files)) if files else None


@lru_cache(maxsize=1)
def _read(stamps: tuple[Stamp, ...]) -> Phraser:
    path: Path = stamps[0][1]
    return load_phraser(path)


def _missing(route: Route, error: AgentError) -> Refusal:
    return _refusal(
        "agent missing",
        f"{route.title} would answer this: {plain(str(error), 300)}",
        [f"opt into it: add [agents.{route.agent}] to client.toml, and ask again"],
    )


def _refusal(
    kind: str, reason: str, suggestions: Sequence[str], words: Sequence[str] = ()
) -> Refusal:
    few = tuple(dict.fromkeys(suggestions))[: 2 * MOST_SUGGESTIONS]
    return Refusal.model_validate(
        {"kind": kind, "reason": reason, "words": tuple(words), "suggestions": few}
    )
