"""A member's keys in one training: made for an epoch, kept as long as it lasts, then deleted.

An epoch begins with everybody's fresh public keys (`Presence`); one member makes the encryption key
and seals it to those (`KeyNotice`); both together are the `Charter`. Whoever left before an epoch
began has none of its keys, and keys of epochs that are over exist nowhere.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import msgpack
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mesh_fl.errors import EncryptionError, ProtocolError
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.encryption import Parameters
from mesh_fl.privacy.epoch import new_epoch, open_epoch, seal_epoch
from mesh_fl.privacy.masking import hide, mask_of, pair_key
from mesh_fl.privacy.pipeline import Hide
from mesh_fl.statements import Call, Charter, KeyNotice, Presence
from mesh_fl.store import Blobs

DAMAGE = (KeyError, ValueError, TypeError, msgpack.UnpackException)
"""What reading a blob raises that is missing or damaged."""


@dataclass(frozen=True)
class Pair:
    """Our private keys of one epoch: what is sealed to us, and what masks are agreed by."""

    epoch: int
    sealing: X25519PrivateKey
    masking: X25519PrivateKey

    @classmethod
    def fresh(cls, epoch: int) -> "Pair":
        """Make new keys."""
        return cls(epoch, X25519PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def loads(cls, blob: bytes) -> "Pair":
        """Read what `dumps` wrote."""
        epoch, *keys = msgpack.unpackb(blob)
        sealing, masking = map(X25519PrivateKey.from_private_bytes, keys)
        return cls(epoch, sealing, masking)

    def dumps(self) -> bytes:
        """Return the keys' bytes; never shown."""
        keys = [self.sealing.private_bytes_raw(), self.masking.private_bytes_raw()]
        packed: bytes = msgpack.packb([self.epoch, *keys])
        return packed

    @property
    def public(self) -> tuple[str, str]:
        """The public halves, hexadecimal: sealing, masking."""
        keys = (self.sealing.public_key(), self.masking.public_key())
        return keys[0].public_bytes_raw().hex(), keys[1].public_bytes_raw().hex()


@dataclass(frozen=True)
class Term:
    """An epoch that we take part in.

    Parameters
    ----------
    charter : Charter
        Verified.
    pair : Pair
        Our private keys.
    secret_key : bytes
        The epoch's encryption key.
    """

    charter: Charter
    pair: Pair
    secret_key: bytes

    def hide(self, name: str, call: Call, model: str, modulus: int) -> Hide:
        """Return what adds our pairwise masks for one attempt.

        Notes
        -----
        Guarantee
        ---------
        The masks of a cohort cancel in its whole sum only; to whoever lacks the keys of at least
        two of its members, anything less is uniform (`mask_of`). Each pair's key is bound to
        training, step, attempt, cohort, epoch and model: members who were told different things
        never cancel. Broken by sealing two contributions for one attempt.
        """
        context = call.binding(model).encode()
        keys = {peer: self._pair_key(peer, context) for peer in call.cohort if peer != name}
        plus = [key for peer, key in keys.items() if name < peer]
        minus = [key for peer, key in keys.items() if name > peer]
        return lambda slots: hide(slots, mask_of(plus, minus, modulus, len(slots)), modulus)

    def _pair_key(self, peer: str, context: bytes) -> bytes:
        presence = self.charter.presence(peer)
        if presence is None:
            raise ProtocolError(f"{peer} is in the cohort, but not in the epoch's charter")
        return pair_key(self.pair.masking, bytes.fromhex(presence.masking), context)


