"""What answers are looked up in: frameworks and mappings, the member's own and the shipped ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mesh_fl.agents._reading import items, parse_json, read_text, table, text
from mesh_fl.agents.compliance.attack import AttackMapping, read_attack_mapping
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.controls import public_controls
from mesh_fl.agents.compliance.frameworks import read_framework
from mesh_fl.agents.compliance.techniques import technique_names
from mesh_fl.config import nearest
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.site import Files

SHIPPED = "nist_800_53"
"""Name of the framework that is there without any file."""

MAPPINGS, ATTACK = "attack_mappings", "attack"
"""File names that mean no framework: CTID's mapping, and MITRE's bundle for its names."""

NEAR = 0.8
"""From this likeness on a file's name is taken for a misspelt one of those two."""


@dataclass(frozen=True)
class Library:
    """Reference files, read.

    Parameters
    ----------
    frameworks : mapping of str to Framework
        By the names that a member gave the files.
    mapping : AttackMapping, optional
    techniques : mapping of str to str
        Names of techniques by id.
    """

    frameworks: Mapping[str, Framework]
    mapping: AttackMapping | None
    techniques: Mapping[str, str]

    def key_of(self, framework: Framework) -> str:
        """Return the name that a member gave a framework's file."""
        return next(key for key, one in self.frameworks.items() if one is framework)

    def find(self, name: str) -> Framework:
        """Return the framework that a request names; the only one, or NIST's, where it names none.

        Raises
        ------
        DataError
            If there is no such framework.
        """
        if not name:
            own = [one for key, one in self.frameworks.items() if key != SHIPPED]
            return own[0] if len(own) == 1 else self.frameworks[SHIPPED]
        known = {
            _plain(each): one for key, one in self.frameworks.items() for each in (one.name, key)
        }
        if found := known.get(_plain(name)):
            return found
        guess = nearest(_plain(name), [_plain(key) for key in self.frameworks])
        remedy = f"did you mean {guess!r}? " if guess else ""
        raise DataError(
            f"framework: expected one of {', '.join(self.frameworks)}, found {name[:80]!r}; "
            f"{remedy}Name its file in [agents.compliance.files] of client.toml"
        )


def read_library(files: Files) -> Library:
    """Read the files that a member names: frameworks by any name, `MAPPINGS` and `ATTACK`.

    Raises
    ------
    ConfigError
        If a file is missing, cannot be read, is something else, or has a misspelt name.
    """
    for name in files:
        _refuse_misspelt(name)
    frameworks = {SHIPPED: shipped_framework()} | {
        name: read_framework(path) for name, path in files.items() if name not in (MAPPINGS, ATTACK)
    }
    mapping = read_attack_mapping(files[MAPPINGS]) if MAPPINGS in files else None
    names = dict(technique_names()) | (dict(_mapped_names(mapping)) if mapping else {})
    if ATTACK in files:
        names |= attack_names(files[ATTACK])
    return Library(frameworks, mapping, names)


def _refuse_misspelt(name: str) -> None:
    guess = nearest(name.lower(), (MAPPINGS, ATTACK), cutoff=NEAR)
    if guess and name not in (MAPPINGS, ATTACK):
        raise ConfigError(
            f"[agents.compliance.files] {name}: did you mean {guess}? If it is a framework, give it"
            " a name that is less like that one"
        )


@cache
def shipped_framework() -> Framework:
    """Return the shipped list of NIST SP 800-53 controls as a framework."""
    name = "NIST SP 800-53 Rev. 5"
    controls = tuple(
        Control(framework=name, id=one.id, title=one.title, text=one.text, family=one.id[:2])
        for one in public_controls().values()
    )
    source = "mesh_fl's list of base controls, with sentences of its own"
    return Framework(name=name, version="5.1.1", controls=controls, source=source)


def attack_names(path: Path) -> dict[str, str]:
    """Read the names of techniques from ATT&CK as a STIX 2.1 bundle.

    Raises
    ------
    ConfigError
        If it cannot be read, or names no technique.
    """
    objects = items(table(parse_json(read_text(path), path.name)).get("objects"))
    names = dict(pair for one in objects for pair in _attack_pattern(table(one)))
    if not names:
        raise ConfigError(
            f"{path.name}: expected MITRE's ATT&CK as a STIX 2.1 bundle, found no technique"
        )
    parents = {name: names.get(name.split(".")[0], "") for name in names}
    return {
        name: f"{parents[name]}: {title}" if "." in name and parents[name] else title
        for name, title in names.items()
    }


def _attack_pattern(entry: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    title = text(entry.get("name"), 200)
    if entry.get("type") != "attack-pattern" or entry.get("revoked") is True or not title:
        return
    for reference in map(table, items(entry.get("external_references"))):
        if reference.get("source_name") == "mitre-attack":
            yield text(reference.get("external_id"), 20).upper(), title


def _mapped_names(mapping: AttackMapping) -> Iterator[tuple[str, str]]:
    known = technique_names()
    for name, pairs in mapping.by_technique.items():
        if name not in known and pairs[0].technique_name:
            yield name, pairs[0].technique_name


def _plain(name: str) -> str:
    return "".join(sign for sign in name[:200].casefold() if sign.isalnum())
