"""What `mesh-sim crowd` prints: the answer, a table for each epsilon and size, or JSON."""

from collections.abc import Sequence
from functools import partial
from math import isfinite, isinf
from pathlib import Path

import typer

from mesh_fl.simulate.comparison import KINDS
from mesh_fl.simulate.crowd import Findings, Grid, Row, explore
from mesh_fl.simulate.plots import draw, refuse_unwritable
from mesh_fl.simulate.statistics import Mean
from mesh_fl.simulate.workloads import Material, Wanted, find
from mesh_fl.terminal import show_json, show_table


def report_crowd(wanted: Wanted, grid: Grid, plot: Path | None, as_json: bool) -> None:
    """Try crowds, and show what came of it; how far it has come is told on standard error.

    Parameters
    ----------
    wanted : Wanted
        Agent and records.
    grid : Grid
    plot : Path, optional
        PNG file to draw it into.
    as_json : bool
        Print JSON for programs.

    Raises
    ------
    MeshError
        If agent, records or files cannot be used.
    """
    if plot is not None:
        refuse_unwritable(plot)
    material = find(wanted)
    findings = explore(material, grid, partial(typer.echo, err=True))
    _show(material, grid, findings, as_json)
    if plot is not None:
        title = f"{wanted.agent} on {material.workload.dataset}, {grid.seeds} seeds"
        draw(findings, material.workload.metric, title, plot)
        typer.echo(f"wrote {plot}", err=True)


def _show(material: Material, grid: Grid, findings: Findings, as_json: bool) -> None:
    if as_json:
        show_json(as_document(material, grid, findings))
        return
    for answer in findings.answers:
        typer.echo(answer)
    for panel in findings.panels:
        typer.echo()
        _show_panel(material, grid, panel)
    typer.echo()
    for note in (*material.notes, *findings.skipped):
        typer.echo(note)


def as_document(material: Material, grid: Grid, findings: Findings) -> dict[str, object]:
    """Return everything that was found, for programs: an infinite epsilon is "inf"."""
    workload = material.workload
    return {
        "agent": workload.agent,
        "dataset": workload.dataset,
        "metric": workload.metric.name,
        "higher_is_better": workload.metric.higher_is_better,
        "rounds": workload.rounds,
        "seeds": grid.seeds,
        "first_seed": grid.first_seed,
        "answers": list(findings.answers),
        "notes": list(material.notes),
        "skipped": list(findings.skipped),
        "rows": [_as_row(row) for row in findings.rows],
    }


def _as_row(row: Row) -> dict[str, object]:
    found = row.comparison
    everything = {**found.quality, **found.differences}
    return {
        "epsilon": "inf" if isinf(row.epsilon) else row.epsilon,
        "members": row.members,
        "records": row.records,
        **{kind: found.quality[kind].mean for kind in KINDS},
        "differences": {pair: mean.mean for pair, mean in found.differences.items()},
        "se": {
            name: mean.error if isfinite(mean.error) else None for name, mean in everything.items()
        },
        "verdict": found.verdict,
    }


def _show_panel(material: Material, grid: Grid, panel: Sequence[Row]) -> None:
    workload, first = material.workload, panel[0]
    title = (
        f"{workload.metric.name} on {workload.dataset}, {first.records} records each, "
        f"epsilon = {first.epsilon:g}, {grid.seeds} seeds"
    )
    rows = [
        [row.members, *(_told(row.comparison.quality[kind]) for kind in KINDS), _word(row)]
        for row in panel
    ]
    show_table(title, ["MSPs", *KINDS, "verdict"], rows)


def _told(found: Mean) -> str:
    """Return a mean as short as a table on 80 columns needs it."""
    error = f"{found.error:.3f}".removeprefix("0")
    return f"{found.mean:.3f}" + (f"±{error}" if found.error >= 0.0005 else "")


def _word(row: Row) -> str:
    return row.comparison.verdict.removesuffix(" at this crowd")
