"""What a home remembers of each introduction."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from mesh_fl.entry import parsed
from mesh_fl.errors import ConfigError, MeshError, ProtocolError
from mesh_fl.introductions.reply import Reply, SealedReply
from mesh_fl.introductions.request import Request
from mesh_fl.profile import Key, SignedProfile
from mesh_fl.store import Folder


class Introduction(NamedTuple):
    """One line of a list.

    Parameters
    ----------
    introduction, side : str
        Its id, and whether we asked or answered.
    partner : str or None
        None while it is hidden.
    handle, expires : str
        The card that was asked, and the request's last day.
    accepted : bool or None
        None while it is open.
    signed_by_member : bool or None
        Whether the partner's name is signed by the key that our roster has for it; None while it
        is hidden.
    """

    introduction: str
    side: str
    partner: str | None
    handle: str
    expires: str
    accepted: bool | None
    signed_by_member: bool | None


class Asked(BaseModel):
    """A request of ours.

    Parameters
    ----------
    digest : str
        The introduction's id.
    card : SignedProfile
        Whom we asked, as its card was then.
    request : Request
        What we asked.
    reply_private : str, optional
        X25519 private key that opens the reply, hexadecimal; deleted once it did.
    envelope : str, optional
        SHA-256 of the reply's file.
    reply : Reply, optional
        What the reply said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    digest: Key
    card: SignedProfile
    request: Request
    reply_private: Key | None = Field(default=None, repr=False)
    envelope: Key | None = None
    reply: Reply | None = None

    @property
    def reply_key(self) -> X25519PrivateKey:
        """What opens the reply, as long as it was not opened."""
        return X25519PrivateKey.from_private_bytes(bytes.fromhex(self.reply_private or ""))

    @property
    def accepted(self) -> bool:
        """Whether the reply accepted."""
        return self.reply is not None and self.reply.accepted

    def summary(self, keys: Mapping[str, bytes]) -> Introduction:
        """Return it in a line; `keys` are those on the roster, by name."""
        request, reply = self.request, self.reply
        partner = self.card.profile.name or (reply.name if reply else None)
        return Introduction(
            introduction=self.digest,
            side="asked",
            partner=partner,
            handle=request.handle,
            expires=str(request.expires),
            accepted=reply.accepted if reply else None,
            signed_by_member=None if partner is None else self._is_signed(keys),
        )

    def _is_signed(self, keys: Mapping[str, bytes]) -> bool:
        try:
            if self.reply is not None and self.reply.name is not None:
                return self.reply.comes_from_a_member(keys)
            self.card.verify_name(keys)
        except MeshError:
            return False
        return True

    def with_reply(self, reply: Reply) -> "Asked":
        """Return it with its reply.

        Raises
        ------
        ProtocolError
            If the reply is to another request.
        """
        if reply.request != self.digest:
            raise ProtocolError(
                f"expected a reply to request {self.digest[:16]}, found one to "
                f"{reply.request[:16]}: its author mixed them up; ask again"
            )
        return self.model_copy(update={"reply": reply})


class Answered(BaseModel):
    """A request that we answered.

    Parameters
    ----------
    digest : str
        The introduction's id.
    request : Request
        What was asked.
    accepted : bool
        What we said.
    reply : SealedReply
        What we handed over, to hand it over again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    digest: Key
    request: Request
    accepted: bool
    reply: SealedReply

    def summary(self, keys: Mapping[str, bytes]) -> Introduction:
        """Return it in a line; `keys` are those on the roster, by name."""
        request = self.request
        try:
            known = request.comes_from_a_member(keys)
        except ProtocolError:
            known = False
        return Introduction(
            introduction=self.digest,
            side="answered",
            partner=request.name,
            handle=request.handle,
            expires=str(request.expires),
            accepted=self.accepted,
            signed_by_member=known,
        )


Kept = TypeVar("Kept", Asked, Answered)
_PREFIXES: dict[type[Asked] | type[Answered], str] = {Asked: "asked", Answered: "answered"}


class Records:
    """Files of a folder, one for each introduction and side.

    Parameters
    ----------
    path : Path
        The folder; it need not be there before something is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, record: Asked | Answered) -> None:
        """Write a record, durably and readable by us alone."""
        name = f"{_PREFIXES[type(record)]}-{record.digest}.json"
        Folder(self._path)[name] = record.model_dump_json().encode()

    def answered(self, digest: str) -> Answered | None:
        """Return how we answered a request; None if we did not."""
        path = self._path / f"{_PREFIXES[Answered]}-{digest}.json"
        return _read(path, Answered) if path.exists() else None

    def all(self, kind: type[Kept]) -> tuple[Kept, ...]:
        """Return the records of one side, by their day.

        Raises
        ------
        ConfigError
            If one cannot be read.
        """
        found = [_read(path, kind) for path in sorted(self._path.glob(f"{_PREFIXES[kind]}-*.json"))]
        return tuple(sorted(found, key=lambda record: record.request.asked))


def _read(path: Path, kind: type[Kept]) -> Kept:
    try:
        return parsed(path.read_bytes(), kind.model_validate_json, "a record of an introduction")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ProtocolError as error:
        raise ConfigError(f"{path}: {error}; put the right file back, or delete it") from None
