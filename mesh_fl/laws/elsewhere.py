"""The walk in a second process, whose hashes, caches and generators are not ours."""

import contextlib
import io
import json
import os
import subprocess
import sys

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.errors import AgentError
from mesh_fl.laws.walk import walk
from mesh_fl.registry import build

TIMEOUT_S = 120
_DATA = "data/"


def walk_elsewhere(name: str, config: str, data: Data) -> dict[str, NDArray[np.generic]]:
    """Take the walk in a new process.

    Parameters
    ----------
    name : str
        What the registry imports the agent by.
    config : str
        Its configuration as JSON.
    data : Data

    Raises
    ------
    AgentError
        If the other process fails.
    """
    question = {"name": np.array(name), "config": np.array(config)}
    question |= {_DATA + key: values for key, values in data.items()}
    # S603: it runs this interpreter on this module; nothing from outside is on its command line.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"from {__name__} import answer; answer()"],
        input=_packed(question),
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": _other_seed()},
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise AgentError(f"the other process failed: {' '.join(last)}")
    return _unpacked(done.stdout)


def answer() -> None:
    """Answer one question in a process of its own: npz on standard input and output."""
    # What an agent prints must not get between the answers.
    with contextlib.redirect_stdout(sys.stderr):
        question = _unpacked(sys.stdin.buffer.read())
        agent = build(str(question["name"]), json.loads(str(question["config"])))
        data = {k.removeprefix(_DATA): v for k, v in question.items() if k.startswith(_DATA)}
        answers = walk(agent, data)
    sys.stdout.buffer.write(_packed(answers))


def _other_seed() -> str:
    return "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"


def _packed(arrays: Data) -> bytes:
    # Numbered, because npz files cannot hold every name.
    numbered = {f"a{place}": values for place, values in enumerate(arrays.values())}
    buffer = io.BytesIO()
    np.savez(buffer, names=np.array(list(arrays), dtype=np.str_), allow_pickle=False, **numbered)
    return buffer.getvalue()


def _unpacked(blob: bytes) -> dict[str, NDArray[np.generic]]:
    with np.load(io.BytesIO(blob), allow_pickle=False) as stored:
        return {str(name): stored[f"a{place}"] for place, name in enumerate(stored["names"])}
