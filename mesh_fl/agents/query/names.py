"""Names that are made of ordinary words: a client called March, Total or Last Month Ltd."""

from collections.abc import Iterator, Sequence

from mesh_fl.agents.query.reading import UnclearError
from mesh_fl.agents.query.times import MONTHS
from mesh_fl.agents.query.values import Values
from mesh_fl.agents.query.vocabulary import vocabulary
from mesh_fl.agents.query.wording import Word

_BEFORE_NAMES = frozenset((
    "of", "for", "by", "from", "to", "with", "and", "or", "at", "did", "doe", "do", "ha", "have",
    "client", "customer", "account", "technician", "engineer", "except", "excluding", "not",
))  # fmt: skip
"""Words after which a name may stand."""

_TIMES = frozenset((*MONTHS, *(name[:3] for name in MONTHS)))
_NOUNS = frozenset({"table", "quantity", "value"})


def refuse_disguised(
    words: Sequence[Word], chunks: Sequence[tuple[int, int]], values: Values
) -> None:
    """Refuse ordinary words that may as well be somebody's name.

    Parameters
    ----------
    words : sequence of Word
        The question.
    chunks : sequence of tuple of int
        Where each of its chunks begins, and of how many words it is.
    values : Values
        What the data names.

    Raises
    ------
    UnclearError
        If a word alone stands where a name may, or two are a name in full.
    """
    for at, size in _occurrences(words, values):
        within = [(start, length) for start, length in chunks if start <= at < start + length]
        if size == 1 and within != [(at, 1)]:
            continue  # total in "in total", March in "5 March": more than the word alone
        if any(length > size for _, length in within):
            continue
        if size > 1 or _may_be_a_name(words, at):
            text = " ".join(word.written for word in words[at : at + size])
            raise UnclearError(
                f"{text!r} is an ordinary word and a name in these tables: put it in double quotes "
                "for the name, or say the other in different words",
                text,
            )


def _occurrences(words: Sequence[Word], values: Values) -> Iterator[tuple[int, int]]:
    stems = [word.stem for word in words]
    for size in sorted({len(name) for name in values.disguised}, reverse=True):
        for at in range(len(words) - size + 1):
            named = tuple(stems[at : at + size]) in values.disguised
            if named and not any(word.quotation for word in words[at : at + size]):
                yield at, size


def _may_be_a_name(words: Sequence[Word], at: int) -> bool:
    stem, before = words[at].stem, words[at - 1].stem if at else ""
    if stem not in _TIMES and at + 1 < len(words) and _is_noun(words[at + 1].stem):
        return False  # all clients, total hours, open tickets
    if before in _BEFORE_NAMES or words[at].written.lower().endswith(("'s", "s'")):
        return True
    return stem not in _TIMES and at > 0 and _is_capital(words, at)


def _is_noun(stem: str) -> bool:
    meanings = vocabulary().phrases.get((stem,), ())
    return any(m.kind in _NOUNS for m in meanings) or stem in {"of", "our", "the"}


def _is_capital(words: Sequence[Word], at: int) -> bool:
    """Whether a word is written as a name in a question that is not so throughout."""
    others = [word.written[0] for i, word in enumerate(words) if i not in {0, at}]
    return words[at].written[:1].isupper() and any(c.islower() for c in others)
