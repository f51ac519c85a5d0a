"""What `mesh-client watch` remembers from run to run, and by which options it was made."""

import errno
import os
import stat
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from mesh_fl.agents.anomaly.stream_lines import Delimiter
from mesh_fl.agents.anomaly.stream_many import StreamsState
from mesh_fl.agents.anomaly.stream_state import StreamState
from mesh_fl.agents.anomaly.templates import MinerState
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.store import write_durably

MOST_STATE_BYTES = 256_000_000
SAVE_EVERY_S = 60.0

REMEDY = "name another file by --state"

_OPTIONS = {
    "false_alarm_rate": "--false-alarm-rate",
    "period": "--period",
    "step_s": "--step",
    "window_s": "--window",
    "most": "--most",
}


class ReadingsState(StreamState):
    """Watched readings as JSON can hold them."""

    header: tuple[str, ...]
    delimiter: Delimiter = ","
    streams: StreamsState


Kind = TypeVar("Kind", ReadingsState, MinerState)


class StateFile:
    """Writes a state at the start, each minute and at the end; a full disk ends nothing.

    Parameters
    ----------
    path : Path or None
        None where nothing is to be remembered.
    dumps : callable
        Returns the state as it is now.
    say : callable
        Takes a warning.
    """

    def __init__(
        self, path: Path | None, dumps: Callable[[], str], say: Callable[[str], None]
    ) -> None:
        self._path = path
        self._dumps = dumps
        self._say = say
        self._tried = time.monotonic()
        self._written = datetime.now().astimezone()
        self._is_behind = False

    def begin(self) -> None:
        """Write it, so that what cannot be written is told before anything is watched.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        if self._path is not None:
            self._write(self._path)

    def keep(self) -> None:
        """Write it once a minute; warn where that fails, and try again a minute later."""
        if self._path is None or time.monotonic() - self._tried <= SAVE_EVERY_S:
            return
        self._tried = time.monotonic()
        try:
            self._write(self._path)
        except ConfigError as error:
            self._is_behind = True
            self._say(f"warning: {error}; watching goes on, and it is tried again in a minute")
            return
        if self._is_behind:
            self._is_behind = False
            self._say(f"the state is written to {self._path} again")

    def finish(self) -> bool:
        """Write it a last time; say what is lost, and return False, where that fails."""
        if self._path is None:
            return True
        try:
            self._write(self._path)
        except ConfigError as error:
            self._say(
                f"error: {error}; what was seen after {self._written:%Y-%m-%d %H:%M:%S} is lost "
                "to the next run"
            )
            return False
        return True

    def _write(self, path: Path) -> None:
        text = self._dumps().encode()
        if len(text) > MOST_STATE_BYTES:
            raise ConfigError(
                f"cannot write the state to {path}: it takes {len(text):,} bytes, more than the "
                f"{MOST_STATE_BYTES:,} that are read again: keep fewer by --most"
            )
        try:
            write_durably(path, text)
        except ConfigError as error:
            raise _unwritable(path, error) from None
        self._written = datetime.now().astimezone()


def read_state(path: Path, kind: type[Kind]) -> Kind | None:
    """Return what a state file holds; None where there is none yet.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no state of that kind.
    """
    text = _content(path)
    if text is None:
        return None
    try:
        return kind.loads(text)
    except DataError:
        raise refused(path, kind, _found(text, kind)) from None


def refused(path: Path, kind: type[StreamState], found: str) -> ConfigError:
    """Return the error that tells what is in a state's place."""
    return ConfigError(
        f"{path}: expected a state of {_command(kind)}, found {found}: give another file by "
        "--state, or remove this one to start anew"
    )


def expect_same_options(
    path: Path, told: StreamsState | MinerState, asked: StreamsState | MinerState
) -> None:
    """Refuse to go on from a state that was made by other options.

    Raises
    ------
    ConfigError
        With each option that differs.
    """
    names = [name for name in _OPTIONS if hasattr(told, name)]
    other = [
        f"{_OPTIONS[name]} was {_words(getattr(told, name))}, and is {_words(getattr(asked, name))}"
        for name in names
        if getattr(told, name) != getattr(asked, name)
    ]
    if other:
        raise ConfigError(
            f"{path}: expected the options that this state was made by, found others: "
            f"{'; '.join(other)}: give the same, or another file by --state"
        )


def _words(option: float | None) -> str:
    return "left out" if option is None else f"{option:.17g}"


def _content(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"cannot read {path}: it is no regular file: {REMEDY}")
        with path.open("rb") as file:
            text = file.read(MOST_STATE_BYTES + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot read {path}: {reason}: {REMEDY}") from None
    if len(text) > MOST_STATE_BYTES:
        raise ConfigError(
            f"{path}: expected a state of {MOST_STATE_BYTES:,} bytes at most, found more: {REMEDY}"
        )
    return text


def _command(kind: type[StreamState]) -> str:
    return "`mesh-client watch --text`" if kind is MinerState else "`mesh-client watch`"


def _found(text: bytes, kind: type[StreamState]) -> str:
    """Say what a file holds that is no state of a kind."""
    if not text.strip():
        return "an empty file"
    for other, what in ((ReadingsState, "readings"), (MinerState, "log lines (--text)")):
        if other is not kind and _is_state(text, other):
            return f"one of {what}"
    is_cut_off = not text.rstrip().endswith(b"}")
    return "no JSON object, or one that was cut off" if is_cut_off else "another or a damaged one"


def _is_state(text: bytes, kind: type[StreamState]) -> bool:
    try:
        kind.loads(text)
    except DataError:
        return False
    return True


def _unwritable(path: Path, error: ConfigError) -> ConfigError:
    cause = error.__cause__
    if not isinstance(cause, OSError):
        return ConfigError(f"cannot write the state to {path!s}: {error}: {REMEDY}")
    remedy = {
        errno.ENOENT: REMEDY if path.parent.exists() else f"make {path.parent}, or {REMEDY}",
        errno.ENOSPC: f"free some space on that disk, or {REMEDY}",
        errno.EDQUOT: f"free some of your disk quota, or {REMEDY}",
    }.get(cause.errno or 0, REMEDY)
    reason = os.strerror(cause.errno) if cause.errno else cause
    return ConfigError(f"cannot write the state to {path}: {reason}: {remedy}")
