"""A member's home: settings, keys, roster, ledger and models, all readable by it alone."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from mesh_fl.card import Card
from mesh_fl.client.caps import Caps
from mesh_fl.client.settings import FILE, ClientSettings, load_settings
from mesh_fl.errors import ConfigError, ProtocolError
from mesh_fl.privacy.ledger import Ledger
from mesh_fl.roster import Roster
from mesh_fl.store import FileJournal, Folder, make_home, write_durably

IDENTITY, SIGNING, LEDGER_KEY = "identity.key", "signing.key", "ledger.key"
CARD, ROSTER, LEDGER = "card.json", "roster.json", "ledger.jsonl"

EXPECTED = {
    "name": "small letters, digits and hyphens, at most 63, not 'operator'",
    "server": "HOST:PORT, such as mesh.example.org:9443",
    "cap": "a number of records, at least 1",
}

NO_SERVER = '# server = "HOST:PORT"    # once there is a network to join'

TEMPLATE = """\
# {name}: settings of this member of the network. Paths are relative to this file.
name = "{name}"
{server}
ca = "ca.crt"            # the network's certificate; the operator hands it out

[serve]                  # where POST /client-health and /docs are served, on this machine only
host = "127.0.0.1"
port = 8700

[privacy]                # what we insist on, whatever plan the operator proposes; after the first
                         # start with a roster it can be made stricter, never laxer
epsilon = 0.1            # lifetime budget of each record
delta = 1e-5
survivors = 4            # fewest members in a sum
colluders = 1            # members that may collude without harm
pace_s = 0.1             # answers leave whole multiples of this after an ask

