"""The envelope: one flat array of bytes a Flower message (each object costs a request)."""

import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict

RECORD = "mesh_fl"


def wrap(blob: bytes) -> RecordDict:
    """Return the content of a Flower message that carries bytes."""
    return RecordDict({RECORD: ArrayRecord([np.frombuffer(blob, dtype=np.uint8)])})


def unwrap(message: Message) -> bytes:
    """Return the bytes that a Flower message carries; empty where it carries anything else."""
    record = None if message.has_error() else message.content.get(RECORD)
    arrays = record.to_numpy_ndarrays() if isinstance(record, ArrayRecord) else []
    plain = len(arrays) == 1 and arrays[0].dtype == np.uint8
    return arrays[0].tobytes() if plain else b""
