"""All processes of a run, also daemons: told by an environment variable that they inherit."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from mesh_fl.errors import ConfigError

PROC = Path("/proc")
MARK = "PEERS_RUN"
"""The environment variable whose value is a run's own."""

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_ENDING_S = 5.0
_STATE, _PARENT, _USER, _SYSTEM, _STARTED = 0, 1, 11, 12, 19
_IDLE, _WAITING = 3, 4


@dataclass(frozen=True)
class Sample:
    """What /proc says of a process now; one that is over has only not been waited for."""

    pid: int
    parent: int
    started: int
    cpu_s: float
    over: bool


class Kin:
    """The processes of one run, and what they have used so far.

    Parameters
    ----------
    mark : str
        Value of the environment variable.

    Raises
    ------
    ConfigError
        If the system does not tell what processes use.
    """

    def __init__(self, mark: str) -> None:
        if not PROC.joinpath("self", "smaps_rollup").exists():
            raise ConfigError("expected Linux with /proc/self/smaps_rollup: run this there")
        self._needle = f"{MARK}={mark}".encode()
        self._cpu_s: dict[tuple[int, int], float] = {}
        self.peak_bytes = 0
        self.most = 0

    @property
    def cpu_s(self) -> float:
        """Processor seconds of all that were seen, as of when each was seen last."""
        return sum(self._cpu_s.values())

    def look(self) -> list[int]:
        """Find the processes that live now, and note what they use; returns their ids."""
        found: list[int] = []
        for sample in sorted(_samples(), key=lambda sample: sample.started):
            key = sample.pid, sample.started
            # Some overwrite their environment later, and some give their children another.
            known = key in self._cpu_s or sample.parent in found
            if known or self._needle in _environment(sample.pid):
                self._cpu_s[key] = sample.cpu_s
                if not sample.over:
                    found.append(sample.pid)
        self.peak_bytes = max(self.peak_bytes, sum(map(_memory, found)))
        self.most = max(self.most, len(found))
        return found

    def end(self) -> None:
        """Kill what is left, and wait until it is gone, or for some seconds."""
        deadline = time.monotonic() + _ENDING_S
        while (left := self.look()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_ENDING_S / 100)


def busy_s() -> float:
    """Return the seconds that all processors of this machine have worked since it started."""
    ticks = [int(word) for word in PROC.joinpath("stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[_IDLE] - ticks[_WAITING]) * _TICK_S


def _samples() -> list[Sample]:
    pids = [int(folder.name) for folder in PROC.iterdir() if folder.name.isdigit()]
    found = [_sample(pid) for pid in pids if pid != os.getpid()]
    return [sample for sample in found if sample is not None]


def _sample(pid: int) -> Sample | None:
    try:
        words = PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    cpu_s = (int(words[_USER]) + int(words[_SYSTEM])) * _TICK_S
    over = words[_STATE] in "ZX"
    return Sample(pid, int(words[_PARENT]), int(words[_STARTED]), cpu_s, over)


def _environment(pid: int) -> bytes:
    try:
        return PROC.joinpath(str(pid), "environ").read_bytes()
    except OSError:
        return b""


def _memory(pid: int) -> int:
    """Return a process's proportional set size in bytes: shared pages count in parts."""
    try:
        lines = PROC.joinpath(str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
