"""Sums by many processes: Flower's simulation runtime, whose virtual nodes are actors of Ray.

For agents that take long over their rows. A virtual node adds up what a range of clients makes,
since a message costs more than most clients do. Integers add up the same however they are
grouped, so a plan's totals are those of one process; plain sums of floats differ in the last bits.
"""

import importlib.util
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray warns of this default otherwise; processes see the accelerators that this one sees.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    ConfigRecordValues,
    Context,
    Message,
    MessageType,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from numpy.typing import NDArray

from mesh_fl import errors
from mesh_fl.agent import Agent, State
from mesh_fl.errors import ConfigError, MeshError, NetworkError
from mesh_fl.privacy.plan import Kind
from mesh_fl.simulate.shard_files import store, stored
from mesh_fl.simulate.shards import Places, Shards
from mesh_fl.simulate.sums import Integers, LocalSums, Vector

T = TypeVar("T")

POLL_S = 0.005
"""Between two looks at what came back; Flower's own looks are 0.1 s apart."""

LONGEST_FOLDER = 40
"""Characters: the names of Ray's sockets begin with its folder, and may have 107."""


def on_ray(
    agent: Agent, shards: Shards, work: Callable[["RaySums"], T], *, nodes: int | None = None
) -> T:
    """Start Ray, have some work done with sums by its processes, and end all of them.

    Starting and ending take seconds, so do all work of the same clients at once, such as
    ``on_ray(agent, shards, lambda sums: simulate(agent, plan, shards, sums=sums))``. Where
    ``RAY_ADDRESS`` names a running cluster, that is used; its machines need this package and the
    agent's, and a folder for temporary files (``TMPDIR``) that they share.

    Parameters
    ----------
    agent : Agent
        Importable, or small enough to be sent along with every message.
    shards : Shards
        Written to temporary files, which the processes map into memory.
    work : callable
        Runs in a thread; what it returns or raises comes back.
    nodes : int, optional
        Ranges that clients are divided into, and processes unless a cluster is there; by default
        the processors of this machine.

    Raises
    ------
    ConfigError
        If Ray is not installed, or does not start.
    DataError
        If an array holds objects rather than values.
    NetworkError
        If a process of Ray ends before it has answered.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            "the engine ray needs packages that are not installed: pip install 'mesh_fl[ray]'"
        )
    nodes = min(len(shards), len(os.sched_getaffinity(0)) if nodes is None else nodes)
    if nodes < 1:
        raise ConfigError(f"nodes: expected at least 1, found {nodes}")
    outcome: _Outcome[T] = _Outcome()
    with _folders() as (folder, ray_folder), _untouched():
        store(shards, folder)
        server = _server_app(shards, work, nodes, outcome)
        try:
            run_simulation(
                server, client_app(agent, folder), nodes, backend_config=_backend(nodes, ray_folder)
            )
        except RuntimeError as error:
            if outcome.failure is None:
                raise ConfigError(f"Ray does not run: {error.__cause__}") from error
        finally:
            outcome.over.set()
    return outcome.result()


@dataclass
class RaySums:
    """Adds up by messages to virtual nodes.

    Parameters
    ----------
    grid : Grid
        Of a running simulation.
    nodes : tuple of int
        Where to send.
    shards : Shards
        As the nodes know them.
    over : Event
        Set when no answer can come any more.
    """

    grid: Grid
    nodes: tuple[int, ...]
    shards: Shards
    over: threading.Event

    def integers(self, kind: Kind, state: State, clients: Places) -> Integers:
        """Return the exact sum of clipped, scaled, rounded rows."""
        parts = self._parts("integers", kind, state, clients)
        return np.asarray(np.sum(parts, axis=0), np.int64)

    def floats(self, kind: Kind, state: State, clients: Places) -> Vector:
        """Return the plain sum of rows as they are, the same again for as many nodes."""
        parts = self._parts("floats", kind, state, clients)
        return np.asarray(np.sum(parts, axis=0), np.float64)

    def _parts(
        self, sums: str, kind: Kind, state: State, clients: Places
    ) -> list[NDArray[np.generic]]:
        ranges = _ranges(clients, self.shards, len(self.nodes))
        asks = [
            Message(_ask(sums, kind, state, part), node, MessageType.QUERY)
            for node, part in zip(self.nodes, ranges, strict=False)
        ]
        awaited = [str(one) for one in self.grid.push_messages(asks)]
        replies: dict[str, Message] = {}
        while len(replies) < len(awaited):
            if self.over.is_set():
                raise NetworkError("Ray ended before all of its processes had answered")
            for reply in self.grid.pull_messages(set(awaited) - replies.keys()):
                replies[reply.metadata.reply_to_message_id] = reply
            time.sleep(POLL_S)
        # In the order of the clients, whoever was faster: sums of floats depend on it.
        return [_told(replies[one]) for one in awaited]


def client_app(agent: Agent, folder: Path) -> ClientApp:
    """Return what a virtual node runs: it adds up the clients that a message names."""
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        try:
            total = _add_up(LocalSums(agent, stored(folder)), message.content)
        except MeshError as error:
            told = ConfigRecord({"error": type(error).__name__, "told": str(error)})
            return Message(RecordDict({"failed": told}), reply_to=message)
        return Message(RecordDict({"total": ArrayRecord([total])}), reply_to=message)

    return app


@dataclass
class _Outcome(Generic[T]):
    """What the work in the other thread came to."""

    over: threading.Event = field(default_factory=threading.Event)
    value: list[T] = field(default_factory=list)
    failure: BaseException | None = None

    def result(self) -> T:
        if self.failure is not None:
            raise self.failure
        if not self.value:
            raise NetworkError("Ray ended before the work was done: try again")
        return self.value[0]


def _server_app(
    shards: Shards, work: Callable[[RaySums], T], nodes: int, outcome: _Outcome[T]
) -> ServerApp:
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            found = _await_nodes(grid, nodes, outcome.over)
            outcome.value.append(work(RaySums(grid, found, shards, outcome.over)))
        except BaseException as error:
            # Flower would print it and raise another: it is raised where `on_ray` was called.
            outcome.failure = error

    return app


def _await_nodes(grid: Grid, count: int, over: threading.Event) -> tuple[int, ...]:
    """Return the nodes; Flower makes them while the server is already running."""
    while len(found := tuple(sorted(grid.get_node_ids()))) < count:
        if over.is_set():
            raise NetworkError("Ray ended before its nodes were there")
        time.sleep(POLL_S)
    return found


def _ask(sums: str, kind: Kind, state: State, clients: Places) -> RecordDict:
    arrays = {name: Array(np.asarray(value)) for name, value in state.items()}
    return RecordDict(
        {
            "what": ConfigRecord({"sums": sums, "kind": kind}),
            "state": ArrayRecord(arrays),
            "clients": ArrayRecord([clients]),
        }
    )


def _add_up(sums: LocalSums, asked: RecordDict) -> NDArray[np.generic]:
    what = asked.config_records["what"]
    state = {name: array.numpy() for name, array in asked.array_records["state"].items()}
    (clients,) = asked.array_records["clients"].to_numpy_ndarrays()
    kind: Kind = "train" if what["kind"] == "train" else "measure"
    add = sums.integers if what["sums"] == "integers" else sums.floats
    return add(kind, state, clients)


def _told(reply: Message) -> NDArray[np.generic]:
    """Return a node's sum, or raise what it raised."""
    if reply.has_error():
        raise NetworkError(f"a process of Ray ended: {reply.error.reason}")
    if "failed" in reply.content:
        failed = reply.content.config_records["failed"]
        raise getattr(errors, str(failed["error"]))(failed["told"])
    (total,) = reply.content.array_records["total"].to_numpy_ndarrays()
    return total


