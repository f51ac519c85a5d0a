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

OWN = "mesh_fl catalogue"
KEV = "CISA Known Exploited Vulnerabilities catalogue"

SURE = 0.5
"""Confidence in the kind below which a person is asked to read the text first."""
AT_ONCE = 2
"""Of a kind's steps, those that stop the damage."""
MOST_PER_TECHNIQUE = 2
MOST_TECHNIQUES = 3
MOST_CONTROLS = 6
MOST_LISTED = 10
MOST_VULNERABILITIES = 10

Urgency = Literal["now", "soon", "later"]
_URGENCIES: tuple[Urgency, ...] = ("now", "soon", "later")

_OUTSIDE: Mapping[tuple[IndicatorKind, ...], str] = {
    ("ipv4", "ipv6"): "Block these addresses at the firewall and search the logs for them: {}.",
    ("domain", "url"): "Block these names in DNS and the web proxy, find who went there: {}.",
    ("email",): "Block these senders, and find who got mail from them: {}.",
    ("md5", "sha1", "sha256", "sha512"): "Search all machines for files with these hashes: {}.",
}
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
    ) -> tuple[Action, ...]:
        """Return the steps, most urgent first, none twice.

        Where no threat was named, vulnerabilities and techniques named in the text still count, but
        neither likeness nor indicators do.
        """
        if not kind.is_threat:
            techniques = [match for match in techniques if match.how != SIMILAR]
            indicators = []
        found = [
            *_against_vulnerabilities(vulnerabilities),
            *_doubt(kind),
            *self._against_kind(kind),
            *_against_indicators(indicators),
            *self._against_techniques(techniques),
            *self._under_control(techniques),
        ]
        every: dict[str, Action] = {}
        for action in found:
            every.setdefault(action.action, action)
        return tuple(sorted(every.values(), key=lambda action: _URGENCIES.index(action.urgency)))

    def _against_kind(self, answer: KindAnswer) -> Iterator[Action]:
        kind = self.kinds.kind(answer.kind)
        steps = () if kind is None else kind.steps
        for place, step in enumerate(steps):
            urgency: Urgency = "now" if place < AT_ONCE else "soon"
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


def _against_indicators(found: Sequence[Indicator]) -> Iterator[Action]:
    inside = [one for one in found if one.scope == "private"]
    outside = [one for one in found if one.scope in (None, "public", "documentation")]
    groups = {
        sentence: [one for one in outside if one.kind in kinds]
        for kinds, sentence in _OUTSIDE.items()
    }
    for sentence, members in (*groups.items(), (_INSIDE, inside)):
        if members:
            yield Action(
                action=sentence.format(_listed(one.defanged for one in members)),
                source=OWN,
                because=f"{_counted(members)} in the text",
                urgency="now",
            )


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
