"""`mesh-sim dispatch`: the options of a comparison of dispatching policies."""

from pathlib import Path
from typing import Annotated

import typer


def dispatch_command(
    technicians: Annotated[int, typer.Option(help="On shifts of eight hours.", min=1)] = 5,
    load: Annotated[str, typer.Option(help="Work over hours; commas between.")] = "0.7,0.85,0.95",
    weeks: Annotated[int, typer.Option(help="Of each queue; 2 at either end don't count.")] = 12,
    scarce: Annotated[
        bool,
        typer.Option(
            "--scarce",
            help="Three in ten tickets need a speciality that one technician has; due twice as "
            "soon.",
        ),
    ] = False,
    seeds: Annotated[int, typer.Option(help="Queues a load; each meets all policies.", min=2)] = 20,
    seed: Annotated[int, typer.Option(help="The first; training has others.", min=0)] = 5000,
    solver_seeds: Annotated[
        int, typer.Option(help="Of them for CP-SAT, half a minute each; 0 leaves it out.", min=0)
    ] = 2,
    train: Annotated[
        bool, typer.Option("--train", help="Learn a policy first, by trial; needs torch.")
    ] = False,
    episodes: Annotated[int, typer.Option(help="Queues to learn from, 48 a step.")] = 1920,
    policy: Annotated[
        Path | None,
        typer.Option(help="File of a learned policy: written with --train, read without."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Hours and their spread as a model of `resource` has them: the safetensors file "
            "that `mesh-sim run resource --output` writes. Made up if left out."
        ),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="That agent's configuration: a TOML or JSON file, or JSON.")
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(
            help="Play the past of one's own queue again instead: a client.toml that describes the "
            "tables tickets and, where there are, technicians and time_entries."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Compare policies that decide which waiting ticket a free technician takes.

    Example: mesh-sim dispatch --train --policy policy.safetensors --load 0.85
    """
    from mesh_fl.simulate.arguments import look_here, numbers, read_config
    from mesh_fl.simulate.dispatch_report import Choice, show

    look_here()
    show(
        Choice(
            technicians=technicians,
            loads=numbers(load, "--load", float),
            weeks=weeks,
            seeds=seeds,
            first_seed=seed,
            solver_seeds=min(solver_seeds, seeds),
            train=train,
            episodes=episodes,
            policy=policy,
            model=model,
            config=read_config(config),
            tables=tables,
            scarce=scarce,
        ),
        as_json,
    )
