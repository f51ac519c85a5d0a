"""How messages get to members and back: one protocol, two implementations (in-process, Flower)."""

from collections.abc import Mapping
from typing import Protocol

from mesh_fl.messages import ToMember, ToServer
from mesh_fl.roster import Roster


class Exchange(Protocol):
    """A way to reach the members."""

    def roster(self) -> Roster:
        """Return who is a member now."""

    def connected(self) -> frozenset[str]:
        """Return the members that can be reached now."""

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        """Send each member its message and collect the answers.

        Returns as soon as all have answered, or after `timeout_s` with the answers that came.
        """

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes of messages sent to members and received from them so far."""
