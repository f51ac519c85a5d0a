"""What another order of work would have saved at a member, played again beside its answers."""

import threading
import time
from collections.abc import Callable

import numpy as np

from mesh_fl.agents.resource.own_queue import OwnQueue
from mesh_fl.agents.resource.replay import Replay, replay
from mesh_fl.errors import DataError
from mesh_fl.schema import Table

MOST_TICKETS = 20_000
"""That are played again, those opened last."""

RESTING_S = 3600.0
"""Between two replays: a table that grows all day is not played again all day."""

POLICY = "WSPT"
"""Chosen beforehand; the best of several would flatter."""

NO_TICKETS = "there is no table of tickets whose past could be played again"
PLAYING = "your queue's past is being played again: ask again in a moment"


class OwnPast:
    """Plays a queue's past again in a thread of its own, since that takes seconds.

    Parameters
    ----------
    clock : callable
        Seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: OwnQueue | None = None
        self._began = 0.0
        self._found: Replay | None = None
        self._thread: threading.Thread | None = None

    def told(self, queue: OwnQueue) -> Replay:
        """Return the newest replay; while there is none, one that says why."""
        if "tickets" not in queue.tables:
            return Replay(POLICY, NO_TICKETS)
        with self._lock:
            if self._is_due(queue):
                self._queue, self._began = queue, self._clock()
                self._thread = threading.Thread(target=self._play, args=(queue,), daemon=True)
                self._thread.start()
            return Replay(POLICY, PLAYING) if self._found is None else self._found

    def wait(self) -> None:
        """Wait until nothing is being played."""
        if self._thread is not None:
            self._thread.join()

    def _is_due(self, queue: OwnQueue) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return False
        is_first = self._queue is None
        return is_first or (queue is not self._queue and self._clock() - self._began >= RESTING_S)

    def _play(self, queue: OwnQueue) -> None:
        found = played(queue)
        with self._lock:
            self._found = found


def played(queue: OwnQueue) -> Replay:
    """Play a queue's past again, or say why nothing is claimed."""
    try:
        return replay(
            _newest(queue.tables["tickets"]),
            queue.tables.get("technicians"),
            queue.tables.get("time_entries"),
            policy=POLICY,
            left_out=queue.left_out.get("tickets", 0),
        )
    except DataError as error:
        return Replay(POLICY, str(error))


def _newest(tickets: Table) -> Table:
    opened = tickets["opened_at"].astype(np.float64)
    if len(opened) <= MOST_TICKETS:
        return tickets
    # NaN comes last, so that those of which no time is known are not among the newest.
    rows = np.sort(np.argsort(-opened, kind="stable")[:MOST_TICKETS])
    return {name: column[rows] for name, column in tickets.items()}
