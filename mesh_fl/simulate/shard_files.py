"""The records of many clients in files, which any process can map into its memory."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from mesh_fl.errors import DataError
from mesh_fl.simulate.shards import Shards


def store(shards: Shards, folder: Path) -> None:
    """Write clients and their records to a folder, an array a file.

    Raises
    ------
    DataError
        If an array holds objects.
    """
    keys = list(shards.data)
    for number, key in enumerate(keys):
        try:
            np.save(folder / f"{number}.npy", shards.data[key], allow_pickle=False)
        except ValueError as error:
            raise DataError(f"{key}: expected an array of values: {error}") from error
    told = {"names": shards.names, "sizes": shards.sizes, "keys": keys}
    (folder / "shards.json").write_text(json.dumps(told))


@cache
def stored(folder: Path) -> Shards:
    """Return what was stored; its arrays are read from their files as they are needed."""
    told = json.loads((folder / "shards.json").read_text())
    data = {
        key: np.load(folder / f"{number}.npy", mmap_mode="r", allow_pickle=False)
        for number, key in enumerate(told["keys"])
    }
    return Shards(tuple(told["names"]), data, tuple(told["sizes"]))
