"""What all who take part in one attempt of a large cohort know: keys, neighbours and thresholds.

Members and server derive it each for themselves from the keys that the members advertised.
"""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.errors import EncryptionError
from mesh_fl.privacy.digest import digest_of
from mesh_fl.privacy.masking import pair_key
from mesh_fl.privacy.neighbours import choose, neighbours
from mesh_fl.privacy.plan import Plan
from mesh_fl.privacy.signing import sign, verifies

Key = Annotated[bytes, Field(min_length=32, max_length=32)]


@dataclass(frozen=True)
class Terms:
    """What is settled before an attempt begins.

    Parameters
    ----------
    context : bytes
        Names training, agent, step, attempt, cohort, plan and epoch; never used twice.
    survivors : int
        The fewest members whose sum may be opened (m).
    colluders : int
        Members that may act together with the server (T).
    dropping : float
        Fraction of the cohort that may drop out without stopping the attempt: as a matter of luck
        and work, not of privacy.
    """

    context: bytes
    survivors: int
    colluders: int
    dropping: float = 0.3

    def __post_init__(self) -> None:
        """Refuse terms that promise nothing."""
        if not 0 <= self.colluders < self.survivors:
            raise EncryptionError(
                f"expected 0 <= colluders < survivors, found {self.colluders} and "
                f"{self.survivors}: correct the plan"
            )


def terms_of(plan: Plan, training: str, step: int, attempt: int, epoch: str) -> Terms:
    """Return what all keys of an attempt are bound to."""
    named = [training, plan.agent, plan.digest, step, attempt, epoch]
    return Terms(digest_of("large", named).encode(), plan.survivors, plan.colluders)


class Advertised(BaseModel):
    """A member's public keys for one attempt.

    Attributes
    ----------
    masking : bytes, 32
        X25519, for pairwise masks; its private part becomes known if the member drops out.
    sealing : bytes, 32
        X25519, for shares on their way through the server; its private part is never shared.
    commitment : bytes, 32
        To the seed of the member's own mask.
    signature : str
        Ed25519, by the member's key on the roster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    masking: Key
    sealing: Key
    commitment: Key
    signature: str = ""

    def signed(self, name: str, context: bytes, key: Ed25519PrivateKey) -> Self:
        """Return a copy that carries our signature."""
        signature = sign(key, "advertised", self._digest(name, context))
        return self.model_copy(update={"signature": signature})

    def stands(self, name: str, context: bytes, public: bytes) -> bool:
        """Tell whether a member signed these keys for this attempt."""
        return verifies(public, "advertised", self._digest(name, context), self.signature)

    def usable(self) -> bool:
        """Tell whether others can agree with both keys; the server asks before it forwards them."""
        probe = X25519PrivateKey.generate()
        try:
            pair_key(probe, self.masking, b"probe")
            pair_key(probe, self.sealing, b"probe")
        except EncryptionError:
            return False
        return True

    @property
    def fields(self) -> tuple[str, str, str]:
        """All but the signature, hexadecimal."""
        return self.masking.hex(), self.sealing.hex(), self.commitment.hex()

    def _digest(self, name: str, context: bytes) -> str:
        return digest_of("advertised", [name, context.hex(), *self.fields])


@dataclass(frozen=True)
class Circle:
    """Who holds whose shares in one attempt.

    Attributes
    ----------
    terms : Terms
        As agreed.
    advertised : mapping of str to Advertised
        By member.
    digest : str
        Of all of the above; fixes all of the below.
    neighbours : mapping of str to tuple of str
        The i-th neighbour of a member holds its share number i + 1.
    threshold : int
        Neighbours that open one secret of a member.
    quorum : int
        Members that must confirm the same survivors before anybody reveals a share.
    """

    terms: Terms
    advertised: Mapping[str, Advertised]
    digest: str
    neighbours: Mapping[str, tuple[str, ...]]
    threshold: int
    quorum: int

    @classmethod
    def of(cls, advertised: Mapping[str, Advertised], terms: Terms) -> Self:
        """Derive the circle; equal on all machines.

        Raises
        ------
        EncryptionError
            If fewer members than must survive advertised their keys.
        PlanError
            If no graph withstands so many colluders among so few members.
        """
        size = len(advertised)
        if size < terms.survivors:
            raise EncryptionError(
                f"expected the keys of {terms.survivors} members, found {size}: "
                "start a new attempt when more members are back"
            )
        graph = choose(size, terms.colluders, terms.dropping)
        keys = {name: one.fields for name, one in advertised.items()}
        settled = [terms.context.hex(), terms.survivors, terms.colluders, terms.dropping, keys]
        digest = digest_of("circle", settled)
        return cls(
            terms=terms,
            advertised=dict(advertised),
            digest=digest,
            neighbours=neighbours(list(advertised), bytes.fromhex(digest), graph.degree),
            threshold=graph.threshold,
            quorum=max(terms.survivors, (size + terms.colluders) // 2 + 1),
        )

    def dealt(self, dealers: Collection[str]) -> str:
        """Return the digest of who dealt shares: masks depend on it."""
        return digest_of("dealers", [self.digest, sorted(dealers)])

    def survived(self, dealers: Collection[str], survivors: Collection[str]) -> str:
        """Return the digest that survivors sign before they reveal anything."""
        return digest_of("survivors", [self.dealt(dealers), sorted(survivors)])

    def refuse_short(self, dealers: Collection[str], survivors: Collection[str]) -> None:
        """Raise an EncryptionError unless enough members of the circle dealt and survived."""
        strangers = set(dealers) - self.advertised.keys() | set(survivors) - set(dealers)
        if strangers:
            raise EncryptionError(
                f"expected survivors that dealt and dealers that advertised, found "
                f"{', '.join(sorted(strangers))}: the server's lists contradict each other"
            )
        if len(set(survivors)) < self.terms.survivors:
            raise EncryptionError(
                f"expected at least {self.terms.survivors} members, found {len(set(survivors))}: "
                "too many dropped out; start a new attempt"
            )


def mask_key(own: X25519PrivateKey, name: str, peer: str, masking: bytes, dealt: str) -> bytes:
    """Return the key of the mask between two members, the same from both sides.

    Members that were told different dealers get different keys, so their masks never cancel.
    """
    first, second = sorted((name, peer))
    return pair_key(own, masking, f"{dealt}\0{first}\0{second}".encode())


def own_mask_key(seed: bytes) -> bytes:
    """Return the key of a member's own mask."""
    return hmac.digest(seed, b"mesh_fl/own mask", "sha256")


def commitment_to(seed: bytes) -> bytes:
    """Return what says nothing about a random seed, and fits no other one."""
    return hmac.digest(seed, b"mesh_fl/commitment", "sha256")
