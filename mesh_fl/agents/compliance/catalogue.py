"""What a framework is: controls by id, and how they are gathered from files that err."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mesh_fl.agents.compliance.identifiers import LONGEST_ID, canonical_id
from mesh_fl.errors import ConfigError

MOST_CONTROLS = 5_000
MOST_PROBLEMS = 20
"""So many problems of a file are told one by one; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """One thing that a framework asks for.

    Attributes
    ----------
    framework : str
        Name of the framework.
    id : str
        As people write it: "AC-2(1)", "CC6.1", "164.308(a)(1)", "Article 32".
    title, text, guidance : str
        Its name, what it demands, and what explains it.
    family : str
        The group it stands in, such as "Access Control".
    parent : str or None
        Id of the control that it refines.
    checks : tuple of str
        Names of the technical checks that bear on it.
    related : tuple of str
        Ids that its own catalog relates it to.
    aliases : tuple of str
        Other ids under which it is found.
    oscal_id, statement_id : str
        Ids of the control and of its statement in an OSCAL catalog; "" in any other framework.
    """

    framework: str
    id: str
    title: str
    text: str
    guidance: str = ""
    family: str = ""
    parent: str | None = None
    checks: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    oscal_id: str = ""
    statement_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework as one file tells it.

    Attributes
    ----------
    source : str
        The file, with its own title and version.
    problems : tuple of str
        What could not be used, the first `MOST_PROBLEMS`.
    skipped, withdrawn : int
        Entries that could not be used, and controls that the catalog itself withdrew.
    """

    name: str
    version: str
    controls: tuple[Control, ...]
    source: str
    problems: tuple[str, ...] = ()
    skipped: int = 0
    withdrawn: int = 0

    def find(self, reference: str) -> Control | None:
        """Return the control of this id, however it is spelt."""
        return self._by_id.get(canonical_id(reference))

    def with_check(self, check: str) -> tuple[Control, ...]:
        """Return the controls that a technical check bears on."""
        return self._by_check.get(check, ())

    @cached_property
    def _by_id(self) -> Mapping[str, Control]:
        aliases = {canonical_id(name): one for one in self.controls for name in one.aliases}
        return aliases | {canonical_id(one.id): one for one in self.controls}

    @cached_property
    def _by_check(self) -> Mapping[str, tuple[Control, ...]]:
        found: dict[str, list[Control]] = {}
        for control in self.controls:
            for check in control.checks:
                found.setdefault(check, []).append(control)
        return {check: tuple(controls) for check, controls in found.items()}


@dataclass
class Harvest:
    """Gathers controls one by one; an entry that is no good is counted and told.

    Parameters
    ----------
    framework : str
        Name of the framework.
    """

    framework: str
    withdrawn: int = 0
    skipped: int = 0
    _controls: dict[str, Control] = field(default_factory=dict)
    _problems: list[str] = field(default_factory=list)

    def add(self, control: Control, place: str) -> None:
        """Take a control, unless its id is no id or stands already."""
        key = canonical_id(control.id)
        if not key or len(control.id) > LONGEST_ID:
            self.refuse(f"{place}: expected an id of letters and digits, found {control.id[:40]!r}")
        elif key in self._controls:
            self.refuse(f"{place}: the id {control.id} stands twice; the first counts")
        elif not (control.title or control.text):
            self.refuse(f"{place}: expected a title or a text of {control.id}, found neither")
        else:
            self._controls[key] = control

    def refuse(self, problem: str) -> None:
        """Count an entry that cannot be used, and say why."""
        self.skipped += 1
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)

    def note(self, problem: str) -> None:
        """Tell of entries that are used all the same."""
        self._problems.append(problem)

    def finish(self, version: str, source: str) -> Framework:
        """Return what was gathered.

        Raises
        ------
        ConfigError
            If that is nothing, or more than `MOST_CONTROLS`.
        """
        if not self._controls:
            first = f"; the first problem: {self._problems[0]}" if self._problems else ""
            raise ConfigError(f"{source}: expected controls, found none that can be used{first}")
        if len(self._controls) > MOST_CONTROLS:
            found = len(self._controls)
            raise ConfigError(f"{source}: expected at most {MOST_CONTROLS} controls, found {found}")
        return Framework(
            name=self.framework,
            version=version,
            controls=_with_parents(self._controls),
            source=source,
            problems=tuple(self._problems),
            skipped=self.skipped,
            withdrawn=self.withdrawn,
        )


def _with_parents(controls: Mapping[str, Control]) -> tuple[Control, ...]:
    return tuple(
        control if control.parent else replace(control, parent=_parent(key, controls))
        for key, control in controls.items()
    )


def _parent(key: str, controls: Mapping[str, Control]) -> str | None:
    pieces = key.split(".")
    for length in range(len(pieces) - 1, 0, -1):
        if found := controls.get(".".join(pieces[:length])):
            return found.id
    return None


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names without repetition, in the order of their first occurrence."""
    return tuple(dict.fromkeys(name for name in names if name))
