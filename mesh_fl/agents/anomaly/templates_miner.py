"""A stream of log lines: counted by template; new, rare and bursting ones are told."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mesh_fl.agents.anomaly.alarm import rates_from
from mesh_fl.agents.anomaly.severity import Severity
from mesh_fl.agents.anomaly.stream_state import StreamState
from mesh_fl.agents.anomaly.templates_masking import masked
from mesh_fl.agents.anomaly.templates_pace import Pace, PaceState
from mesh_fl.agents.anomaly.templates_rarity import Rarity
from mesh_fl.agents.anomaly.templates_tree import Template, TemplateTree
from mesh_fl.errors import ConfigError

MOST_TEMPLATES = 2000
LONGEST_TEMPLATE = 1000
"""Characters of a masked line that are looked at."""

WINDOW_S = 60.0
SHORTEST_WINDOW_S = 1e-3
WINDOW_LINES = 1000
"""Lines that make a window where no times are told."""


@dataclass(frozen=True)
class LineAlarm:
    """A line that is told of.

    Parameters
    ----------
    kind : "new", "rare" or "burst"
        Of a template never seen, hardly ever seen, or seen far more often than in other windows.
    index : int
        Counted from 0 over the whole stream.
    time : float or None
    line : str
        As it came, at most 1000 characters.
    template : str
    count : int
        Lines of this template so far; of a burst, in this window.
    expected : float or None
        Of a burst: lines in a usual window.
    p_value : float
    severity : str
        By the p-value alone.
    why : str
    """

    kind: Literal["new", "rare", "burst"]
    index: int
    time: float | None
    line: str
    template: str
    count: int
    expected: float | None
    p_value: float
    severity: Severity
    why: str


class TemplateState(StreamState):
    """A template as JSON can hold it."""

    number: Annotated[int, Field(ge=0)]
    words: list[str]
    key: tuple[int, tuple[str, ...]]
    count: Annotated[int, Field(ge=0)]
    pace: PaceState

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.key[0] != len(self.words):
            raise ValueError("as many words as its key tells")
        return self


class MinerState(StreamState):
    """A miner as JSON can hold it, the template seen least recently first."""

    false_alarm_rate: float
    window_s: float
    most: int
    lines: Annotated[int, Field(ge=0)]
    made: Annotated[int, Field(ge=0)]
    made_room: Annotated[int, Field(ge=0)]
    window: int | None
    templates: list[TemplateState]

    @model_validator(mode="after")
    def _has_each_once(self) -> Self:
        if len({one.number for one in self.templates}) < len(self.templates):
            raise ValueError("a template stands there twice")
        return self


class TemplateMiner:
    """Counts lines by template, in constant memory.

    Parameters
    ----------
    false_alarm_rate : float
        Share of usual lines that may be told as new or rare, and of usual windows with any burst.
    window_s : float
        Seconds of a window.
    most : int
        Templates that are kept; the one seen least recently makes room.

    Raises
    ------
    ConfigError
        If a setting is impossible.
    """

    def __init__(
        self,
        false_alarm_rate: float = 1e-3,
        window_s: float = WINDOW_S,
        most: int = MOST_TEMPLATES,
    ) -> None:
        if not SHORTEST_WINDOW_S <= window_s < math.inf or most < 1:
            raise ConfigError(
                f"expected a window of {SHORTEST_WINDOW_S:g} seconds or more and 1 template or "
                f"more, found {window_s} and {most}"
            )
        self._rates = rates_from(false_alarm_rate)
        self._rate = false_alarm_rate
        self._window_s = window_s
        self._most = most
        self._lines = 0
        self._window: int | None = None
        self._tree = TemplateTree(most)
        self._rarity = Rarity()

    def add(self, line: str, ts: float | None = None) -> LineAlarm | None:
        """Count a line; return it if it is told of.

        Parameters
        ----------
        line : str
            The first 4000 characters count.
        ts : float, optional
            In seconds since 1970. Where a time goes back, or there is none, the line counts in the
            latest window; as long as there was none at all, `WINDOW_LINES` lines are a window.
        """
        window = self._window_of(ts)
        template = self._tree.find(masked(line)[:LONGEST_TEMPLATE])
        if self._tree.has_changed:
            self._rarity = Rarity(one.count for one in self._tree.templates)
            self._tree.has_changed = False
        seldom = self._rarity.p_value(template.count)
        self._rarity.add(template.count)
        template.count += 1
        told = None
        if template.pace.add(window):
            told = self._burst(template, line, ts)
        if told is None and seldom is not None and seldom <= self._rate:
            told = self._seldom(template, line, ts, seldom)
        self._lines += 1
        return told

    @property
    def made_room(self) -> int:
        """How many templates made room; each is new when it comes again."""
        return self._tree.made_room

    @property
    def lines(self) -> int:
        """How many lines there were."""
        return self._lines

    @property
    def goes_by_time(self) -> bool:
        """Whether windows are of seconds: from the first line on that tells a time."""
        return self._window is not None

    def templates(self) -> dict[str, int]:
        """Return how many lines each template had, the most frequent first."""
        found = sorted(self._tree.templates, key=lambda one: -one.count)
        return {one.text: one.count for one in found}

    def template_of(self, line: str) -> Template:
        """Return the template that a line belongs to; it is made, but not counted, if it is new."""
        return self._tree.find(masked(line)[:LONGEST_TEMPLATE])

    def state(self) -> MinerState:
        """Return everything as JSON can hold it; `read` goes on exactly from there."""
        return MinerState(
            false_alarm_rate=self._rate,
            window_s=self._window_s,
            most=self._most,
            lines=self._lines,
            made=self._tree.made,
            made_room=self.made_room,
            window=self._window,
            templates=[_state(one) for one in self._tree.templates],
        )

    @classmethod
    def read(cls, state: MinerState) -> "TemplateMiner":
        """Return a miner from its state."""
        miner = cls(state.false_alarm_rate, state.window_s, state.most)
        miner._lines, miner._window = state.lines, state.window
        miner._tree.made_room = state.made_room
        templates = [_read(one) for one in state.templates[-state.most :]]
        miner._tree.restore(templates, state.made)
        miner._rarity = Rarity(one.count for one in templates)
        return miner

    def _window_of(self, ts: float | None) -> int:
        if ts is None or not abs(ts) < 1e12:
            return self._lines // WINDOW_LINES if self._window is None else self._window
        window = math.floor(ts / self._window_s)
        if self._window is None:
            # How many lines came in windows of lines tells nothing of windows of seconds.
            for one in self._tree.templates:
                one.pace = Pace()
            self._window = window
        self._window = max(window, self._window)
        return self._window

    def _seldom(self, template: Template, line: str, ts: float | None, p_value: float) -> LineAlarm:
        before = template.count - 1
        times = f"of a template that came {before} times before" if before else "of a new template"
        return LineAlarm(
            kind="rare" if before else "new",
            index=self._lines,
            time=ts,
            line=line[:LONGEST_TEMPLATE],
            template=template.text,
            count=template.count,
            expected=None,
            p_value=p_value,
            severity=self._rates.of(p_value) or "low",
            why=f"{times}: of usual lines at most {p_value:.2g} are so rare",
        )

    def _burst(self, template: Template, line: str, ts: float | None) -> LineAlarm | None:
        pace: Pace = template.pace
        # Any of the templates may burst: the rate is that of a window, not of each of them.
        p_value = min(1.0, pace.p_value() * len(self._tree))
        if p_value > self._rate:
            return None
        pace.tell()
        return LineAlarm(
            kind="burst",
            index=self._lines,
            time=ts,
            line=line[:LONGEST_TEMPLATE],
            template=template.text,
            count=pace.now,
            expected=pace.usual,
            p_value=p_value,
            severity=self._rates.of(p_value) or "low",
            why=f"{pace.now} lines of this template in a window that usually has "
            f"{pace.usual:.2g}: of usual windows at most {p_value:.2g} have such a burst",
        )


def _state(template: Template) -> TemplateState:
    return TemplateState(
        number=template.number,
        words=template.words,
        key=template.key,
        count=template.count,
        pace=template.pace.state(),
    )


def _read(state: TemplateState) -> Template:
    template = Template(state.number, list(state.words), state.key)
    template.count = state.count
    template.pace = Pace.read(state.pace)
    return template
