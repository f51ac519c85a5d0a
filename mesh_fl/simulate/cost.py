"""`mesh-sim cost`: what it costs to protect a round, beside NVIDIA FLARE's way, in one run.

Every figure is processor time of this process. All of it runs on one core: SEAL, the masks and what
numpy is used for here start no threads, and TenSEAL is told not to.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray
from pydantic import ValidationError

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.clipping import sum_rows
from mesh_fl.privacy.encryption import Bfv, Parameters, generate_key
from mesh_fl.privacy.masking import hide, mask_of, pair_key
from mesh_fl.privacy.noise import SystemSource, discrete_gaussian
from mesh_fl.privacy.packing import packing_for
from mesh_fl.privacy.pipeline import Sealed, add, next_digest, open_sum, rescale, slots_of
from mesh_fl.privacy.plan import TALLY, Plan, Release, largest_delta
from mesh_fl.simulate.flare import Ckks
from mesh_fl.terminal import ERROR, show_json, show_table

COMPARED = ("encrypt", "add", "decrypt", "bytes_up", "bytes_down")

_FEW_PARAMETERS = 2_000_000
_TIMED_ENTRIES = 1 << 22

Figures = dict[str, int | float]


def _ignore(_: str) -> None:
    return None


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Parameters
    ----------
    parameters : int
        Length of the model.
    members : int
        How many ciphertexts are added.
    epsilon : float
        Of the plan that fixes the noise and the range of the integers.
    records : int
        Of each member.
    packed : bool
        As many values a slot as the plan finds best, or one.
    """

    parameters: int
    members: int
    epsilon: float = 0.1
    records: int = 1000
    packed: bool = True

    @property
    def repeats(self) -> int:
        """How often everything is measured; the median counts."""
        return 3 if self.parameters <= _FEW_PARAMETERS else 1

    @property
    def timed_rows(self) -> int:
        """How many rows are clipped; the time for all records is in proportion."""
        return max(1, min(self.records, _TIMED_ENTRIES // self.parameters))


class Clock:
    """Adds up the processor time of stages; an inner stage does not count for the outer one.

    Parameters
    ----------
    tell : callable
        Given the name of each stage that begins.
    """

    def __init__(self, tell: Callable[[str], None] = _ignore) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._tell = tell
        self._stage, self._since = "", time.process_time()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count the time inside for a stage."""
        self._tell(stage)
        outer = self._stage
        self._turn_to(stage)
        try:
            yield
        finally:
            self._turn_to(outer)

    def _turn_to(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[self._stage] += now - self._since
        self._stage, self._since = stage, now


class _Watched(Bfv):
    """Tells a clock about decryption."""

    def __init__(self, parameters: Parameters, secret_key: bytes, clock: Clock) -> None:
        super().__init__(parameters, secret_key)
        self._clock = clock

    def decrypt(self, ciphertext: bytes, size: int) -> NDArray[np.int64]:
        with self._clock("decrypt"):
            return super().decrypt(ciphertext, size)


def measure(setting: Setting, tell: Callable[[str], None] = _ignore) -> Figures:
    """Protect a round in our way and in NVIDIA FLARE's, and return what that took.

    Parameters
    ----------
    setting : Setting
        Sizes, and the promise to keep.
    tell : callable
        Told what is being measured.

    Returns
    -------
    dict of str to number
        Seconds (`_s`): clip to encrypt and decrypt to unmask are a member's, add is for the
        ciphertexts of all members. Packing is part of encrypt; checking the sum is part of unmask.

    Raises
    ------
    PlanError
        If no plan or no encryption fits the setting.
    EncryptionError
        If one of the two sums came out wrong: then the figures would mean nothing.
    """
    release, parameters = _encoding(setting)
    laps: list[Figures] = []
    for _ in range(setting.repeats):
        clock = Clock(tell)
        sizes = _measure_ours(setting, release, parameters, clock)
        sizes |= _measure_flare(setting, clock)
        laps.append({**{f"{stage}_s": s for stage, s in clock.seconds.items() if stage}, **sizes})
    terms: Figures = {
        "parameters": setting.parameters,
        "members": setting.members,
        "epsilon": setting.epsilon,
        "records": setting.records,
        "clip_rows_timed": setting.timed_rows,
        "repeats": setting.repeats,
        "bound_bits": release.bound.bit_length(),
        "packing": release.packing.per_slot,
        "degree": parameters.degree,
        "modulus_bits": parameters.modulus_bits,
        "plain_modulus_bits": parameters.plain_modulus.bit_length(),
    }
    return terms | _figures(laps, setting)


def show(setting: Setting, as_json: bool) -> None:
    """Measure, and print a table or JSON."""
    with ERROR.status("") as status:
        found = measure(setting, lambda stage: status.update(stage.replace("_", ": ")))
    if as_json:
        show_json(found)
        return
    title = (
        f"{setting.parameters} parameters, {setting.members} members, epsilon {setting.epsilon:g}, "
        f"values in a slot of {found['plain_modulus_bits']} bits: {found['packing']}"
    )
    rows = [(text, *_cells(found, name)) for name, text in _EXPLAINED.items()]
    show_table(title, ("", "ours", "FLARE", "ratio"), rows)


_EXPLAINED = {
    "clip_s": "clip all records of a member, s",
    "noise_s": "draw its share of the noise, s",
    "mask_s": "agree on masks and add them, s",
    "encrypt_s": "pack and encrypt, s",
    "add_s": "add the ciphertexts of all members, s",
    "decrypt_s": "decrypt the sum, s",
    "unmask_s": "unpack, check and rescale the sum, s",
    "bytes_up_per_parameter": "bytes up, per parameter",
    "bytes_down_per_parameter": "bytes down, per parameter",
}


def _cells(found: Figures, name: str) -> list[float | None]:
    ours, theirs = found[name], found.get(f"flare_{name}")
    cells = [ours, theirs, theirs and ours / theirs]
    return [cell and float(f"{cell:.3g}") for cell in cells]


def _encoding(setting: Setting) -> tuple[Release, Parameters]:
    plan = _plan(setting)
    release = plan.release("train")
    if setting.packed:
        return release, plan.parameters
    release = release.model_copy(update={"packing": packing_for(release.bound, 1)})
    return release, Parameters.for_range(release.bound, setting.members, slots_of(release))


def _plan(setting: Setting) -> Plan:
    caps = {f"member-{number}": setting.records for number in range(setting.members)}
    try:
        plan = Plan(
            agent="cost",
            config="{}",
            dimension=setting.parameters,
            measure_dimension=0,
            clip=1.0,
            measure_clip=1.0,
            rounds=16,
            measures=0,
            spares=2,
            measure_share=0.0,
            epsilon=setting.epsilon,
            delta=largest_delta(caps),
            survivors=min(4, setting.members),
            colluders=1,
            caps=caps,
        )
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise PlanError(f"expected a possible plan, found {told}") from None
    return plan.calibrate()


def _measure_ours(
    setting: Setting, release: Release, parameters: Parameters, clock: Clock
) -> Figures:
    rows = np.random.default_rng(0).normal(size=(setting.timed_rows, setting.parameters))
    cipher = _Watched(parameters, generate_key(parameters), clock)
    with clock("clip"):
        summed = sum_rows(rows, release.clip, release.scale, release.dimension)
    with clock("noise"):
        noise = discrete_gaussian(release.share, release.dimension, SystemSource())
    upload = _seal(summed + noise, release, cipher, clock, setting.members - 1)
    # Masks of copies would not cancel, so what is added has none; adding takes as long.
    sealed = Sealed(ciphertext=_seal(summed, release, cipher, Clock(), 0))
    with clock("add"):
        total = add([sealed] * setting.members, release, Bfv(parameters))
    with clock("unmask"):
        opened = open_sum(total, release, cipher, setting.members)
        next_digest("", opened)
        rescale(opened, release)
    _refuse_wrong("our", np.array_equal(opened, setting.members * summed))
    return {"bytes_up": len(upload), "bytes_down": len(total)}


def _seal(
    values: NDArray[np.int64], release: Release, cipher: Bfv, clock: Clock, peers: int
) -> bytes:
    """Do what `pipeline.seal` does after adding noise, with masks for so many peers."""
    modulus = cipher.parameters.plain_modulus
    own, *others = (X25519PrivateKey.generate() for _ in range(1 + peers))
    public = [other.public_key().public_bytes_raw() for other in others]
    with clock("encrypt"):
        slots = release.packing.pack(np.append(values, np.ones(TALLY, dtype=np.int64)))
    with clock("mask"):
        keys = [pair_key(own, peer, b"mesh-sim cost") for peer in public]
        plus, minus = keys[: peers // 2], keys[peers // 2 :]
        slots = hide(slots, mask_of(plus, minus, modulus, len(slots)), modulus)
    with clock("encrypt"):
        return cipher.encrypt(slots)


def _measure_flare(setting: Setting, clock: Clock) -> Figures:
    weights = np.random.default_rng(0).normal(scale=0.01, size=setting.parameters)
    cipher = Ckks()
    with clock("flare_encrypt"):
        upload = cipher.encrypt(weights)
    with clock("flare_add"):
        total = cipher.add([upload] * setting.members)
    with clock("flare_decrypt"):
        opened = cipher.decrypt(total)
    _refuse_wrong("FLARE's", np.allclose(opened, setting.members * weights, atol=1e-3))
    return {"flare_bytes_up": sum(map(len, upload)), "flare_bytes_down": sum(map(len, total))}


def _refuse_wrong(whose: str, right: bool) -> None:
    if not right:
        raise EncryptionError(f"{whose} sum came out wrong, so nothing was measured: report this")


def _figures(laps: list[Figures], setting: Setting) -> Figures:
    """Return the median of each figure, sizes per parameter, and how ours compare."""
    found = {name: statistics.median(lap[name] for lap in laps) for name in laps[0]}
    found["clip_s"] *= setting.records / setting.timed_rows
    for name in [name for name in found if "bytes" in name]:
        found[f"{name}_per_parameter"] = found.pop(name) / setting.parameters
    for short in COMPARED:
        name = f"{short}_per_parameter" if "bytes" in short else f"{short}_s"
        found[f"ratio_{short}"] = found[name] / found[f"flare_{name}"]
    return found
