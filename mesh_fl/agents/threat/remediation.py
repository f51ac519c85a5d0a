"""What to do about a threat: each step with its source and the computed value that calls for it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.threat._attack_files import Control
from mesh_fl.agents.threat.indicators import Indicator, IndicatorKind
from mesh_fl.agents.threat.kinds import KindAnswer, Kinds
from mesh_fl.agents.threat.techniques import SIMILAR, TechniqueMatch, Techniques
from mesh_fl.agents.threat.vulnerabilities import VulnerabilityAnswer
from mesh_fl.agents.threat.well_known import is_empty_file, is_well_known

OWN = "mesh_fl catalogue"
KEV = "CISA Known Exploited Vulnerabilities catalogue"

SURE = 0.5
"""Confidence in the kind below which a person is asked to read the text first."""
GRAVE = ("high", "critical")
AT_ONCE = 2
"""Of a kind's steps, those that stop the damage."""
LIKELY = 0.55
"""Similarity from which a technique that the text does not name calls for steps.

Of those told for one half of our sentences, 33 of 37 above it are right, 38 of 48 in all.
"""
MOST_PER_TECHNIQUE = 2
MOST_TECHNIQUES = 3
MOST_CONTROLS = 6
MOST_LISTED = 10
MOST_VULNERABILITIES = 10

Urgency = Literal["now", "soon", "later"]
_URGENCIES: tuple[Urgency, ...] = ("now", "soon", "later")

_HASHES: tuple[IndicatorKind, ...] = ("md5", "sha1", "sha256", "sha512")
_NOT_OWN = "where they are not your own or a known service"
_OUTSIDE: Mapping[tuple[IndicatorKind, ...], str] = {
    ("ipv4", "ipv6"): (
        f"Search the logs for these addresses, and block them at the firewall {_NOT_OWN}: {{}}."
    ),
    ("domain", "url"): (
        f"Find who went there, and block these in DNS and the web proxy {_NOT_OWN}: {{}}."
    ),
    ("email",): f"Find who got mail from these senders, and block them {_NOT_OWN}: {{}}.",
    _HASHES: "Search all machines for files with these hashes: {}.",
}
_KNOWN = "Do not block these, they are services in common use; check who used them, and why: {}."
_INSIDE = "Check these machines of the own network for signs of the attack: {}."


