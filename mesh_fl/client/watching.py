"""What `mesh-client watch` does with each line."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Self

from mesh_fl.agents.anomaly.finding import moment
from mesh_fl.agents.anomaly.stream import Reading
from mesh_fl.agents.anomaly.stream_lines import ReadingLines
from mesh_fl.agents.anomaly.stream_many import MOST_SERIES, Streams
from mesh_fl.agents.anomaly.templates import LineAlarm, MinerState, TemplateMiner
from mesh_fl.agents.anomaly.templates_miner import MOST_TEMPLATES, WINDOW_LINES, WINDOW_S
from mesh_fl.agents.anomaly.templates_time import LineTimes
from mesh_fl.client.watch_state import ReadingsState, expect_same_options, read_state, refused
from mesh_fl.errors import DataError, MeshError

MOST_FAULTS_TOLD = 3


class Watch(ABC):
    """Takes lines, one by one, and says what to tell of each."""

    def __init__(self) -> None:
        self.lines = 0
        self.told: Counter[str] = Counter()
        self.faults: list[str] = []
        self.unread = 0
        self.watched = 0
        """Lines that were neither empty, nor a header, nor unreadable."""
        self.notice: str | None = None
        """What should be known at once; for others to take away."""

    def add(self, line: str) -> dict[str, object] | None:
        """Take a line; return what is to be told of it."""
        self.lines += 1
        try:
            found = self._add(line)
        except DataError as error:
            self.unread += 1
            if len(self.faults) < MOST_FAULTS_TOLD:
                self.faults.append(shown(f"line {self.lines}: {error}"))
            return None
        if found is not None:
            self.told[str(found["kind"])] += 1
        return found

    def expect_watched(self) -> None:
        """Refuse to call it a success where no line could be read.

        Raises
        ------
        DataError
            With why the first one could not.
        """
        if self.unread and not self.watched:
            raise DataError(f"none of {self.lines:,} lines could be read: {self.faults[0]}")

    @abstractmethod
    def summary(self) -> list[str]:
        """Return what should be known at the end, in sentences."""

    @abstractmethod
    def dumps(self) -> str:
        """Return everything as JSON."""

    @abstractmethod
    def _add(self, line: str) -> dict[str, object] | None: ...

    def _told(self) -> str:
        found = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.told.items()))
        return f"told {found}" if found else "nothing to tell"


class ReadingWatch(Watch):
    """Watches readings.

    Parameters
    ----------
    streams : Streams
    lines : ReadingLines
    """

    def __init__(self, streams: Streams, lines: ReadingLines) -> None:
        super().__init__()
        self._streams = streams
        self._lines = lines

    @classmethod
    def of(
        cls,
        path: Path | None,
        rate: float,
        period: int | None,
        step_s: float | None,
        most: int | None,
    ) -> Self:
        """Go on from what was remembered, or begin.

        Raises
        ------
        ConfigError
            If a setting is impossible, or another one than was remembered, or if what was
            remembered is damaged.
        """
        new = Streams(rate, period, step_s, MOST_SERIES if most is None else most)
        state = None if path is None else read_state(path, ReadingsState)
        if path is None or state is None:
            return cls(new, ReadingLines())
        expect_same_options(path, state.streams, new.state())
        try:
            streams = Streams.read(state.streams)
        except MeshError as error:
            raise refused(path, ReadingsState, str(error)) from None
        return cls(streams, ReadingLines(state.header, state.delimiter))

    def dumps(self) -> str:
        """Return everything as JSON."""
        return ReadingsState(
            header=self._lines.header,
            delimiter=self._lines.delimiter,
            streams=self._streams.state(),
        ).dumps()

    def summary(self) -> list[str]:
        """Return what should be known at the end."""
        found = [f"{self.lines:,} lines of {len(self._streams):,} series: {self._told()}"]
        waiting = self._streams.not_enough()
        for name, why in list(waiting.items())[:MOST_FAULTS_TOLD]:
            found.append(f"{name or 'the series'}: {why}")
        if len(waiting) > MOST_FAULTS_TOLD:
            found.append(f"... and {len(waiting) - MOST_FAULTS_TOLD:,} more series with too few")
        if self._streams.forgotten:
            found.append(
                f"{self._streams.forgotten:,} series made room for others and start anew: allow "
                "more by --most"
            )
        return found

    def _add(self, line: str) -> dict[str, object] | None:
        told = self._lines.read(line)
        if told is None:
            return None
        self.watched += 1
        found = self._streams.add(told.series, told.ts, told.value)
        return None if found is None else _written(found, series_id=told.series)


class LineWatch(Watch):
    """Watches lines of a log.

    Parameters
    ----------
    miner : TemplateMiner
    """

    def __init__(self, miner: TemplateMiner) -> None:
        super().__init__()
        self._miner = miner
        self._times = LineTimes()
        self._has_told_of_no_time = False

    @classmethod
    def of(cls, path: Path | None, rate: float, window_s: float | None, most: int | None) -> Self:
        """Go on from what was remembered, or begin.

        Raises
        ------
        ConfigError
            If a setting is impossible, or another one than was remembered, or if what was
            remembered is damaged.
        """
        window_s = WINDOW_S if window_s is None else window_s
        new = TemplateMiner(rate, window_s, MOST_TEMPLATES if most is None else most)
        state = None if path is None else read_state(path, MinerState)
        if path is None or state is None:
            return cls(new)
        expect_same_options(path, state, new.state())
        return cls(TemplateMiner.read(state))

    def dumps(self) -> str:
        """Return everything as JSON."""
        return self._miner.state().dumps()

    def summary(self) -> list[str]:
        """Return what should be known at the end."""
        templates = self._miner.templates()
        found = [f"{self.lines:,} lines of {len(templates):,} templates: {self._told()}"]
        if self._miner.made_room:
            found.append(f"{self._miner.made_room:,} templates made room for others")
        return found

    def _add(self, line: str) -> dict[str, object] | None:
        text = line.strip()
        if not text:
            return None
        self.watched += 1
        ts = self._times.of(text)
        if ts is None and not self._miner.goes_by_time and not self._has_told_of_no_time:
            self._has_told_of_no_time = True
            self.notice = (
                f"line {self.lines} begins with no time that is known: until one does, bursts are "
                f"looked for in windows of {WINDOW_LINES:,} lines, and --window counts for nothing"
            )
        found = self._miner.add(text, ts)
        return None if found is None else _written(found)


def _written(found: Reading | LineAlarm, **more: object) -> dict[str, object]:
    told = {**more, **asdict(found)}
    at = None if found.time is None else moment(found.time)
    return {**told, "time": at, "anomaly_score": 1 - found.p_value}


def shown(text: str) -> str:
    """Return text on one line, control characters escaped: lines come from anybody."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def write_line(found: dict[str, object]) -> str:
    """Return what is told as one line of JSON."""
    return json.dumps(found, allow_nan=False)
