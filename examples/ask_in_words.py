"""Questions in; from three small made-up tables, answers with their SQL out.

Run it: python examples/ask_in_words.py "how many tickets are open"
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mesh_fl.agents.query.agent import PlainQuestions, QueryAnswer
from mesh_fl.client.columns import TableSource
from mesh_fl.client.own_tables import FileTable
from mesh_fl.msp_tables import TABLES
from mesh_fl.site import Site

FOLDER = Path(__file__).with_name("ask_in_words_tables")
NOW = datetime(2026, 11, 10, tzinfo=UTC)

QUESTIONS = (
    "how many tickets were opened last month",
    "which tickets of priority 1 are open",
    "unpaid balance by client",
    "how many P1 tickets did Globex open",
    "who can help with Kubernetes",
)


def tables() -> dict[str, FileTable]:
    """Return the tables as client.toml would name them."""
    named = ("clients", "tickets", "invoices")
    return {
        name: FileTable(TableSource(path=FOLDER / f"{name}.csv", id=TABLES[name].key))
        for name in named
    }


def ask(questions: tuple[str, ...]) -> list[QueryAnswer]:
    agent = PlainQuestions()
    answering = agent.answering(Site(tables=tables()))
    asked = {
        "query": np.array(questions, dtype=object),
        "as_of": np.full(len(questions), NOW.timestamp()),
    }
    return [one for one in answering(agent.init(), asked) if isinstance(one, QueryAnswer)]


def show(question: str, answer: QueryAnswer) -> None:
    print(f"? {question}")
    if answer.refusal is not None:
        print(f"  no answer, {answer.refusal.kind}: {answer.refusal.reason}")
        for suggestion in answer.refusal.suggestions:
            print(f"  instead: {suggestion}")
        return
    print(f"  {answer.answer}")
    print(f"  understood: {answer.interpretation}")
    print(f"  {answer.sql}")


def main(*questions: str) -> None:
    asked = questions or QUESTIONS
    for question, answer in zip(asked, ask(asked), strict=True):
        show(question, answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
