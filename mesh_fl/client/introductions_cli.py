"""`mesh-client introductions`: ask a card, answer who asks, and open what was answered."""

from pathlib import Path
from typing import Annotated

import typer

from mesh_fl.client.home import Home
from mesh_fl.client.profile_cli import AsJson, HomeArgument, Output
from mesh_fl.errors import ConfigError
from mesh_fl.introductions.desk import DAYS, Desk, Incoming
from mesh_fl.introductions.outcomes import FILE as OUTCOMES
from mesh_fl.introductions.records import Asked, Introduction
from mesh_fl.introductions.reply import Reply, SealedReply
from mesh_fl.introductions.request import SealedRequest
from mesh_fl.introductions.results import new_file, write_result
from mesh_fl.privacy.signing import public_bytes
from mesh_fl.profile import FILE, SignedProfile, read_cards, read_profile, today_utc
from mesh_fl.terminal import ERROR, printable, show_json, show_table

introductions_app = typer.Typer(no_args_is_help=True, help="Find partners by sealed requests.")

SHORTEST_HANDLE = 8
STRANGER = "NOT A MEMBER THAT WE KNOW"
_SAID = {None: "open", True: "yes", False: "no"}

RequestArgument = Annotated[Path, typer.Argument(help="The request's file.")]
ContactOption = Annotated[
    str | None, typer.Option(help="How to reach us; as in profile.toml when left out.")
]


@introductions_app.command("ask")
def introductions_ask(
    home: HomeArgument,
    handle: Annotated[str, typer.Argument(help="Of a card, or how it begins.")],
    directory: Annotated[Path, typer.Option(help="The operator's directory.json.")],
    output: Output,
    message: Annotated[str, typer.Option(help="A letter, at most 4,000 characters.")] = "",
    requirements: Annotated[str, typer.Option(help="What we look for, as much again.")] = "",
    contact: ContactOption = None,
    days: Annotated[int, typer.Option(help="How long it may be answered, from today.")] = DAYS,
    as_json: AsJson = False,
) -> None:
    """Write a request that only the card's owner can read; it tells that one who we are.

    Example: mesh-client introductions ask ~/mesh 91c01cdd --directory directory.json
    --requirements "Azure, at night" --message "A client of ours needs ..." -o request.json
    """
    file, card = new_file(output), _card(directory, handle)
    sealed = _desk(home).ask(
        card,
        contact=_contact(home, contact),
        requirements=requirements,
        message=message,
        days=days,
    )
    write_result(file, sealed.dumps())
    if as_json:
        show_json({"introduction": sealed.digest, "handle": sealed.handle, "file": str(file)})
        return
    _say(f"wrote {file}: request {sealed.digest[:16]} to card {sealed.handle}")


@introductions_app.command("read")
def introductions_read(
    home: HomeArgument, request: RequestArgument, as_json: AsJson = False
) -> None:
    """Show who asks us for what; nobody is told that we read it.

    Example: mesh-client introductions read ~/mesh request.json
    """
    incoming = _desk(home).read(SealedRequest.read(request))
    if as_json:
        told = incoming.request.model_dump(mode="json", exclude={"reply_key", "nonce", "signature"})
        show_json(
            {
                "introduction": incoming.digest,
                "signed_by_member": incoming.known,
                "accepted": incoming.accepted,
                **told,
            }
        )
        return
    _show_incoming(incoming)