class Action(BaseModel):
    """One step.

    Attributes
    ----------
    source : str
        Who says so.
    because : str
        The value computed from this text that calls for the step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    source: str
    because: str
    urgency: Urgency


@dataclass(frozen=True)
class Remediation:
    """Steps against threats, from catalogues and the member's own reference files.

    Parameters
    ----------
    kinds : Kinds
    techniques : Techniques
        Their mitigations are told, or our own steps where the catalogue has none.
    controls : mapping
        Controls by technique, from `read_controls`; empty without a mapping file.
    """

    kinds: Kinds
    techniques: Techniques
    controls: Mapping[str, Sequence[Control]] = field(default_factory=dict)

    def steps(
        self,
        kind: KindAnswer,
        techniques: Sequence[TechniqueMatch] = (),
        vulnerabilities: Sequence[VulnerabilityAnswer] = (),
        indicators: Sequence[Indicator] = (),
        *,
        severity: str | None = None,
        claimed: bool = False,
    ) -> tuple[Action, ...]:
        """Return the steps, most urgent first, none twice.

        Where no threat was named, vulnerabilities and techniques named in the text still count, but
        neither likeness nor indicators do. Techniques by likeness count from `LIKELY` on.

        Parameters
        ----------
        kind : KindAnswer
        techniques, vulnerabilities, indicators : sequences
        severity : str or None
            Only what is high, critical or exploited is urgent.
        claimed : bool
            Whether a bundle states that there is a threat: its indicators count whatever the kind.
        """
        hostile = kind.is_threat or claimed
        grave = severity in GRAVE or any(one.known_exploited for one in vulnerabilities)
        techniques = [match for match in techniques if match.how != SIMILAR or _likely(match, kind)]
        found = [
            *_against_vulnerabilities(vulnerabilities),
            *_doubt(kind),
            *self._against_kind(kind, grave),
            *(_against_indicators(indicators, grave) if hostile else ()),
            *self._against_techniques(techniques),
            *self._under_control(techniques),
        ]
        every: dict[str, Action] = {}
        for action in found:
            every.setdefault(action.action, action)
        return tuple(sorted(every.values(), key=lambda action: _URGENCIES.index(action.urgency)))

    def _against_kind(self, answer: KindAnswer, grave: bool) -> Iterator[Action]:
        kind = self.kinds.kind(answer.kind)
        steps = () if kind is None else kind.steps
        first, rest = _URGENCIES[:2] if grave else _URGENCIES[1:]
        for place, step in enumerate(steps):
            urgency = first if place < AT_ONCE else rest
            yield Action(action=step, source=OWN, because=_of_kind(answer), urgency=urgency)

    def _against_techniques(self, matches: Sequence[TechniqueMatch]) -> Iterator[Action]:
        for match in matches[:MOST_TECHNIQUES]:
            for mitigation in self.techniques.mitigations(match.id)[:MOST_PER_TECHNIQUE]:
                yield Action(
                    action=mitigation.action,
                    source=mitigation.source,
                    because=_of_technique(match),
                    urgency="soon",
                )

    def _under_control(self, matches: Sequence[TechniqueMatch]) -> Iterator[Action]:
        """Yield one step with the controls that answer most of the techniques."""
        answered: defaultdict[Control, list[str]] = defaultdict(list)
        for match in matches:
            for control in self._controls(match.id):
                answered[control].append(match.id)
        best = sorted(answered, key=lambda control: -len(answered[control]))[:MOST_CONTROLS]
        if not best:
            return
        techniques = dict.fromkeys(id_ for control in best for id_ in answered[control])
        named = ", ".join(f"{control.id} {control.name}".strip() for control in best)
        yield Action(
            action=f"Review the NIST SP 800-53 controls {named}.",
            source=best[0].source,
            because=f"they are mapped to {', '.join(techniques)}, found here",
            urgency="later",
        )

    def _controls(self, technique: str) -> Sequence[Control]:
        return self.controls.get(technique) or self.controls.get(technique.partition(".")[0], ())


def _against_vulnerabilities(found: Sequence[VulnerabilityAnswer]) -> Iterator[Action]:
    for one in found[:MOST_VULNERABILITIES]:
        if one.known_exploited:
            yield _exploited(one)
        else:
            yield _to_patch(one)


def _exploited(one: VulnerabilityAnswer) -> Action:
    told = (one.required_action or "").rstrip(". ")
    due = f" CISA's date for federal agencies: {one.due_date}." if one.due_date else ""
    used = ", used by ransomware" if one.ransomware else ""
    return Action(
        action=f"{one.cve}: {told or 'Install the update, or take the product out of use'}.{due}",
        source=KEV if told else OWN,
        because=f"{one.cve} is known to be exploited{used}",
        urgency="now",
    )


def _to_patch(one: VulnerabilityAnswer) -> Action:
    urgency: Mapping[str, Urgency] = {"act first": "now", "act soon": "soon"}
    return Action(
        action=f"{one.cve}: find the systems that have it, and update or shield them.",
        source=OWN,
        because=f"{one.cve} is named in the text; {one.priority}: {one.priority_reason}",
        urgency=urgency.get(one.priority, "later"),
    )


def _doubt(answer: KindAnswer) -> Iterator[Action]:
    if answer.kind == "unknown":
        because = answer.reason
    elif answer.is_threat and answer.confidence < SURE:
        other = answer.runners_up[0]
        because = (
            f"{answer.title} has {answer.confidence:.2f} of the evidence, {other.title} "
            f"{other.share:.2f}"
        )
    else:
        return
    step = "Have a person read the text before anything else is done."
    yield Action(action=step, source=OWN, because=because, urgency="now")


def left_out(found: Sequence[Indicator]) -> Iterator[str]:
    """Say which indicators call for no step, and why."""
    empty = [one.value for one in found if is_empty_file(one)]
    if empty:
        yield f"indicators: {_listed(empty)} is the hash of an empty file; no step follows from it"
    examples = [one.defanged for one in found if one.scope == "documentation"]
    if examples:
        yield f"indicators: no step follows from {_listed(examples)}, reserved for documentation"


def _against_indicators(found: Sequence[Indicator], grave: bool) -> Iterator[Action]:
    hashes = [one for one in found if one.kind in _HASHES and not is_empty_file(one)]
    public = [one for one in found if one.scope == "public"]
    known = [one for one in public if is_well_known(one)]
    meant = [*hashes, *(one for one in public if not is_well_known(one))]
    inside = [one for one in found if one.scope == "private"]
    urgency: Urgency = "now" if grave else "soon"
    for kinds, sentence in _OUTSIDE.items():
        yield from _about(sentence, [one for one in meant if one.kind in kinds], urgency)
    yield from _about(_INSIDE, inside, urgency)
    yield from _about(_KNOWN, known, "later")


def _about(sentence: str, members: Sequence[Indicator], urgency: Urgency) -> Iterator[Action]:
    if members:
        yield Action(
            action=sentence.format(_listed(one.defanged for one in members)),
            source=OWN,
            because=f"{_counted(members)} in the text",
            urgency=urgency,
        )


def _likely(match: TechniqueMatch, kind: KindAnswer) -> bool:
    return kind.is_threat and match.similarity is not None and match.similarity >= LIKELY


def _listed(values: Iterable[str]) -> str:
    every = list(values)
    more = len(every) - MOST_LISTED
    return ", ".join(every[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _counted(members: Sequence[Indicator]) -> str:
    kinds = dict.fromkeys(one.kind for one in members)
    counts = (f"{sum(one.kind == kind for one in members)} {kind}" for kind in kinds)
    return "indicators: " + ", ".join(counts)


def _of_kind(answer: KindAnswer) -> str:
    return f"{answer.title} (confidence {answer.confidence:.2f}): {answer.reason}"


def _of_technique(match: TechniqueMatch) -> str:
    name = f"{match.id} {match.name or ''}".strip()
    if match.how != SIMILAR or match.similarity is None:
        return f"{name} is {match.how}"
    return f"{name}, by similarity {match.similarity:.2f}"
