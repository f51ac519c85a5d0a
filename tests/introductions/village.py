"""Members with homes, keys and profiles, who know each other's roster keys."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh_fl.introductions.cards import OwnCards
from mesh_fl.introductions.desk import Desk
from mesh_fl.introductions.request import SealedRequest
from mesh_fl.privacy.signing import public_bytes
from mesh_fl.profile import OwnProfile, SignedProfile

TODAY = date(2026, 3, 31)
NAMES = ("acme", "best", "core")
OFFERING = OwnProfile(
    about="We look after small offices.",
    services=("managed backup",),
    skills=("azure", "vpn"),
    certifications=("ISO 27001",),
    regions=("DE",),
    capacity_h_month=40,
    contact="jo@private.example",
)


@dataclass
class Village:
    """Three members; a home is made when it is first asked for."""

    folder: Path
    signing: dict[str, Ed25519PrivateKey] = field(
        default_factory=lambda: {name: Ed25519PrivateKey.generate() for name in NAMES}
    )

    @property
    def keys(self) -> dict[str, bytes]:
        return {name: public_bytes(key) for name, key in self.signing.items()}

    def home(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def card(
        self, name: str, *, hidden: bool = True, today: date = TODAY, **changes: object
    ) -> SignedProfile:
        choice = {"days": 90, "fresh": False} | changes
        return OwnCards(self.home(name)).issue(
            OFFERING, None if hidden else name, self.signing[name], today=today, **choice
        )

    def desk(self, name: str, today: date = TODAY, strangers: tuple[str, ...] = ()) -> Desk:
        keys = {one: key for one, key in self.keys.items() if one not in strangers}
        return Desk(self.home(name), name, self.signing[name], keys, today)

    def ask(self, name: str, card: SignedProfile, **changes: object) -> SealedRequest:
        words = {
            "contact": f"{name}@example.org",
            "requirements": "azure at night",
            "message": "Hello\nthere",
        }
        return self.desk(name).ask(card, **(words | changes))
