import dataclasses
import errno
import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.errors import BudgetError, ConfigError, LedgerError
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.ledger import Charge, Ledger, RecordSet
from mesh_fl.privacy.plan import Policy, budget_of
from mesh_fl.store import Blobs, FileJournal, Folder, MemoryJournal

KEY = b"k" * 32
POLICY = Policy()
TINY = POLICY.budget / 1000


class Home:
    """A ledger in memory that can be opened again, by anybody, with other bytes."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.journal, self.blobs = MemoryJournal(), dict[str, bytes]()
        self.ledger = self.open(policy)

    def open(self, policy: Policy = POLICY, key: bytes = KEY) -> Ledger:
        return Ledger(self.journal, self.blobs, key, policy)

    def charge(self, step: int, **fields: object) -> bool:
        records = self.ledger.records("customers", ["a", "b"])
        return self.ledger.charge(charge_of(records, step, **fields), records)

    @property
    def lines(self) -> list[bytes]:
        return self.journal.read().split(b"\n")[:-1]

    def reopened_with(self, lines: list[bytes]) -> Ledger:
        return self.reopened_as(b"".join(line + b"\n" for line in lines))

    def reopened_as(self, text: bytes) -> Ledger:
        journal = MemoryJournal()
        journal._lines += text
        return Ledger(journal, dict(self.blobs), KEY, POLICY)


def charge_of(records: RecordSet, step: int, **fields: object) -> Charge:
    charge = Charge("t1", "health", "p1", step, step, f"ask {step}", records.digest, TINY)
    return dataclasses.replace(charge, **fields)  # type: ignore[arg-type]


@pytest.fixture
def home() -> Home:
    home = Home()
    for step in (1, 2, 3):
        assert home.charge(step)
    return home


class TestSpending:
    def test_composition_adds_squared_mu(self, home: Home) -> None:
        records = home.ledger.records("customers", ["a", "b"])
        assert home.ledger.spent(records) == pytest.approx(3 * TINY, rel=1e-12)
        expected = epsilon_of(math.sqrt(3 * TINY), POLICY.delta)
        assert home.ledger.epsilon_spent(records) == pytest.approx(expected, rel=1e-12)
        assert home.ledger.most_spent == home.ledger.epsilon_spent(records)

    def test_nothing_spent_is_epsilon_zero(self) -> None:
        fresh = Home().ledger
        assert fresh.epsilon_spent(fresh.records("customers", ["a"])) == 0.0
        assert fresh.most_spent == 0.0

    def test_the_whole_budget_can_be_spent_and_nothing_more(self) -> None:
        home = Home()
        for step in range(1, 65):
            assert home.charge(step, cost=POLICY.budget / 64)
        text = home.journal.read()
        with pytest.raises(BudgetError, match="only records that are new"):
            home.charge(65, cost=POLICY.budget / 1e6)
        assert home.journal.read() == text
        assert 0.0998 < home.open().most_spent <= 0.1

    def test_one_release_beyond_the_budget_is_refused_whole(self) -> None:
        home = Home()
        with pytest.raises(BudgetError, match=r"epsilon = 0\.1\d+.*lifetime budget is 0\.1"):
            home.charge(1, cost=POLICY.budget * 1.01)
        assert home.ledger.charges == ()

    def test_spending_survives_a_restart(self, home: Home) -> None:
        again = home.open()
        assert again.charges == home.ledger.charges
        assert again.head == home.ledger.head
        assert again.spent(again.records("customers", ["b"])) == pytest.approx(3 * TINY)

    def test_trainings_agents_and_plans_share_one_budget(self) -> None:
        home = Home()
        half = POLICY.budget * 0.5
        assert home.charge(1, cost=half)
        assert home.charge(1, cost=half, training="t2", agent="tickets", plan="p2")
        with pytest.raises(BudgetError):
            home.charge(1, cost=TINY, training="t3")


class TestReplays:
    def test_the_same_attempt_again_is_free(self, home: Home) -> None:
        text = home.journal.read()
        assert home.charge(3) is False
        assert home.journal.read() == text
        home.ledger = home.open()
        assert home.charge(3) is False
        assert len(home.ledger.charges) == 3

    @pytest.mark.parametrize(
        ("step", "attempt"), [(1, 1), (2, 2), (2, 3), (3, 2), (2, 9), (1, 10**6)]
    )
    def test_an_older_step_or_attempt_is_refused(self, home: Home, step: int, attempt: int) -> None:
        with pytest.raises(LedgerError, match="replay"):
            home.charge(step, attempt=attempt)
        assert len(home.open().charges) == 3

    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_a_later_step_needs_a_later_attempt(self, home: Home, attempt: int) -> None:
        with pytest.raises(LedgerError, match="replay"):
            home.charge(4, attempt=attempt)
        assert home.charge(4, attempt=4)

    @pytest.mark.parametrize(
        "other", [{"ask": "x"}, {"plan": "x"}, {"cost": TINY / 2}, {"agent": "x"}], ids=str
    )
    def test_the_same_attempt_for_something_else_is_refused(
        self, home: Home, other: dict[str, object]
    ) -> None:
        with pytest.raises(LedgerError, match="one attempt may stand for one ask only"):
            home.charge(3, **other)

    def test_the_same_attempt_over_other_records_is_refused(self, home: Home) -> None:
        records = home.ledger.records("customers", ["c"])
        with pytest.raises(LedgerError, match="another ask"):
            home.ledger.charge(charge_of(records, 3), records)

    def test_a_charge_has_to_name_the_records_that_pay(self, home: Home) -> None:
        records = home.ledger.records("customers", ["c"])
        other = home.ledger.records("customers", ["d"])
        with pytest.raises(LedgerError, match="another record set"):
            home.ledger.charge(charge_of(records, 4), other)

    def test_another_training_counts_from_one(self, home: Home) -> None:
        assert home.charge(1, training="t2")
        assert home.charge(4)
        assert home.ledger.last("t2") == home.ledger.charges[3]
        assert home.ledger.last("t3") is None


class TestFreeRides:
    @pytest.mark.parametrize("cost", [0.0, -TINY, math.nan])
    def test_a_charge_costs_something(self, home: Home, cost: float) -> None:
        with pytest.raises(LedgerError, match="needs a cost"):
            home.charge(4, cost=cost)
        assert len(home.open().charges) == 3

    def test_a_ledger_to_look_at_cannot_be_charged(self, home: Home) -> None:
        text, blobs = home.journal.read(), dict(home.blobs)
        looked_at = Ledger(home.journal, home.blobs, KEY, POLICY, writable=False)
        records = looked_at.records("customers", ["a", "b"])
        assert looked_at.spent(records) == pytest.approx(3 * TINY)
        with pytest.raises(LedgerError, match="opened for writing"):
            looked_at.charge(charge_of(records, 4), records)
        assert (home.journal.read(), home.blobs) == (text, blobs)
        empty = MemoryJournal()
        Ledger(empty, {}, KEY, POLICY, writable=False)
        assert empty.read() == b""


class TestDamage:
    @settings(max_examples=250, deadline=None)
    @given(data=st.data())
    def test_every_edit_of_a_byte_is_noticed(self, data: st.DataObject) -> None:
        home = SEALED
        text = bytearray(home.journal.read())
        place = data.draw(st.integers(0, len(text) - 1))
        byte = data.draw(st.integers(0, 255).filter(lambda b: b != text[place]))
        text[place] = byte
        with pytest.raises(LedgerError, match=r"altered|cut short"):
            home.reopened_as(bytes(text))

    @pytest.mark.parametrize("byte", b' \t\r\n,0"}\xff')
    def test_no_position_tolerates_a_likely_byte(self, byte: int) -> None:
        """White space, digits and delimiters may leave JSON valid, at any position of a line."""
        text = SEALED.journal.read()
        start = text.index(b"\n") + 1
        for place in range(start, text.index(b"\n", start) + 1):
            edited = text[:place] + bytes([byte]) + text[place + 1 :]
            if edited != text:
                with pytest.raises(LedgerError):
                    SEALED.reopened_as(edited)

    @settings(max_examples=100, deadline=None)
    @given(data=st.data())
    def test_inserted_and_removed_bytes_are_noticed(self, data: st.DataObject) -> None:
        text = SEALED.journal.read()
        start = data.draw(st.integers(0, len(text) - 1))
        stop = data.draw(st.integers(start, min(len(text), start + 3)))
        inserted = data.draw(st.sampled_from([b" ", b"\n", b"0", b"\\u0061", b"{}"]))
        edited = text[:start] + inserted + text[stop:]
        if edited != text:
            with pytest.raises(LedgerError):
                SEALED.reopened_as(edited)

    @pytest.mark.parametrize("deleted", range(4))
    def test_a_deleted_line_is_noticed(self, home: Home, deleted: int) -> None:
        lines = home.lines
        assert len(lines) == 4
        with pytest.raises(LedgerError):
            home.reopened_with(lines[:deleted] + lines[deleted + 1 :])

    @pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2), (0, 1, 1, 2, 3)])
    def test_reordered_and_doubled_lines_are_noticed(
        self, home: Home, order: tuple[int, ...]
    ) -> None:
        with pytest.raises(LedgerError, match="altered"):
            home.reopened_with([home.lines[k] for k in order])

    def test_a_line_said_again_at_the_end_is_noticed(self, home: Home) -> None:
        with pytest.raises(LedgerError, match="line 5 of the ledger was altered"):
            home.reopened_with([*home.lines, home.lines[-1]])

    def test_a_deleted_last_line_is_noticed_by_the_head(self, home: Home) -> None:
        with pytest.raises(LedgerError, match="ends after 3 lines, but a later line was written"):
            home.reopened_with(home.lines[:-1])

    def test_a_lost_head_is_noticed(self, home: Home) -> None:
        """Or cutting the ledger short would take no more than deleting two things."""
        del home.blobs["head"]
        with pytest.raises(LedgerError, match="cut short"):
            home.open()

    def test_an_empty_or_absent_ledger_is_noticed_by_the_head(self, home: Home) -> None:
        with pytest.raises(LedgerError, match="ends after 0 lines"):
            home.reopened_as(b"")

    def test_lines_of_another_home_are_noticed(self, home: Home) -> None:
        """Both are sealed by one key, so only the chain tells them apart."""
        other = Home()
        other.charge(1, training="t9")
        with pytest.raises(LedgerError):
            home.reopened_with([*home.lines, other.lines[-1]])

    def test_a_wrong_key_is_noticed(self, home: Home) -> None:
        with pytest.raises(LedgerError, match="line 1"):
            home.open(key=b"x" * 32)

    @pytest.mark.parametrize(
        "line", [b"", b"null", b"[]", b"3", b'{"link": 3}', b'{"link": "\xc3\xa9", "previous": ""}']
    )
    def test_lines_that_are_no_lines_are_refused(self, home: Home, line: bytes) -> None:
        with pytest.raises(LedgerError, match="line 5"):
            home.reopened_with([*home.lines, line])

    @pytest.mark.parametrize("damage", [None, b"", b"12345678", "longer"])
    def test_a_missing_or_altered_record_set_is_refused(
        self, home: Home, damage: bytes | str | None
    ) -> None:
        digest = home.ledger.charges[0].records
        if damage is None:
            del home.blobs[digest]
        else:
            whole = home.blobs[digest]
            home.blobs[digest] = damage if isinstance(damage, bytes) else whole + whole[:8]
        again = home.open()
        with pytest.raises(LedgerError, match=r"record set .* is missing or altered"):
            again.spent(again.records("customers", ["z"]))

    def test_secrets_stay_out_of_the_lines(self, home: Home) -> None:
        assert KEY not in home.journal.read()
        assert KEY.hex().encode() not in home.journal.read()
        assert b"customers" not in home.journal.read() + b"".join(home.blobs.values())


SEALED = Home()
for _step in (1, 2):
    SEALED.charge(_step)


class TestCrashes:
    def test_a_line_without_its_head_is_accepted(self, home: Home) -> None:
        """The journal is written first: a crash in between leaves the head one behind."""
        behind = home.blobs["head"]
        home.charge(4)
        home.blobs["head"] = behind
        again = home.open()
        assert len(again.charges) == 4
        records = again.records("customers", ["a", "b"])
        assert again.charge(charge_of(records, 4), records) is False

    def test_two_lines_without_a_head_are_not(self, home: Home) -> None:
        behind = home.blobs["head"]
        home.charge(4)
        home.charge(5)
        home.blobs["head"] = behind
        with pytest.raises(LedgerError, match="cut short or replaced"):
            home.open()

    def test_a_crash_in_every_charge_locks_nobody_out(self) -> None:
        home = Home()
        for step in range(1, 6):
            home.journal = DyingJournal(home.journal)
            home.ledger = home.open()
            with pytest.raises(InterruptedError):
                home.charge(step)
            assert len(home.open().charges) == step

    def test_a_torn_last_line_is_dropped(self, tmp_path: Path) -> None:
        folder, journal = Folder(tmp_path / "blobs"), FileJournal(tmp_path / "ledger")
        ledger = Ledger(journal, folder, KEY, POLICY)
        records = ledger.records("customers", ["a"])
        ledger.charge(charge_of(records, 1), records)
        whole = (tmp_path / "ledger").read_bytes()
        line = whole.split(b"\n")[1]
        for torn in (line[:1], line[: len(line) // 2], line):
            (tmp_path / "ledger").write_bytes(whole + torn)
            again = Ledger(FileJournal(tmp_path / "ledger"), folder, KEY, POLICY)
            assert len(again.charges) == 1
        again.charge(charge_of(records, 2), records)
        assert len(Ledger(journal, folder, KEY, POLICY).charges) == 2

    def test_the_file_is_deleted_while_the_head_is_there(self, tmp_path: Path) -> None:
        folder = Folder(tmp_path / "blobs")
        Ledger(FileJournal(tmp_path / "ledger"), folder, KEY, POLICY)
        (tmp_path / "ledger").unlink()
        with pytest.raises(LedgerError, match="ends after 0 lines"):
            Ledger(FileJournal(tmp_path / "ledger"), folder, KEY, POLICY)

    def test_files_are_private(self, tmp_path: Path) -> None:
        folder = Folder(tmp_path / "blobs")
        ledger = Ledger(FileJournal(tmp_path / "ledger"), folder, KEY, POLICY)
        records = ledger.records("customers", ["a"])
        ledger.charge(charge_of(records, 1), records)
        files = [tmp_path / "ledger", *(tmp_path / "blobs").iterdir()]
        assert len(files) == 3
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


class DyingJournal(MemoryJournal):
    """Its process dies right after a line became durable."""

    def __init__(self, before: MemoryJournal) -> None:
        self._lines = before._lines

    def append(self, line: bytes) -> None:
        super().append(line)
        raise InterruptedError


class TestFullDisk:
    @pytest.mark.parametrize("restarted", [False, True])
    @pytest.mark.parametrize("room_bytes", [0, 20])
    @pytest.mark.parametrize(("nth", "charged"), [(1, False), (2, False), (3, True)])
    def test_nothing_is_lost_at_any_write(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        nth: int,
        charged: bool,
        room_bytes: int,
        restarted: bool,
    ) -> None:
        """Record set, line and head are written in this order; the line is what counts."""
        ledger = Ledger(FileJournal(tmp_path / "ledger"), Folder(tmp_path / "b"), KEY, POLICY)
        first = ledger.records("customers", ["a"])
        ledger.charge(charge_of(first, 1), first)
        records = ledger.records("customers", ["a", "b"])
        with monkeypatch.context() as full:
            full.setattr(os, "write", full_from(nth, room_bytes))
            with pytest.raises(ConfigError, match=r"No space left.*nothing was lost"):
                ledger.charge(charge_of(records, 2), records)
        if restarted:
            ledger = Ledger(FileJournal(tmp_path / "ledger"), Folder(tmp_path / "b"), KEY, POLICY)
        assert [charge.step for charge in ledger.charges] == ([1, 2] if charged else [1])
        assert ledger.charge(charge_of(records, 2), records) is not charged
        final = Ledger(FileJournal(tmp_path / "ledger"), Folder(tmp_path / "b"), KEY, POLICY)
        assert [charge.step for charge in final.charges] == [1, 2]
        assert final.spent(records) == pytest.approx(2 * TINY)
        assert not list((tmp_path / "b").glob(".*"))

    def test_a_disk_that_stays_full_locks_nobody_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Appending to a journal may succeed where a new file for the head does not."""
        ledger = Ledger(FileJournal(tmp_path / "ledger"), Folder(tmp_path / "b"), KEY, POLICY)
        records = ledger.records("customers", ["a"])
        ledger.charge(charge_of(records, 1), records)
        with monkeypatch.context() as full:
            full.setattr(os, "write", full_from(2, 0))
            for step in (2, 3, 4):
                with pytest.raises(ConfigError, match="No space left"):
                    ledger.charge(charge_of(records, step), records)
        assert ledger.charge(charge_of(records, 5), records)
        final = Ledger(FileJournal(tmp_path / "ledger"), Folder(tmp_path / "b"), KEY, POLICY)
        assert [charge.step for charge in final.charges] == [1, 2, 5]
        assert final.charges == ledger.charges


