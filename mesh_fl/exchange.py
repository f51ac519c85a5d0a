"""How messages get to members and back: one protocol, two implementations (in-process, Flower)."""

from collections.abc import Mapping
from typing import Protocol

from mesh_fl.messages import ToMember, ToServer


class Exchange(Protocol):
    """A way to reach the members."""

    def members(self) -> Mapping[str, bytes]:
        """Return all registered members with their X25519 public keys."""

    def connected(self) -> frozenset[str]:
        """Return the members that can be reached now."""

    def send(self, messages: Mapping[str, ToMember], timeout_s: float) -> Mapping[str, ToServer]:
        """Send each member its message and collect the answers.

        Returns as soon as all have answered, or after `timeout_s` with the answers that came.
        """

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes of messages sent to members and received from them so far."""
