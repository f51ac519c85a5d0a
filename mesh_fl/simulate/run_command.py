"""`mesh-sim run`: the options of one simulated training."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def run_command(
    agent: Annotated[str, typer.Argument(help="Registered name, or package.module:Class.")],
    data: Annotated[
        str,
        typer.Option(
            help="A public set by its name, such as telco for health; `simulated`; an npz file of "
            "arrays or of the schema's columns; a table (.csv, .parquet, .jsonl) with --map; or a "
            "client.toml, whose tables are read as its member would."
        ),
    ],
    clients: Annotated[int, typer.Option(help="How many take part.", min=1, max=1_000_000)],
    columns: Annotated[
        Path | None,
        typer.Option("--map", help="TOML file with a tables.X section as in client.toml."),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="The agent's configuration: a TOML or JSON file, or JSON.")
    ] = None,
    records: Annotated[
        int | None, typer.Option(help="Of each client, on average. All if left out.", min=1)
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="The public set's, or 16, if left out.", min=1)
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Figure to judge by. The agent's first if left out.")
    ] = None,
    epsilon: Annotated[float, typer.Option(help="Total promise; inf is without noise.")] = 0.1,
    split: Annotated[
        str | None,
        typer.Option(
            help="random, dirichlet:0.5 (label skew), column:NAME, time:NAME (of the "
            "agent's arrays) or power-law:1.5 (sizes). The public set's if left out."
        ),
    ] = None,
    cohort: Annotated[
        int | None, typer.Option(help="Clients drawn for each round. All if left out.", min=1)
    ] = None,
    survivors: Annotated[
        int | None,
        typer.Option(help="Answers that suffice. 9 in 10 of those expected if left out.", min=2),
    ] = None,
    spares: Annotated[
        int, typer.Option(help="Attempts that may come to nothing within the budget.", min=0)
    ] = 2,
    dropout: Annotated[float, typer.Option(help="Chance to fall silent when asked.")] = 0.0,
    absent: Annotated[float, typer.Option(help="Chance to be away in a round.")] = 0.0,
    median_s: Annotated[
        float, typer.Option("--median-s", help="Median time to answer, simulated seconds.")
    ] = 0.0,
    spread: Annotated[float, typer.Option(help="Standard deviation of that time's log.")] = 0.0,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", help="Whoever takes longer counts as silent.")
    ] = float("inf"),
    encrypted: Annotated[
        bool, typer.Option("--encrypted", help="Run members, masks and BFV too, as deployed.")
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="This process, or Flower's simulation runtime on Ray (extra ray)."),
    ] = "local",
    nodes: Annotated[
        int | None, typer.Option(help="Processes of Ray. One a processor if left out.", min=1)
    ] = None,
    noise: Annotated[
        Literal["one draw", "shares"],
        typer.Option(help="One draw for all, or each client's by the sampler of a deployment."),
    ] = "one draw",
    seed: Annotated[
        int | None, typer.Option(help="Of split, conduct and noise. Drawn if left out.", min=0)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the model to this file (safetensors).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Simulate one training, with whatever goes wrong in one.

    Example: mesh-sim run health --data telco --clients 100 --dropout 0.05 --split dirichlet:0.5
    """
    from mesh_fl.simulate.arguments import look_here, read_config
    from mesh_fl.simulate.conduct import Conduct
    from mesh_fl.simulate.run_report import run_once
    from mesh_fl.simulate.setting import Setting, fresh_seed
    from mesh_fl.simulate.workloads import Wanted

    look_here()
    wanted = Wanted(
        agent=agent,
        data=data,
        config=read_config(config),
        columns=columns,
        metric=metric,
        rounds=rounds,
        records=clients * (records or 1),
    )
    setting = Setting(
        clients=clients,
        records=records,
        epsilon=epsilon,
        split=split,
        cohort=cohort,
        survivors=survivors,
        spares=spares,
        conduct=Conduct(
            absent=absent, dropout=dropout, median_s=median_s, spread=spread, timeout_s=timeout_s
        ),
        encrypted=encrypted,
        engine=engine,
        nodes=nodes,
        seed=fresh_seed() if seed is None else seed,
        noise=noise,
    )
    run_once(wanted, setting, output, as_json)
