import base64
import json
import string
from pathlib import Path

import pytest
from conftest import new_key, openssh
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError
from mesh_fl.privacy.signing import sign

IDENTITY, SIGNING = new_key(), Ed25519PrivateKey.generate()
CARD = Card.make("msp-1", 64, IDENTITY, SIGNING)
OTHER = Card.make("msp-1", 64, new_key(), Ed25519PrivateKey.generate())


def stored(tmp_path: Path, card: Card) -> Path:
    path = tmp_path / "card.json"
    path.write_text(card.model_dump_json())
    return path


def test_a_card_survives_its_file_and_gives_the_keys_back(tmp_path: Path) -> None:
    card = Card.read(stored(tmp_path, CARD))
    assert card == CARD
    assert card.signing_key == SIGNING.public_key().public_bytes_raw()
    assert card.identity.encode() == openssh(IDENTITY)


def test_a_card_holds_no_secret() -> None:
    text = CARD.model_dump_json()
    secret = SIGNING.private_bytes_raw()
    assert base64.b64encode(secret).decode() not in text
    assert secret.hex() not in text
    pem = IDENTITY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert not any(line in text for line in pem.decode().splitlines()[1:-1])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "msp-2"},
        {"cap": 65},
        {"serial": 2},
        {"identity": OTHER.identity},
        {"signing": OTHER.signing},
        {"signature": ""},
        {"signature": "not base64!"},
        {"signature": base64.b64encode(b"x" * 64).decode()},
        {"identity": "ssh-ed25519 nonsense"},
        {"identity": ""},
        {"identity": "ä"},
        {"identity": CARD.identity + " comment"},
        {"signing": ""},
        {"signing": "ä"},
        {"signing": "AAAA"},
        {"signing": CARD.signing[:-2] + chr(ord(CARD.signing[-2]) ^ 1) + "="},
        {"signature": OTHER.signature},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_card_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    changed = CARD.model_copy(update=change)
    with pytest.raises(ConfigError, match="was changed after it was signed: ask for it again"):
        Card.read(stored(tmp_path, changed))


def test_every_signed_bit_counts() -> None:
    signature = bytearray(base64.b64decode(CARD.signature))
    for place in range(len(signature)):
        flipped = bytearray(signature)
        flipped[place] ^= 1
        changed = CARD.model_copy(update={"signature": base64.b64encode(bytes(flipped)).decode()})
        with pytest.raises(ConfigError):
            changed.verify()


def respelt(key: str) -> str:
    """Give base64 that stands for the same 32 bytes: the last digit has two bits to spare."""
    digits = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    other = key[:-2] + digits[digits.index(key[-2]) + 1] + "="
    assert base64.b64decode(other, validate=True) == base64.b64decode(key)
    return other


def compressed(key: ec.EllipticCurvePublicKey) -> str:
    """Give a key as OpenSSH never writes it: one coordinate and a sign."""
    point = key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    parts = (b"ecdsa-sha2-nistp384", b"nistp384", point)
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ecdsa-sha2-nistp384 {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize(
    "change",
    [
        {"identity": compressed(IDENTITY.public_key())},
        {"identity": CARD.identity + " msp-1"},
        {"identity": CARD.identity + "\n"},
        {"signing": respelt(CARD.signing)},
    ],
    ids=["compressed", "comment", "line end", "base64"],
)
def test_a_key_has_one_spelling(change: dict[str, str]) -> None:
    """Else one key could stand on a roster twice, under two names."""
    changed = CARD.model_copy(update=change)
    signed = changed.model_copy(update={"signature": sign(SIGNING, "card", changed.digest)})
    with pytest.raises(ConfigError):
        signed.verify()


def test_a_card_is_signed_as_a_card() -> None:
    """What the same key signed elsewhere proves nothing here."""
    signature = sign(SIGNING, "roster", CARD.digest)
    with pytest.raises(ConfigError):
        CARD.model_copy(update={"signature": signature}).verify()


def test_a_renewed_card_is_another_one() -> None:
    renewed = Card.make("msp-1", 64, IDENTITY.public_key(), SIGNING, serial=2)
    renewed.verify()
    assert (CARD.serial, renewed.serial) == (1, 2)
    assert renewed.fingerprint != CARD.fingerprint
    assert CARD.fingerprint == Card.make("msp-1", 64, IDENTITY, SIGNING).fingerprint
    assert CARD.fingerprint.replace(" ", "") == CARD.digest[:24]


def test_an_identity_of_another_kind_is_refused() -> None:
    public = SIGNING.public_key()
    text = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    small = ec.generate_private_key(ec.SECP256R1())
    for key in (text, openssh(small)):
        changed = CARD.model_copy(update={"identity": key.decode()})
        signed = changed.model_copy(update={"signature": sign(SIGNING, "card", changed.digest)})
        with pytest.raises(ConfigError):
            signed.verify()


@pytest.mark.parametrize(
    "name",
    ["", "MSP", "msp_1", "msp 1", "../msp", "-msp", "a" * 64, "mspé", "msp\n", "msp.1", "operator"],
)
def test_names_are_those_of_hosts(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        Card.make(name, 64, IDENTITY, SIGNING)


@pytest.mark.parametrize("cap", [0, -1, 10**12 + 1])
def test_impossible_caps_are_refused(cap: int) -> None:
    with pytest.raises(ValidationError, match="cap"):
        Card.make("msp-1", cap, IDENTITY, SIGNING)


@pytest.mark.parametrize("serial", [0, -1, 10**12 + 1])
def test_impossible_serials_are_refused(serial: int) -> None:
    with pytest.raises(ValidationError, match="serial"):
        Card.make("msp-1", 64, IDENTITY, SIGNING, serial)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({**CARD.model_dump(), "more": 1}), "\0", "\xff" * 9]
)
def test_what_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"is no member's card .*`mesh-client init`"):
        Card.read(path)


def test_a_missing_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read card .*: No such file"):
        Card.read(tmp_path / "card.json")
    with pytest.raises(ConfigError, match="cannot read card"):
        Card.read(tmp_path)


def test_identities_are_elliptic_curves_of_384_bits() -> None:
    key = serialization.load_ssh_public_key(CARD.identity.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp384r1"
