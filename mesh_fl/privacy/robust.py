"""A member's side of one attempt in a large cohort, whose sum opens though members drop out.

::

    member                                        server
    advertise    two public keys, a commitment →  all of them back to all
    deal         sealed shares for neighbours  →  forwards each, and tells who dealt
    hide         values + own mask + masks     →  tells who survived
    confirm      signature on the survivors    →  forwards the signatures
    reveal       one share of each neighbour   →  takes the masks off the sum (`recovery`)

Bell, Bonawitz, Gascón, Lepoint and Raykova 2020 (eprint 2020/704), on the masks of Bonawitz et al.
2017, "Practical Secure Aggregation for Privacy-Preserving Machine Learning", whose round
ConsistencyCheck against an active server is `confirm`.
"""

import secrets
from collections.abc import Collection, Mapping
from typing import Annotated

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.errors import EncryptionError
from mesh_fl.privacy.circle import (
    Advertised,
    Circle,
    Terms,
    commitment_to,
    mask_key,
    own_mask_key,
)
from mesh_fl.privacy.masking import hide, mask_of, pair_key
from mesh_fl.privacy.sharing import SECRET_BYTES, SHARE_BYTES, split
from mesh_fl.privacy.signing import sign, verifies

Share = Annotated[bytes, Field(min_length=SHARE_BYTES, max_length=SHARE_BYTES)]


