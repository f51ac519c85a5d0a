"""`mesh-sim`: what researchers and developers run: the demonstration, and checks of agents."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mesh_fl.simulate.check import check_by_name, show
from mesh_fl.terminal import run

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Try agents and whole networks on this machine.",
)


@app.command()
def check(
    agent: Annotated[str, typer.Argument(help="Registered name, or package.module:Class.")],
    config: Annotated[
        str | None, typer.Option(help="Its configuration: a TOML or JSON file, or JSON.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="An npz file: the arrays that the agent learns from, or the columns of its schema."
            " Without it, the class is asked for `example()`."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of the trial trainings.", min=1)] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Find out whether an agent keeps its contract; the exit status is 1 if it does not.

    AGENT is a registered name, or package.module:Class.

    Example: mesh-sim check my_package.tickets:MeanHours --config tickets.toml --data tickets.npz
    """
    report = check_by_name(agent, config, data, rounds)
    show(report, as_json)
    if not report.passed:
        sys.exit(1)


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="Of the split; the noise is never seeded.")] = 0,
    report: Annotated[Path, typer.Option(help="Where the figures are written.")] = Path(
        "demo-report.json"
    ),
    keep: Annotated[
        Path | None, typer.Option(help="Keep homes, ledgers and logs in this new folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run one operator and five MSPs as real processes, then simulate a hundred small MSPs.

    Example: mesh-sim demo --keep demo-home
    """
    from mesh_fl.simulate.demo.run import run_demo

    run_demo(seed, report, keep, as_json)


@app.command()
def cost(
    parameters: Annotated[
        int, typer.Option(help="Length of the model.", min=1, max=10_000_000)
    ] = 10_000,
    members: Annotated[int, typer.Option(help="Of the network.", min=2, max=1000)] = 20,
    epsilon: Annotated[float, typer.Option(help="Of the plan that sets the noise.")] = 0.1,
    records: Annotated[
        int,
        typer.Option(
            help="Of each member; clipping is timed on some and scaled up.", min=1, max=10**9
        ),
    ] = 1000,
    packed: Annotated[
        bool,
        typer.Option("--packed/--one-per-slot", help="Share slots where that saves bytes."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Measure what it costs to protect one round, beside the way of NVIDIA FLARE.

    A million parameters take half a minute and 0.4 GB of memory.

    Example: mesh-sim cost --parameters 1000000 --members 20 --one-per-slot
    """
    from mesh_fl.simulate.cost import Setting, show

    show(Setting(parameters, members, epsilon, records, packed), as_json)


@app.command()
def audit(
    only: Annotated[
        str, typer.Option(help="Name of one check, with its bugs, or of one bug.")
    ] = "",
    seed: Annotated[
        int, typer.Option(help="Of data and splits; noise is never seeded.", min=0)
    ] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer canaries, and nothing that is not installed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Attack the privacy claim, and seed bugs to see that the attacks find them.

    The exit status is 1 if a check fails, or a bug goes unnoticed.

    Example: mesh-sim audit --quick
    """
    from mesh_fl.simulate.audit.run import show

    if not show(seed, only, quick, as_json):
        sys.exit(1)


def main() -> None:
    """Run `mesh-sim`."""
    run(app)
