"""What words on a command line stand for: an agent's configuration, and its records in a file."""

import json
import os
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from mesh_fl.agent import Agent, Data
from mesh_fl.errors import AgentError, ConfigError, DataError, MeshError

Number = TypeVar("Number", int, float)


def look_here() -> None:
    """Let agents be found in the current folder, where a console script does not look."""
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.insert(0, os.getcwd())  # noqa: PTH109


@contextmanager
def blamed_on(name: str) -> Iterator[None]:
    """Turn whatever an agent's own code raises into an error that names the agent.

    Raises
    ------
    AgentError
        Instead of anything but a `MeshError`.
    """
    try:
        yield
    except MeshError:
        raise
    except Exception as error:
        raise AgentError(f"agent {name} raises {type(error).__name__}: {error}") from error


def read_config(config: str | None) -> dict[str, object]:
    """Read an agent's configuration: a TOML or JSON file, JSON itself, or none.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if not config:
        return {}
    try:
        if config.lstrip().startswith("{"):
            return dict(json.loads(config))
        text = Path(config).read_text(encoding="utf-8-sig")
        return dict(json.loads(text) if config.endswith(".json") else tomllib.loads(text))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"--config: expected a TOML or JSON file, or JSON: {error}") from None


def read_arrays(path: Path) -> Data:
    """Read an npz file of plain arrays.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"--data: expected an npz file of plain arrays: {error}") from None


def numbers(text: str, option: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    """Read numbers with commas between them, such as "12,25,50" or "0.1,inf".

    Raises
    ------
    ConfigError
        If one of them is none.
    """
    try:
        return tuple(kind(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(
            f"{option}: expected numbers with commas between them, found {text!r}"
        ) from None


def is_table(agent: Agent, found: Data) -> bool:
    """Return whether arrays are the columns of an agent's schema, still to be prepared.

    Optional ones may be missing, as from a table.
    """
    names = {field.name for field in agent.schema}
    needed = {field.name for field in agent.schema if not field.optional}
    return bool(names & set(found)) and needed <= set(found) <= names