# Describe each table, and opt into agents. For example:
#
# [tables.customers]
# path = "customers.csv"        # .csv, .parquet or .jsonl
# id = "client_id"              # its privacy budget is kept under this id for life
#
# [tables.customers.columns]
# churned = {{ column = "Status", values = {{ Lost = "yes", Active = "no" }} }}
#
# [agents.health]
# table = "customers"
"""


class Home:
    """Reads what `mesh-client init` made.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls, path: Path, name: str, server: str | None, caps: Caps | None, ca: Path | None
    ) -> "Home":
        """Make keys, card and settings; nothing that exists is overwritten.

        Without a server the member is alone; without caps it has no card yet.

        Raises
        ------
        ConfigError
            If the folder already holds a member's keys, or name, address or cap are none.
        """
        # A new ledger key would make the ledger of an older member unreadable.
        if any((path / key).exists() for key in (IDENTITY, SIGNING, LEDGER_KEY)):
            raise ConfigError(f"{path} already holds a member's keys: name another folder")
        identity, signing = ec.generate_private_key(ec.SECP384R1()), Ed25519PrivateKey.generate()
        with _sound_arguments():
            ClientSettings(name=name, server=server)
            card = _card(name, caps, identity, signing) if caps else None
        make_home(path)
        if ca is not None:
            write_durably(path / "ca.crt", _read(ca))
        if not (path / FILE).exists():
            where = f'server = "{server}"' if server else NO_SERVER
            text = TEMPLATE.format(name=name, server=where)
            write_durably(path / FILE, text.encode())
        write_durably(path / LEDGER_KEY, secrets.token_bytes(32))
        write_durably(path / SIGNING, _pem(signing))
        if card is not None:
            write_durably(path / CARD, card.model_dump_json(indent=2).encode() + b"\n")
        write_durably(path / IDENTITY, _pem(identity))
        return cls(path)

    @cached_property
    def settings(self) -> ClientSettings:
        """The member's client.toml."""
        return load_settings(self.path)

    @cached_property
    def identity(self) -> ec.EllipticCurvePrivateKey:
        """Who we are to the server."""
        key = self._key(IDENTITY)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp384r1":
            raise ConfigError(f"{self.path / IDENTITY}: expected an EC P-384 key")
        return key

    @cached_property
    def signing(self) -> Ed25519PrivateKey:
        """What signs our messages and approvals."""
        key = self._key(SIGNING)
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{self.path / SIGNING}: expected an Ed25519 key")
        return key

    @property
    def card(self) -> Card:
        """What the operator knows of us.

        Raises
        ------
        ConfigError
            If there is none yet, or name or keys are not those that it was made for.
        """
        card = self.signed_card
        ours = Card.make(self.settings.name, 1, self.identity, self.signing)
        parts = (
            ("the name in " + FILE, card.name, ours.name),
            (IDENTITY, card.identity, ours.identity),
            (SIGNING, card.signing, ours.signing),
        )
        for part, registered, found in parts:
            if registered != found:
                raise ConfigError(
                    f"{self.path}: {part} is not the one that {CARD} was made for: put the right "
                    "one back, or make a new home by `mesh-client init`"
                )
        return card

    @property
    def has_card(self) -> bool:
        """Whether we ever declared how many records we have."""
        return (self.path / CARD).exists()

    @property
    def signed_card(self) -> Card:
        """Our card as it stands, whatever became of our keys since.

        Raises
        ------
        ConfigError
            If there is none yet, or it was changed after it was signed.
        """
        if not self.has_card and self.path.is_dir():
            raise ConfigError(
                f"{self.path / CARD} is missing: `mesh-client card {self.path} --cap N` signs one, "
                "where N is a public upper bound on our records"
            )
        return Card.read(self.path / CARD)

    def renew_card(self, caps: Caps) -> Card:
        """Sign a card with other caps, newer than those before it."""
        name, serial = self.settings.name, self._last_serial() + 1
        with _sound_arguments():
            card = _card(name, caps, self.identity, self.signing, serial)
        write_durably(self.path / CARD, card.model_dump_json(indent=2).encode() + b"\n")
        return card

    @property
    def has_roster(self) -> bool:
        """Whether we trust a roster yet."""
        return (self.path / ROSTER).exists()

    @property
    def has_ledger(self) -> bool:
        """Whether we ever started with a roster."""
        return (self.path / LEDGER).exists()

    def roster(self) -> Roster:
        """Return the roster that we trust, verified from the first entry to the last.

        Raises
        ------
        ConfigError
            If there is none yet, or it was tampered with.
        """
        if not self.has_roster:
            raise ConfigError(
                f"{self.path} has no roster: get roster.json from the operator and its fingerprint "
                f"from a founder, then run `mesh-client members trust {self.path} roster.json "
                "--fingerprint F`"
            )
        return Roster.read(self.path / ROSTER)

    def trust_roster(self, roster: Roster) -> None:
        """Keep a first roster, whose fingerprint was compared with the founders'.

        Raises
        ------
        ConfigError
            If we trust one already.
        """
        if self.has_roster:
            raise ConfigError(f"{self.path / ROSTER} is there already: a member trusts one network")
        write_durably(self.path / ROSTER, roster.dumps())

    def keep_roster(self, roster: Roster) -> None:
        """Keep what became of the roster that we trust.

        Raises
        ------
        ConfigError
            If we trust none yet.
        ProtocolError
            If it does not follow the one that we trust.
        """
        ours = self.roster()
        if not roster.follows(ours):
            raise ProtocolError(
                f"expected a roster of {ours.network} that follows entry {len(ours.entries) - 1} "
                f"({ours.head[:16]}), found an older one or a fork ({roster.head[:16]}): ask the "
                "other members what they have"
            )
        if roster != ours:
            write_durably(self.path / ROSTER, roster.dumps())

    def ledger(self, *, writable: bool = True) -> Ledger:
        """Open the ledger; it is checked from the first line to the last."""
        key = _read(self._private(LEDGER_KEY))
        journal = FileJournal(self.path / LEDGER)
        policy = self.settings.privacy.policy()
        blobs = Folder(self.path / "ledger")
        return Ledger(journal, blobs, key, policy, writable=writable)

    def blobs(self) -> Folder:
        """Return the folder of consents, models and replies."""
        return Folder(self.path / "trainings")

    def _last_serial(self) -> int:
        own = [self.signed_card] if self.has_card else []
        listed = self.roster().cards.get(self.settings.name) if self.has_roster else None
        return max((card.serial for card in (*own, listed) if card is not None), default=0)

    def _key(self, name: str) -> object:
        path = self._private(name)
        try:
            return serialization.load_pem_private_key(_read(path), None)
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{path} is no private key ({error}): put the right one back"
            ) from None

    def _private(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            raise ConfigError(
                f"{path} is missing: make a home by `mesh-client init {self.path}`, or put the key "
                "back where it was"
            )
        if path.stat().st_mode & 0o077 and os.name == "posix":
            raise ConfigError(f"{path} can be read by others: run `chmod 600 {path}`")
        return path


def _card(
    name: str,
    caps: Caps,
    identity: ec.EllipticCurvePrivateKey,
    signing: Ed25519PrivateKey,
    serial: int = 1,
) -> Card:
    return Card.make(name, caps.general, identity, signing, serial, caps.by_agent)


@contextlib.contextmanager
def _sound_arguments() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name, found = str(problem["loc"][0]), problem["input"]
        raise ConfigError(f"--{name}: expected {EXPECTED[name]}, found {found!r}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None


def _pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
