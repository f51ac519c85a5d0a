"""Exact sums of encrypted integers: BFV with additions only.

Whoever adds holds no key and learns nothing. The scheme is that of Fan and Vercauteren
(eprint 2012/144) in Microsoft SEAL, reached through TenSEAL's low-level binding, with seeded
symmetric encryption, which halves an upload.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import tenseal.sealapi as seal
from numpy.typing import NDArray

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.framing import block_count, frame, unframe
from mesh_fl.privacy.memory_file import MemoryFile

LARGEST_MODULUS_BITS = {2048: 54, 4096: 60}
"""Degree to bits of q: 128-bit security (HomomorphicEncryption.org, 2018), one prime of SEAL."""

LONG = 2**15
"""From this length on blocks of 4096 save a fifth of the time; below it, 2048 saves padding."""

NOISE = 22
"""Largest error that a ciphertext brings into a sum.

The centred binomial of 2·21 coins, ½ for rounding, and ½ for a public vector added to the sum.
"""

_ROOM = NOISE * 2 * 2
"""What q / t has to exceed per ciphertext: decryption rounds up to ½, and one bit stays unused."""

_SEAL_REFUSALS = (RuntimeError, ValueError, IndexError, MemoryError)


@dataclass(frozen=True)
class Parameters:
    """Public parameters of the encryption.

    Parameters
    ----------
    degree : int
        Ring dimension, which is also the number of values in one block.
    modulus_bits : int
        Bits of the ciphertext modulus q, the largest fitting prime of that size.
    plain_modulus : int
        Prime t, 1 modulo ``2 * degree``; sums are exact modulo t.

    Raises
    ------
    PlanError
        If the parameters are insecure or impossible.
    """

    degree: int
    modulus_bits: int
    plain_modulus: int

    def __post_init__(self) -> None:
        most_bits = LARGEST_MODULUS_BITS.get(self.degree, 0)
        if not self.plain_modulus.bit_length() < self.modulus_bits <= most_bits:
            raise PlanError(
                f"expected a degree in {set(LARGEST_MODULUS_BITS)} and a modulus longer than t and "
                f"of at most 128-bit secure length, found {self}; use Parameters.for_range"
            )
        if not _is_batching_prime(self.plain_modulus, self.degree):
            raise PlanError(
                f"expected a prime plain modulus that is 1 modulo {2 * self.degree}, "
                f"found {self.plain_modulus}; use Parameters.for_range"
            )

    @classmethod
    def for_range(cls, bound: int, members: int, size: int = LONG) -> Self:
        """Return the smallest parameters that cannot fail, with one bit of noise budget to spare.

        Parameters
        ----------
        bound : int
            Every possible sum lies in ``[-bound, bound]``.
        members : int
            Largest number of ciphertexts that are added.
        size : int
            Length of the vectors; short ones get smaller blocks.

        Raises
        ------
        PlanError
            If no secure parameters hold such sums.
        """
        if bound < 1 or members < 1:
            raise PlanError(f"expected bound and members above 0, found {bound} and {members}")
        for degree, most_bits in LARGEST_MODULUS_BITS.items():
            if size >= LONG and degree < max(LARGEST_MODULUS_BITS):
                continue
            plain_modulus = _prime_above(2 * bound, degree, most_bits)
            modulus = _prime_above(members * _ROOM * plain_modulus, degree, most_bits)
            if plain_modulus and modulus:
                return cls(degree, modulus.bit_length(), plain_modulus)
        needed_bits = (members * _ROOM * 2 * bound).bit_length()
        raise PlanError(
            f"expected sums that fit a modulus of 60 bits, found that a bound of {bound} "
            f"({bound.bit_length()} bits) and {members} members need {needed_bits} bits or more; "
            "lower the scale, the noise or the number of members"
        )

    @property
    def modulus(self) -> int:
        """The prime q itself."""
        return _largest_prime(self.modulus_bits, self.degree)

    @property
    def most_additions(self) -> int:
        """Largest n with 2 · 22 · n < q / 2t: the worst case, and one bit to spare."""
        return self.modulus // (_ROOM * self.plain_modulus)


class Bfv:
    """Encrypts, adds and decrypts vectors of integers modulo t.

    Parameters
    ----------
    parameters : Parameters
        Public parameters.
    secret_key : bytes, optional
        From `generate_key`. Without it the object can only add.

    Raises
    ------
    EncryptionError
        If the key is damaged or belongs to other parameters.

    Guarantee
    ---------
    Whoever lacks the key learns only lengths (IND-CPA, 128-bit security). The digest finds damage,
    not forgery: ciphertexts are malleable, so they have to travel signed. Whoever holds the key
    opens every single ciphertext, not just the sum.
    """

    def __init__(self, parameters: Parameters, secret_key: bytes | None = None) -> None:
        self.parameters = parameters
        self._label = f"mesh_fl/bfv\0{parameters}"
        context = _context(parameters)
        self._evaluator = seal.Evaluator(context)
        self._encoder = seal.BatchEncoder(context)
        self._encryptor: seal.Encryptor | None = None
        self._decryptor: seal.Decryptor | None = None
        if secret_key is not None:
            key = _load_key(parameters, secret_key)
            self._encryptor = seal.Encryptor(context, key)
            self._decryptor = seal.Decryptor(context, key)

    def __repr__(self) -> str:
        return f"Bfv({self.parameters}, has_key={self._decryptor is not None})"

    def encrypt(self, values: NDArray[np.int64]) -> bytes:
        """Return the encryption of a vector of any length.

        Parameters
        ----------
        values : ndarray of int64, shape (size,)
            Centred values or residues modulo t: ``-t/2 < value < t``.

        Raises
        ------
        EncryptionError
            If a value is out of range, or there is no key.
        """
        if self._encryptor is None:
            raise EncryptionError("expected a key to encrypt with, found none; open the epoch")
        residues = _residues(values, self.parameters.plain_modulus)
        with MemoryFile() as file:
            # Only the form that returns its result keeps the seed in place of the random half.
            blocks = [
                file.save(self._encryptor.encrypt_symmetric(plain))
                for plain in self._encoded(residues)
            ]
        return frame(blocks, self._label)

    def add(self, ciphertexts: Sequence[bytes], size: int | None = None) -> bytes:
        """Return the encryption of the sum; needs no key.

        Parameters
        ----------
        ciphertexts : sequence of bytes
            Fresh ones from `encrypt`, at most ``parameters.most_additions``.
        size : int, optional
            Length of the vectors. Without it they only have to agree in their number of blocks.

        Raises
        ------
        EncryptionError
            If a ciphertext is damaged, foreign or of another length, or if there are too many.
        """
        most = self.parameters.most_additions
        if not 1 <= len(ciphertexts) <= most:
            raise EncryptionError(
                f"expected 1 to {most} ciphertexts to add, found {len(ciphertexts)}; "
                "make the plan for the whole cohort"
            )
        count = block_count(ciphertexts[0]) if size is None else self._blocks_for(size)
        first, *others = ciphertexts
        with MemoryFile() as file:
            sums = list(self._loaded(file, first, count))
            for other in others:
                for total, cipher in zip(sums, self._loaded(file, other, count), strict=True):
                    with _refusal("ciphertexts that can be added"):
                        self._evaluator.add_inplace(total, cipher)
            return frame([file.save(total) for total in sums], self._label)

    def add_plain(self, ciphertext: bytes, values: NDArray[np.int64]) -> bytes:
        """Return the encryption of the sum with a public vector; needs no key.

        The bound on noise leaves room for as many public vectors as ciphertexts were added.

        Parameters
        ----------
        ciphertext : bytes
            From `add` or `encrypt`.
        values : ndarray of int64, shape (size,)
            Centred values or residues modulo t: ``-t/2 < value < t``.

        Raises
        ------
        EncryptionError
            If a value is out of range, or the ciphertext is damaged, foreign or of another number
            of blocks.
        """
        residues = _residues(values, self.parameters.plain_modulus)
        count = self._blocks_for(len(residues))
        blocks = []
        with MemoryFile() as file:
            ciphers = self._loaded(file, ciphertext, count)
            for cipher, plain in zip(ciphers, self._encoded(residues), strict=True):
                with _refusal("a ciphertext that can be added to"):
                    self._evaluator.add_plain_inplace(cipher, plain)
                blocks.append(file.save(cipher))
        return frame(blocks, self._label)

    def decrypt(self, ciphertext: bytes, size: int) -> NDArray[np.int64]:
        """Return the vector in a ciphertext.

        Parameters
        ----------
        ciphertext : bytes
            From `add` or `encrypt`.
        size : int
            Length of the vector.

        Returns
        -------
        ndarray of int64, shape (size,)
            Centred into ``(-t/2, t/2]``.

        Raises
        ------
        EncryptionError
            If the ciphertext is damaged, foreign, of another length or under another key, or if
            there is no key.
        """
        if self._decryptor is None:
            raise EncryptionError("expected a key to decrypt with, found none; open the epoch")
        count = self._blocks_for(size)
        residues = np.empty((count, self.parameters.degree), dtype=np.int64)
        with MemoryFile() as file:
            for number, cipher in enumerate(self._loaded(file, ciphertext, count)):
                # A key fits all blocks or none, and the test costs as much as decryption.
                if number == 0:
                    _refuse_noise(self._decryptor, cipher)
                residues[number] = self._decrypt_block(self._decryptor, cipher)
        return _centred(residues.reshape(-1)[:size], self.parameters.plain_modulus)

    def _blocks_for(self, size: int) -> int:
        return -(-size // self.parameters.degree)

    def _encoded(self, residues: NDArray[np.int64]) -> Iterator["seal.Plaintext"]:
        degree = self.parameters.degree
        for start in range(0, len(residues), degree):
            plain = seal.Plaintext()
            self._encoder.encode(residues[start : start + degree].tolist(), plain)
            yield plain

    def _decrypt_block(
        self, decryptor: "seal.Decryptor", cipher: "seal.Ciphertext"
    ) -> NDArray[np.int64]:
        plain = seal.Plaintext()
        with _refusal("a ciphertext that can be decrypted"):
            decryptor.decrypt(cipher, plain)
            residues: list[int] = self._encoder.decode_uint64(plain)
        # Faster than np.array, which looks at every number twice.
        return np.fromiter(residues, dtype=np.int64, count=len(residues))

    def _loaded(
        self, file: MemoryFile, ciphertext: bytes, count: int
    ) -> Iterator["seal.Ciphertext"]:
        # Random coefficients of more than eight bits do not shrink below a byte each.
        least, most = self.parameters.degree, _largest_block_bytes(self.parameters)
        for block in unframe(ciphertext, self._label, count, least, most):
            yield self._load(file, block)

    def _load(self, file: MemoryFile, block: bytes) -> "seal.Ciphertext":
        cipher = seal.Ciphertext()
        with _refusal("a ciphertext under these parameters"):
            file.load(cipher, _context(self.parameters), block)
        if cipher.size() != 2 or cipher.is_ntt_form():
            raise EncryptionError(
                "expected a BFV ciphertext of 2 polynomials in coefficient form, found "
                f"{cipher.size()}, NTT form: {cipher.is_ntt_form()}; refuse the sender"
            )
        return cipher


def generate_key(parameters: Parameters) -> bytes:
    """Return a fresh secret key; it never touches a disk where the system has memory files."""
    with MemoryFile() as file:
        return file.save(seal.KeyGenerator(_context(parameters)).secret_key())


def _refuse_noise(decryptor: "seal.Decryptor", cipher: "seal.Ciphertext") -> None:
    with _refusal("a ciphertext that can be decrypted"):
        budget = decryptor.invariant_noise_budget(cipher)
    if budget == 0:
        raise EncryptionError(
            "expected a ciphertext under our key, found noise; compare epoch fingerprints"
        )


@contextmanager
def _refusal(expected: str) -> Iterator[None]:
    try:
        yield
    except _SEAL_REFUSALS as error:
        raise EncryptionError(f"expected {expected}, found: {error}; ask for it again") from None


@lru_cache(maxsize=16)
def _context(parameters: Parameters) -> "seal.SEALContext":
    chosen = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    chosen.set_poly_modulus_degree(parameters.degree)
    chosen.set_coeff_modulus([seal.Modulus(parameters.modulus)])
    chosen.set_plain_modulus(parameters.plain_modulus)
    context = seal.SEALContext(chosen, True, seal.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise PlanError(
            f"expected valid parameters, found {parameters}: {context.parameters_error_message()}"
        )
    return context


def _load_key(parameters: Parameters, secret_key: bytes) -> "seal.SecretKey":
    limit = _largest_block_bytes(parameters)
    if len(secret_key) > limit:
        raise EncryptionError(f"expected a key of at most {limit} bytes, found {len(secret_key)}")
    key = seal.SecretKey()
    with MemoryFile() as file, _refusal("a secret key for these parameters"):
        file.load(key, _context(parameters), secret_key)
    return key


def _is_batching_prime(value: int, degree: int) -> bool:
    return value > 1 and value % (2 * degree) == 1 and bool(seal.Modulus(value).is_prime())


def _largest_prime(bits: int, degree: int) -> int:
    try:
        return int(seal.PlainModulus.Batching(degree, bits).value())
    except _SEAL_REFUSALS:
        return 0


def _prime_above(least: int, degree: int, most_bits: int) -> int:
    sizes = range(max(2, least.bit_length()), most_bits + 1)
    primes = (_largest_prime(bits, degree) for bits in sizes)
    return next((prime for prime in primes if prime > least), 0)


def _residues(values: NDArray[np.int64], plain_modulus: int) -> NDArray[np.int64]:
    if values.ndim != 1 or values.dtype != np.int64:
        raise EncryptionError(
            f"expected a vector of int64, found {values.dtype} of shape {values.shape}"
        )
    least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if 2 * least <= -plain_modulus or most >= plain_modulus:
        raise EncryptionError(
            f"expected values from {-(plain_modulus // 2)} to {plain_modulus - 1}, found one "
            "out of range; reduce them modulo t, or widen the plan's range"
        )
    return np.where(values < 0, values + plain_modulus, values)


def _centred(residues: NDArray[np.int64], plain_modulus: int) -> NDArray[np.int64]:
    return np.where(residues > plain_modulus // 2, residues - plain_modulus, residues)


def _largest_block_bytes(parameters: Parameters) -> int:
    # Two polynomials of 64-bit words, and room for what SEAL writes around them.
    return 16 * parameters.degree + 1024
