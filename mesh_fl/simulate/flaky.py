"""An exchange whose members are away at times, fall silent, or answer too late."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mesh_fl.errors import PlanError
from mesh_fl.exchange import Exchange
from mesh_fl.messages import Ask, ToMember, ToServer
from mesh_fl.roster import Roster
from mesh_fl.simulate.conduct import Conduct

DRAWS = 1000
"""How often it is drawn anew who is there, until enough are."""

LOOKS = 20
"""Looks of a server that waits, until others are there."""


@dataclass
class FlakyExchange:
    """Passes on what a conduct lets through; nobody waits in real time.

    Who is away stays away for an attempt. Whoever falls silent, or would answer too late, does not
    get the ask for a release; other messages reach everybody who is there.

    Parameters
    ----------
    inner : Exchange
        Reaches everybody.
    conduct : Conduct
        The chances.
    random : numpy.random.Generator
        Decides.
    fewest : int
        Members without which no attempt begins.

    Attributes
    ----------
    waited_s : float
        Simulated time that asks for releases took.
    """

    inner: Exchange
    conduct: Conduct
    random: np.random.Generator
    fewest: int
    waited_s: float = 0.0
    _here: frozenset[str] = field(default=frozenset(), init=False)
    _looks: int = field(default=LOOKS, init=False)
    _asked: bool = field(default=False, init=False)

    def roster(self) -> Roster:
        """Return who is a member."""
        return self.inner.roster()

    def connected(self) -> frozenset[str]:
        """Return who is there.

        Raises
        ------
        PlanError
            If enough members are hardly ever there at the same time.
        """
        self._looks += 1
        if self._asked or self._looks > LOOKS:
            self._here, self._looks, self._asked = self._drawn(), 0, False
        return self._here

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        """Pass messages on to those who are there, and an ask for a release not to all of them."""
        reached = {name: one for name, one in messages.items() if name in self._here}
        self._looks = 0
        if any(isinstance(one, Ask) and one.call.phase != "close" for one in reached.values()):
            reached = self._heard(reached)
            self._asked = True
        return self.inner.send(reached, timeout_s)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes to members and from them."""
        return self.inner.traffic

    def _heard(self, asks: Mapping[str, ToMember]) -> dict[str, ToMember]:
        names = sorted(asks)
        turnout = self.conduct.turnout(np.arange(len(names)), self.random)
        self.waited_s += turnout.duration_s
        return {names[place]: asks[names[place]] for place in turnout.answered}

    def _drawn(self) -> frozenset[str]:
        names = sorted(self.inner.connected())
        for _ in range(DRAWS):
            here = self.conduct.present(np.arange(len(names)), self.random)
            if len(here) >= self.fewest:
                return frozenset(names[place] for place in here)
        raise PlanError(
            f"too few members were there in {DRAWS} draws: lower the chance that one is absent, or "
            "plan for fewer survivors"
        )
