"""Answers leave at whole periods, whatever they took."""

import threading
import time

import pytest

from mesh_fl.client.pace import paced
from mesh_fl.messages import Convene, Refusal

ASK = Convene(training="0" * 32, epoch=1)
ANSWER = Refusal(cause="order", lasting=False)
PERIOD_S = 0.2


def taken_s(works_s: float, period_s: float = PERIOD_S) -> float:
    def answer(message: object) -> Refusal:
        time.sleep(works_s)
        return ANSWER

    began = time.monotonic()
    assert paced(answer, period_s, threading.Event())(ASK) is ANSWER
    return time.monotonic() - began


@pytest.mark.parametrize(("works_s", "periods"), [(0, 1), (0.1, 1), (0.25, 2)])
def test_an_answer_never_leaves_before_its_period_is_over(works_s, periods):
    assert taken_s(works_s) >= periods * PERIOD_S


def test_short_and_shorter_work_cannot_be_told_apart():
    # Both wait for the same moment: without the pace the second would be there at once.
    assert min(taken_s(0), taken_s(0.05)) >= PERIOD_S


def test_without_a_period_answers_leave_at_once():
    assert taken_s(0, period_s=0) < PERIOD_S


def test_a_stopping_client_does_not_wait():
    stopped = threading.Event()
    stopped.set()
    began = time.monotonic()
    assert paced(lambda message: ANSWER, 30, stopped)(ASK) is ANSWER
    assert time.monotonic() - began < 10
