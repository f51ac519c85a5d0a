"""Files that commands write for people to send on: always new ones."""

import os
from pathlib import Path

from mesh_fl.errors import ConfigError
from mesh_fl.store import write_durably


def new_file(path: Path) -> Path:
    """Return a path where nothing is yet and a file can be made.

    It is asked before a command changes anything, so that a slip of the keyboard costs neither a
    key nor an answer.

    Raises
    ------
    ConfigError
        If anything is there, a link too, or no file can be made there.
    """
    shown = f"{str(path)!a:.300}"
    try:
        path.lstat()
    except FileNotFoundError:
        _expect_folder(path.parent, shown)
        return path
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot write {shown}: {reason}: name another file") from None
    raise ConfigError(
        f"expected the name of a new file, found that {shown} is there: nothing is overwritten; "
        "name another file, or remove that one"
    )


def write_result(path: Path, blob: bytes) -> None:
    """Write a file that `new_file` found to be new.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    write_durably(new_file(path), blob)


def _expect_folder(folder: Path, shown: str) -> None:
    if not folder.is_dir():
        raise ConfigError(f"cannot write {shown}: its folder is missing: make it, or name another")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"cannot write {shown}: this user has no right to write there")
