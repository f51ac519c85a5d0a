import base64
import json
from pathlib import Path

import pytest
from conftest import new_key, openssh
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError

OTHER_SEALING = base64.b64encode(bytes(range(32))).decode()
IDENTITY, SEALING = new_key(), X25519PrivateKey.generate()
CARD = Card.make("msp-1", 64, IDENTITY, SEALING)


def stored(tmp_path: Path, card: Card) -> Path:
    path = tmp_path / "card.json"
    path.write_text(card.model_dump_json())
    return path


def test_a_card_survives_its_file_and_gives_the_keys_back(tmp_path: Path) -> None:
    card = Card.read(stored(tmp_path, CARD))
    assert card == CARD
    assert card.sealing_key == SEALING.public_key().public_bytes_raw()
    assert card.identity.encode() == openssh(IDENTITY)


def test_a_card_holds_no_secret() -> None:
    text = CARD.model_dump_json()
    secret = SEALING.private_bytes_raw()
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
        {"identity": openssh(new_key()).decode()},
        {"sealing": OTHER_SEALING},
        {"signature": ""},
        {"signature": "not base64!"},
        {"signature": base64.b64encode(b"x" * 100).decode()},
        {"identity": "ssh-ed25519 nonsense"},
        {"identity": ""},
        {"identity": "ä"},
        {"sealing": ""},
        {"sealing": "ä"},
        {"sealing": CARD.sealing + "AAAA"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_card_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    changed = CARD.model_copy(update=change)
    with pytest.raises(ConfigError, match="was changed after it was signed: ask for it again"):
        Card.read(stored(tmp_path, changed))


def test_every_signed_bit_counts() -> None:
    signature = bytearray(base64.b64decode(CARD.signature))
    for place in range(4, len(signature), 7):
        flipped = bytearray(signature)
        flipped[place] ^= 1
        changed = CARD.model_copy(update={"signature": base64.b64encode(bytes(flipped)).decode()})
        with pytest.raises(ConfigError):
            changed.verify()


class Sealing(X25519PrivateKey):
    """Stands in for a key of other bytes."""

    def __init__(self, public: bytes) -> None:
        self._public = public

    def public_key(self) -> "Sealing":  # type: ignore[override]
        return self

    def public_bytes_raw(self) -> bytes:
        return self._public

    def exchange(self, peer_public_key: object) -> bytes:
        return b""

    private_bytes = private_bytes_raw = __copy__ = __deepcopy__ = exchange  # type: ignore[assignment]


@pytest.mark.parametrize(
    "public", [bytes(32), b"\1" + bytes(31), bytes(31), bytes(33), b""], ids=len
)
def test_a_sealing_key_that_nobody_can_seal_to_is_refused(public: bytes) -> None:
    """One such card would make every member refuse to hand the training's key out."""
    card = Card.make("msp-1", 64, IDENTITY, Sealing(public))
    with pytest.raises(ConfigError):
        card.verify()


def test_an_identity_of_another_kind_is_refused() -> None:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    text = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    with pytest.raises(ConfigError):
        CARD.model_copy(update={"identity": text.decode()}).verify()


@pytest.mark.parametrize(
    "name", ["", "MSP", "msp_1", "msp 1", "../msp", "-msp", "a" * 64, "mspé", "msp\n", "msp.1"]
)
def test_names_are_those_of_hosts(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        Card.make(name, 64, IDENTITY, SEALING)


@pytest.mark.parametrize("cap", [0, -1, 10**12 + 1])
def test_impossible_caps_are_refused(cap: int) -> None:
    with pytest.raises(ValidationError, match="cap"):
        Card.make("msp-1", cap, IDENTITY, SEALING)


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
