"""`mesh-sim`: what researchers and developers run: the demonstration, and checks of agents."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mesh_fl.simulate.check import check_by_name, show
from mesh_fl.simulate.dispatch_command import dispatch_command
from mesh_fl.simulate.run_command import run_command
from mesh_fl.terminal import run

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Try agents and whole networks on this machine.",
)


app.command("run")(run_command)
app.command("dispatch")(dispatch_command)


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
def crowd(
    agent: Annotated[str, typer.Argument(help="Registered name, or package.module:Class.")],
    data: Annotated[
        str,
        typer.Option(
            help="A public set by its name, such as telco for health; `simulated`; an npz file of "
            "arrays or of the schema's columns; a table (.csv, .parquet, .jsonl) with --map; or a "
            "client.toml, whose tables are read as its member would."
        ),
    ],
    columns: Annotated[
        Path | None,
        typer.Option("--map", help="TOML file that says how to read it, such as a client.toml."),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="The agent's configuration: a TOML or JSON file, or JSON.")
    ] = None,
    members: Annotated[str, typer.Option(help="Numbers of MSPs.")] = "12,25,50,100",
    records: Annotated[str, typer.Option(help="Records of each MSP.")] = "56",
    epsilon: Annotated[str, typer.Option(help="Total promises; inf is without noise.")] = "0.1,1,8",
    seeds: Annotated[int, typer.Option(help="Fresh splits and noise.", min=1)] = 5,
    first_seed: Annotated[int, typer.Option(help="The others follow it.", min=0)] = 0,
    rounds: Annotated[
        int | None,
        typer.Option(help="Of a training; as the public set has it, or 16, if left out.", min=1),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Figure to compare by; the agent's first, if left out.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this PNG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Find out how many MSPs with how many records it takes for how good a model.

    Lists have commas between their numbers; every combination is tried.

    Example: mesh-sim crowd health --data telco --members 12,25,50,100 --plot crowd.png
    """
    from mesh_fl.simulate.arguments import look_here, numbers, read_config
    from mesh_fl.simulate.crowd import Grid
    from mesh_fl.simulate.crowd_report import report_crowd
    from mesh_fl.simulate.workloads import Wanted

    look_here()
    grid = Grid(
        epsilons=numbers(epsilon, "--epsilon", float),
        members=numbers(members, "--members", int),
        records=numbers(records, "--records", int),
        seeds=seeds,
        first_seed=first_seed,
    )
    wanted = Wanted(
        agent=agent,
        data=data,
        config=read_config(config),
        columns=columns,
        metric=metric,
        rounds=rounds,
        records=grid.largest,
    )
    report_crowd(wanted, grid, plot, as_json)


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
def speed(
    rounds: Annotated[int, typer.Option(help="Of a run, ten clients each.", min=2)] = 100,
    repeats: Annotated[int, typer.Option(help="Medians are over so many runs.", min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Measure how fast this machine simulates, beside a numpy floor in turns with it.

    Example: mesh-sim speed --json
    """
    from mesh_fl.simulate.speed.run import show

    show(rounds, repeats, as_json)


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


@app.command()
def benchmark(
    agent: Annotated[
        list[str] | None, typer.Option(help="Registered name; may be repeated. All if left out.")
    ] = None,
    epsilon: Annotated[
        list[str] | None,
        typer.Option(
            help="Total promises, inf is without noise; may be repeated. 0.1,1,8,inf if left out."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Name of a data set; may be repeated. All if left out.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Fresh splits and noise.", min=1)] = 10,
    first_seed: Annotated[
        int, typer.Option(help="The others follow it. Choose no setting on 5000 and up.", min=0)
    ] = 5000,
    output: Annotated[Path | None, typer.Option(help="Write the JSON to this file, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Measure agents on real data: public, alone, federated, adapted, pooled, and a baseline.

    Example: mesh-sim benchmark --agent health --epsilon 0.1,inf
    """
    from mesh_fl.simulate.arguments import numbers
    from mesh_fl.simulate.benchmarks.run import EPSILONS, Terms, show

    terms = Terms(
        agents=tuple(agent or ()),
        epsilons=numbers(",".join(epsilon), "--epsilon", float) if epsilon else EPSILONS,
        seeds=range(first_seed, first_seed + seeds),
        datasets=tuple(dataset or ()),
    )
    show(terms, as_json, output)


@app.command()
def benchmarks_page(
    rows: Annotated[Path, typer.Argument(help="JSON that `mesh-sim benchmark` wrote.")],
    page: Annotated[Path, typer.Argument(help="The Markdown file to write.")],
) -> None:
    """Write measured rows as a page, beside what was once claimed.

    Example: mesh-sim benchmarks-page docs/benchmarks.json docs/benchmarks.md
    """
    from mesh_fl.simulate.benchmarks.page import write_page

    write_page(rows, page)


def main() -> None:
    """Run `mesh-sim`."""
    run(app)
