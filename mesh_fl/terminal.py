"""What commands print: sentences and progress for people, JSON lines for programs."""

import datetime
import json
import signal
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import click
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mesh_fl.errors import MeshError

ERROR = Console(stderr=True, highlight=False)


def run(app: typer.Typer) -> None:
    """Run a command line; what goes wrong is told in one message, never a traceback."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MeshError as error:
        ERROR.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def stop_on_signals() -> threading.Event:
    """Return an event that is set when this process is asked to stop (SIGINT or SIGTERM)."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


class Narrator:
    """Tells what happens, on standard output.

    Parameters
    ----------
    as_json : bool
        One JSON object a line instead of sentences.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False)
        self._lock = threading.Lock()
        self._last = ""
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        """Show a progress bar where somebody is watching."""
        if self._console.is_terminal and not self._as_json:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self._progress = Progress(*columns, console=self._console)
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()

    def say(self, text: str, **facts: object) -> None:
        """Tell something once; the same sentence is not repeated."""
        text = printable(text)
        with self._lock:
            if text == self._last:
                return
            self._last = text
            now = datetime.datetime.now().astimezone()
            if self._as_json:
                at = now.isoformat(timespec="milliseconds")
                print(json.dumps({"at": at, "text": text, **facts}), flush=True)  # noqa: T201
            else:
                self._console.print(f"{now:%H:%M:%S}  {text}", markup=False, soft_wrap=True)

    def progress(self, text: str, done: int, total: int, **facts: object) -> None:
        """Tell how far a task has come: as a bar where somebody is watching."""
        if self._progress is None:
            place = "" if self._as_json else f"[{done}/{total}] "
            self.say(place + text, done=done, total=total, **facts)
            return
        if not self._progress.tasks:
            self._progress.add_task("rounds", total=total)
        task = self._progress.tasks[0]
        self._progress.update(task.id, completed=done, total=total, description=text)


def printable(text: str) -> str:
    """Return text without control characters, by which others could forge what is shown here."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people: text to the left, everything else to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        left = all(isinstance(row[number], str) for row in rows)
        table.add_column(column, justify="left" if left else "right")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else printable(str(cell))) for cell in row))
    Console().print(table)


def show_json(value: object) -> None:
    """Print a value for programs."""
    print(json.dumps(value, indent=2))  # noqa: T201
