"""The records of many clients: laid end to end, so that thousands of them are a few arrays."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.errors import DataError

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Shards:
    """Who has which records.

    Parameters
    ----------
    names : tuple of str
        The clients.
    data : Data
        All records, those of each client together, in the order of the names.
    sizes : tuple of int
        Records of each client.

    Raises
    ------
    DataError
        If names are not unique, or the sizes are not those of the data.
    """

    names: tuple[str, ...]
    data: Data
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        found = {name: len(values) for name, values in self.data.items()}
        if not self.names or len(set(self.names)) != len(self.names) or not found:
            raise DataError("expected at least one client, each with a name of its own, and arrays")
        if len(self.sizes) != len(self.names) or set(found.values()) != {sum(self.sizes)}:
            raise DataError(
                f"expected arrays of {sum(self.sizes)} records for {len(self.names)} clients, "
                f"found {found}"
            )

    @classmethod
    def of(cls, shards: Mapping[str, Data]) -> Self:
        """Lay the records of named clients end to end.

        Raises
        ------
        DataError
            If clients hold different arrays, or arrays of different lengths.
        """
        if not shards:
            raise DataError("expected at least one client, found none")
        keys = list(next(iter(shards.values())))
        for name, shard in shards.items():
            lengths = {len(values) for values in shard.values()}
            if set(shard) != set(keys) or len(lengths) != 1:
                found = {key: np.shape(values) for key, values in shard.items()}
                raise DataError(f"{name}: expected arrays {keys} of one length, found {found}")
        data = {key: np.concatenate([shard[key] for shard in shards.values()]) for key in keys}
        sizes = tuple(len(shard[keys[0]]) for shard in shards.values())
        return cls(tuple(shards), data, sizes)

    @classmethod
    def deal(cls, data: Data, parts: Sequence[Places]) -> Self:
        """Deal records out to clients called client-1 and so on.

        Parameters
        ----------
        data : Data
        parts : sequence of ndarray of int
            Which records each client gets; see `splits`.
        """
        places = np.concatenate(parts) if len(parts) else np.zeros(0, np.int64)
        width = len(str(len(parts)))
        names = tuple(f"client-{number:0{width}d}" for number in range(1, len(parts) + 1))
        dealt = {key: values[places] for key, values in data.items()}
        return cls(names, dealt, tuple(len(part) for part in parts))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, client: int) -> Data:
        if not 0 <= client < len(self):
            raise IndexError(f"expected a client from 0 to {len(self) - 1}, found {client}")
        return self.slice(int(self.starts[client]), int(self.starts[client + 1]))

    def items(self) -> Iterator[tuple[str, Data]]:
        """Go through clients and their records."""
        return ((name, self[client]) for client, name in enumerate(self.names))

    @cached_property
    def starts(self) -> Places:
        """Where each client's records begin, and the end of the last one's, shape (k + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    @property
    def caps(self) -> dict[str, int]:
        """The tightest caps that clients could declare; real ones would be rounder."""
        return {name: max(1, size) for name, size in zip(self.names, self.sizes, strict=True)}

    def slice(self, start: int, stop: int) -> Data:
        """Return some records, whosever they are, without copying."""
        return {key: values[start:stop] for key, values in self.data.items()}

    def take(self, places: Places) -> Data:
        """Return copies of some records, whosever they are."""
        return {key: values[places] for key, values in self.data.items()}

    def records_of(self, clients: Places) -> Places:
        """Return the places of some clients' records, in the clients' order."""
        starts, sizes = self.starts[clients], np.asarray(self.sizes)[clients]
        ends = np.cumsum(sizes)
        within: Places = np.arange(sizes.sum()) + np.repeat(starts - (ends - sizes), sizes)
        return within
