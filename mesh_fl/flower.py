"""The envelope: one flat array of bytes a Flower message (each object costs a request)."""

import io

import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict

RECORD = "mesh_fl"


def wrap(blob: bytes) -> RecordDict:
    """Return the content of a Flower message that carries bytes."""
    return RecordDict({RECORD: ArrayRecord([np.frombuffer(blob, dtype=np.uint8)])})


def unwrap(message: Message) -> bytes:
    """Return the bytes that a Flower message carries; empty where it carries anything else."""
    try:
        record = message.content[RECORD]
        array = record[next(iter(record))] if isinstance(record, ArrayRecord) else None
        return _plain(array.data) if array is not None and len(record) == 1 else b""
    except Exception:
        # Whatever a stranger's bytes make Flower or numpy raise, they are no message of ours.
        return b""


def _plain(npy: bytes) -> bytes:
    """Return the content of an npy file of one row of bytes, without letting numpy allocate."""
    stream = io.BytesIO(npy)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        return b""
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    start = stream.tell()
    return npy[start:] if dtype == np.uint8 and shape == (len(npy) - start,) else b""
