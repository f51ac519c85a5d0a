"""The controls that the federation counts: a public list, the same at every member."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mesh_fl.agents.compliance.identifiers import canonical_id, is_nist

CONTROLS = Path(__file__).with_name("controls.toml")


@dataclass(frozen=True)
class PublicControl:
    """A base control of NIST SP 800-53 Rev. 5.

    Attributes
    ----------
    id, title : str
        NIST's.
    text : str
        What it asks for, in one sentence of our own.
    """

    id: str
    title: str
    text: str

    @property
    def wording(self) -> str:
        """Return title and sentence."""
        return f"{self.title}. {self.text}"


@cache
def public_controls() -> Mapping[str, PublicControl]:
    """Return the shipped controls by id, in the order of the list."""
    families = tomllib.loads(CONTROLS.read_text("utf-8")).values()
    return {
        name: PublicControl(name, title, text)
        for family in families
        for name, (title, text) in family.items()
    }


def base_control(reference: str) -> str:
    """Return the id of the base control that a reference means, "" where it means none.

    "ac-2.1", "AC-02(01)" and "AC-2" all mean "AC-2": enhancements count for their control.
    """
    if not is_nist(reference):
        return ""
    family, number, *_ = canonical_id(reference).split(".")
    return f"{family.upper()}-{number}"
