"""Run a command, and measure what it and everything that it starts take from the machine."""

import contextlib
import os
import resource
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import MARK, Kin, busy_s

from mesh_fl.errors import MeshError

_LOOK_S = 0.05
_LOOKING_SHARE = 0.1


class RunError(MeshError):
    """A command failed, or took too long; the message ends with the end of its output."""


@dataclass(frozen=True)
class Usage:
    """What a run took.

    Parameters
    ----------
    began : float
        `time.monotonic()` when its first process was started.
    wall_s, cpu_s : float
        Until its first process ended, and of all its processes together.
    peak_bytes : int
        Largest sum of their proportional set sizes.
    processes : int
        The most that lived at once.
    others_cpu_s : float
        Processor seconds that everything else on this machine took meanwhile.
    """

    began: float
    wall_s: float
    cpu_s: float
    peak_bytes: int
    processes: int
    others_cpu_s: float

    @property
    def disturbed(self) -> bool:
        """Whether others took more than a tenth of one processor."""
        return self.others_cpu_s > 0.1 * self.wall_s + 0.05


def measured(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, limit_s: float
) -> Usage:
    """Run a command in a folder until it ends.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    environment : mapping of str to str
        Added to our own.
    folder : Path
        Where it runs; its output goes to output.log there.
    limit_s : float
        It is killed after so many seconds.

    Raises
    ------
    RunError
        If its exit status is not 0, or the time is over.
    """
    mark = uuid.uuid4().hex
    kin, log = Kin(mark), folder / "output.log"
    busy, own, waited = busy_s(), time.process_time(), _waited_s()
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _watch(process, kin, began + limit_s)
            wall_s = time.monotonic() - began
        finally:
            kin.end()
            process.wait()
    _refuse_failed(process.returncode, log, limit_s)
    # Looks miss the end of a process, waiting misses daemons: the larger one is nearer.
    cpu_s = max(kin.cpu_s, _waited_s() - waited)
    others = busy_s() - busy - cpu_s - (time.process_time() - own)
    return Usage(began, wall_s, cpu_s, kin.peak_bytes, kin.most, max(0.0, others))


def _watch(process: subprocess.Popen[bytes], kin: Kin, deadline: float) -> None:
    """Look again and again, yet not so often that looking itself takes much."""
    while process.poll() is None and time.monotonic() < deadline:
        begin = time.monotonic()
        kin.look()
        pause_s = max(_LOOK_S, (time.monotonic() - begin) / _LOOKING_SHARE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause_s)


def _waited_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _refuse_failed(status: int, log: Path, limit_s: float) -> None:
    if status == 0:
        return
    lines = log.read_text(errors="replace").splitlines()
    end = "\n".join(f"    {line}" for line in lines[-12:])
    raise RunError(
        f"expected exit status 0 within {limit_s:g} s, found {status}; its last lines:\n{end}"
    )
