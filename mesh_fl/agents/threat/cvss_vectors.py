"""CVSS vectors: found in text, and scored anew (versions 2.0, 3.0, 3.1 and 4.0)."""

import re
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from cvss import CVSS2, CVSS3, CVSS4

CvssVersion = Literal["2.0", "3.0", "3.1", "4.0"]

MOST_VECTORS = 100
"""Different ones of one text that are scored."""

_VERSIONS: dict[str | None, CvssVersion] = {None: "2.0", "3.0": "3.0", "3.1": "3.1", "4.0": "4.0"}
_VECTOR = re.compile(
    r"""
    (?<![^\W_])CVSS:(?P<version>3\.[01]|4\.0)(?:/[A-Z]{1,3}:[A-Za-z]{1,8}){8,40}+
    | (?<![\w:/])AV:[LAN]/AC:[HML]/Au:[MSN]/C:[NPC]/I:[NPC]/A:[NPC]
        (?:/(?:E|RL|RC|CDP|TD|CR|IR|AR):[A-Z]{1,3}){0,8}+
    """,
    re.VERBOSE,
)


class ScoredVector(BaseModel):
    """A CVSS vector with its base score (with the threat metrics in version 4.0)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: CvssVersion
    vector: str
    score: float
    severity: str


def score_vector(vector: str) -> ScoredVector | None:
    """Score a vector as FIRST's specifications do; None if it is none."""
    found = _VECTOR.fullmatch(vector.strip().strip("()"))
    return None if found is None else _scored(found)


def find_vectors(text: str) -> tuple[ScoredVector, ...]:
    """Return the valid vectors in a text, each once, in order, in time linear in the text."""
    candidates: dict[str, ScoredVector | None] = {}
    for match in _VECTOR.finditer(text):
        if match[0] not in candidates:
            candidates[match[0]] = _scored(match)
        if len(candidates) == MOST_VECTORS:
            break
    return tuple(dict.fromkeys(filter(None, candidates.values())))


def _scored(match: re.Match[str]) -> ScoredVector | None:
    from cvss.exceptions import CVSSError

    version = _VERSIONS[match["version"]]
    try:
        read = _read(match[0], version)
    except CVSSError:
        return None
    return ScoredVector(
        version=version,
        vector=read.clean_vector(),
        score=float(read.base_score),
        severity=str(read.severities()[0]).lower(),
    )


def _read(vector: str, version: CvssVersion) -> "CVSS2 | CVSS3 | CVSS4":
    from cvss import CVSS2, CVSS3, CVSS4

    if version == "2.0":
        return CVSS2(vector)
    return CVSS4(vector) if version == "4.0" else CVSS3(vector)
