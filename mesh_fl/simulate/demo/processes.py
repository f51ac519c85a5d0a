"""The demo's processes: started, listened to, and ended by nobody but the demo."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from mesh_fl.errors import MeshError

Line = Mapping[str, object]


class Process:
    """A command that prints JSON lines.

    Parameters
    ----------
    name : str
        For messages.
    module : str
        Module whose `main` is the command.
    arguments : list of str
        Its command line.
    log : Path
        Where everything that it prints is kept.
    on_line : callable
        Told of each JSON line.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: list[str],
        log: Path,
        on_line: Callable[[Line], None],
    ) -> None:
        self.name = name
        self._log = log
        self._on_line = on_line
        self._errors = log.with_suffix(".err").open("wb")
        self._process = subprocess.Popen(  # noqa: S603  # our own commands
            command(module, arguments), stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def peak_memory_mb(self) -> float | None:
        """Largest resident memory so far, where the system tells (Linux)."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "")
        return int(peak.split()[1]) / 1024 if peak else None

    def wait(self, timeout_s: float) -> None:
        """Wait for its end.

        Raises
        ------
        MeshError
            If it fails or takes too long, with what it said.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise MeshError(
                f"{self.name} took more than {timeout_s:.0f} s; see {self._log}"
            ) from None
        self._thread.join(timeout=5)
        if code != 0:
            said = self._log.with_suffix(".err").read_text().strip()
            raise MeshError(f"{self.name} ended with status {code}: {said or 'no message'}")

    def check(self) -> None:
        """Complain if it ended by itself.

        Raises
        ------
        MeshError
            With what it said.
        """
        if self._process.poll() is not None:
            self.wait(1)
            raise MeshError(f"{self.name} ended early; see {self._log}")

    def stop(self) -> None:
        """End it, politely first."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(timeout=5)
        self._errors.close()

    def _listen(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as lines, self._log.open("w") as log:
            for text in lines:
                log.write(text)
                log.flush()
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                self._on_line(line)


def call(module: str, arguments: list[str]) -> str:
    """Run a command to its end and return what it printed.

    Raises
    ------
    MeshError
        If it fails, with its own message.
    """
    line = command(module, arguments)
    done = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise MeshError(f"{module} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def command(module: str, arguments: list[str]) -> list[str]:
    """Return the command line that runs a module's `main` with this very Python."""
    return [sys.executable, "-c", f"from {module} import main; main()", *arguments]
