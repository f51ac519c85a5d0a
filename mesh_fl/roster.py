"""The roster: who is a member, as a hash chain of entries that the members themselves sign.

The operator founds it, and the founders compare its fingerprint out of band. From then on a join
needs the approval of more members than may collude, so the operator can propose members and take
members out, but never add one.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import FailFast, TypeAdapter, ValidationError

from mesh_fl.admission import admitted
from mesh_fl.card import OPERATOR, Card
from mesh_fl.entry import Entry, Kind, parsed
from mesh_fl.errors import ConfigError, MeshError, ProtocolError
from mesh_fl.privacy.signing import public_bytes

__all__ = ["Entry", "Roster"]

START = "0" * 64
_ENTRIES = TypeAdapter(Annotated[tuple[Entry, ...], FailFast()])


@dataclass(frozen=True)
class Roster:
    """A verified chain of entries, made by `found`, `loads` and `appended` alone.

    Parameters
    ----------
    entries : tuple of Entry
        From the founding on.
    cards : mapping of str to Card
        The members after the last entry, by name.

    Guarantee
    ---------
    Whoever compared the fingerprint with the founders, and takes only rosters that follow its own,
    knows that each later member was approved by more than `colluders` members, hence by one that
    does not collude. An approval names the entry before, so it counts once and nowhere else. It
    rests on Ed25519 and SHA-256, and breaks when more members collude, or when founders do not
    compare.
    """

    entries: tuple[Entry, ...]
    cards: Mapping[str, Card] = field(compare=False)

    @classmethod
    def found(
        cls, network: str, operator_key: Ed25519PrivateKey, colluders: int, cards: Iterable[Card]
    ) -> Self:
        """Found a network.

        Raises
        ------
        ProtocolError
            If there are fewer founders than `colluders` + 2, or two share a name or a key.
        """
        operator = base64.b64encode(public_bytes(operator_key)).decode()
        try:
            entry = Entry(
                number=0,
                previous=START,
                kind="found",
                network=network,
                operator=operator,
                colluders=colluders,
                cards=tuple(cards),
            )
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            raise ProtocolError(f"cannot found: {problem['loc'][0]}: {problem['msg']}") from None
        return cls((), {}).appended(entry.signed(OPERATOR, operator_key))

    @classmethod
    def loads(cls, blob: bytes) -> Self:
        """Read a roster and verify all of it.

        Raises
        ------
        ProtocolError
            If it is none, or one of its entries does not hold; names the entry.
        """
        roster = cls((), {})
        for entry in parsed(blob, _ENTRIES.validate_json, "a roster"):
            roster = roster.appended(entry)
        if not roster.entries:
            raise ProtocolError("expected a roster, found one without any entry")
        return roster

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a roster's file and verify all of it.

        Raises
        ------
        ConfigError
            If it cannot be read, is none, or one of its entries does not hold.
        """
        try:
            return cls.loads(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read roster {path}: {error.strerror}") from None
        except ProtocolError as error:
            raise ConfigError(f"{path}: {error}") from None

    def dumps(self) -> bytes:
        """Return the roster as JSON."""
        return _ENTRIES.dump_json(self.entries, exclude_defaults=True)

    @property
    def network(self) -> str:
        """Name of the network."""
        return self.entries[0].network

    @property
    def operator(self) -> bytes:
        """The operator's Ed25519 public key, 32 bytes."""
        return base64.b64decode(self.entries[0].operator)

    @property
    def colluders(self) -> int:
        """How many members may collude without harm: a join needs more approvals than that."""
        return self.entries[0].colluders

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the founding, which the founders compare out of band."""
        return self.entries[0].digest

    @cached_property
    def head(self) -> str:
        """Digest of the last entry."""
        return self.entries[-1].digest if self.entries else START

    def key_of(self, name: str) -> bytes:
        """Return a member's Ed25519 public key, 32 bytes.

        Raises
        ------
        ProtocolError
            If nobody on the roster is called so.
        """
        if name not in self.cards:
            raise ProtocolError(f"{name!a:.80} is not on the roster of {self.network}")
        return self.cards[name].signing_key

    def follows(self, earlier: "Roster") -> bool:
        """Tell whether this is an earlier roster, or what became of it."""
        length = len(earlier.entries)
        return len(self.entries) >= length and self.entries[length - 1].digest == earlier.head

    def until(self, head: str) -> Self:
        """Return the roster as it was when its last entry had this digest; all of it if never."""
        roster = type(self)((), {})
        for entry in self.entries:
            roster = roster.appended(entry)
            if roster.head == head:
                return roster
        return self

    def propose_join(self, cards: Iterable[Card]) -> Entry:
        """Return an entry by which new members join, once enough members approve it."""
        return self._next("join", cards=tuple(cards))

    def propose_renewal(self, card: Card) -> Entry:
        """Return an entry by which a member's newer card takes the place of its older one."""
        return self._next("renew", cards=(card,))

    def propose_removal(self, names: Iterable[str]) -> Entry:
        """Return an entry that takes members out, once the operator or enough members sign it."""
        return self._next("remove", names=tuple(names))

    def sign(self, entry: Entry, name: str, key: Ed25519PrivateKey) -> Entry:
        """Return a proposed entry with one more signature.

        Parameters
        ----------
        entry : Entry
            Bound to the head of this roster.
        name : str
            A member, or "operator".
        key : Ed25519PrivateKey
            Its own.

        Raises
        ------
        ProtocolError
            If the entry breaks a rule or follows another roster, or the key is not the signer's.
        """
        self._outcome(entry)
        if self._key_of_signer(entry, name) != public_bytes(key):
            raise self._refused(f"this key is not the one that {name} has on the roster")
        return entry.signed(name, key)

    def lacks(self, entry: Entry) -> int:
        """Return how many members must still approve a proposed entry.

        Raises
        ------
        ProtocolError
            If the entry breaks a rule or follows another roster, or a signature is wrong.
        """
        self._outcome(entry)
        return self._lacking(entry)

    def appended(self, entry: Entry) -> Self:
        """Return the roster after one more entry.

        Raises
        ------
        ProtocolError
            If the entry breaks a rule, follows another roster, or lacks approvals.
        """
        cards = self._outcome(entry)
        if lacking := self._lacking(entry):
            raise self._refused(
                f"{entry.kind} {', '.join(entry.whom):.200} is signed by "
                f"{', '.join(entry.signatures) or 'nobody'}: {lacking} more of its members must "
                "approve it by `mesh-client members approve`"
            )
        return type(self)((*self.entries, entry), MappingProxyType(cards))

    def _next(self, kind: Kind, cards: tuple[Card, ...] = (), names: tuple[str, ...] = ()) -> Entry:
        for name in names:
            self.key_of(name)
        number = len(self.entries)
        entry = Entry(number=number, previous=self.head, kind=kind, cards=cards, names=names)
        self._outcome(entry)
        return entry

    def _outcome(self, entry: Entry) -> dict[str, Card]:
        """Return the members after an entry, provided that enough sign it."""
        number = len(self.entries)
        if (entry.number, entry.previous) != (number, self.head):
            raise self._refused(
                f"expected number {number} after {self.head[:16]}, found number {entry.number} "
                f"after {entry.previous[:16]}: it belongs to another state of the roster; propose "
                "it anew"
            )
        if (entry.kind == "found") != (number == 0):
            raise self._refused(f"expected the founding first, and once; found {entry.kind}")
        try:
            return admitted(self.cards, entry)
        except MeshError as error:
            raise self._refused(str(error)) from None

    def _lacking(self, entry: Entry) -> int:
        forged = entry.forged(lambda name: self._key_of_signer(entry, name))
        if forged:
            raise self._refused(f"the signature of {', '.join(forged)} is wrong")
        signers = entry.signatures.keys()
        if entry.kind == "found" and OPERATOR not in signers:
            raise self._refused("expected the operator's signature")
        # The operator may take members out, never in; a newer card is signed by its own member.
        if entry.kind in ("found", "renew") or (entry.kind == "remove" and OPERATOR in signers):
            return 0
        return max(0, self.colluders + 1 - len(signers - {OPERATOR, *entry.names}))

    def _key_of_signer(self, entry: Entry, name: str) -> bytes:
        if name == OPERATOR:
            return self.operator if self.entries else base64.b64decode(entry.operator)
        if name not in self.cards:
            raise self._refused(f"{name} signed it, and was no member before it")
        return self.key_of(name)

    def _refused(self, problem: str) -> ProtocolError:
        return ProtocolError(f"entry {len(self.entries)} of the roster: {problem}")
