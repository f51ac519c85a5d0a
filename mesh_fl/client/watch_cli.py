"""`mesh-client watch`: readings or log lines from a pipe, and a line of JSON for each alarm."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TextIO

import click
import typer

from mesh_fl.errors import ConfigError
from mesh_fl.terminal import ERROR

if TYPE_CHECKING:
    from mesh_fl.client.watch_state import StateFile
    from mesh_fl.client.watching import Watch

LONGEST_LINE = 1_000_000


def watch_command(
    source: Annotated[
        Path | None, typer.Argument(help="A file; standard input when left out.")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Lines of a log instead of readings.")
    ] = False,
    false_alarm_rate: Annotated[
        float, typer.Option(help="Share of usual readings, or lines, that may be told.")
    ] = 0.001,
    period: Annotated[
        int | None, typer.Option(help="Readings in a season; found when left out.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Seconds between readings, where some may be missing.")
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Seconds in which lines may burst (60), with --text.")
    ] = None,
    most: Annotated[
        int | None, typer.Option(help="Series (1000), or templates (2000), that are kept.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="What was seen, to go on from there; made when it is missing."),
    ] = None,
) -> None:
    """Watch a stream: one line of JSON for each alarm, as soon as it comes; no network is needed.

    Readings are JSON objects {"series_id": "cpu", "ts": "2026-03-01T00:00:00Z", "value": 12.5},
    CSV with such a header, or one number a line; series_id and ts may be left out.

    Lines of a log (--text) begin with their time; windows are of 1,000 lines where they do not.

    Example: tail -F readings.jsonl | mesh-client watch --state watch.json

    Example: mesh-client watch --text /var/log/syslog --false-alarm-rate 0.0001
    """
    _refuse_idle_options(text, period, step, window)
    watch = _watch(state, text, false_alarm_rate, period, step, window, most)
    with _Ending() as ending:
        is_remembered, is_heard = _run(watch, source, state, ending)
    for sentence in (*watch.summary(), *_unread(watch)) if is_heard else ():
        _say(sentence)
    if not is_remembered:
        raise typer.Exit(1)
    watch.expect_watched()


def _refuse_idle_options(
    text: bool, period: int | None, step: float | None, window: float | None
) -> None:
    readings_only = [
        name for name, told in (("--period", period), ("--step", step)) if told is not None
    ]
    if text and readings_only:
        raise click.UsageError(
            f"expected {' and '.join(readings_only)} without --text: they are of readings"
        )
    if window is not None and not text:
        raise click.UsageError("expected --text with --window: it is of log lines")


def _watch(
    state: Path | None,
    text: bool,
    rate: float,
    period: int | None,
    step: float | None,
    window: float | None,
    most: int | None,
) -> "Watch":
    from mesh_fl.client.watching import LineWatch, ReadingWatch

    if text:
        return LineWatch.of(state, rate, window, most)
    return ReadingWatch.of(state, rate, period, step, most)


def _run(
    watch: "Watch", source: Path | None, state: Path | None, ending: "_Ending"
) -> tuple[bool, bool]:
    """Watch to the end; return whether the state was written, and whether somebody listened."""
    from mesh_fl.client.watch_state import StateFile

    # A link would be replaced by the file that it names.
    kept = StateFile(None if state is None else state.resolve(), watch.dumps, _say)
    if sys.stdout is None:
        raise ConfigError("cannot write to standard output: it is closed: give it a file or a pipe")
    kept.begin()
    is_remembered = is_heard = True
    try:
        with _opened(source) as lines:
            is_heard = _tell_all(watch, _lines(lines, ending), kept)
    finally:
        is_remembered = kept.finish()
    return is_remembered, is_heard


def _tell_all(watch: "Watch", lines: Iterator[str], kept: "StateFile") -> bool:
    """Tell what is found; return False as soon as nobody listens any more."""
    from mesh_fl.client.watching import write_line

    for line in lines:
        found = watch.add(line)
        if watch.notice is not None:
            _say(watch.notice)
            watch.notice = None
        if found is not None and not _is_told(write_line(found), watch.lines):
            return False
        kept.keep()
    return True


def _is_told(text: str, number: int) -> bool:
    """Print a line at once; return False where the reader is gone."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
        return False
    except OSError as error:
        _let_go_of_stdout()
        raise ConfigError(
            f"cannot write to standard output: {error.strerror}: what was found in line "
            f"{number:,} was not told: give it room, and go on after that line"
        ) from None
    return True


def _let_go_of_stdout() -> None:
    # What could not be written is tried again when Python ends, with a traceback.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(sentence: str) -> None:
    """Tell a sentence on standard error, if anybody can still hear it."""
    from mesh_fl.client.watching import shown

    with suppress(OSError, ValueError):
        ERROR.print(shown(sentence), markup=False, soft_wrap=True)


def _opened(source: Path | None) -> TextIO:
    try:
        where = _stdin() if source is None else source
        # Bytes that are no UTF-8 must not stop a stream.
        return open(where, encoding="utf-8", errors="replace", closefd=source is not None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ConfigError(
            f"cannot read {source or 'standard input'}: {reason or error}: give a file, or lines "
            "through a pipe"
        ) from None


def _stdin() -> int:
    if sys.stdin is None:
        raise ConfigError("cannot read standard input: it is closed: give a file, or a pipe")
    return sys.stdin.fileno()


def _lines(stream: TextIO, ending: "_Ending") -> Iterator[str]:
    while not ending.asked:
        line = ending.wait_for(stream)
        if not line:
            return
        yield line


class _Ending:
    """Ends a stream where somebody asks for it, never in the middle of a line's work."""

    def __init__(self) -> None:
        self.asked = False
        self._waits = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "_Ending":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # By `nohup` a hang-up is ignored, and stays so.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as it was returned

    def wait_for(self, stream: TextIO) -> str:
        """Return the next line; nothing at the end, or when asked to end."""
        self._waits = True
        try:
            return "" if self.asked else stream.readline(LONGEST_LINE)
        except KeyboardInterrupt:
            return ""
        except OSError as error:
            raise ConfigError(f"cannot read on: {error.strerror}: check the disk") from None
        finally:
            self._waits = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._waits:
            raise KeyboardInterrupt


def _unread(watch: "Watch") -> Iterator[str]:
    if watch.unread and watch.watched:
        yield f"{watch.unread:,} lines could not be read:"
        yield from watch.faults
