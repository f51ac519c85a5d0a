"""How far one record moves the integer sum, and that nothing else leaves a member."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.messages import encode
from mesh_fl.privacy import pipeline
from mesh_fl.privacy.encryption import Bfv, generate_key
from mesh_fl.privacy.noise import SeededSource
from mesh_fl.privacy.pipeline import seal, slots_of
from mesh_fl.privacy.plan import Plan, Release
from mesh_fl.simulate.audit.canaries import NAMES, Canaries
from mesh_fl.simulate.audit.finding import Check, Finding, Setting
from mesh_fl.simulate.audit.subject import Subject, plan_of
from mesh_fl.simulate.audit.swap import listening

DIMENSION = 64
LEAK_WIDTH = 256
OTHER_BYTES = 1500
"""More than digests, signatures, names and numbers of a reply take, and less than 256 values."""

_RUN = 4
_KINDS = ("<i8", ">i8", "<i4", ">i4", "<f8", "<f4")

Row = NDArray[np.float64]


def check_sensitivity(setting: Setting) -> Finding:
    """Add records made to move the sum as far as possible, under the same noise each time."""
    agent = Canaries(width=DIMENSION)
    plan = plan_of(agent)
    release, moves = plan.release("train"), list(_moves(plan, setting))
    proved = release.scale * release.clip + math.sqrt(DIMENSION) / 2
    bound = min(release.sensitivity, proved)
    return Finding(
        passed=0.99 * bound < max(moves) <= release.sensitivity <= proved * (1 + 1e-12),
        expected=f"at most {release.sensitivity:.2f} units, and .99 of that reached",
        found=f"{max(moves):.2f} units at most, by {len(moves)} records",
    )


def _moves(plan: Plan, setting: Setting) -> Iterator[float]:
    cipher = Bfv(plan.parameters, generate_key(plan.parameters))
    release, draw = plan.release("train"), setting.random("sensitivity")

    def summed(rows: Row) -> NDArray[np.int64]:
        # Equal noise cancels in the difference; residues modulo t are what masks make, too.
        modulus = plan.parameters.plain_modulus
        sealed = seal(rows, release, cipher, SeededSource(0), lambda slots: slots % modulus)
        slots = cipher.decrypt(sealed.ciphertext, slots_of(release))
        return release.packing.unpack(slots, slots_of(release) * release.packing.per_slot)

    for others in (np.zeros((1, DIMENSION)), draw.normal(size=(5, DIMENSION))):
        before = summed(others)
        for row in (*_extremes(release, draw), -3 * others.sum(axis=0)):
            yield float(np.linalg.norm((summed(np.vstack([others, row])) - before).astype(float)))


def _extremes(release: Release, draw: np.random.Generator) -> Iterator[Row]:
    direction = draw.normal(size=DIMENSION)
    direction *= release.clip / np.linalg.norm(direction)
    for length in (5e-324, 1e-9, 0.5, 1 - 1e-15, 1.0, 1 + 1e-15, 3.0, 100.0, 1e150, 1e300):
        yield length * direction
        yield length * release.clip * np.eye(DIMENSION)[0]
    for odd in (math.nan, math.inf, -math.inf):
        yield np.where(np.arange(DIMENSION) == 3, odd, direction)
    yield _all_rounded_up(release)


def _all_rounded_up(release: Release) -> Row:
    """Return a row within the clip of which rounding makes the longest one."""
    length, counts = release.scale * release.clip, np.arange(1, DIMENSION + 1)
    halves = np.floor(length / np.sqrt(counts) - 0.5) + 0.5 + 1e-6
    best = int(np.argmax((halves + 0.5) * np.sqrt(counts) * (halves * np.sqrt(counts) <= length)))
    return np.where(np.arange(DIMENSION) < counts[best], halves[best], 0.0) / release.scale


def check_replies(setting: Setting) -> Finding:
    """Look for raw sums, noised sums and masked slots in every byte that members send."""
    agent, draw = Canaries(width=LEAK_WIDTH), setting.random("replies")
    shards = {
        name: {"axis": np.arange(LEAK_WIDTH), "length": draw.random(LEAK_WIDTH)} for name in NAMES
    }
    subject = Subject(agent, plan_of(agent, cap=LEAK_WIDTH), shards)
    with (
        listening(pipeline, "sum_rows") as sums,
        listening(pipeline, "discrete_gaussian") as shares,
        listening(Bfv, "encrypt") as encrypted,
    ):
        subject.run()
    raw = [np.asarray(result) for _, result in sums]
    noise = [np.asarray(result) for _, result in shares]
    hidden = [np.asarray(args[1]) for args, _ in encrypted]
    noised = [one + share for one, share in zip(raw, noise, strict=True)]
    met = len(raw) == len(hidden) == len(subject.replies) == len(NAMES)
    leaks = _leaks(subject, [*raw, *noise, *noised, *hidden])
    most = max(_other_bytes(subject), default=0)
    return Finding(
        passed=met and not leaks and most < OTHER_BYTES,
        expected=f"no leak, fewer than {OTHER_BYTES} bytes beside ciphertext and slice",
        found=f"{leaks} leaks in {len(subject.wiretap.heard)} answers, {most} other bytes",
    )


def _leaks(subject: Subject, secrets: Sequence[NDArray[np.int64]]) -> int:
    blobs = [encode(one.answer) for one in subject.wiretap.heard]
    needles = {needle for secret in secrets for needle in _needles(secret)}
    return sum(needle in blob for blob in blobs for needle in needles)


def _needles(secret: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield runs of values in all the ways in which numbers are commonly written."""
    for start in range(0, secret.size - _RUN, LEAK_WIDTH // 8):
        part = secret[start : start + _RUN]
        for kind in _KINDS:
            raw = part.astype(kind).tobytes()
            yield raw
            yield raw.hex().encode()


def _other_bytes(subject: Subject) -> Iterator[int]:
    for _, _, reply in subject.replies:
        sealed, opened = reply.sealed, reply.opened
        payload = len(sealed.ciphertext if sealed else b"") + len(opened.values if opened else b"")
        yield len(encode(reply)) - payload


CHECKS = (
    Check(
        "sensitivity",
        "one record moves the integer sum by the sensitivity or less",
        check_sensitivity,
    ),
    Check(
        "replies", "nothing but sealed bytes, signatures and digests leaves a member", check_replies
    ),
)
