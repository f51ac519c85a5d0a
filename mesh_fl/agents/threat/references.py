"""The public reference files that a member may point to, read once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from mesh_fl.agents._reading import Stamp, stamped
from mesh_fl.agents.threat._attack_files import Control, read_controls
from mesh_fl.agents.threat.kinds import Kinds
from mesh_fl.agents.threat.remediation import Remediation
from mesh_fl.agents.threat.severity import kinds_of
from mesh_fl.agents.threat.techniques import Techniques, load_techniques, read_attack
from mesh_fl.agents.threat.vulnerabilities import Vulnerabilities, read_vulnerabilities
from mesh_fl.config import nearest
from mesh_fl.errors import ConfigError
from mesh_fl.site import Files
from mesh_fl.text.checkpoints import Classifier, Phraser, load_classifier, load_phraser
from mesh_fl.text.encoder import Encoder

T = TypeVar("T")

NAMES = {
    "kev": "CISA's known exploited vulnerabilities, CSV or JSON",
    "epss": "FIRST's daily exploit prediction scores, CSV",
    "cves": "CVE records: CSV, NVD API 2.0 or CVE JSON 5, or a folder of them",
    "attack": "MITRE's ATT&CK as a STIX 2.1 bundle; without it a catalogue of our own is used",
    "controls": "CTID's mapping of NIST 800-53 controls to ATT&CK techniques, JSON",
    "classifier": "folder of a DistilBERT or RoBERTa checkpoint that names threat types",
    "phraser": "folder of a FLAN-T5 checkpoint that words the summary",
}
"""What `[agents.threat.files]` may name."""


@dataclass(frozen=True)
class References:
    """What answers are looked up in.

    Parameters
    ----------
    kinds : Kinds
    techniques : Techniques
    vulnerabilities : Vulnerabilities
    remediation : Remediation
    classifier : Classifier, optional
        Names the threat type in place of the catalogue of kinds.
    phraser : Phraser, optional
        Words the summary.
    """

    kinds: Kinds
    techniques: Techniques
    vulnerabilities: Vulnerabilities
    remediation: Remediation
    classifier: Classifier | None = None
    phraser: Phraser | None = None


def read_references(files: Files, encoder: Encoder) -> References:
    """Read the files that a member names, or give what was read of the same; see `NAMES`.

    Raises
    ------
    ConfigError
        If a name is unknown, or a file is missing or something else.
    """
    refuse_unknown(files, NAMES, "threat")
    return _read(stamped(files), encoder)


# A training brings another configuration of the agent: the files stay what they are.
@lru_cache(maxsize=2)
def _read(stamps: tuple[Stamp, ...], encoder: Encoder) -> References:
    files = {name: path for name, path, *_ in stamps}
    kinds = kinds_of(encoder)
    attack = files.get("attack")
    techniques = load_techniques(encoder) if attack is None else read_attack(attack, encoder)
    controls: Mapping[str, Sequence[Control]] = _optional(files, "controls", read_controls) or {}
    return References(
        kinds=kinds,
        techniques=techniques,
        vulnerabilities=read_vulnerabilities(
            kev=files.get("kev"), epss=files.get("epss"), cves=files.get("cves")
        ),
        remediation=Remediation(kinds, techniques, controls),
        classifier=_optional(files, "classifier", load_classifier),
        phraser=_optional(files, "phraser", load_phraser),
    )


def refuse_unknown(files: Files, known: Mapping[str, str], agent: str) -> None:
    """Refuse names that an agent does not know.

    Raises
    ------
    ConfigError
        With the nearest name that it knows.
    """
    for name in files:
        if name not in known:
            guess = nearest(name, known)
            remedy = f"did you mean {guess!r}?" if guess else f"known: {', '.join(known)}"
            raise ConfigError(f"unknown key {name!r} in [agents.{agent}.files]; {remedy}")


def _optional(files: Files, name: str, read: Callable[[Path], T]) -> T | None:
    return read(files[name]) if name in files else None
