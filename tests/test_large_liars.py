"""A member in front of an operator that lies about a large attempt, and members that lie in one."""

from collections.abc import Collection, Mapping
from typing import TypeVar

import numpy as np
import pytest
from large_network import COHORT, Crowd, Spy, phase_of, silent, totals_of
from small_network import KilledError, Wire, changed

from mesh_fl.messages import (
    Advertise,
    Ask,
    Confirm,
    Confirmed,
    Deal,
    Keys,
    Refusal,
    Reply,
    Reveal,
    Revealing,
    Shares,
    ToMember,
    ToServer,
    decode,
    encode,
)
from mesh_fl.privacy.robust import Revealed
from mesh_fl.privacy.signing import sign
from mesh_fl.round import respond
from mesh_fl.verification import sha256

M = TypeVar("M", Advertise, Deal, Ask, Confirm, Reveal)
ANY = COHORT.names[7]


class Mark:
    """Members in front of the n-th exchange of a phase, that an operator may change as it likes."""

    def __init__(self, kind: type[M], at: int = 1, crowd: Crowd | None = None) -> None:
        self.crowd = crowd or Crowd()
        self.unsent: dict[str, M] = {}
        earlier = self.crowd.wire.before

        def before(wire: Wire, messages: Mapping[str, ToMember]) -> None:
            earlier(wire, messages)
            phase = phase_of(messages)
            if phase == kind.__name__.lower() and self.crowd.counts[phase] == at:
                self.unsent = {n: one for n, one in messages.items() if isinstance(one, kind)}
                raise KilledError

        self.crowd.wire.before = before
        with pytest.raises(KilledError):
            self.crowd.training().run()
        self.crowd.wire.offline.clear()

    def send(self, name: str, message: ToMember) -> ToServer:
        return respond(decode(encode(message)), self.crowd.wire.people[name])

    def refusal(self, name: str, message: ToMember) -> str:
        """Why a member refuses; it is not charged for what it refuses."""
        paid = self.crowd.attempts_paid[name]
        assert isinstance(self.send(name, message), Refusal)
        assert self.crowd.attempts_paid[name] == paid
        return str(self.crowd.homes[name].errors[-1])

    def recalled(self, ask: Ask, **fields: object) -> Ask:
        """An ask with other fields of its call, which the operator signs for."""
        call = changed(ask.call, **fields).signed(self.crowd.cohort.founders.operator)
        return ask.model_copy(update={"call": call})


class TestOrders:
    def test_an_attempt_has_one_set_of_keys(self) -> None:
        mark = Mark(Deal, at=2)
        training = next(iter(mark.unsent.values())).training
        order = Advertise(training=training, step=2, attempt=2)
        told = mark.send(ANY, order)
        assert isinstance(told, Keys)
        assert told.keys == mark.unsent[ANY].keys[ANY]
        for step, attempt in ((1, 2), (3, 2), (2, 1), (1, 1)):
            other = Advertise(training=training, step=step, attempt=attempt)
            assert "expected an attempt after 2" in mark.refusal(ANY, other)
        mark.crowd.wire.restart(ANY)
        again = Advertise(training=training, step=1, attempt=1)
        assert "expected an attempt after 1" in mark.refusal(ANY, again)

    def test_shares_are_dealt_once(self) -> None:
        mark = Mark(Deal)
        order = mark.unsent[ANY]
        first = mark.send(ANY, order)
        assert isinstance(first, Shares)
        assert mark.send(ANY, order) == first
        fewer = {name: keys for name, keys in order.keys.items() if name != COHORT.names[0]}
        other = order.model_copy(update={"keys": fewer})
        assert "takes each step once" in mark.refusal(ANY, other)

    def test_nobody_is_asked_before_it_dealt(self) -> None:
        asks, mark = Mark(Ask).unsent, Mark(Deal)
        ask = mark.recalled(asks[ANY], training=mark.unsent[ANY].training)
        epoch = mark.crowd.wire.people[ANY].resume(ask.call.training).term.charter.digest
        state = mark.crowd.wire.people[ANY].resume(ask.call.training).digest
        ask = mark.recalled(ask, epoch=epoch, model=state)
        assert "another circle" in mark.refusal(ANY, ask)

    @pytest.mark.parametrize("fields", [{"circle": "ab" * 32}, {"attempt": 2}])
    def test_calls_for_another_attempt_are_refused(self, fields: dict[str, object]) -> None:
        mark = Mark(Ask)
        why = mark.refusal(ANY, mark.recalled(mark.unsent[ANY], **fields))
        assert "another circle" in why or "no keys for attempt 2" in why
        assert isinstance(mark.send(ANY, mark.unsent[ANY]), Reply)

    def test_other_dealers_and_shares_are_refused(self) -> None:
        mark = Mark(Ask)
        names = COHORT.names[:3]
        first, second, third = (mark.unsent[name] for name in names)
        rest = tuple(name for name in first.call.cohort if name != next(iter(first.dealt)))
        lies = (
            (mark.recalled(first, cohort=rest), "the server lost some, or cheats"),
            (dealt(second, dict(list(second.dealt.items())[1:])), "lost some, or cheats"),
            (dealt(third, dict.fromkeys(third.dealt, b"none")), "found 0 that open"),
        )
        for name, (lie, why) in zip(names, lies, strict=True):
            assert why in mark.refusal(name, lie)
            # What failed once is over, and stays free of charge.
            assert "takes each step once" in mark.refusal(name, mark.unsent[name])