def full_from(nth: int, room: int) -> Callable[[int, memoryview], int]:
    """os.write, with a disk that is full from the n-th call on but for a few bytes."""
    calls = 0
    write = os.write

    def limited(file: int, blob: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls < nth:
            return write(file, blob)
        if calls == nth and room:
            return write(file, bytes(blob)[:room])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return limited


class TestPolicy:
    @pytest.mark.parametrize(
        "laxer", [{"epsilon": 0.11}, {"delta": 2e-5}, {"survivors": 3}, {"colluders": 0}], ids=str
    )
    def test_a_laxer_policy_is_refused(self, home: Home, laxer: dict[str, float]) -> None:
        with pytest.raises(LedgerError, match="cannot be weakened; set it back"):
            home.open(POLICY.model_copy(update=laxer))

    @pytest.mark.parametrize(
        "stricter",
        [{"epsilon": 0.09}, {"delta": 1e-6}, {"survivors": 5}, {"colluders": 2}],
        ids=str,
    )
    def test_a_stricter_policy_is_kept_to(self, home: Home, stricter: dict[str, float]) -> None:
        policy = POLICY.model_copy(update=stricter)
        again = home.open(policy)
        assert again.policy == policy
        assert again.policy.budget <= POLICY.budget
        assert home.open().charges == again.charges

    def test_a_stricter_budget_counts_what_was_spent_before(self) -> None:
        home = Home()
        home.charge(1, cost=budget_of(0.06, 1e-5))
        home.ledger = home.open(Policy(epsilon=0.06))
        with pytest.raises(BudgetError):
            home.charge(2, cost=TINY)


class TestRecordSets:
    def test_disjoint_sets_pay_for_themselves(self, home: Home) -> None:
        others = home.ledger.records("customers", ["c", "d"])
        assert home.ledger.spent(others) == 0.0
        assert home.ledger.affords(others, POLICY.budget)
        assert not home.ledger.affords(home.ledger.records("customers", ["c", "a"]), POLICY.budget)

    def test_the_same_id_in_another_table_is_another_record(self, home: Home) -> None:
        assert home.ledger.spent(home.ledger.records("tickets", ["a", "b"])) == 0.0

    def test_table_and_id_cannot_be_confused(self) -> None:
        ledger = Home().ledger
        assert ledger.records("a", ["b"]).digest != ledger.records("ab", [""]).digest
        assert ledger.records("", ["ab"]).digest != ledger.records("a", ["b"]).digest

    def test_order_and_repetition_do_not_matter(self) -> None:
        ledger = Home().ledger
        assert ledger.records("t", ["b", "a", "b"]).digest == ledger.records("t", ["a", "b"]).digest
        assert len(ledger.records("t", ["b", "a", "b"])) == 2

    def test_hashes_depend_on_the_key(self) -> None:
        mine = Home().ledger.records("t", ["a"])
        theirs = Ledger(MemoryJournal(), {}, b"z" * 32, POLICY).records("t", ["a"])
        assert mine.digest != theirs.digest

    def test_no_records_spend_nothing(self, home: Home) -> None:
        nobody = home.ledger.records("customers", [])
        assert len(nobody) == 0
        assert home.ledger.spent(nobody) == 0.0
        assert home.ledger.charge(charge_of(nobody, 4), nobody)
        assert home.open().spent(home.ledger.records("customers", ["a"])) == pytest.approx(3 * TINY)

    @settings(max_examples=60, deadline=None)
    @given(
        sets=st.lists(
            st.tuples(
                st.sampled_from(["customers", "tickets"]),
                st.sets(st.sampled_from("abcdefgh"), min_size=1),
                st.integers(1, 400),
            ),
            max_size=12,
        )
    )
    def test_overlaps_inherit_exactly_what_each_record_spent(
        self, sets: list[tuple[str, set[str], int]]
    ) -> None:
        """Against a dictionary of single records, refusals included, also after a restart."""
        home = Home()
        spent: dict[tuple[str, str], float] = {}
        for step, (table, ids, share) in enumerate(sets, start=1):
            cost = POLICY.budget * share / 1000
            records = home.ledger.records(table, sorted(ids))
            worst = max(spent.get((table, one), 0.0) for one in ids)
            assert home.ledger.spent(records) == pytest.approx(worst, rel=1e-9)
            if worst + cost > POLICY.budget * (1 + 1e-9):
                with pytest.raises(BudgetError):
                    home.ledger.charge(charge_of(records, step, cost=cost), records)
                continue
            home.ledger.charge(charge_of(records, step, cost=cost), records)
            for one in ids:
                spent[table, one] = spent.get((table, one), 0.0) + cost
        again = home.open()
        for (table, one), expected in spent.items():
            assert again.spent(again.records(table, [one])) == pytest.approx(expected, rel=1e-9)
        most = max(spent.values(), default=0.0)
        expected_epsilon = epsilon_of(math.sqrt(most), POLICY.delta) if most else 0.0
        assert again.most_spent == pytest.approx(expected_epsilon, rel=1e-9, abs=1e-12)


def test_a_record_set_is_stored_under_the_digest_of_its_bytes(home: Home) -> None:
    records = home.ledger.records("customers", ["a", "b"])
    stored: Blobs = home.blobs
    assert hashlib.sha256(stored[records.digest]).hexdigest() == records.digest
    assert np.array_equal(np.frombuffer(stored[records.digest], "<u8"), records.hashes)


class TestLinks:
    """What a member signs for of its ledger: how long it is, and its last link."""

    def test_every_line_has_a_link_of_its_own(self, home: Home) -> None:
        assert home.ledger.lines == len(home.lines) == 4
        found = {home.ledger.head}
        for step in (4, 5, 6):
            home.charge(step)
            found.add(home.ledger.head)
        assert len(found) == 4
        assert home.ledger.lines == 7

    def test_earlier_links_are_held_also_after_a_restart(self, home: Home) -> None:
        earlier = home.ledger.lines, home.ledger.head
        home.charge(4)
        for ledger in (home.ledger, home.open()):
            assert ledger.holds(*earlier)
            assert ledger.holds(ledger.lines, ledger.head)

    def test_no_other_links_are(self, home: Home) -> None:
        lines, head = home.ledger.lines, home.ledger.head
        for wrong in ((lines, "0" * 64), (lines - 1, head), (lines + 1, head), (-1, head)):
            assert not home.ledger.holds(*wrong)

    def test_a_ledger_that_was_restored_does_not_hold_what_came_after(self, home: Home) -> None:
        backup = Home()
        backup.journal._lines, backup.blobs = home.journal.read(), dict(home.blobs)
        home.charge(4)
        restored = backup.open()
        assert not restored.holds(home.ledger.lines, home.ledger.head)
        backup.ledger = restored
        backup.charge(5)
        assert not backup.ledger.holds(home.ledger.lines, home.ledger.head)
