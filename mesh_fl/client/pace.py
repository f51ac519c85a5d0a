"""When answers leave: at fixed times, so that how long one took says little about our records."""

import math
import threading
import time
from collections.abc import Callable

from mesh_fl.messages import ToMember, ToServer


def paced(
    answer: Callable[[ToMember], ToServer], period_s: float, stopped: threading.Event
) -> Callable[[ToMember], ToServer]:
    """Return an answering function whose answers leave a whole number of periods after the ask.

    Parameters
    ----------
    answer : callable
        What computes the answers.
    period_s : float
        Seconds; 0 to answer at once.
    stopped : threading.Event
        Ends the waiting.

    Notes
    -----
    An observer of the network learns the number of periods, not more. Answers that take longer than
    a period show to which multiple of it: choose a period that all members' answers fit into.
    """

    def answered(message: ToMember) -> ToServer:
        began = time.monotonic()
        reply = answer(message)
        if period_s > 0:
            taken = (time.monotonic() - began) / period_s
            stopped.wait((math.floor(taken) + 1 - taken) * period_s)
        return reply

    return answered
