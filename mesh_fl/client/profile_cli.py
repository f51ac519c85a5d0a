"""`mesh-client profile`: what we offer to other members, as a card."""

from pathlib import Path
from typing import Annotated

import typer

from mesh_fl.client.home import Home
from mesh_fl.errors import ConfigError
from mesh_fl.introductions.cards import OwnCards
from mesh_fl.introductions.results import new_file, write_result
from mesh_fl.introductions.traces import traces
from mesh_fl.profile import FILE, OwnProfile, Profile, read_profile, today_utc
from mesh_fl.store import write_durably
from mesh_fl.terminal import printable, show_json, show_table

profile_app = typer.Typer(no_args_is_help=True, help="What we offer, named or hidden.")

HomeArgument = Annotated[Path, typer.Argument(help="The member's home folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Where to write the file.")]


@profile_app.command("init")
def profile_init(home: HomeArgument, as_json: AsJson = False) -> None:
    """Write a profile.toml to fill in.

    Example: mesh-client profile init ~/mesh
    """
    path = home / FILE
    if path.exists():
        raise ConfigError(f"{path} is there already: edit it")
    if not home.is_dir():
        raise ConfigError(f"{home} is no folder: make a home by `mesh-client init {home}` first")
    write_durably(path, (Path(__file__).parent / "profile.toml.template").read_bytes())
    if as_json:
        show_json({"file": str(path)})
        return
    typer.echo(f"wrote {path}: fill it in, then run `mesh-client profile card {home} -o card.json`")


@profile_app.command("card")
def profile_card(
    home: HomeArgument,
    output: Output,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Withhold our name until we accept somebody.")
    ] = False,
    days: Annotated[int, typer.Option(help="How long it counts, from today.")] = 90,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="A new handle, instead of renewing our last card.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Hidden, though its text holds our name or contact.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a card of our profile.toml, or renew it, for `mesh-server directory add`.

    Example: mesh-client profile card ~/mesh -o card.profile.json --hidden
    """
    file = new_file(output)
    ours, profile = Home(home), read_profile(home / FILE)
    if hidden and not yes:
        _check_text(profile, ours.settings.name)
    name = None if hidden else ours.settings.name
    made = OwnCards(home).issue(
        profile, name, ours.signing, days=days, fresh=fresh, today=today_utc()
    )
    write_result(file, made.dumps())
    _show_card(made.profile, file, as_json)


@profile_app.command("list")
def profile_list(home: HomeArgument, as_json: AsJson = False) -> None:
    """List our cards.

    Example: mesh-client profile list ~/mesh --json
    """
    profiles = [own.card.profile for own in OwnCards(home).all()]
    if as_json:
        show_json([profile.model_dump(mode="json") for profile in profiles])
        return
    show_profiles("our cards", profiles)


@profile_app.command("withdraw")
def profile_withdraw(
    home: HomeArgument,
    handle: Annotated[str, typer.Argument(help="Of the card, as `profile list` tells.")],
    as_json: AsJson = False,
) -> None:
    """Delete a card's keys: requests to it can be read no more.

    Example: mesh-client profile withdraw ~/mesh 91c01cdd2ab9fae27f8a6a3fb7f8f6f1
    """
    OwnCards(home).withdraw(handle)
    if as_json:
        show_json({"withdrawn": handle})
        return
    typer.echo(f"withdrew {handle}: ask the operator to run `mesh-server directory remove` with it")


def show_profiles(title: str, profiles: list[Profile]) -> None:
    """Print profiles for people."""
    rows = [
        [one.handle, one.name or "(hidden)", str(one.expires), "; ".join(one.skills)]
        for one in profiles
    ]
    show_table(title, ["handle", "name", "last day", "skills"], rows)


def _check_text(profile: OwnProfile, name: str) -> None:
    if found := traces(profile, name, profile.contact):
        raise ConfigError(
            f"expected a profile that does not name us, found {', '.join(map(repr, found))} in "
            f"{FILE}: reword it, or say --yes if it gives nothing away"
        )


def _show_card(profile: Profile, output: Path, as_json: bool) -> None:
    if as_json:
        show_json({"file": str(output), **profile.model_dump(mode="json")})
        return
    whose = "hidden" if profile.hidden else f"named {profile.name}"
    typer.echo(
        printable(
            f"wrote {output}: card {profile.handle}, {whose}, until {profile.expires}; hand it to "
            "the operator for `mesh-server directory add`"
        )
    )
