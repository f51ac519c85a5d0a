"""Every error that this package raises on purpose, in one small tree.

::

    MeshError
    ├── ConfigError        a setting, a file or an argument is wrong
    ├── DataError          a table or a record cannot be used
    ├── AgentError         an agent is unknown, broke its contract, or was never trained
    ├── ProtocolError      a message is malformed, forged, replayed, or out of order
    │   └── PeerError      another member's statements contradict each other
    ├── NetworkError       the other side is unreachable, or refuses who we are
    └── PrivacyError       going on would break a privacy promise
        ├── PlanError      the plan is uncalibrated, impossible, or laxer than our own policy
        ├── BudgetError    a record's lifetime budget would be overspent
        ├── LedgerError    the ledger was altered, or is older than it should be
        └── EncryptionError  a key or a ciphertext is truncated, foreign, or out of range

A message says what was expected, what was found, and what to do next.
"""


class MeshError(Exception):
    """Root of all errors that mesh_fl raises on purpose."""

    @property
    def brief(self) -> str:
        """Its first line, with the next where that one ends in a colon."""
        first, *others = str(self).splitlines() or [""]
        return f"{first} {others[0].strip()}" if first.endswith(":") and others else first


class ConfigError(MeshError):
    """A setting, a file or an argument is wrong."""


class DataError(MeshError):
    """A table or a record cannot be used."""


class AgentError(MeshError):
    """An agent is unknown, broke its contract, or was never trained."""


class ProtocolError(MeshError):
    """A message is malformed, replayed, or out of order."""


class PeerError(ProtocolError):
    """Another member's statements contradict each other.

    Parameters
    ----------
    message : str
        What they say.
    member : str
        Whose they are.
    """

    def __init__(self, message: str, member: str = "") -> None:
        super().__init__(message)
        self.member = member


class NetworkError(MeshError):
    """The other side is unreachable, or refuses who we are."""


class PrivacyError(MeshError):
    """Going on would break a privacy promise."""


class PlanError(PrivacyError):
    """A plan is uncalibrated, impossible, or laxer than our own policy."""


class BudgetError(PrivacyError):
    """A record's lifetime budget would be overspent."""


class LedgerError(PrivacyError):
    """The ledger was altered, or is older than it should be."""


class EncryptionError(PrivacyError):
    """A key or a ciphertext is truncated, foreign, or out of range."""
