"""Controls of other frameworks that answer to a control, each with why it is said to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from mesh_fl.agents.compliance.assessment import Matcher
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.identifiers import canonical_id, is_nist
from mesh_fl.agents.compliance.verdict import Part

How = Literal["same id", "shared checks", "related in the catalog", "similar text"]

ORDER: tuple[How, ...] = ("same id", "shared checks", "related in the catalog", "similar text")
MOST_SHOWN = 10
LEAST_SIMILAR = 0.6
"""Cosine of the encoder; texts less similar than that are not put forward."""

MOST_SIMILAR = 5
"""Per framework: what follows is a guess of guesses."""


class MappedControl(Part):
    """A control that answers to another one.

    Attributes
    ----------
    how : str
        What says so. "similar text" is a guess of a model, to be looked at by a person.
    strength : float or None
        Jaccard index of the two lists of checks, or the cosine of the encoder between the texts;
        None where a catalog says it without a degree.
    shared : tuple of str
        The first `MOST_SHOWN` checks in both lists.
    source : str
        The files that were compared.
    """

    framework: str
    control: str
    title: str
    how: How
    strength: float | None
    shared: tuple[str, ...] = ()
    source: str


def map_control(
    control: Control,
    own: Framework,
    others: Sequence[Framework],
    matcher: Matcher | None = None,
    most: int = MOST_SHOWN,
) -> tuple[MappedControl, ...]:
    """Find the controls of other frameworks, and related ones of its own, that answer to a control.

    Parameters
    ----------
    control : Control
        One of `own`.
    matcher : callable, optional
        Compares texts where a framework has nothing in common with the control; nothing is
        compared without it.
    most : int
        Per framework.

    Returns
    -------
    tuple of MappedControl
        The surest ways first: the same id (NIST only), shared checks, what the catalog relates,
        similar texts.
    """
    found = list(_related(control, own))[:most]
    for other in others:
        if other is own:
            continue
        sure = [*_same_id(control, own, other), *_by_checks(control, own, other)]
        seen: dict[str, MappedControl] = {}
        for one in sure:
            seen.setdefault(one.control, one)
        guessed = [] if seen or matcher is None else list(_by_text(control, own, other, matcher))
        found.extend([*seen.values(), *guessed][:most])
    return tuple(sorted(found, key=lambda one: (ORDER.index(one.how), -(one.strength or 0.0))))


def _same_id(control: Control, own: Framework, other: Framework) -> Iterator[MappedControl]:
    match = other.find(control.id) if is_nist(control.id) else None
    if match and canonical_id(match.id) == canonical_id(control.id):
        yield _mapped(match, "same id", None, _both(own, other))


def _by_checks(control: Control, own: Framework, other: Framework) -> Sequence[MappedControl]:
    checks = set(control.checks)
    touched: Mapping[str, Control] = {
        one.id: one for check in control.checks for one in other.with_check(check)
    }
    found = []
    for one in touched.values():
        shared = [check for check in one.checks if check in checks]
        jaccard = len(shared) / len(checks.union(one.checks))
        found.append(_mapped(one, "shared checks", jaccard, _both(own, other), shared))
    return sorted(found, key=lambda one: -(one.strength or 0.0))


def _related(control: Control, own: Framework) -> Iterator[MappedControl]:
    for name in control.related:
        if match := own.find(name):
            yield _mapped(match, "related in the catalog", None, own.source)


def _by_text(
    control: Control, own: Framework, other: Framework, matcher: Matcher
) -> Iterator[MappedControl]:
    column = matcher(other.controls, [f"{control.title}. {control.text}"]).cosine[:, 0]
    for place in (-column).argsort(kind="stable")[:MOST_SIMILAR]:
        similarity = float(column[place])
        if not similarity >= LEAST_SIMILAR:
            return
        yield _mapped(other.controls[place], "similar text", similarity, _both(own, other))


def _both(own: Framework, other: Framework) -> str:
    return f"{own.source}; {other.source}"


def _mapped(
    control: Control, how: How, strength: float | None, source: str, shared: Sequence[str] = ()
) -> MappedControl:
    return MappedControl(
        framework=control.framework,
        control=control.id,
        title=control.title,
        how=how,
        strength=strength,
        shared=tuple(shared[:MOST_SHOWN]),
        source=source,
    )
