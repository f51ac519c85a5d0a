"""A small directory of cards, signed by keys that are made on the spot."""

import json
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh_fl.privacy.signing import public_bytes
from mesh_fl.profile import Profile, SignedProfile, handle_of


def card(seed: int, name: str | None = None, **told: object) -> SignedProfile:
    key = Ed25519PrivateKey.from_private_bytes(
        bytes([seed % 256, seed // 256]) + b"card" + bytes(26)
    )
    member = Ed25519PrivateKey.from_private_bytes(bytes([seed % 256]) + b"memb" + bytes(27))
    profile = Profile(
        handle=handle_of(public_bytes(key)),
        name=name,
        hidden=name is None,
        seal_key="ab" * 32,
        issued=date(2026, 1, 1),
        **{"expires": date(2199, 1, 1), **told},
    )
    return SignedProfile.make(profile, key, member)


def directory(folder: Path, *cards: SignedProfile) -> Path:
    path = folder / "directory.json"
    path.write_text(json.dumps([one.model_dump(mode="json") for one in cards]))
    return path


NORTH = {
    "about": "We build and run Microsoft Azure for mid-size companies.",
    "services": ("cloud migration",),
    "skills": ("Azure", "Terraform", "Microsoft 365"),
    "certifications": ("ISO 27001", "Microsoft Solutions Partner"),
    "regions": ("Bavaria, Germany",),
    "capacity_h_month": 80.0,
}
SOUTH = {
    "about": "Penetration tests and incident response.",
    "skills": ("penetration testing", "incident response"),
    "regions": ("Austria",),
    "capacity_h_month": 20.0,
}
EAST = {"about": "We repair printers.", "skills": ("printers",)}
