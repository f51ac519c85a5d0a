"""A member's desk for introductions: what it asked, what it answered, and what came of it."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from filelock import FileLock, Timeout

from mesh_fl.errors import ConfigError, EncryptionError, ProtocolError
from mesh_fl.introductions.cards import OwnCards
from mesh_fl.introductions.outcomes import Outcome, Outcomes
from mesh_fl.introductions.records import Answered, Asked, Introduction, Records
from mesh_fl.introductions.reply import Reply, SealedReply, open_reply, seal_reply
from mesh_fl.introductions.request import (
    LONGEST,
    Request,
    SealedRequest,
    new_nonce,
    open_request,
    seal_request,
)
from mesh_fl.introductions.texts import checked
from mesh_fl.profile import SignedProfile
from mesh_fl.store import make_home

FOLDER = "introductions"
DAYS = 30
"""How long a request may be answered."""


@dataclass(frozen=True)
class Incoming:
    """A request that was sealed to a card of ours.

    Parameters
    ----------
    digest : str
        The introduction's id.
    request : Request
        What it says.
    known : bool
        Whether a member on our roster signed it; otherwise anybody may have written it.
    accepted : bool, optional
        How we answered; None if we did not.
    """

    digest: str
    request: Request
    known: bool
    accepted: bool | None


class Desk:
    """Asks, answers and opens, in a member's home.

    Parameters
    ----------
    home : Path
        The member's home.
    name : str
        Ours on the roster.
    signing : Ed25519PrivateKey
        Our roster key.
    keys : mapping of str to bytes
        Ed25519 public keys of the roster's members, by name.
    today : date
        In UTC.

    Guarantee
    ---------
    A member with a hidden card is known to the asker only from the reply on by which it accepts;
    a refusal or silence tells the asker nothing but that the card's key is in use. An answer once
    given is given again byte for byte, so asking twice by one file changes nothing. What breaks it:
    a profile or message whose text names its author; whoever sees who hands over which file, and
    when; a home that others can read.
    """

    def __init__(
        self,
        home: Path,
        name: str,
        signing: Ed25519PrivateKey,
        keys: Mapping[str, bytes],
        today: date,
    ) -> None:
        self._home, self._name, self._signing = home, name, signing
        self._keys, self._today = keys, today
        self._cards, self._outcomes = OwnCards(home), Outcomes(home)
        self._records = Records(home / FOLDER)

    def ask(
        self,
        card: SignedProfile,
        *,
        contact: str,
        requirements: str,
        message: str,
        days: int = DAYS,
    ) -> SealedRequest:
        """Return a request to a card, and remember it until its reply is opened.

        Raises
        ------
        ConfigError
            If the card is ours, expired, or not signed by the member it names.
        EncryptionError
            If the card's key cannot be sealed to.
        """
        self._check_card(card, days)
        reply_key = X25519PrivateKey.generate()
        request = checked(
            Request,
            handle=card.profile.handle,
            name=self._name,
            contact=contact,
            requirements=requirements,
            message=message,
            asked=self._today,
            expires=self._today + timedelta(days=days),
            reply_key=reply_key.public_key().public_bytes_raw().hex(),
            nonce=new_nonce(),
        ).signed(self._signing)
        sealed = seal_request(request, card.profile)
        private = reply_key.private_bytes_raw().hex()
        with self._alone():
            self._records.keep(
                Asked(digest=sealed.digest, card=card, request=request, reply_private=private)
            )
        return sealed

    def read(self, sealed: SealedRequest) -> Incoming:
        """Open a request to a card of ours and check who signed it.

        Raises
        ------
        MeshError
            If it is for another member, damaged, expired, or uses a name without its signature.
        """
        own = self._cards.find(sealed.handle)
        request = open_request(sealed, own.sealing_key)
        known = request.comes_from_a_member(self._keys)
        answered = self._records.answered(sealed.digest)
        if answered is None:
            request.check_day(self._today)
        accepted = None if answered is None else answered.accepted
        return Incoming(sealed.digest, request, known, accepted)

    def has_answered(self, sealed: SealedRequest) -> bool:
        """Tell whether an answer stands, which another one cannot replace."""
        return self._records.answered(sealed.digest) is not None

    def accept(
        self, sealed: SealedRequest, contact: str, message: str, *, unknown: bool
    ) -> SealedReply:
        """Tell who we are to whoever asks.

        Parameters
        ----------
        unknown : bool
            Also to somebody who is not on our roster.

        Raises
        ------
        MeshError
            As `read`; if nobody on the roster asks; or if we declined before.
        """
        incoming = self.read(sealed)
        if not (incoming.known or unknown):
            raise ProtocolError(
                f"expected a request from a member, found {incoming.request.name}, who is not on "
                "our roster and may be anybody: get the newest roster.json (`mesh-client members "
                "trust`), or accept by --unknown"
            )
        reply = checked(
            Reply,
            request=sealed.digest,
            handle=sealed.handle,
            accepted=True,
            name=self._name,
            contact=contact,
            message=message,
        )
        return self._answer(sealed, incoming, reply)

    def decline(self, sealed: SealedRequest) -> SealedReply:
        """Tell whoever asks no, and nothing about us.

        Raises
        ------
        MeshError
            As `read`, or if we accepted before.
        """
        incoming = self.read(sealed)
        reply = Reply(request=sealed.digest, handle=sealed.handle, accepted=False)
        return self._answer(sealed, incoming, reply)

    def open(self, sealed: SealedReply) -> tuple[Asked, bool]:
        """Return the request that a reply answers, and whether a member of our roster signed.

        Raises
        ------
        MeshError
            If it answers none of our open requests, or is damaged or forged.
        """
        envelope = hashlib.sha256(sealed.dumps()).hexdigest()
        with self._alone():
            asked = self._opened(sealed, envelope)
            known = asked.reply is not None and asked.reply.comes_from_a_member(self._keys)
            if asked.envelope is None:
                # Nobody needs the reply's key any more: what was sealed to it stays sealed.
                asked = asked.model_copy(update={"envelope": envelope, "reply_private": None})
                self._records.keep(asked)
            self._remember(asked.digest, asked.request, asked.card, asked.accepted)
        return asked, known

    def introductions(self) -> tuple[Introduction, ...]:
        """Return what we asked, then what we answered, with names held against the roster."""
        asked = (record.summary(self._keys) for record in self._records.all(Asked))
        return (*asked, *(record.summary(self._keys) for record in self._records.all(Answered)))

    def _check_card(self, card: SignedProfile, days: int) -> None:
        profile = card.profile
        if self._cards.has(profile.handle):
            raise ConfigError(f"card {profile.handle} is our own: ask for another handle")
        if profile.is_expired(self._today):
            raise ConfigError(
                f"card {profile.handle} expired on {profile.expires}: get the newest directory"
            )
        if not 1 <= days <= LONGEST.days:
            raise ConfigError(f"--days: expected 1 to {LONGEST.days}, found {days}")
        card.verify_name(self._keys)

    def _answer(self, sealed: SealedRequest, incoming: Incoming, reply: Reply) -> SealedReply:
        own, digest = self._cards.find(sealed.handle), sealed.digest
        with self._alone():
            answered = self._records.answered(digest)
            if answered is None:
                signed = reply.signed(own.signing_key, self._signing)
                answered = Answered(
                    digest=digest,
                    request=incoming.request,
                    accepted=reply.accepted,
                    reply=seal_reply(signed, incoming.request.reply_key),
                )
                self._records.keep(answered)
            self._remember(digest, incoming.request, own.card, answered.accepted)
        if answered.accepted != reply.accepted:
            said, command = ("accepted", "accept") if answered.accepted else ("declined", "decline")
            raise ProtocolError(
                f"expected request {digest[:16]} to be new, found that we {said} it, and an answer "
                f"stands: `mesh-client introductions {command}` writes the same reply again"
            )
        return answered.reply

    def _opened(self, sealed: SealedReply, envelope: str) -> Asked:
        for asked in self._records.all(Asked):
            if asked.envelope == envelope:
                return asked
            if asked.reply_private is None:
                continue
            try:
                reply = open_reply(sealed, asked.reply_key)
            except EncryptionError:
                continue
            reply.check_card(asked.card)
            return asked.with_reply(reply)
        raise ProtocolError(
            "expected a reply to a request of ours that is still open, found one that none of our "
            "keys opens: it is for another member, damaged, or a second reply"
        )

    def _remember(self, digest: str, request: Request, card: SignedProfile, accepted: bool) -> None:
        self._outcomes.append(
            Outcome(
                id=digest,
                requirements=request.requirements,
                offered=card.profile.offered,
                accepted=accepted,
            )
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at once must not answer one request in two ways."""
        make_home(self._home / FOLDER)
        lock = FileLock(self._home / FOLDER / ".lock", timeout=10)
        try:
            with lock:
                yield
        except Timeout:
            raise ConfigError(
                f"{self._home / FOLDER} is in use by another command: wait for it to end"
            ) from None
