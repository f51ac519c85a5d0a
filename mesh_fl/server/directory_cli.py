"""`mesh-server directory`: collect members' profile cards for all members to see."""

from pathlib import Path
from typing import Annotated

import typer

from mesh_fl.profile import SignedProfile, today_utc
from mesh_fl.server.directory import FILE, Directory
from mesh_fl.terminal import show_json, show_table

directory_app = typer.Typer(no_args_is_help=True, help="Profiles of members that can be found.")

HomeArgument = Annotated[Path, typer.Argument(help="The server's home folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@directory_app.command("add")
def directory_add(
    home: HomeArgument,
    cards: Annotated[list[Path], typer.Argument(help="Cards by `mesh-client profile card`.")],
    as_json: AsJson = False,
) -> None:
    """Add cards, or put newer ones in the place of older ones.

    Example: mesh-server directory add /srv/mesh acme.profile.json
    """
    kept = Directory(home, today_utc()).add([SignedProfile.read(path) for path in cards])
    _tell(home, kept, as_json)


@directory_app.command("remove")
def directory_remove(
    home: HomeArgument,
    handle: Annotated[str, typer.Argument(help="Of the card.")],
    as_json: AsJson = False,
) -> None:
    """Take a card out.

    Example: mesh-server directory remove /srv/mesh 91c01cdd2ab9fae27f8a6a3fb7f8f6f1
    """
    _tell(home, Directory(home, today_utc()).remove(handle), as_json)


@directory_app.command("show")
def directory_show(home: HomeArgument, as_json: AsJson = False) -> None:
    """List the cards.

    Example: mesh-server directory show /srv/mesh --json
    """
    cards = Directory(home, today_utc()).cards()
    if as_json:
        show_json([card.model_dump(mode="json") for card in cards])
        return
    rows = [
        [one.handle, one.name or "(hidden)", str(one.expires), "; ".join(one.skills)]
        for one in (card.profile for card in cards)
    ]
    show_table("directory", ["handle", "name", "last day", "skills"], rows)


def _tell(home: Path, kept: tuple[SignedProfile, ...], as_json: bool) -> None:
    if as_json:
        show_json({"file": str(home / FILE), "handles": [card.profile.handle for card in kept]})
        return
    typer.echo(f"wrote {home / FILE} with {len(kept)} cards: hand it to the members")
