"""`mesh-server`: what the operator of a network runs."""

import functools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mesh_fl.card import Card
from mesh_fl.entry import Entry
from mesh_fl.errors import ConfigError, MeshError, NetworkError, PlanError
from mesh_fl.privacy.plan import Plan
from mesh_fl.roster import Roster
from mesh_fl.server.certificates import (
    make_certificates,
    make_operator_key,
    renew_server_certificate,
)
from mesh_fl.server.directory_cli import directory_app
from mesh_fl.server.members import FILE as ROSTER
from mesh_fl.server.members import Members
from mesh_fl.server.settings import FILE, ServerSettings, load_settings
from mesh_fl.store import make_home, write_durably
from mesh_fl.terminal import Narrator, run, show_json, show_table, stop_on_signals

if TYPE_CHECKING:
    from mesh_fl.server.forecast import Forecast

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run a network in which MSPs learn together. The server never sees a member's update.",
)
members_app = typer.Typer(no_args_is_help=True, help="Who takes part: decided by the members.")
app.add_typer(members_app, name="members")
app.add_typer(directory_app, name="directory")

HomeArgument = Annotated[Path, typer.Argument(help="The server's home folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def init(
    home: HomeArgument,
    name: Annotated[str, typer.Option(help="The network's name.")],
    host: Annotated[
        list[str] | None, typer.Option(help="Names and addresses that members connect to.")
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port that members connect to.", min=1, max=65535)
    ] = 9443,
) -> None:
    """Make keys, certificates and settings for a new network.

    Example: mesh-server init /srv/mesh --name acme-coop --host mesh.example.org
    """
    if (home / FILE).exists():
        raise ConfigError(f"{home} already holds a network: name another folder")
    make_home(home)
    hosts = host or ["127.0.0.1", "localhost"]
    listen = "127.0.0.1" if hosts[0] in ("127.0.0.1", "localhost") else "0.0.0.0"
    template = (Path(__file__).parent / "server.toml.template").read_text()
    make_certificates(home, name, hosts)
    make_operator_key(home)
    filled = template.format(name=json.dumps(name), host=json.dumps(listen), port=port)
    write_durably(home / FILE, filled.encode())
    typer.echo(f"made {home}: edit {home / FILE}, and hand {home / 'ca.crt'} to the members")


@app.command()
def renew(
    home: HomeArgument,
    host: Annotated[
        list[str] | None, typer.Option(help="Names and addresses that members connect to.")
    ] = None,
) -> None:
    """Make a new server certificate; members go on trusting the same ca.crt.

    Example: mesh-server renew /srv/mesh --host mesh.example.org
    """
    renew_server_certificate(home, host or ["127.0.0.1", "localhost"])
    typer.echo("made server.crt and server.key: restart the server to use them")


@members_app.command("found")
def members_found(
    home: HomeArgument,
    cards: Annotated[list[Path], typer.Argument(help="The founders' card.json.")],
    colluders: Annotated[
        int | None,
        typer.Option(
            help="Members that may collude with the operator without harm; more than so many must "
            "approve whoever joins later. As planned in server.toml when left out.",
            min=0,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Found the network with its first members, once.

    The founders compare the fingerprint with each other, not through the operator.

    Example: mesh-server members found /srv/mesh acme.card.json best.card.json core.card.json
    """
    settings = load_settings(home)
    withstood = settings.plan.colluders if colluders is None else colluders
    founders = [Card.read(path) for path in cards]
    roster = Members(home).found(settings.name, withstood, founders)
    if as_json:
        show_json(
            {
                "network": roster.network,
                "fingerprint": roster.fingerprint,
                "colluders": roster.colluders,
                "members": [card.model_dump() for card in roster.cards.values()],
            }
        )
        return
    _show_members(f"founders of {roster.network}", roster)
    typer.echo(f"fingerprint: {roster.fingerprint}")
    typer.echo(f"hand {home / ROSTER} to each founder, for `mesh-client members trust`")


@members_app.command("propose")
def members_propose(
    home: HomeArgument,
    cards: Annotated[list[Path], typer.Argument(help="Cards of new members, or a newer card.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the entry.")],
) -> None:
    """Write an entry by which new members join, for members to approve.

    Example: mesh-server members propose /srv/mesh dune.card.json -o entry.json
    """
    members = Members(home)
    entry = members.propose([Card.read(path) for path in cards])
    write_durably(output, entry.dumps())
    needed = members.roster().lacks(entry)
    typer.echo(
        f"wrote {output}: {needed} members must run `mesh-client members approve HOME {output}`, "
        f"then `mesh-server members add {home} {output}`"
        if needed
        else f"wrote {output}: add it by `mesh-server members add {home} {output}`"
    )


@members_app.command("add")
def members_add(
    home: HomeArgument,
    files: Annotated[
        list[Path], typer.Argument(help="Copies of an approved entry, or members' newer card.json.")
    ],
) -> None:
    """Let approved members in, or renew members' cards; a running server follows at once.

    Example: mesh-server members add /srv/mesh entry-by-acme.json entry-by-best.json
    """
    members = Members(home)
    load_settings(home)
    copies = [Entry.read(path) for path in files if _holds_entry(path)]
    cards = [Card.read(path) for path in files if not _holds_entry(path)]
    if copies:
        entry = functools.reduce(Entry.merged, copies)
        members.add(entry)
        typer.echo(f"{entry.kind}: {', '.join(entry.whom)}")
    for card in cards:
        members.renew(card)
        typer.echo(f"renewed {card.name}, at most {card.bounds} records, from the next training on")


@members_app.command("list")
def members_list(home: HomeArgument, as_json: AsJson = False) -> None:
    """List the members.

    Example: mesh-server members list /srv/mesh --json
    """
    roster = Members(home).roster()
    if as_json:
        show_json([card.model_dump() for card in roster.cards.values()])
        return
    _show_members(f"members of {roster.network}", roster)
    typer.echo(f"fingerprint of the founding: {roster.fingerprint}")


@members_app.command("remove")
def members_remove(home: HomeArgument, name: Annotated[str, typer.Argument()]) -> None:
    """Take a member out; a running server shuts it out at once.

    Example: mesh-server members remove /srv/mesh acme
    """
    Members(home).remove(name)
    typer.echo(f"removed {name}")


@app.command()
def plan(
    home: HomeArgument,
    agent: Annotated[
        str | None, typer.Option(help="One agent of server.toml; all of them when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the privacy promise of each training with the members registered now.

    The JSON is what members check their data against: `mesh-client data check HOME --offer FILE`.

    Example: mesh-server plan /srv/mesh --agent health --json > plan.json
    """
    from mesh_fl.server.forecast import forecast
    from mesh_fl.server.planning import plan_for

    settings, roster = load_settings(home), Members(home).roster()
    names = tuple(settings.agents) if agent is None else (agent,)
    if not set(names) <= settings.agents.keys() or (as_json and len(names) > 1):
        raise ConfigError(f"expected --agent to name one of {', '.join(settings.agents)}")
    faults = []
    for name in names:
        try:
            _, made = plan_for(settings, name, roster)
        except MeshError as error:
            faults.append(str(error) if len(names) == 1 else f"{name}: {error}")
            continue
        if settings.expect_of(name).data != "none" and sys.stderr.isatty():
            typer.echo(f"{name}: trying out what it may come to", err=True)
        expected = forecast(settings, made, larger=True)
        if as_json:
            _print_offer(settings, made, expected)
        else:
            _show_plan(settings, made, expected)
    if faults:
        raise PlanError("\n".join(faults))


def _print_offer(settings: ServerSettings, plan: Plan, expected: "Forecast | None") -> None:
    from mesh_fl.offer import Offer

    config = json.loads(plan.config)
    offer = Offer(network=settings.name, agent=plan.agent, config=config, plan=plan)
    told = expected and {"text": expected.text, **expected.facts}
    show_json({**offer.model_dump(mode="json"), "expected": told})


def _show_plan(settings: ServerSettings, plan: Plan, expected: "Forecast | None") -> None:
    release = plan.release("train")
    rows = [
        ["agent", plan.agent],
        ["protected", f"one {plan.unit}, epsilon = {plan.epsilon:g}, delta = {plan.delta:g}"],
        ["members", f"{len(plan.caps)}, at most {sum(plan.caps.values())} records in all"],
        ["against", f"{plan.colluders} colluding members, sums of at least {plan.survivors}"],
        ["rounds", f"{plan.rounds}, {plan.measures} measures, {plan.spares} spare attempts"],
        ["row", f"{plan.dimension} values, clipped to L2 <= {plan.clip:g}"],
        ["noise of a sum", f"{release.sigma / release.scale:.4g} in units of a row"],
        ["encryption", f"BFV, {plan.parameters.degree} slots, {plan.parameters.modulus_bits} bits"],
    ]
    show_table(f"plan of {settings.name}", ["", ""], rows)
    if expected is not None:
        typer.echo(expected.text)


@app.command()
def steer(home: HomeArgument, as_json: AsJson = False) -> None:
    """Say which agents to train next, in which order, and how; nothing is trained.

    By forecasts, the budget left, and the members that are registered: minutes for many agents.

    Example: mesh-server steer /srv/mesh
    """
    from mesh_fl.server.programme import spent_before
    from mesh_fl.server.steering import next_steps

    settings, roster = load_settings(home), Members(home).roster()
    spent = {name: spent_before(home, name) for name in settings.agents}
    steps = next_steps(settings, roster, spent)
    if as_json:
        show_json([vars(step) for step in steps])
        return
    rows = [
        [
            step.agent,
            "yes" if step.trains else "no",
            step.rounds or "-",
            step.survivors or "-",
            step.reason,
        ]
        for step in steps
    ]
    show_table("next trainings", ["agent", "train", "rounds", "members, at least", "why"], rows)


@app.command()
def start(
    home: HomeArgument,
    new: Annotated[bool, typer.Option(help="Begin new trainings though some are stored.")] = False,
    once: Annotated[bool, typer.Option(help="Stop when all trainings are over.")] = False,
    agent: Annotated[
        list[str] | None, typer.Option(help="Train this agent alone; may stand several times.")
    ] = None,
    steer: Annotated[
        bool, typer.Option("--steer", help="Train what forecasts say is worth it, best first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the agents of server.toml with the members, one after the other.

    It goes on where a stopped or killed server left off.

    Example: mesh-server start /srv/mesh
    """
    from mesh_fl.server.report import show_report
    from mesh_fl.server.run import run_server

    with Narrator(as_json) as narrator:
        reports = run_server(
            home, narrator, stop_on_signals(), new=new, once=once, agents=agent or (), steers=steer
        )
    for report in reports:
        if as_json:
            typer.echo(report.model_dump_json())
        else:
            show_report(report)


@app.command()
def status(home: HomeArgument, as_json: AsJson = False) -> None:
    """Ask the running server how it stands.

    Example: mesh-server status /srv/mesh
    """
    import httpx

    url = f"http://127.0.0.1:{load_settings(home).status_port}/status"
    try:
        found = httpx.get(url, timeout=10, trust_env=False).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        raise NetworkError(
            f"no server answers at {url}: start it by `mesh-server start {home}`"
        ) from None
    if as_json:
        show_json(found)
        return
    reports, _ = found.pop("reports"), found.pop("report")
    rows = [[key, ", ".join(v) if isinstance(v, list) else str(v)] for key, v in found.items()]
    show_table("network", ["", ""], rows)
    columns = ["agent", "status", "releases", "attempts", "epsilon_spent"]
    show_table("trainings", columns, [[str(one[key]) for key in columns] for one in reports])


@app.command()
def flower(
    home: HomeArgument,
    folder: Annotated[Path, typer.Argument(help="Where to write the app; made if missing.")],
) -> None:
    """Write a Flower app, to train by `flwr run` and `flower-superlink` instead of `start`.

    Example: mesh-server flower /srv/mesh /srv/mesh-app
    """
    from mesh_fl.server.flower_app import write_flower_app

    keys = write_flower_app(home, folder)
    typer.echo(f"wrote {folder}: with flower-superlink running, `flwr supernode register` each of")
    typer.echo("".join(f"  {key}\n" for key in keys) + f"then `flwr run {folder}`")


def _show_members(title: str, roster: Roster) -> None:
    rows = [[card.name, card.fingerprint, card.bounds] for card in roster.cards.values()]
    show_table(title, ["name", "card's fingerprint", "records, at most"], rows)


def _holds_entry(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "kind" in found


def main() -> None:
    """Run `mesh-server`."""
    run(app)
