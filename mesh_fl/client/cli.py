"""`mesh-client`: what an MSP's engineer runs next to the data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mesh_fl.client.caps import Caps
from mesh_fl.client.home import CARD, Home
from mesh_fl.client.introductions_cli import introductions_app
from mesh_fl.client.members import approve, propose_removal, show_roster, trust
from mesh_fl.client.profile_cli import profile_app
from mesh_fl.client.watch_cli import watch_command
from mesh_fl.errors import ConfigError, NetworkError
from mesh_fl.offer import Offer
from mesh_fl.privacy.accounting import epsilon_of
from mesh_fl.terminal import Narrator, run, show_json, show_table, stop_on_signals

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Learn together with other MSPs; your data stays here.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at the tables before they are used.")
app.add_typer(data_app, name="data")
members_app = typer.Typer(no_args_is_help=True, help="Who takes part: decided by the members.")
app.add_typer(members_app, name="members")
app.add_typer(profile_app, name="profile")
app.add_typer(introductions_app, name="introductions")
app.command("watch")(watch_command)

HomeArgument = Annotated[Path, typer.Argument(help="The member's home folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def init(
    home: HomeArgument,
    name: Annotated[str, typer.Option(help="Our name in the network: a-z, 0-9 and hyphens.")],
    server: Annotated[
        str | None, typer.Option(help="The operator's server, HOST:PORT; none for a member alone.")
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            help="Public upper bound on our records, such as 256; or one for each agent that we "
            "take part in, such as health=64. Needed to join a network."
        ),
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="The network's ca.crt, to copy here.")] = None,
) -> None:
    """Make keys, card and settings for a new member.

    Example: mesh-client init ~/mesh --name acme --server mesh.org:9443 --cap 256 --ca ca.crt
    """
    made = Home.create(home, name, server, Caps.read(cap) if cap else None, ca)
    settings = home / "client.toml"
    if made.has_card:
        typer.echo(f"made {home}: give {home / CARD} to the operator, then edit {settings}")
    else:
        typer.echo(f"made {home}: describe tables and agents in {settings}, then start it")


@app.command()
def card(
    home: HomeArgument,
    cap: Annotated[
        list[str] | None,
        typer.Option(help="Sign a new card with this cap, or with one for each agent: health=64."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show our card, or sign a newer one, for `mesh-server members add`.

    Example: mesh-client card ~/mesh --cap 512
    """
    ours = Home(home).signed_card if not cap else Home(home).renew_card(Caps.read(cap))
    if as_json:
        show_json(ours.model_dump())
        return
    shown = ours.model_dump() | {"fingerprint": ours.fingerprint}
    show_table("card", ["field", "value"], [[key, str(value)] for key, value in shown.items()])


@members_app.command("trust")
def members_trust(
    home: HomeArgument,
    roster: Annotated[Path, typer.Argument(help="The operator's roster.json.")],
    fingerprint: Annotated[
        str | None, typer.Option(help="Of the founding, from a founder: not from the operator.")
    ] = None,
) -> None:
    """Trust a network by the fingerprint that its founders tell each other.

    Example: mesh-client members trust ~/mesh roster.json --fingerprint 35ea316bb815...
    """
    trust(Home(home), roster, fingerprint)


