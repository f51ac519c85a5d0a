"""Many streams side by side, a bounded number of them."""

from collections import OrderedDict
from typing import Annotated

from pydantic import Field

from mesh_fl.agents.anomaly.stream import OneState, Reading, Stream
from mesh_fl.agents.anomaly.stream_state import StreamState
from mesh_fl.errors import ConfigError

MOST_SERIES = 1000
"""Series that are kept by default: each takes some 30 to 50 kB."""

LONGEST_NAME = 200


class StreamsState(StreamState):
    """Streams as JSON can hold them, the one that was heard of least recently first."""

    false_alarm_rate: float
    period: int | None
    step_s: float | None
    most: Annotated[int, Field(ge=1)]
    forgotten: Annotated[int, Field(ge=0)]
    series: list[tuple[str, OneState]]


class Streams:
    """A `Stream` for each series; the one that was heard of least recently makes room.

    Parameters
    ----------
    false_alarm_rate, period, step_s
        As of `Stream`.
    most : int
        Series that are kept.

    Raises
    ------
    ConfigError
        If a setting is impossible.
    """

    def __init__(
        self,
        false_alarm_rate: float = 1e-3,
        period: int | None = None,
        step_s: float | None = None,
        most: int = MOST_SERIES,
    ) -> None:
        if most < 1:
            raise ConfigError(f"expected to keep 1 series or more, found {most}")
        self._settings = (false_alarm_rate, period, step_s)
        Stream(*self._settings)
        self._most = most
        self._series: OrderedDict[str, Stream] = OrderedDict()
        self.forgotten = 0
        """How many series made room; each starts anew when it is heard of again."""

    def add(self, series: str, ts: float | None, value: float | None) -> Reading | None:
        """Judge a reading of a series; see `Stream.add`."""
        name = series[:LONGEST_NAME]
        stream = self._series.get(name)
        if stream is None:
            stream = self._series[name] = Stream(*self._settings)
            if len(self._series) > self._most:
                self._series.popitem(last=False)
                self.forgotten += 1
        self._series.move_to_end(name)
        return stream.add(ts, value)

    def __getitem__(self, series: str) -> Stream:
        return self._series[series[:LONGEST_NAME]]

    def __len__(self) -> int:
        return len(self._series)

    def not_enough(self) -> dict[str, str]:
        """Return which series cannot raise an alarm yet, and why."""
        found = ((name, one.not_enough) for name, one in self._series.items())
        return {name: why for name, why in found if why is not None}

    def state(self) -> StreamsState:
        """Return everything as JSON can hold it."""
        false_alarm_rate, period, step_s = self._settings
        return StreamsState(
            false_alarm_rate=false_alarm_rate,
            period=period,
            step_s=step_s,
            most=self._most,
            forgotten=self.forgotten,
            series=[(name, one.state()) for name, one in self._series.items()],
        )

    @classmethod
    def read(cls, state: StreamsState) -> "Streams":
        """Return streams from their state."""
        streams = cls(state.false_alarm_rate, state.period, state.step_s, state.most)
        streams.forgotten = state.forgotten
        for name, one in state.series[-state.most :]:
            streams._series[name] = Stream.read(one)
        return streams
