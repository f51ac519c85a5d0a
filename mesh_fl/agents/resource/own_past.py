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

RESTING = 20.0
"""Times as long as a replay took, before the next: a table that grows all day is not played again
all day, and what is told at once that cannot be played is told at once again."""

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
        self._rests_until = 0.0
        self._found: Replay | None = None
        self._found_of: OwnQueue | None = None
        self._thread: threading.Thread | None = None

    def told(self, queue: OwnQueue) -> Replay:
        """Return the newest replay; while there is none, one that says why.

        What was saved stands a while after the tables have changed; why nothing could be told of
        them does not.
        """
        if "tickets" not in queue.tables:
            return Replay(POLICY, NO_TICKETS)
        with self._lock:
            if self._is_due(queue):
                self._queue = queue
                self._thread = threading.Thread(target=self._play, args=(queue,), daemon=True)
                self._thread.start()
            found, is_newest = self._found, self._found_of is queue
        if found is None or (found.reason and not is_newest):
            return Replay(POLICY, PLAYING)
        return found

    def wait(self) -> None:
        """Wait until nothing is being played."""
        if self._thread is not None:
            self._thread.join()

    def _is_due(self, queue: OwnQueue) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return False
        is_first = self._queue is None
        return is_first or (queue is not self._queue and self._clock() >= self._rests_until)

    def _play(self, queue: OwnQueue) -> None:
        began = self._clock()
        found = played(queue)
        with self._lock:
            ended = self._clock()
            self._found, self._found_of = found, queue
            self._rests_until = ended + RESTING * (ended - began)


def played(queue: OwnQueue) -> Replay:
    """Play a queue's past again, or say why nothing is claimed."""
    try:
        return replay(
            _newest(queue.tables["tickets"]),
            queue.tables.get("technicians"),
            queue.tables.get("time_entries"),
            policy=POLICY,
            left_out=queue.left_out,
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
