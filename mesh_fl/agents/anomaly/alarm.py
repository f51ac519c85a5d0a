"""An alarm: one reading that is rarer than the stated rate of false alarms, and why."""

from dataclasses import dataclass

from mesh_fl.agents.anomaly.severity import Rates, Severity
from mesh_fl.errors import ConfigError

MOST_RATE = 0.5


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A reading that is unusual.

    Parameters
    ----------
    index : int
        Counted from 0.
    time : float or None
        In seconds since 1970, where it was told.
    value, expected : float
    deviation : float
        In robust standard deviations of readings on the same side.
    p_value : float
        How probable a usual reading is as far out, at most.
    severity : str
        By the p-value alone.
    why : str
    """

    index: int
    time: float | None
    value: float
    expected: float
    deviation: float
    p_value: float
    severity: Severity
    why: str

    @property
    def anomaly_score(self) -> float:
        """One less the p-value, 0 to 1."""
        return 1 - self.p_value


def rates_from(false_alarm_rate: float) -> Rates:
    """Return the rate of each severity: "low" at the stated rate, the others rarer.

    Raises
    ------
    ConfigError
        If the rate is none.
    """
    if not 0 < false_alarm_rate <= MOST_RATE:
        raise ConfigError(
            f"expected a false alarm rate above 0 and up to {MOST_RATE}, found "
            f"{false_alarm_rate!r}: 0.001 is one usual reading of a thousand"
        )
    return Rates(
        (false_alarm_rate, false_alarm_rate / 2, false_alarm_rate / 10, false_alarm_rate / 100)
    )