class Keyring:
    """Keeps the keys of one training.

    Parameters
    ----------
    name, training : str
        Who we are, in which training.
    parameters : Parameters
        Of the plan's encryption; a key for others is refused.
    blobs : Blobs
        Where the keys are kept, by their owner alone.
    """

    def __init__(self, name: str, training: str, parameters: Parameters, blobs: Blobs) -> None:
        self._name, self._training, self._blobs = name, training, blobs
        self._parameters = parameters
        self._term: Term | None = None

    @property
    def term(self) -> Term | None:
        """The epoch that we stand in, also after a restart."""
        if self._term is None and (blob := self._blobs.get(self._place("term"))):
            # A damaged copy is as good as none: the next epoch makes new keys.
            with suppress(EncryptionError, *DAMAGE):
                charter, sealed_key, pair = msgpack.unpackb(blob, use_list=False)
                self._term = self._open(
                    Charter.model_validate(charter), sealed_key, Pair.loads(pair)
                )
        return self._term

    def convene(self, epoch: int) -> tuple[str, str]:
        """Return our public keys for an epoch, the same ones however often we are asked.

        Raises
        ------
        ProtocolError
            If that epoch is over.
        """
        current = self.term
        if current is not None and current.pair.epoch >= epoch:
            raise ProtocolError(f"epoch {epoch} has begun or is over: expected a later one")
        pair = self._pair()
        if pair is None or pair.epoch != epoch:
            pair = Pair.fresh(epoch)
            self._blobs[self._place("pair")] = pair.dumps()
        return pair.public

    def make_key(
        self, draft: KeyNotice, presences: Sequence[Presence]
    ) -> tuple[dict[str, bytes], KeyNotice]:
        """Make an epoch's encryption key and seal it to everybody present.

        Returns
        -------
        dict of str to bytes, KeyNotice
            The sealed keys by member; the notice, still to be signed.
        """
        made = new_epoch(self._parameters)
        sealed = {
            one.by: seal_epoch(
                made,
                X25519PublicKey.from_public_bytes(bytes.fromhex(one.sealing)),
                _context(draft.training, draft.epoch, one.by),
            )
            for one in presences
        }
        return sealed, draft.model_copy(update={"fingerprint": made.fingerprint})

    def enter(self, charter: Charter, sealed_key: bytes) -> Term:
        """Take our place in an epoch whose charter was verified; older keys are deleted.

        Raises
        ------
        ProtocolError, EncryptionError
            If the charter lists other keys than ours, or its encryption key does not open, or is
            not the one that its maker signed for.
        """
        pair, ours = self._pair(), charter.presence(self._name)
        if pair is None or ours is None or (ours.sealing, ours.masking) != pair.public:
            raise ProtocolError(f"the charter of epoch {charter.notice.epoch} lists other keys")
        term = self._open(charter, sealed_key, pair)
        packed = msgpack.packb([charter.model_dump(), sealed_key, pair.dumps()])
        self._blobs[self._place("term")] = packed
        del self._blobs[self._place("pair")]
        self._term = term
        return term

    def forget(self) -> None:
        """Delete all keys: the training is over."""
        self._term = None
        for part in ("term", "pair"):
            self._blobs.pop(self._place(part), None)

    def _pair(self) -> Pair | None:
        with suppress(*DAMAGE):
            return Pair.loads(self._blobs[self._place("pair")])
        return None

    def _open(self, charter: Charter, sealed_key: bytes, pair: Pair) -> Term:
        context = _context(self._training, pair.epoch, self._name)
        epoch = open_epoch(sealed_key, pair.sealing, context)
        if epoch.fingerprint != charter.notice.fingerprint:
            raise EncryptionError(
                f"the key of epoch {pair.epoch} is not the one that {charter.notice.by} signed "
                "for: refused, because others may hold another one"
            )
        if epoch.parameters != self._parameters:
            raise EncryptionError(
                f"the key of epoch {pair.epoch} is for {epoch.parameters}, the plan's encryption "
                f"needs one for {self._parameters}: {charter.notice.by} has to make another"
            )
        return Term(charter, pair, epoch.secret_key)

    def _place(self, part: str) -> str:
        return f"{self._training}.{part}"


def unusable(presences: Sequence[Presence]) -> tuple[str, ...]:
    """Return who states a key that nobody can agree by, or one that is stated twice."""
    owners: dict[bytes | None, list[str]] = defaultdict(list)
    for one in presences:
        for key in (one.sealing, one.masking):
            owners[_agreed(key)].append(one.by)
    faulty = {name for key, names in owners.items() if key is None or names[1:] for name in names}
    return tuple(sorted(faulty))


@lru_cache(maxsize=1 << 12)
def _agreed(key: str) -> bytes | None:
    """Return what is agreed by a key, since it has more than one encoding; None for no key."""
    try:
        return pair_key(_PROBE, bytes.fromhex(key), b"probe")
    except EncryptionError:
        return None


_PROBE = X25519PrivateKey.generate()


def _context(training: str, epoch: int, recipient: str) -> bytes:
    """Return what a sealed key is bound to: it opens for one member in one epoch only."""
    return digest_of("sealed-key", [training, epoch, recipient]).encode()
