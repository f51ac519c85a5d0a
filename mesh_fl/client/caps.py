"""Declared upper bounds on a member's records, as they are typed: one for all, or by agent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from mesh_fl.errors import ConfigError


@dataclass(frozen=True)
class Caps:
    """Bounds for a card.

    Parameters
    ----------
    general : int
        For any agent that has none of its own.
    by_agent : mapping of str to int
        By agent; the member then takes part in these agents only.
    """

    general: int
    by_agent: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, words: Sequence[str]) -> Self:
        """Read words such as 256 and health=64.

        Raises
        ------
        ConfigError
            If a word is neither, or an agent stands twice.
        """
        general: list[int] = []
        by_agent: dict[str, int] = {}
        for word in words:
            agent, _, number = word.rpartition("=")
            if not number.strip().isdecimal() or agent.strip() in by_agent:
                raise ConfigError(
                    f"--cap {word}: expected a number of records such as 256, or one for each "
                    "agent such as health=64"
                )
            if agent:
                by_agent[agent.strip()] = int(number)
            else:
                general.append(int(number))
        if len(general) > 1:
            raise ConfigError("--cap: expected one number for all agents, found several")
        bounds = general or by_agent.values()
        return cls(max(bounds, default=0), by_agent)
