"""What market intelligence learns from and may be asked, as columns of a table."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mesh_fl.agents.market.documents import Document, read_documents
from mesh_fl.agents.market.figures import Figure
from mesh_fl.agents.market.sentiment import SIGNS
from mesh_fl.agents.market.wording import pattern_of
from mesh_fl.errors import DataError
from mesh_fl.schema import Field, Table
from mesh_fl.text.encoder import cut


def _text(name: str, description: str) -> Field:
    return Field(name=name, kind="text", optional=True, description=description)


def _number(name: str, description: str) -> Field:
    return Field(name=name, kind="number", optional=True, description=description)


LEARNED_FROM = (
    _text("text", "A client's feedback or a piece of news."),
    Field(
        name="sentiment",
        kind="category",
        levels=SIGNS,
        optional=True,
        description="How somebody judged the text; it is learned from.",
    ),
    Field(name="at", kind="time", optional=True, description="When the text was written."),
    _text("industry_segment", "The client's industry."),
    _text("currency", "ISO 4217, of the prices; the network's own where it is left out."),
)
"""Columns of any record, beside the figures."""

AGREEMENT = (
    _number("amount", "Price of one period of an agreement."),
    _text("period", "Such as month, quarter, year."),
    _number("seats", "People or devices that the agreement covers."),
)
"""Columns that give a rate per seat where it is not told itself."""

ASKED_FOR = (
    _text("query", "Which figure is asked about; or a feedback to judge."),
    Field(
        name="documents",
        kind="document",
        optional=True,
        description="A list of texts, or of objects with text and at, to find trends in.",
    ),
)
"""Further fields of a request."""

RESERVED = frozenset(one.name for one in (*LEARNED_FROM, *AGREEMENT, *ASKED_FOR))

_ASKING = (
    "how what where which who when why is are do does can should show tell give compare list "
    "explain"
)
ASKING = frozenset(_ASKING.split())
"""A query that begins with one of them asks; others are taken for a feedback."""

FEWEST_WORDS = 4
"""Words that make a feedback of a query, a figure's name not counted."""

MOST_TEXTS = 100
"""Texts of one call that are judged."""

MOST_CHARACTERS = 20_000
"""Characters of all texts of one call that are judged: it ends within about two seconds."""


def fields(figures: Sequence[Figure]) -> tuple[Field, ...]:
    """Return all columns, with those of the declared figures."""
    own = tuple(_number(one.name, f"{one.title}, {one.unit}".rstrip(", ")) for one in figures)
    agreement = AGREEMENT if any(one.from_agreement for one in figures) else ()
    return (*LEARNED_FROM, *own, *agreement, *ASKED_FOR)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One record of a table, as a question.

    Parameters
    ----------
    text, query, segment : str
    documents : tuple of Document
    values : mapping
        The figures that are told.
    asked : tuple of str
        Names of the figures that the query is about; all where it names none.
    refused : mapping
        Why a figure that was told does not count.
    only_asks : bool
        Whether the query is a question or a name, and no feedback.
    """

    text: str = ""
    query: str = ""
    segment: str = ""
    documents: tuple[Document, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    only_asks: bool = False

    @property
    def judged(self) -> tuple[str, str]:
        """Return the one text to judge and the field that it stands in; both empty if none."""
        if self.text:
            return self.text, "text"
        if self.query and not self.documents and not self.only_asks:
            return self.query, "query"
        return "", ""

    @property
    def texts(self) -> tuple[Document, ...]:
        """Return all texts: the one text first, if there is one, then the documents."""
        text, _ = self.judged
        return (*((Document(text),) if text else ()), *self.documents)


def told(table: Table, name: str) -> list[str]:
    """Return a text column, empty texts where the table lacks it."""
    if name not in table:
        return [""] * records_in(table)
    return [str(one).strip() for one in table[name].tolist()]


def records_in(table: Table) -> int:
    """Return the number of records."""
    return len(next(iter(table.values()), ()))


def requests_of(
    table: Table,
    figures: Sequence[Figure],
    values: Mapping[str, Sequence[float]],
    refused: Sequence[Mapping[str, str]],
) -> Iterator[Request]:
    """Return the questions of a table.

    Parameters
    ----------
    table : Table
    figures : sequence of Figure
    values : mapping
        Each figure's values, NaN where there is none.
    refused : sequence of mapping
        For each record, why a figure that it tells does not count.

    Raises
    ------
    DataError
        If documents cannot be read, or more texts are to be judged than `MOST_TEXTS`.
    """
    columns = {name: told(table, name) for name in ("text", "query", "industry_segment")}
    documents = told(table, "documents")
    texts = 0
    for row in range(records_in(table)):
        request = Request(
            text=columns["text"][row],
            query=columns["query"][row],
            segment=columns["industry_segment"][row],
            documents=read_documents(documents[row], MOST_TEXTS),
            values={n: v[row] for n, v in values.items() if math.isfinite(v[row])},
            asked=_asked(columns["query"][row], figures),
            refused=refused[row],
            only_asks=_only_asks(columns["query"][row], figures),
        )
        texts += len(request.texts)
        if texts > MOST_TEXTS:
            raise DataError(
                f"expected at most {MOST_TEXTS} texts to judge at once, found more: send fewer"
            )
        yield request


def _asked(query: str, figures: Sequence[Figure]) -> tuple[str, ...]:
    """Return the figures that a query names by title, name or further words."""
    return tuple(one.name for one in figures if _pattern(one).search(cut(query)))


def _only_asks(query: str, figures: Sequence[Figure]) -> bool:
    """Tell whether a query is a question, an order, a few words, or little but a figure's name."""
    words = cut(query).lower().split()
    if len(words) < FEWEST_WORDS or words[-1].endswith("?") or words[0] in ASKING:
        return True
    asked = [one for one in figures if _pattern(one).search(cut(query))]
    rest = cut(query)
    for figure in asked:
        rest = _pattern(figure).sub(" ", rest)
    return bool(asked) and len(rest.split()) < FEWEST_WORDS


def _pattern(figure: Figure) -> re.Pattern[str]:
    return pattern_of(figure.asked_by)