@members_app.command("approve")
def members_approve(
    home: HomeArgument,
    entry: Annotated[Path, typer.Argument(help="What is proposed, from the operator or a member.")],
    roster: Annotated[
        Path | None, typer.Option(help="A newer roster.json than ours, which the entry follows.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write it; the same file if not.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Sign that others may join, or that a member is taken out.

    Example: mesh-client members approve ~/mesh entry.json
    """
    approve(Home(home), entry, roster, output or entry, yes)


@members_app.command("list")
def members_list(home: HomeArgument, as_json: AsJson = False) -> None:
    """List the members on the roster that we trust.

    Example: mesh-client members list ~/mesh --json
    """
    roster = Home(home).roster()
    if as_json:
        show_json([card.model_dump() for card in roster.cards.values()])
        return
    show_roster(f"members of {roster.network}", roster)


@members_app.command("remove")
def members_remove(
    home: HomeArgument,
    name: Annotated[str, typer.Argument(help="Whom to take out.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the entry.")],
) -> None:
    """Propose, and approve, that a member is taken out; other members approve it too.

    Example: mesh-client members remove ~/mesh dune -o entry.json
    """
    propose_removal(Home(home), name, output)


@data_app.command("check")
def data_check(
    home: HomeArgument,
    offer: Annotated[
        Path | None, typer.Option(help="What the operator plans (`mesh-server plan --json`).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read our tables as a training would, and tell what is there, missing or wrong.

    Example: mesh-client data check ~/mesh --offer plan.json
    """
    from mesh_fl.client.check import check_data

    check_data(Home(home), None if offer is None else Offer.read(offer), as_json)


@app.command()
def start(home: HomeArgument, as_json: AsJson = False) -> None:
    """Train with the network and serve answers, until stopped; without a roster, serve only.

    Example: mesh-client start ~/mesh
    """
    from mesh_fl.client.run import run_member

    with Narrator(as_json) as narrator:
        run_member(Home(home), narrator, stop_on_signals())


@app.command()
def status(home: HomeArgument, as_json: AsJson = False) -> None:
    """Ask the running client how it stands.

    Example: mesh-client status ~/mesh
    """
    health = _ask_local(home, "GET", "/health", None)
    if as_json:
        show_json(health)
        return
    health["epsilon_spent"] = f"{health['epsilon_spent']:.4f}"
    rows = [[key, str(value)] for key, value in health.items() if key != "models"]
    models = health.get("models")
    if isinstance(models, dict):
        rows += [[f"model {name}", _model_line(card)] for name, card in models.items()]
    show_table("member", ["", ""], rows)


@app.command()
def query(
    home: HomeArgument,
    path: Annotated[str, typer.Argument(help="The agent's path, such as /client-health.")],
    body: Annotated[str, typer.Argument(help="The record as JSON.")],
) -> None:
    """Ask the running client for an answer.

    Example: mesh-client query ~/mesh /client-health '{"client_id": "c1", "tenure_months": 3}'
    """
    try:
        record = json.loads(body)
    except ValueError as error:
        raise ConfigError(f"the record is no JSON: {error}") from None
    show_json(_ask_local(home, "POST", "/" + path.lstrip("/"), record))


@app.command()
def budget(home: HomeArgument, as_json: AsJson = False) -> None:
    """Show what our records have spent, and what is left.

    Example: mesh-client budget ~/mesh
    """
    ledger = Home(home).ledger(writable=False)
    policy = ledger.policy
    trainings: dict[tuple[str, str], list[float]] = {}
    for charge in ledger.charges:
        trainings.setdefault((charge.training, charge.agent), []).append(charge.cost)
    rows = [
        {
            "training": training,
            "agent": agent,
            "charges": len(costs),
            "epsilon": epsilon_of(sum(costs) ** 0.5, policy.delta),
        }
        for (training, agent), costs in trainings.items()
    ]
    spent = ledger.most_spent
    if as_json:
        terms = {**policy.model_dump(), "spent": spent, "head": ledger.head}
        show_json({**terms, "trainings": rows})
        return
    show_table(
        f"spent epsilon = {spent:.4f} of {policy.epsilon:g} (delta = {policy.delta:g}, by the "
        "record that spent most)",
        ["training", "agent", "charges", "epsilon"],
        [[r["training"], r["agent"], r["charges"], f"{r['epsilon']:.4f}"] for r in rows],
    )


@app.command()
def export(
    home: HomeArgument,
    agent: Annotated[str, typer.Argument(help="The agent's registered name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the model.")],
    shared: Annotated[
        bool, typer.Option("--shared", help="The network's model, without our own records' part.")
    ] = False,
) -> None:
    """Write an agent's newest model for another program, such as LightGBM.

    What is fitted to our own records is not private: keep the file, or use --shared.

    Example: mesh-client export ~/mesh health -o health.txt
    """
    from mesh_fl.client.export import export_model

    typer.echo(export_model(Home(home), agent, output, shared))


@app.command()
def flower(home: HomeArgument) -> None:
    """Write our key for Flower's own `flower-supernode`, and tell how to start it.

    Example: mesh-client flower ~/mesh
    """
    from mesh_fl.client.flower_key import supernode_command, write_flower_key

    ours = Home(home)
    typer.echo(supernode_command(ours, write_flower_key(ours)))


def _ask_local(home: Path, method: str, path: str, body: object) -> dict[str, object]:
    import httpx

    serve = Home(home).settings.serve
    url = f"http://{serve.host}:{serve.port}{path}"
    try:
        response = httpx.request(method, url, json=body, timeout=10, trust_env=False)
        answer = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise NetworkError(
            f"no client answers at {url}: start it by `mesh-client start {home}`"
        ) from None
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NetworkError(f"no agent answers at {path}: {_paths(home)}")
    if response.is_error:
        raise NetworkError(str(answer.get("detail", answer)))
    return dict(answer)


def _paths(home: Path) -> str:
    from mesh_fl.client.serve import path_of
    from mesh_fl.registry import agent_class

    agents = Home(home).settings.agents
    known = ", ".join(path_of(name, agent_class(name)) for name in agents)
    return f"expected one of {known}; [agents.NAME] in client.toml opts into others"


def _model_line(card: object) -> str:
    if not isinstance(card, dict):
        return str(card)
    adapted = "adapted" if card["adapted"] else "global"
    return f"{card['version']}, round {card['round']} of {card['rounds']}, {adapted}"


def main() -> None:
    """Run `mesh-client`."""
    run(app)
