"""What anomaly detection answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.anomaly.severity import Severity


class Answer(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cause(Answer):
    """What makes one record unusual.

    Attributes
    ----------
    feature : str
        A trait.
    share : float
        Of what is unusual about the record, 0 to 1.
    value : str
        What the record tells.
    value_share : float
        Share of usual records that fall into the same cell.
    usual : str or None
        What most records tell.
    """

    feature: str
    share: float
    value: str
    value_share: float
    usual: str | None


class Anomaly(Answer):
    """One reading, event, line or record that is unusual.

    Attributes
    ----------
    value : float or None
        The reading.
    expected : float or None
        What was expected of it.
    deviation : float or None
        Of a reading: its distance from what was expected, in robust standard deviations; of a
        record: nats a trait by which it is more surprising than a usual one.
    anomaly_score : float
        0 to 1: one less `chance`.
    chance : float
        How probable a usual reading or record is as unusual as this one, at most.
    context : str
        In words.
    subject : str
        An event's id, a series' id, a line, "record", or what the values are.
    at : str or None
        When.
    place : int or None
        Of a value or a line in the request, counted from 0.
    causes : tuple of Cause
        The largest first.
    own_forest_score : float or None
        Of an isolation forest on one's own records alone: 0 to 1, the higher the more unusual.
    """

    kind: Literal["reading", "event", "line", "record"]
    subject: str
    at: str | None
    place: int | None
    value: float | None
    expected: float | None
    deviation: float | None
    anomaly_score: float
    chance: float
    severity: Severity
    context: str
    causes: tuple[Cause, ...]
    own_forest_score: float | None


class RootCause(Answer):
    """A trait or a series, over all anomalies.

    Attributes
    ----------
    share : float
        Of what is unusual about all anomalies, 0 to 1.
    anomalies : int
        How many it has a part in.
    value : str
        What those tell most often.
    usual : str or None
        What most records tell.
    """

    feature: str
    share: float
    anomalies: int
    value: str
    usual: str | None


class Drift(Answer):
    """What has become usual that was not.

    Attributes
    ----------
    subject : str
        A series or "events".
    chance : float
        How probable it is that nothing changed.
    since : str or None
        About when.
    """

    subject: str
    chance: float
    since: str | None
    context: str


class AnomalyAnswer(Answer):
    """What is unusual.

    Attributes
    ----------
    metric_type : str or None
    as_of : str
    time_range_hours : float
    anomalies : tuple of Anomaly
        The most severe first.
    anomalies_found : int
        How many there are, those that are not told included.
    highest_severity : str or None
        None where there is no anomaly.
    root_causes : tuple of RootCause
        The largest share first.
    drift : tuple of Drift
    judged : dict of str to int
        How many readings, events, lines and records were looked at.
    false_alarm_rate : float
        Share of usual readings and records that may be called an anomaly.
    severity_rates : dict of str to float
        The same for each severity or a higher one.
    expected_false_alarms : float
        The rate times how many were looked at.
    usual_records : int or None
        How many records of one's own say what is usual.
    notes : tuple of str
        What should be known to judge it.
    model_used : str
    unavailable : dict of str to str
        Why each field that is None, or empty, could not be computed.
    """

    metric_type: str | None
    as_of: str
    time_range_hours: float
    anomalies: tuple[Anomaly, ...]
    anomalies_found: int
    highest_severity: Severity | None
    root_causes: tuple[RootCause, ...]
    drift: tuple[Drift, ...]
    judged: dict[str, int]
    false_alarm_rate: float
    severity_rates: dict[str, float]
    expected_false_alarms: float
    usual_records: int | None
    notes: tuple[str, ...]
    model_used: str
    unavailable: dict[str, str]
