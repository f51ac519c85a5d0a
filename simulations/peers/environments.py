"""A virtual environment for each peer, made once and used again."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from mesh_fl.errors import ConfigError

REQUIREMENTS = Path(__file__).parent / "requirements"


def interpreter(name: str, folder: Path) -> Path:
    """Return the Python of a peer's environment, which is made where it is missing or outdated.

    Parameters
    ----------
    name : str
        Of its requirements file, without ending.
    folder : Path
        Where the environments are.

    Raises
    ------
    ConfigError
        If something cannot be installed; the message ends with pip's.
    """
    wanted = REQUIREMENTS / f"{name}.txt"
    home = (folder / name).absolute()
    python, stamp = home / "bin" / "python", home / "made-from"
    recipe = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == recipe:
        return python
    print(f"making {home}, once: minutes", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True, symlinks=True)
    # torch alone first: asked for by another package, pip takes a build with gigabytes of CUDA.
    _install(python, [_first(wanted)])
    _install(python, ["--requirement", str(wanted)])
    stamp.write_text(recipe)
    return python


def _first(requirements: Path) -> str:
    return requirements.read_text().splitlines()[0]


def _install(python: Path, what: list[str]) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", *what]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        end = "\n".join(f"    {line}" for line in ended.stderr.splitlines()[-8:])
        raise ConfigError(f"expected pip to install {' '.join(what)}, it ended with:\n{end}")