@introductions_app.command("accept")
def introductions_accept(
    home: HomeArgument,
    request: RequestArgument,
    output: Output,
    message: Annotated[str, typer.Option(help="A line or two, at most 1,000 characters.")] = "",
    contact: ContactOption = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Though nobody on our roster signed the request.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a reply that tells our name and contact to whoever asked, and to nobody else.

    Example: mesh-client introductions accept ~/mesh request.json -o reply.json
    """
    file, sealed = new_file(output), SealedRequest.read(request)
    desk, told = _desk(home), _contact(home, contact)
    stands = desk.has_answered(sealed)
    reply = desk.accept(sealed, told, message, unknown=unknown)
    write_result(file, reply.dumps())
    _show_reply(sealed, file, accepted=True, stands=stands, as_json=as_json)


@introductions_app.command("decline")
def introductions_decline(
    home: HomeArgument, request: RequestArgument, output: Output, as_json: AsJson = False
) -> None:
    """Write a reply that says no and nothing about us; to send none is an answer too.

    Example: mesh-client introductions decline ~/mesh request.json -o reply.json
    """
    file, sealed, desk = new_file(output), SealedRequest.read(request), _desk(home)
    stands = desk.has_answered(sealed)
    write_result(file, desk.decline(sealed).dumps())
    _show_reply(sealed, file, accepted=False, stands=stands, as_json=as_json)


@introductions_app.command("open")
def introductions_open(
    home: HomeArgument,
    reply: Annotated[Path, typer.Argument(help="The reply's file.")],
    as_json: AsJson = False,
) -> None:
    """Show how a request of ours was answered.

    Example: mesh-client introductions open ~/mesh reply.json
    """
    asked, known = _desk(home).open(SealedReply.read(reply))
    found = asked.reply
    if found is None:
        raise ConfigError(f"{reply}: expected a reply, found none: ask again")
    if as_json:
        told = found.model_dump(include={"accepted", "name", "contact", "message"})
        show_json(
            {
                "introduction": asked.digest,
                "handle": found.handle,
                "signed_by_member": known,
                **told,
            }
        )
        return
    _show_outcome(asked, found, known)


@introductions_app.command("list")
def introductions_list(home: HomeArgument, as_json: AsJson = False) -> None:
    """List what we asked and what we answered.

    Example: mesh-client introductions list ~/mesh --json
    """
    known = _desk(home).introductions()
    if as_json:
        show_json([one._asdict() for one in known])
        return
    rows = [
        [
            *(one.introduction[:16], one.side, _partner(one)),
            *(one.handle, one.expires, _SAID[one.accepted]),
        ]
        for one in known
    ]
    columns = ["introduction", "side", "with", "handle", "last day", "accepted"]
    show_table("introductions", columns, rows)


def _desk(path: Path) -> Desk:
    home = Home(path)
    keys = {name: card.signing_key for name, card in home.roster().cards.items()}
    name = home.settings.name
    if keys.get(name) != public_bytes(home.signing):
        raise ConfigError(
            f"expected {name} on our roster with the key of {path}, found "
            f"{'another key' if name in keys else 'no such member'}: get the newest roster.json by "
            "`mesh-client members trust`"
        )
    return Desk(path, name, home.signing, keys, today_utc())


def _contact(home: Path, told: str | None) -> str:
    contact = read_profile(home / FILE).contact if told is None else told
    if not contact.strip():
        raise ConfigError(
            f"expected a contact to tell, found none: set contact in {home / FILE}, or say "
            "--contact"
        )
    return contact


def _card(directory: Path, handle: str) -> SignedProfile:
    cards = read_cards(directory)
    found = [card for card in cards if card.profile.handle.startswith(handle.lower())]
    if len(handle) >= SHORTEST_HANDLE and len(found) == 1:
        return found[0]
    how_many = f"{len(found)} that begin so" if handle and found else "none"
    raise ConfigError(
        f"expected the handle of one of {len(cards)} cards in {directory}, or at least its first "
        f"{SHORTEST_HANDLE} characters, found {how_many} for {handle!a:.80}"
    )


def _partner(one: Introduction) -> str | None:
    return f"{one.partner} ({STRANGER})" if one.signed_by_member is False else one.partner


def _show_incoming(incoming: Incoming) -> None:
    request = incoming.request
    signed = "signed by that member" if incoming.known else STRANGER
    rows = [
        ["from", f"{request.name} ({signed})"],
        ["contact", request.contact],
        ["to our card", request.handle],
        ["looks for", request.requirements],
        ["message", request.message],
        ["asked, last day", f"{request.asked}, {request.expires}"],
        ["we", {None: "did not answer", True: "accepted", False: "declined"}[incoming.accepted]],
    ]
    show_table(f"request {incoming.digest[:16]}", ["", ""], rows)
    if not incoming.known:
        _warn(f"nobody on our roster is called {request.name}: anybody may have written this")


def _show_outcome(asked: Asked, reply: Reply, known: bool) -> None:
    if not reply.accepted:
        typer.echo(f"request {asked.digest[:16]} to card {reply.handle}: declined")
        return
    signed = "signed by that member" if known else STRANGER
    rows = [
        ["accepted by", f"{reply.name} ({signed})"],
        ["contact", reply.contact],
        ["message", reply.message],
        ["card", reply.handle],
    ]
    show_table(f"request {asked.digest[:16]}", ["", ""], rows)
    if not known:
        _warn(f"nobody on our roster is called {reply.name}: anybody may be behind this card")


def _show_reply(
    sealed: SealedRequest, file: Path, *, accepted: bool, stands: bool, as_json: bool
) -> None:
    if as_json:
        facts = {"introduction": sealed.digest, "accepted": accepted, "answer_stood": stands}
        show_json({**facts, "file": str(file)})
        return
    said = "accepts: it tells our name and contact" if accepted else "declines, and tells nothing"
    _say(f"wrote {file}, which {said}; kept for our own agents in {OUTCOMES}")
    if stands:
        _warn(
            "we had answered this request, and that answer stands: the file says what we said then"
            + (", with the contact and message of then" if accepted else "")
        )


def _say(text: str) -> None:
    typer.echo(printable(text))


def _warn(text: str) -> None:
    ERROR.print(f"warning: {printable(text)}", style="red", markup=False, soft_wrap=True)