class Revealed(BaseModel):
    """The shares that a member gives away: of each neighbour one kind, never both.

    Attributes
    ----------
    seeds : dict of str to bytes
        By surviving neighbour, a share of the seed of its own mask.
    keys : dict of str to bytes
        By neighbour that dropped out, a share of its private masking key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seeds: dict[str, Share] = Field(repr=False)
    keys: dict[str, Share] = Field(repr=False)


class Attempt:
    """One member in one attempt: its keys and seeds are made here and die with it.

    Each step is taken once, in order, and a step that fails ends the attempt; only `confirm` and
    `reveal` may be repeated, for the same survivors.

    Parameters
    ----------
    name : str
        Ours.
    key : Ed25519PrivateKey
        Our identity, as on the roster.
    roster : mapping of str to bytes
        All members' Ed25519 public keys.
    terms : Terms
        From our own plan and policy, never from the server alone.

    Notes
    -----
    Guarantee
    ---------
    Against a server that lies to everybody, chooses who drops out, and acts together with up to T
    members: of all vectors hidden in attempts with this context it learns at most one sum for each
    circle, over honest members alone it is the sum of all honest survivors, and those are at least
    m - T. More precisely, with Q = max(m, floor((n + T)/2) + 1):

    - An honest member reveals only after Q members of the circle signed the same dealers and
      survivors. It signs one such pair itself, and 2Q - T > n, so all honest members that reveal
      agree on both.
    - So no member is given away by both kinds of shares (t > T would do; t > (k + T)/2 holds even
      where members were told different survivors).
    - Masks depend on the circle and on who dealt, so a member that was told other dealers never
      matches: at least 2t - k - T >= 1 of its masks is with an honest survivor, and stays.
    - The honest survivors are connected by masks that the server does not know
      (`mesh_fl.privacy.neighbours.choose`, 2.), so no part of them has a sum of its own.
    - Q >= m of the signatures are by survivors, so m - T honest ones are in the sum: what noise
      shares of variance sigma^2 / (m - T) assume.

    Assumes Diffie-Hellman on Curve25519 with HKDF as a random oracle, ChaCha20 and HMAC as
    pseudorandom functions, Ed25519, and a roster without members that the server invented. The
    promise stops at T: T + 1 colluders may get two sets of survivors confirmed, or a part of the
    survivors opened. It says nothing about wrong values. Broken as well by a context that serves
    two attempts with the same noise, and by keys that outlive the attempt.
    """

    def __init__(
        self, name: str, key: Ed25519PrivateKey, roster: Mapping[str, bytes], terms: Terms
    ) -> None:
        self._name, self._key, self._roster, self._terms = name, key, roster, terms
        self._masking = X25519PrivateKey.generate()
        self._sealing = X25519PrivateKey.generate()
        self._seed = secrets.token_bytes(SECRET_BYTES)
        self._due = "deal"
        self._channels: dict[str, ChaCha20Poly1305] = {}
        self._held: dict[str, tuple[bytes, bytes]] = {}
        self._survivors: frozenset[str] | None = None
        self._advertised = Advertised(
            masking=self._masking.public_key().public_bytes_raw(),
            sealing=self._sealing.public_key().public_bytes_raw(),
            commitment=commitment_to(self._seed),
        ).signed(name, terms.context, key)

    def advertise(self) -> Advertised:
        """Return our public keys."""
        return self._advertised

    def deal(self, advertised: Mapping[str, Advertised]) -> dict[str, bytes]:
        """Return sealed shares of our two secrets for each neighbour.

        Parameters
        ----------
        advertised : mapping of str to Advertised
            Of all members that take part, as the server tells.

        Raises
        ------
        EncryptionError
            If these are too few, ours are not among them, or a neighbour's are not signed by it.
        PlanError
            If no graph withstands so many colluders among so few members.
        """
        self._step("deal")
        if advertised.get(self._name) != self._advertised:
            raise EncryptionError(
                "expected our own keys among those of the cohort, found others or none: "
                "the server mixes up attempts, or cheats"
            )
        self._circle = Circle.of(advertised, self._terms)
        ours = self._circle.neighbours[self._name]
        self._refuse_unsigned(ours)
        seal = f"seal\0{self._circle.digest}".encode()
        for peer in ours:
            secret = pair_key(self._sealing, advertised[peer].sealing, seal)
            self._channels[peer] = ChaCha20Poly1305(secret)
        shares = zip(
            ours,
            split(self._masking.private_bytes_raw(), self._circle.threshold, len(ours)),
            split(self._seed, self._circle.threshold, len(ours)),
            strict=True,
        )
        self._due = "receive"
        return {peer: self._seal(peer, of_key + of_seed) for peer, of_key, of_seed in shares}

    @property
    def circle(self) -> Circle | None:
        """What all who take part know; None until we dealt."""
        found: Circle | None = getattr(self, "_circle", None)
        return found

    def receive(self, dealt: Mapping[str, bytes], dealers: Collection[str]) -> None:
        """Take the shares that neighbours dealt to us.

        Parameters
        ----------
        dealt : mapping of str to bytes
            By neighbour, what it sealed to us. One that does not open counts as none, and hurts
            its dealer only.
        dealers : collection of str
            All members of the circle that dealt, neighbours or not; the others have dropped out.

        Raises
        ------
        EncryptionError
            If too few dealt, or the server's two accounts do not fit together.
        """
        self._step("receive")
        self._circle.refuse_short(dealers, dealers)
        self._dealers = frozenset(dealers)
        self._peers = [p for p in self._circle.neighbours[self._name] if p in self._dealers]
        if self._name not in self._dealers or dealt.keys() != set(self._peers):
            raise EncryptionError(
                f"expected shares from the {len(self._peers)} neighbours that dealt, found "
                f"{len(dealt)}: the server lost some, or cheats"
            )
        opened = {peer: self._open(peer, sealed) for peer, sealed in dealt.items()}
        self._held = {peer: pair for peer, pair in opened.items() if pair is not None}
        if len(self._held) < self._circle.threshold:
            raise EncryptionError(
                f"expected shares from {self._circle.threshold} neighbours or more, found "
                f"{len(self._held)} that open: too many dropped out; start a new attempt"
            )
        self._due = "hide"

    def hide(self, values: NDArray[np.int64], modulus: int) -> NDArray[np.int64]:
        """Return values plus our own mask and those with all neighbours that dealt.

        Parameters
        ----------
        values : ndarray of int64, shape (size,)
            Centred: what has noise on it already.
        modulus : int
            As for `mesh_fl.privacy.masking.hide`.
        """
        self._step("hide")
        bound = self._circle.dealt(self._dealers)
        plus, minus = [own_mask_key(self._seed)], list[bytes]()
        for peer in self._peers:
            masking = self._circle.advertised[peer].masking
            key = mask_key(self._masking, self._name, peer, masking, bound)
            (plus if self._name < peer else minus).append(key)
        hidden = hide(values, mask_of(plus, minus, modulus, values.size), modulus)
        self._due = "confirm"
        return hidden

    def confirm(self, survivors: Collection[str]) -> str:
        """Return our signature on who dealt and who survived.

        Parameters
        ----------
        survivors : collection of str
            Whose hidden vectors the server adds up.

        Raises
        ------
        EncryptionError
            If they are too few or without us, or we confirmed others before.
        """
        told = frozenset(survivors)
        if self._survivors is None:
            self._step("confirm")
            self._circle.refuse_short(self._dealers, told)
            if self._name not in told:
                raise EncryptionError("expected to be among the survivors: the server left us out")
            self._survivors = told
        if told != self._survivors:
            raise EncryptionError(
                "expected the survivors that we confirmed, found others: either share of a "
                "member, never both, in any attempt; start a new one"
            )
        return sign(self._key, "survivors", self._circle.survived(self._dealers, told))

    def reveal(self, confirmations: Mapping[str, str]) -> Revealed:
        """Return our shares of all neighbours, once enough members confirmed what we confirmed.

        Parameters
        ----------
        confirmations : mapping of str to str
            Signatures from `confirm` by member; those that do not fit are not counted.

        Raises
        ------
        EncryptionError
            If we confirmed nothing, or too few members confirmed the same.
        """
        if self._survivors is None:
            raise EncryptionError("expected to confirm survivors before we reveal anything")
        told = self._circle.survived(self._dealers, self._survivors)
        found = sum(
            verifies(self._roster[name], "survivors", told, signature)
            for name, signature in confirmations.items()
            if name in self._survivors and name in self._roster
        )
        if found < self._circle.quorum:
            raise EncryptionError(
                f"expected {self._circle.quorum} members to confirm the same survivors, found "
                f"{found}: too many dropped out, or the server tells them different ones"
            )
        keys = {p: pair[0] for p, pair in self._held.items() if p not in self._survivors}
        seeds = {p: pair[1] for p, pair in self._held.items() if p in self._survivors}
        return Revealed(seeds=seeds, keys=keys)

    def _step(self, wanted: str) -> None:
        # Until a step has succeeded none is due: what failed is never tried again.
        due, self._due = self._due, ""
        if due != wanted:
            raise EncryptionError(
                f"expected {due or 'a new attempt'} as the next step, found {wanted}: an attempt "
                "takes each step once, and ends with the first that fails"
            )

    def _refuse_unsigned(self, peers: Collection[str]) -> None:
        for peer in peers:
            keys, public = self._circle.advertised[peer], self._roster.get(peer)
            if public is None or not keys.stands(peer, self._terms.context, public):
                raise EncryptionError(
                    f"expected keys for this attempt that {peer} signed, found others: "
                    "compare the roster"
                )

    def _seal(self, peer: str, shares: bytes) -> bytes:
        way = self._way(self._name, peer)
        return self._channels[peer].encrypt(_nonce(self._name, peer), shares, way)

    def _open(self, peer: str, sealed: bytes) -> tuple[bytes, bytes] | None:
        way = self._way(peer, self._name)
        try:
            plain = self._channels[peer].decrypt(_nonce(peer, self._name), sealed, way)
        except (InvalidTag, ValueError):
            return None
        if len(plain) != 2 * SHARE_BYTES:
            return None
        return plain[:SHARE_BYTES], plain[SHARE_BYTES:]

    def _way(self, sender: str, recipient: str) -> bytes:
        """Return what ties sealed shares to the circle: in another one they do not open."""
        return f"{self._circle.digest}\0{sender}\0{recipient}".encode()


def _nonce(sender: str, recipient: str) -> bytes:
    """Return one nonce for each direction: a key seals one message each way."""
    return bytes(11) + (b"\1" if sender > recipient else b"\0")