def _ranges(clients: Places, shards: Shards, nodes: int) -> Sequence[Places]:
    """Divide clients into ranges of about as many records each, all of them with clients."""
    ends = np.cumsum(np.asarray(shards.sizes)[clients] + 1)
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, nodes) / nodes)
    return [part for part in np.split(clients, cuts) if len(part)]


def _backend(nodes: int, ray_folder: Path) -> dict[str, dict[str, ConfigRecordValues]]:
    init: dict[str, ConfigRecordValues] = {"logging_level": "error", "log_to_driver": False}
    if "RAY_ADDRESS" not in os.environ:
        init |= {"num_cpus": nodes, "include_dashboard": False, "_temp_dir": str(ray_folder)}
    return {"init_args": init, "client_resources": {"num_cpus": 1, "num_gpus": 0.0}}


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    """Make folders for records and for Ray, and remove them in the end."""
    short = len(tempfile.gettempdir()) <= LONGEST_FOLDER
    with (
        tempfile.TemporaryDirectory(prefix="mesh-") as folder,
        tempfile.TemporaryDirectory(
            prefix="ray-",
            dir=None if short else "/tmp",  # noqa: S108
            ignore_cleanup_errors=True,
        ) as ray_folder,
    ):
        yield Path(folder), Path(ray_folder)


@contextmanager
def _untouched() -> Iterator[None]:
    """Keep Flower from talking, and put back what it and Ray change in the environment."""
    before, logger = dict(os.environ), logging.getLogger("flwr")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