def dealt(ask: Ask, shares: dict[str, bytes]) -> Ask:
    return ask.model_copy(update={"dealt": shares})


class TestSurvivors:
    def test_members_confirm_one_set_of_survivors(self) -> None:
        mark = Mark(Confirm)
        order = mark.unsent[ANY]
        fewer = order.model_copy(update={"survivors": order.survivors[1:]})
        assert isinstance(mark.send(ANY, order), Confirmed)
        assert mark.send(ANY, order) == mark.send(ANY, order)
        assert "either share of a member, never both" in mark.refusal(ANY, fewer)
        name = COHORT.names[0]
        assert "left us out" in mark.refusal(name, fewer)
        name = COHORT.names[1]
        short = order.model_copy(update={"survivors": COHORT.names[:13]})
        assert "at least 14 members, found 13" in mark.refusal(name, short)

    def test_nothing_is_revealed_before_that(self) -> None:
        mark = Mark(Confirm)
        order = mark.unsent[ANY]
        reveal = Reveal(training=order.training, attempt=1, confirmations={})
        assert "confirm survivors before" in mark.refusal(ANY, reveal)

    def test_forged_confirmations_do_not_count(self) -> None:
        mark = Mark(Reveal)
        order = mark.unsent[ANY]
        good = dict(list(order.confirmations.items())[:13])
        rest = [name for name in order.confirmations if name not in good]
        founders = COHORT.founders
        forged = {name: sign(founders.operator, "survivors", "ab" * 32) for name in rest}
        for told in (good, good | forged, good | dict.fromkeys(rest, good[COHORT.names[0]])):
            lie = order.model_copy(update={"confirmations": told})
            assert "expected 14 members to confirm the same survivors, found 13" in mark.refusal(
                ANY, lie
            )
        assert isinstance(mark.send(ANY, order), Revealing)


def test_wrong_shares_are_got_over(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(drop=silent("ask", absent=2))
    spy = Spy(monkeypatch, crowd)

    def change(name: str, answer: ToServer) -> ToServer | None:
        if name != ANY or not isinstance(answer, Revealing):
            return spy.note(name, answer)
        seeds = dict.fromkeys(answer.revealed.seeds, bytes(32))
        keys = dict.fromkeys(answer.revealed.keys, bytes(32))
        return Revealing(revealed=Revealed(seeds=seeds, keys=keys))

    crowd.wire.change = change
    training = crowd.finished()
    assert training.checkpoint.attempt == 2
    for step, pending in crowd.pendings().items():
        np.testing.assert_array_equal(totals_of(training)[step], spy.sum_of(pending))


class TestRecount:
    """Of a sum of which some dropped out, with two dead attempts in between."""

    def mark(self) -> Mark:
        def drop(phase: str, count: int, names: Collection[str]) -> Collection[str]:
            absent = {("ask", 1): 2, ("deal", 2): 11, ("deal", 3): 11}.get((phase, count), 0)
            return sorted(names)[:absent]

        mark = Mark(Ask, at=2, crowd=Crowd(drop=drop))
        asks = mark.unsent.values()
        assert {(ask.call.attempt, ask.pending and ask.pending.call.attempt) for ask in asks} == {
            (4, 1)
        }
        return mark

    def turn(self, mark: Mark) -> tuple[str, Ask]:
        name = next(name for name, ask in mark.unsent.items() if ask.recount)
        return name, mark.unsent[name]

    def test_it_adds_up(self) -> None:
        mark = self.mark()
        name, ask = self.turn(mark)
        assert len(ask.recount) == 22
        assert isinstance(mark.send(name, ask), Reply)

    def test_lies_are_refused(self) -> None:
        mark = self.mark()
        name, ask = self.turn(mark)
        one, two, *rest = ask.recount
        lost = next(n for n in ask.revealed if ask.revealed[n].keys)
        keys = {n: k for n, k in ask.advertised.items() if n != lost}
        for fields, why in (
            ({"recount": (two, one, *rest)}, "another contribution"),
            ({"recount": ()}, "0 came along"),
            ({"revealed": {}}, "found fewer for"),
            ({"advertised": keys}, "not those of the attempt"),
            ({"advertised": {}}, "found 0"),
        ):
            assert why in mark.refusal(name, ask.model_copy(update=fields))

    def test_a_sum_with_other_masks_taken_off_opens_for_nobody(self) -> None:
        mark = self.mark()
        _, ask = self.turn(mark)
        shift = np.arange(1, 1 + len(ask.recount[0]) // 8)
        for name in (ANY, self.turn(mark)[0]):
            assert "masks do not cancel" in mark.refusal(name, self.shifted(mark, name, shift))

    def test_a_sum_with_something_added_is_found_by_whose_turn_it_is(self) -> None:
        mark = self.mark()
        name, ask = self.turn(mark)
        shift = np.zeros(len(ask.recount[0]) // 8, dtype=np.int64)
        shift[0] = 1
        assert isinstance(mark.send(ANY, self.shifted(mark, ANY, shift)), Reply)
        why = mark.refusal(name, self.shifted(mark, name, shift))
        assert why == "the operator's sum is not the sum of what the members sealed"

    def shifted(self, mark: Mark, name: str, shift: np.ndarray) -> Ask:
        ask = mark.unsent[name]
        assert ask.pending is not None
        encrypted = (np.frombuffer(ask.pending.encrypted, "<i8") + shift).astype("<i8").tobytes()
        pending = ask.pending.model_copy(update={"encrypted": encrypted})
        return mark.recalled(ask.model_copy(update={"pending": pending}), pending=sha256(encrypted))
