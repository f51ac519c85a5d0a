"""What every record has spent in its life, and the refusal to spend more.

The ledger is an append-only chain of lines, each sealed by an HMAC over the line before it, so an
edit by hand is noticed. A charge is durable before anything that depends on it leaves the machine.
A second file keeps the last link, so a ledger that was cut short is noticed too; a whole home
restored from a backup is not (other members will have to remember our last link for that).
"""

import datetime
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh_fl.errors import BudgetError, LedgerError
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.privacy.plan import DISCRETE_SLACK, ROUNDING, Policy
from mesh_fl.store import Blobs, Journal

GENESIS = "0" * 64

PART_FACTOR = 4
"""Times its cost that a release is charged to a row which is a part of a record.

Without the row the record is another one: the sum moves by twice the clip, squared mu by four.
"""


@dataclass(frozen=True)
class RecordSet:
    """Which records a contribution reads, as keyed hashes: an id cannot be read back.

    Attributes
    ----------
    hashes : ndarray of uint64, sorted
        One per record. Two records that share a hash are charged as one: never too little.
    """

    hashes: NDArray[np.uint64]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the hashes, hexadecimal."""
        return hashlib.sha256(self.hashes.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True)
class Charge:
    """One attempt at one release, as it stands in the ledger.

    Attributes
    ----------
    training, agent, plan : str
        Which training, by which agent, under which plan (its digest).
    step, attempt : int
        Release within the schedule, and number of the attempt within the training.
    ask : str
        Digest of everything the attempt is bound to.
    records : str
        Digest of the record set that pays.
    cost : float
        Squared mu that each of those records pays.
    table : str
        Where they stand; a record is known by its table and its id.
    parts : str
        Digest of the set of rows of other tables that those records were made of, or empty.
    part_tables : str
        The tables of those rows as a JSON array, or empty.
    """

    training: str
    agent: str
    plan: str
    step: int
    attempt: int
    ask: str
    records: str
    cost: float
    table: str = ""
    parts: str = ""
    part_tables: str = ""

    @property
    def position(self) -> tuple[int, int]:
        """Order within a training."""
        return (self.step, self.attempt)


NO_RECORDS = RecordSet(np.empty(0, dtype="<u8"))


class Ledger:
    """A member's record of spent privacy.

    Parameters
    ----------
    journal : Journal
        Where the lines are kept.
    blobs : Blobs
        Where the record sets and the last link are kept.
    key : bytes
        Local secret that seals lines and hashes record ids.
    policy : Policy
        The lifetime budget; fixed by the first start, and refused if it becomes laxer later.
    writable : bool
        False to look at a ledger that another process may be writing.

    Guarantee
    ---------
    Neighbouring relation: add or remove one record. A record is charged the exact Gaussian
    composition of all releases whose record set contains it, across agents, plans and
    trainings, and no charge is accepted that takes it beyond `policy`. A record that is made of
    rows of several tables is added or removed with all of them. A row that is both a record and
    a part of another one is charged for both; a row that is a part only has the protection of
    the records that it is a part of, and by itself up to twice their mu. Broken by a ledger
    or key that is deleted or restored from a backup, and by record ids that are reused or renamed.

    Raises
    ------
    LedgerError
        If a line was altered, the ledger was cut short, or the policy became laxer.
    """

    def __init__(
        self,
        journal: Journal,
        blobs: Blobs,
        key: bytes,
        policy: Policy,
        *,
        writable: bool = True,
    ) -> None:
        self._writable = writable
        self._journal = journal
        self._blobs = blobs
        self._key = key
        self.policy = policy
        self._charges: list[Charge] = []
        self._links = [GENESIS]
        self._sets: dict[str, RecordSet] = {}
        self._load()

    def records(self, table: str, ids: Sequence[str]) -> RecordSet:
        """Return the record set of ids; the same id in another table is another record."""
        key = hashlib.blake2b(self._key, person=b"mesh_fl/record").digest()
        hashes = [
            hashlib.blake2b(f"{table}\0{one}".encode(), key=key, digest_size=8).digest()
            for one in ids
        ]
        return RecordSet(np.unique(np.frombuffer(b"".join(hashes), dtype="<u8")))

    def parts(self, rows: Mapping[str, Sequence[str]]) -> RecordSet:
        """Return the set of rows, by table, that records are made of."""
        sets = [self.records(table, ids).hashes for table, ids in sorted(rows.items())]
        return RecordSet(np.unique(np.concatenate([np.empty(0, dtype="<u8"), *sets])))

    def dealt(
        self, table: str, ids: Sequence[str], agents: Sequence[str], agent: str
    ) -> NDArray[np.bool_]:
        """Tell which records are dealt to an agent, where several share out a table.

        Each record goes to the agent with the largest keyed hash of both (Thaler and Ravishankar
        1998): for life, by chance, and an agent more takes records from each of the others alike.
        """
        key = hashlib.blake2b(self._key, person=b"mesh_fl/deal").digest()

        def chances(name: str) -> NDArray[np.uint64]:
            hashes = [
                hashlib.blake2b(f"{name}\0{table}\0{one}".encode(), key=key, digest_size=8).digest()
                for one in ids
            ]
            return np.frombuffer(b"".join(hashes), dtype="<u8")

        names = sorted(agents)
        winners = np.argmax([chances(name) for name in names], axis=0)
        won: NDArray[np.bool_] = winners == names.index(agent)
        return won

    def paid_for(self, training: str) -> float:
        """Return the squared mu that a training has cost its records so far."""
        return sum(charge.cost for charge in self._charges if charge.training == training)

    def were_charged(self, records: RecordSet, agents: Collection[str]) -> bool:
        """Tell whether trainings of any of these agents have charged a record of a set."""
        sets = {one.records for one in self._charges if one.agent in agents}
        return any(np.isin(records.hashes, self._set(one).hashes).any() for one in sets)

    def spent(self, records: RecordSet) -> float:
        """Return the largest squared mu that any record of a set has spent so far."""
        return float(self._spends(records).max(initial=0.0))

    def _spends(self, records: RecordSet, *, as_parts: bool = True) -> NDArray[np.float64]:
        """Return what each record of a set has spent, as a part of others too unless told not."""
        costs: dict[str, float] = {}
        for charge in self._charges:
            costs[charge.records] = costs.get(charge.records, 0.0) + charge.cost
            if as_parts and charge.parts:
                costs[charge.parts] = costs.get(charge.parts, 0.0) + PART_FACTOR * charge.cost
        spends = np.zeros(len(records))
        for digest, cost in costs.items():
            spends[np.isin(records.hashes, self._set(digest).hashes, assume_unique=True)] += cost
        return spends

    def affords(self, records: RecordSet, cost: float) -> bool:
        """Tell whether every record of a set could pay so much more."""
        return self.spent(records) + cost <= self.policy.budget * (1 + ROUNDING)

    def refuse_parts(self, parts: RecordSet, cost: float, agent: str) -> None:
        """Refuse to make records of rows that are records themselves and could not pay for it.

        Raises
        ------
        BudgetError
            If such a row would overspend.
        """
        own = self._spends(parts, as_parts=False) > 0
        after = self._spends(parts)[own] + PART_FACTOR * cost
        if after.max(initial=0.0) > self.policy.budget * (1 + ROUNDING):
            raise BudgetError(
                f"{agent}: {np.count_nonzero(own)} rows that its records are made of were records "
                "of another agent, and their lifetime budget is not enough for both: let agents "
                "learn from different tables"
            )

    def charge(self, charge: Charge, records: RecordSet, parts: RecordSet = NO_RECORDS) -> bool:
        """Charge an attempt, durably.

        Returns
        -------
        bool
            True for a new charge; False if this very attempt was charged before.

        Raises
        ------
        LedgerError
            For an attempt older than the last one of its training, or the same attempt bound to
            something else.
        BudgetError
            If a record would overspend.
        """
        if charge.records != records.digest or charge.parts != (parts.digest if parts else ""):
            raise LedgerError("the charge names another record set than the one handed over")
        if not charge.cost > 0 or not self._writable:
            raise LedgerError("a charge needs a cost above 0 and a ledger opened for writing")
        last = self.last(charge.training)
        if last is not None and charge.position <= last.position:
            return self._again(charge, last)
        if last is not None and charge.attempt <= last.attempt:
            raise LedgerError(
                f"attempt {charge.attempt} of training {charge.training} is not newer than attempt "
                f"{last.attempt}, which was charged: refused as a replay"
            )
        self._refuse_overspending(charge, records)
        self.refuse_parts(parts, charge.cost, charge.agent)
        self._keep(records)
        if charge.parts:
            self._keep(parts)
        self._append("charge", charge.__dict__)
        return True

    def last(self, training: str) -> Charge | None:
        """Return the newest charge of a training."""
        mine = (charge for charge in reversed(self._charges) if charge.training == training)
        return next(mine, None)

    @property
    def charges(self) -> tuple[Charge, ...]:
        """All charges, oldest first."""
        return tuple(self._charges)

    @property
    def head(self) -> str:
        """The last link of the chain: it stands for the whole ledger."""
        return self._links[-1]

    @property
    def lines(self) -> int:
        """Lines written so far."""
        return len(self._links) - 1

    def holds(self, lines: int, head: str) -> bool:
        """Tell whether the chain had that last link when it was so long."""
        return 0 <= lines < len(self._links) and self._links[lines] == head

    def epsilon_spent(self, records: RecordSet) -> float:
        """Return the epsilon spent by a set's most charged record, at the policy's delta."""
        spent = self.spent(records)
        return epsilon_of(spent**0.5, self.policy.delta) if spent else 0.0

    def epsilon_left(self, records: RecordSet) -> float:
        """Return the largest epsilon of a plan that every record of a set could still pay."""
        left = (self.policy.budget - self.spent(records)) * (1 - ROUNDING)
        return epsilon_of(left**0.5, self.policy.delta) / DISCRETE_SLACK if left > 0 else 0.0

    @property
    def tables(self) -> frozenset[str]:
        """The tables whose records, or parts of records, were charged."""
        told = {charge.part_tables for charge in self._charges if charge.part_tables}
        parts = {table for tables in told for table in json.loads(tables)}
        return frozenset(charge.table for charge in self._charges if charge.table) | parts

    @property
    def most_spent(self) -> float:
        """The epsilon spent by the most charged record of all, at the policy's delta."""
        sets = {charge.records for charge in self._charges}
        return max((self.epsilon_spent(self._set(digest)) for digest in sets), default=0.0)

    def _again(self, charge: Charge, last: Charge) -> bool:
        if charge.position != last.position:
            raise LedgerError(
                f"step {charge.step}, attempt {charge.attempt} of training {charge.training} is "
                f"older than step {last.step}, attempt {last.attempt}: refused as a replay"
            )
        if charge != last:
            raise LedgerError(
                f"attempt {charge.attempt} of training {charge.training} was charged for another "
                "ask: refused, because one attempt may stand for one ask only"
            )
        return False

    def _refuse_overspending(self, charge: Charge, records: RecordSet) -> None:
        if not self.affords(records, charge.cost):
            after = epsilon_of((self.spent(records) + charge.cost) ** 0.5, self.policy.delta)
            raise BudgetError(
                f"{charge.agent}: this release would take a record to epsilon = {after:.4g}, our "
                f"lifetime budget is {self.policy.epsilon:g}: only records that are new can take "
                "part from here on (see `mesh-client budget`)"
            )

    def _keep(self, records: RecordSet) -> None:
        if records.digest not in self._blobs:
            self._blobs[records.digest] = records.hashes.tobytes()

    def _set(self, digest: str) -> RecordSet:
        if digest not in self._sets:
            blob = self._blobs.get(digest)
            if blob is None or hashlib.sha256(blob).hexdigest() != digest:
                raise LedgerError(
                    f"the ledger's record set {digest[:12]} is missing or altered: restore the "
                    "whole home from where it was; without it the spent budget is unknown"
                )
            self._sets[digest] = RecordSet(np.frombuffer(blob, dtype="<u8"))
        return self._sets[digest]

    def _append(self, kind: str, body: dict[str, object]) -> None:
        self._remember_head()
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = {"kind": kind, "at": at, **body, "previous": self.head}
        link = self._link(line)
        self._journal.append(_text({**line, "link": link}))
        self._links.append(link)
        self._take(line)
        self._remember_head()

    def _remember_head(self) -> None:
        """Keep the last link: a crash or a full disk may leave it one line behind, never two."""
        if self._blobs.get("head") != self.head.encode():
            self._blobs["head"] = self.head.encode()

    def _link(self, line: dict[str, object]) -> str:
        text = json.dumps(line, sort_keys=True).encode()
        return hmac.digest(self._key, text, "sha256").hex()

    def _load(self) -> None:
        head = self._blobs.get("head")
        lines = self._journal.read().split(b"\n")[:-1]
        links = [GENESIS]
        for number, text in enumerate(lines, start=1):
            links.append(self._read(number, text, links[-1]))
        # Only the first line can be there before a head was ever kept.
        if head is None and len(lines) < 2:
            head = links[-1].encode()
        # Whoever only looks may find lines that were written since the head was read.
        recent = links[-2:] if self._writable else links
        if head is None or head.decode(errors="replace") not in recent:
            raise LedgerError(
                f"the ledger ends after {len(lines)} lines, but a later line was written once: it "
                "was cut short or replaced by an older copy; put the newest copy back"
            )
        self._links = links
        if not lines and self._writable:
            self._append("policy", self.policy.model_dump(mode="json"))

    def _read(self, number: int, text: bytes, previous: str) -> str:
        try:
            line = json.loads(text)
            exact = text == _text(line)
            link = line.pop("link")
            follows = line["previous"] == previous and hmac.compare_digest(link, self._link(line))
            intact = exact and follows
        except (ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if not intact:
            raise LedgerError(
                f"line {number} of the ledger was altered: expected it to follow from the line "
                "before; put the unaltered copy back, since without it the spent budget is unknown"
            )
        self._take(line)
        return str(link)

    def _take(self, line: dict[str, object]) -> None:
        body = {k: v for k, v in line.items() if k not in ("kind", "at", "previous")}
        if line["kind"] == "charge":
            self._charges.append(Charge(**body))  # type: ignore[arg-type]
            return
        first = Policy.model_validate(body)
        if not _no_laxer(self.policy, first):
            raise LedgerError(
                f"the ledger was opened for {_terms(first)}, [privacy] in client.toml now says "
                f"{_terms(self.policy)}: a promise once made cannot be weakened; set it back"
            )


def _text(line: dict[str, object]) -> bytes:
    return json.dumps(line).encode()


def _no_laxer(new: Policy, first: Policy) -> bool:
    return (
        new.epsilon <= first.epsilon
        and new.delta <= first.delta
        and new.colluders >= first.colluders
        and new.survivors >= first.survivors
    )


def _terms(policy: Policy) -> str:
    return (
        f"epsilon {policy.epsilon:g}, delta {policy.delta:g}, survivors {policy.survivors}, "
        f"colluders {policy.colluders}"
    )
