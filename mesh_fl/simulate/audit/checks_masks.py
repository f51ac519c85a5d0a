"""What the operator and its colluders see of a member, with the epoch's key in their hands.

All of it is looked at as decrypted residues: encryption hides nothing from that coalition.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mesh_fl.privacy.masking import mask_of, pair_key
from mesh_fl.privacy.pipeline import slots_of
from mesh_fl.simulate.audit.canaries import NAMES
from mesh_fl.simulate.audit.finding import LEVEL, Check, Finding, Setting
from mesh_fl.simulate.audit.goodness import uniform_p_value
from mesh_fl.simulate.audit.subject import Subject, two_attempts

WIDTH = 8192

Vector = NDArray[np.int64]


def check_subsets(_: Setting) -> Finding:
    """Test each member's residues, and the sum of each part of the cohort."""
    subject = two_attempts(WIDTH)
    found = subject.residues(2)
    parts = [part for size in range(1, len(NAMES)) for part in combinations(NAMES, size)]
    sums = {part: sum((found[name] for name in part), np.zeros(1, np.int64)) for part in parts}
    return _uniform({", ".join(part): total for part, total in sums.items()}, subject.modulus)


def check_fresh_masks(_: Setting) -> Finding:
    """Subtract two attempts of each member: were the masks the same, noise would be left."""
    subject = two_attempts(WIDTH)
    first, second = subject.residues(1), subject.residues(2)
    return _uniform({name: second[name] - first[name] for name in NAMES}, subject.modulus)


def check_colluders(_: Setting) -> Finding:
    """Take masks off a member's residues: any of those that up to three of the other four know."""
    subject = two_attempts(WIDTH)
    return _uniform(dict(_unmasked(subject)), subject.modulus)


def _unmasked(subject: Subject) -> Iterator[tuple[str, Vector]]:
    for victim, residues in subject.residues(2).items():
        others = [name for name in NAMES if name != victim]
        known = {name: _shared_mask(subject, name, victim) for name in others}
        for size in range(len(others)):
            for colluders in combinations(others, size):
                masks = (known[name] for name in colluders)
                yield f"{victim} without {colluders}", residues - sum(masks, np.zeros(1, np.int64))


def _shared_mask(subject: Subject, colluder: str, victim: str) -> Vector:
    """Return what a victim adds for a colluder, as the colluder can compute it."""
    term, (ask, reply) = subject.seat(colluder).term, subject.contributions(2)[colluder]
    context = ask.call.binding(reply.account.model).encode()
    presence = term.charter.presence(victim)
    public = bytes.fromhex(presence.masking) if presence else b""
    keys = [pair_key(term.pair.masking, public, context)]
    plus, minus = (keys, []) if victim < colluder else ([], keys)
    return mask_of(plus, minus, subject.modulus, slots_of(subject.release))


def _uniform(seen: Mapping[str, Vector], modulus: int) -> Finding:
    p = {name: uniform_p_value(values % modulus, modulus) for name, values in seen.items()}
    least = min(p, key=lambda name: p[name])
    return Finding(
        passed=p[least] * len(p) > LEVEL,
        expected=f"{len(p)} views, all uniform modulo t, p > {LEVEL:g} / {len(p)}",
        found=f"p {p[least]:.2g} at the least ({least})",
        false_alarm=LEVEL,
    )


CHECKS = (
    Check("subsets", "any part of a cohort is uniform, even decrypted", check_subsets),
    Check("fresh-masks", "a second attempt has masks of its own", check_fresh_masks),
    Check("colluders", "three of the other four take no mask off a member", check_colluders),
)
