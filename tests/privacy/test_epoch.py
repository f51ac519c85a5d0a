import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.errors import EncryptionError
from mesh_fl.privacy import epoch as epoch_module
from mesh_fl.privacy.encryption import Parameters, generate_key
from mesh_fl.privacy.epoch import Epoch, new_epoch, open_epoch, seal_epoch

PARAMETERS = Parameters.for_range(2**33, 20)
OTHER_PARAMETERS = Parameters.for_range(2**32, 20)
EPOCH = new_epoch(PARAMETERS)
RECIPIENT = X25519PrivateKey.generate()
CONTEXT = b"training 7, member north"
SEALED = seal_epoch(EPOCH, RECIPIENT.public_key(), CONTEXT)


def sealed(plain: bytes) -> bytes:
    """What a hostile member can seal to us: anything."""
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    return suite.encrypt(plain, RECIPIENT.public_key(), info=epoch_module._info(CONTEXT))


def test_round_trip() -> None:
    opened = open_epoch(SEALED, RECIPIENT, CONTEXT)
    assert opened == EPOCH
    assert opened.fingerprint == EPOCH.fingerprint


@settings(max_examples=10, deadline=None)
@given(context=st.binary(max_size=300))
def test_any_context_opens_with_itself_only(context: bytes) -> None:
    blob = seal_epoch(EPOCH, RECIPIENT.public_key(), context)
    assert open_epoch(blob, RECIPIENT, context) == EPOCH
    with pytest.raises(EncryptionError, match="does not open"):
        open_epoch(blob, RECIPIENT, context + b"\0")


def test_other_recipient_cannot_open() -> None:
    with pytest.raises(EncryptionError, match="does not open"):
        open_epoch(SEALED, X25519PrivateKey.generate(), CONTEXT)


def test_sealing_twice_differs() -> None:
    assert seal_epoch(EPOCH, RECIPIENT.public_key(), CONTEXT) != SEALED


def test_sealed_bytes_show_neither_key_nor_identifier() -> None:
    assert EPOCH.secret_key[40:72] in EPOCH.secret_key
    assert EPOCH.secret_key[40:72] not in SEALED
    assert bytes.fromhex(EPOCH.epoch_id) not in SEALED


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_tampering_is_found(position: int, flip: int) -> None:
    damaged = bytearray(SEALED)
    damaged[position] ^= flip
    # RFC 7748 masks the top bit of a public key, but HPKE binds the bytes as they were sent.
    with pytest.raises(EncryptionError):
        open_epoch(bytes(damaged), RECIPIENT, CONTEXT)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SEALED) - 1))
def test_truncation_is_found(length: int) -> None:
    with pytest.raises(EncryptionError):
        open_epoch(SEALED[:length], RECIPIENT, CONTEXT)


@pytest.mark.parametrize("blob", [b"", b"\0" * 32, b"\0" * 48, b"\xff" * 500, SEALED + b"\0"])
def test_garbage_is_refused(blob: bytes) -> None:
    with pytest.raises(EncryptionError):
        open_epoch(blob, RECIPIENT, CONTEXT)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=100), st.sampled_from([b"", b"\1"]))
def test_hostile_content_is_refused(content: bytes, version: bytes) -> None:
    with pytest.raises(EncryptionError):
        open_epoch(sealed(version + content), RECIPIENT, CONTEXT)


def test_other_version_is_refused() -> None:
    plain = epoch_module._encode(EPOCH)
    with pytest.raises(EncryptionError, match="version 1"):
        open_epoch(sealed(b"\2" + plain[1:]), RECIPIENT, CONTEXT)


def test_key_that_does_not_fit_its_parameters_is_refused() -> None:
    misfit = Epoch(EPOCH.epoch_id, PARAMETERS, generate_key(OTHER_PARAMETERS))
    with pytest.raises(EncryptionError, match="secret key for these parameters"):
        open_epoch(seal_epoch(misfit, RECIPIENT.public_key(), CONTEXT), RECIPIENT, CONTEXT)


def test_insecure_parameters_are_refused() -> None:
    weak = epoch_module._HEAD.pack(1, b"i" * 16, 1024, 60, PARAMETERS.plain_modulus)
    with pytest.raises(EncryptionError, match="unusable"):
        open_epoch(sealed(weak + EPOCH.secret_key), RECIPIENT, CONTEXT)


def test_degenerate_recipient_is_refused() -> None:
    with pytest.raises(EncryptionError, match="check the roster"):
        seal_epoch(EPOCH, X25519PublicKey.from_public_bytes(b"\0" * 32), CONTEXT)


def test_fingerprint_commits_to_every_field() -> None:
    others = [
        dataclasses.replace(EPOCH, epoch_id="0" * 32),
        dataclasses.replace(EPOCH, parameters=OTHER_PARAMETERS),
        dataclasses.replace(EPOCH, secret_key=EPOCH.secret_key + b"\0"),
    ]
    assert len({EPOCH.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert len(bytes.fromhex(EPOCH.fingerprint)) == 32


def test_epochs_are_fresh() -> None:
    other = new_epoch(PARAMETERS)
    assert other.epoch_id != EPOCH.epoch_id
    assert other.secret_key != EPOCH.secret_key
    assert len(bytes.fromhex(other.epoch_id)) == 16


def test_repr_hides_the_key() -> None:
    for shown in (repr(EPOCH), str(EPOCH), f"{EPOCH}"):
        assert EPOCH.epoch_id in shown
        assert "secret_key" not in shown
        assert repr(EPOCH.secret_key)[10:30] not in shown
        assert EPOCH.secret_key.hex()[:16] not in shown
