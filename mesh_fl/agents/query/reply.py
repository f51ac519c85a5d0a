"""A reply in the making: what the tables or another agent said, before it is put in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mesh_fl.agents._reading import table
from mesh_fl.agents._reading import text as plain
from mesh_fl.agents.query.answer import About, Cited, QueryAnswer, Refusal, ResultColumn
from mesh_fl.agents.query.drawing import chart_of
from mesh_fl.agents.query.intents import Intent
from mesh_fl.agents.query.phrasing import says_the_same
from mesh_fl.agents.query.result import Found
from mesh_fl.agents.query.retelling import Answered, retell
from mesh_fl.agents.query.routes import Route
from mesh_fl.errors import DataError
from mesh_fl.text.checkpoints import Phraser

RULES = "rules and DuckDB"
MOST_INTENTS = 3
TEMPLATE = "template"

_TABLES_ONLY = ("sql", "interpretation", "chart", "confidence")
_AGENT_ONLY = ("asked_agent", "agent_answer")


@dataclass(frozen=True)
class Reply:
    """What is known of an answer.

    Parameters
    ----------
    sentence : str or None
        None where there is no answer.
    found : Found, optional
        What the tables gave.
    agent : str, optional
        Who answered in their place.
    answered : mapping, optional
        What that agent answered.
    refusal : Refusal, optional
    intent : str, optional
    chances : mapping
        Of each intent, where it was looked at.
    likeness : float, optional
    models : tuple of str
        What ran.
    """

    sentence: str | None
    found: Found | None = None
    agent: str | None = None
    answered: Answered | None = None
    refusal: Refusal | None = None
    intent: str | None = None
    chances: Mapping[str, float] = field(default_factory=dict)
    likeness: float | None = None
    models: tuple[str, ...] = (RULES,)

    def read_as(
        self, about: Intent | None, chances: Mapping[str, float], likeness: float, encoder: str
    ) -> "Reply":
        """Return the same with what the question was taken to be about."""
        return replace(
            self,
            intent=about.name if about else None,
            chances=chances,
            likeness=likeness,
            models=(*self.models, encoder),
        )

    def answer(self, as_of: datetime, phraser: Phraser | None) -> QueryAnswer:
        """Put the reply in words, and say why each field that is None is so."""
        words, by = self._worded(phraser)
        found = self.found
        values = {
            "answered": self.sentence is not None,
            "answer": words,
            "phrased_by": by,
            "sources": self._sources(),
            "sql": found.sql if found else None,
            "interpretation": found.interpretation if found else None,
            "columns": _columns(found),
            "rows": found.rows if found else (),
            "truncated": found.truncated if found else False,
            "chart": chart_of(found) if found else None,
            "confidence": found.confidence if found else None,
            "intent": self.intent,
            "intents": self._likeliest(),
            "likeness": self.likeness,
            "asked_agent": self.agent,
            "agent_answer": self.answered,
            "refusal": self.refusal,
            "as_of": as_of.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "model_used": "; ".join(self.models + ((by,) if by and by != TEMPLATE else ())),
        }
        missing = [name for name, value in values.items() if value is None]
        reasons = self._reasons()
        values["unavailable"] = {name: reasons[name] for name in missing}
        return QueryAnswer.model_validate(values)

    def _worded(self, phraser: Phraser | None) -> tuple[str | None, str | None]:
        if self.sentence is None:
            return None, None
        if phraser is not None:
            try:
                phrase = phraser.phrase(f"Say this in one plain sentence: {self.sentence}")
            except DataError:
                phrase = ""
            if says_the_same(phrase, self.sentence):
                return phrase, phraser.name
        return self.sentence, TEMPLATE

    def _sources(self) -> tuple[Cited, ...]:
        if self.agent and self.answered is not None:
            card = table(self.answered.get("model"))
            version = plain(card.get("version"), 100) or None
            return (Cited(kind="agent", name=self.agent, version=version),)
        read = self.found.sources if self.found else ()
        return tuple(
            Cited(kind="table", name=one.table, rows=one.rows, left_out=one.left_out)
            for one in read
        )

    def _likeliest(self) -> tuple[About, ...]:
        best = sorted(self.chances.items(), key=lambda one: -one[1])[:MOST_INTENTS]
        return tuple(About(intent=name, chance=chance) for name, chance in best)

    def _reasons(self) -> dict[str, str]:
        """Say of each field why it may be None."""
        why = self.refusal.reason if self.refusal else "another agent answered, not the tables"
        reasons = {"answer": why, "phrased_by": why, **dict.fromkeys(_TABLES_ONLY, why)}
        if self.found is not None:
            reasons["chart"] = "there is nothing to draw"
        here = "no other agent was asked" if self.found else "no other agent answered"
        reasons |= dict.fromkeys(_AGENT_ONLY, here)
        unread = "it was not needed: the tables or a cue decided"
        reasons |= {"likeness": unread, "refusal": "there is an answer"}
        reasons["intent"] = unread if self.likeness is None else "it is like no declared intent"
        return reasons


def result(found: Found) -> Reply:
    """Return what the tables gave."""
    return Reply(found.sentence, found=found)


def passed_on(route: Route, answered: Answered, intent: str | None) -> Reply:
    """Return what another agent answered, in words of its own fields."""
    told = retell(route.agent, answered)
    sentence = told or f"Agent {route.agent} answered; see agent_answer."
    model = plain(answered.get("model_used"), 200)
    models = (f"{route.agent}: {model}",) if model else (route.agent,)
    return Reply(sentence, agent=route.agent, answered=answered, intent=intent, models=models)


def refused(refusal: Refusal, intent: str | None = None) -> Reply:
    """Return that there is no answer, and why."""
    return Reply(None, refusal=refusal, intent=intent)


def _columns(found: Found | None) -> tuple[ResultColumn, ...]:
    columns = found.columns if found else ()
    return tuple(ResultColumn(name=one.name, title=one.title, unit=one.unit) for one in columns)
