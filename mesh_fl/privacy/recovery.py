"""The server's arithmetic in a large cohort: what to take off the sum of the hidden vectors."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from mesh_fl.errors import EncryptionError
from mesh_fl.privacy.circle import Circle, commitment_to, mask_key, own_mask_key
from mesh_fl.privacy.masking import mask_of
from mesh_fl.privacy.robust import Revealed
from mesh_fl.privacy.sharing import rebuild


class Correction(NamedTuple):
    """What to subtract, and whose shares were wrong.

    Attributes
    ----------
    residues : ndarray of int64, shape (size,)
        To be subtracted from the sum of the survivors' hidden vectors.
    wrong : mapping of str to int
        By member, how many of the shares that it revealed did not fit. Its neighbours may have
        dealt it wrong ones: no proof, but a reason to leave it out.
    """

    residues: NDArray[np.int64]
    wrong: Mapping[str, int]


def correction(
    circle: Circle,
    dealers: Collection[str],
    survivors: Collection[str],
    revealed: Mapping[str, Revealed],
    modulus: int,
    size: int,
) -> Correction:
    """Return the masks that are left on the sum of the survivors' hidden vectors.

    Parameters
    ----------
    circle : Circle
        Of this attempt.
    dealers, survivors : collection of str
        As all members were told.
    revealed : mapping of str to Revealed
        By member, from as many as answered.
    modulus, size : int
        Of the hidden vectors.

    Raises
    ------
    EncryptionError
        If too few survived, or naming the members whose secrets cannot be rebuilt.

    Notes
    -----
    These are the own masks of all survivors, and the masks between survivors and members that
    dropped out after they dealt. A rebuilt seed must fit its commitment and a rebuilt key its
    public key, so a wrong share is noticed, and got over where shares are to spare.
    """
    circle.refuse_short(dealers, survivors)
    secrets, wrong = _rebuilt(circle, dealers, survivors, revealed)
    bound = circle.dealt(dealers)
    plus = [own_mask_key(secrets[name]) for name in survivors]
    minus: list[bytes] = []
    for gone in set(dealers) - set(survivors):
        own = X25519PrivateKey.from_private_bytes(secrets[gone])
        for peer in set(circle.neighbours[gone]).intersection(survivors):
            key = mask_key(own, gone, peer, circle.advertised[peer].masking, bound)
            (plus if peer < gone else minus).append(key)
    return Correction(mask_of(plus, minus, modulus, size), wrong)


def _rebuilt(
    circle: Circle,
    dealers: Collection[str],
    survivors: Collection[str],
    revealed: Mapping[str, Revealed],
) -> tuple[dict[str, bytes], Counter[str]]:
    """Return the seeds of survivors, the keys of all other dealers, and whose shares misled."""
    secrets: dict[str, bytes] = {}
    lost: list[str] = []
    wrong: Counter[str] = Counter()
    for name in dealers:
        holders, survived = circle.neighbours[name], name in survivors
        shares = _shares(name, survived, holders, revealed)
        # Who misled once is asked last from then on.
        asked = sorted(shares, key=lambda number: wrong[holders[number - 1]])
        numbered = {number: shares[number] for number in asked}
        try:
            secret, misfits = rebuild(numbered, circle.threshold, _judge(circle, name, survived))
        except EncryptionError:
            lost.append(name)
            continue
        secrets[name] = secret
        wrong.update(holders[number - 1] for number in misfits)
    if lost:
        raise EncryptionError(
            f"expected {circle.threshold} good shares of each member's secret, found fewer for "
            f"{', '.join(sorted(lost))}: too many members dropped out; start a new attempt"
        )
    return secrets, wrong


def _shares(
    name: str, survived: bool, holders: Sequence[str], revealed: Mapping[str, Revealed]
) -> dict[int, bytes]:
    """Return the shares of a member's secret that its neighbours revealed, by number."""
    found = {}
    for number, holder in enumerate(holders, 1):
        if holder in revealed:
            given = revealed[holder].seeds if survived else revealed[holder].keys
            if name in given:
                found[number] = given[name]
    return found


def _judge(circle: Circle, name: str, survived: bool) -> Callable[[bytes], bool]:
    """Return what tells a member's true secret: its commitment, or its public key."""
    advertised = circle.advertised[name]
    if survived:
        return lambda seed: commitment_to(seed) == advertised.commitment
    return lambda raw: (
        X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
        == advertised.masking
    )
