"""Commands as processes of their own: installed ones, and quick ones from a warm interpreter."""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Event = Mapping[str, object]

# A fresh interpreter needs three seconds to import Flower; a fork of this one needs none.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["mesh_fl.client.cli", "mesh_fl.client.run", "mesh_fl.server.cli", "mesh_fl.server.run"]
)


def nothing() -> None:
    """Change nothing before a command runs."""


class Process:
    """A command in a process of its own; what it prints goes to two files.

    Parameters
    ----------
    command : str
        "mesh-server" or "mesh-client".
    arguments : list of str
        Its command line.
    log : Path
        Without suffix; .out and .err are added.
    prepare : callable
        Runs in the new process first.
    """

    def __init__(
        self,
        command: str,
        arguments: list[str],
        log: Path,
        prepare: Callable[[], None] = nothing,
    ) -> None:
        self.log = log
        for kind in (".out", ".err"):
            log.with_suffix(kind).touch()
        self.pid = self._spawn(command, arguments, prepare)

    def _spawn(self, command: str, arguments: list[str], prepare: Callable[[], None]) -> int:
        self._process = _FORKS.Process(
            target=_run, args=(command, arguments, self.log, prepare), daemon=True
        )
        self._process.start()
        return int(self._process.pid or 0)

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.exitcode

    def join(self, timeout_s: float) -> None:
        self._process.join(timeout_s)

    def signal(self, number: signal.Signals) -> None:
        if self.status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.join(10)

    def stop(self) -> int | None:
        """Ask it to end, and tell its exit status; a process that stays is killed."""
        self.signal(signal.SIGTERM)
        self.join(15)
        self.kill()
        return self.status

    def ended(self, timeout_s: float = 30) -> int:
        self.join(timeout_s)
        assert self.status is not None, f"still running; it said:\n{self.out}{self.err}"
        return self.status

    @property
    def out(self) -> str:
        return self.log.with_suffix(".out").read_text()

    @property
    def err(self) -> str:
        return self.log.with_suffix(".err").read_text()

    def events(self) -> Iterator[Event]:
        """Give the whole JSON lines printed so far."""
        for line in self.out.splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                yield json.loads(line)

    def await_event(
        self, kind: str, timeout_s: float = 45, text_with: str = "", **facts: object
    ) -> Event:
        """Wait until it tells something, and give that event."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self.events():
                fits = event.get("kind") == kind and facts.items() <= event.items()
                if fits and text_with in str(event["text"]):
                    return event
            ended = self.status is not None
            assert not ended, f"ended with {self.status} before {kind}:\n{self.out}{self.err}"
            assert time.monotonic() < deadline, f"no {kind} {facts} in:\n{self.out}{self.err}"
            time.sleep(0.005)


class Installed(Process):
    """The command as a user starts it."""

    def _spawn(self, command: str, arguments: list[str], prepare: Callable[[], None]) -> int:
        out, err = (self.log.with_suffix(kind).open("wb") for kind in (".out", ".err"))
        with out, err:
            words = [str(script(command)), *arguments]
            self._child = subprocess.Popen(words, stdout=out, stderr=err)
        return self._child.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._child.poll()

    def join(self, timeout_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)


def script(command: str) -> Path:
    """Return the installed command next to this interpreter."""
    return Path(sys.executable).parent / command


def _run(command: str, arguments: list[str], log: Path, prepare: Callable[[], None]) -> None:
    for number, kind in ((1, ".out"), (2, ".err")):
        file = os.open(log.with_suffix(kind), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    prepare()
    sys.argv = [command, *arguments]
    runpy.run_path(str(script(command)), run_name="__main__")
