"""States as bytes: safetensors, never pickle."""

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mesh_fl.agent import State
from mesh_fl.errors import ProtocolError
from mesh_fl.privacy.digest import chain


def dump_state(state: State) -> bytes:
    """Return a state as safetensors bytes, blocks in order, float64."""
    blob: bytes = save({name: np.asarray(value, order="C") for name, value in state.items()})
    return blob


def load_state(
    blob: bytes, like: State
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Read a state and check it against the shapes of another.

    Raises
    ------
    ProtocolError
        If the bytes are no state, or blocks, shapes or types differ.
    """
    try:
        blocks = load(blob)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ProtocolError(f"expected a model in safetensors format: {error}") from error
    expected = {name: np.shape(value) for name, value in like.items()}
    found = {name: np.shape(block) for name, block in blocks.items()}
    if found != expected or any(block.dtype != np.float64 for block in blocks.values()):
        raise ProtocolError(f"expected a model with float64 blocks {expected}, found {found}")
    return {name: blocks[name] for name in like}


def first_digest(plan_digest: str, state: State) -> str:
    """Return the digest that the chain of totals starts from: the plan and the initial state."""
    return chain("initial state", plan_digest, dump_state(state))
