"""The figure of `mesh-sim crowd`: quality against the number of MSPs."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesh_fl.errors import ConfigError
from mesh_fl.quality import Metric
from mesh_fl.simulate.crowd import Findings, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by the colour-blind (Okabe and Ito 2008), and in print by the dashes.
STYLES = {
    "public": ("public knowledge only", "#999999", ":"),
    "alone": ("alone", "#E69F00", "--"),
    "federated": ("federated", "#0072B2", "-"),
    "adapted": ("federated and adapted", "#009E73", (0, (6, 1))),
    "pooled": ("pooled, no privacy", "#000000", "-."),
}

PANEL_INCHES = (4.2, 3.4)


def refuse_unwritable(path: Path) -> None:
    """Find out before the work whether a plot can be written after it.

    Raises
    ------
    ConfigError
        If matplotlib is not installed, or the path cannot be that of a PNG file.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError("plots come with an extra: pip install 'mesh_fl[plot]'")
    if path.suffix.lower() != ".png" or path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"--plot: expected a file named .png in a folder that exists, not {path}")


def draw(findings: Findings, metric: Metric, title: str, path: Path) -> None:
    """Write a PNG file: a panel for each epsilon and number of records.

    Parameters
    ----------
    findings : Findings
    metric : Metric
    title : str
    path : Path
        Where to write it.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = list(findings.panels)
    columns = len({panel[0].epsilon for panel in panels})
    lines = -(-len(panels) // columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * lines + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for one, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(one, panel)
    for one in axes.flat[len(panels) :]:
        one.set_axis_off()
    better = "higher" if metric.higher_is_better else "lower"
    figure.supylabel(f"{metric.name} on records of nobody ({better} is better)", fontsize=10)
    figure.suptitle(title, fontsize=11)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    try:
        figure.savefig(path, dpi=150, format="png")
    except OSError as error:
        raise ConfigError(f"--plot: cannot write {path}: {error.strerror}") from None


def _draw_panel(axes: "Axes", panel: Sequence[Row]) -> None:
    members = [row.members for row in panel]
    for kind, (label, colour, dashes) in STYLES.items():
        found = [row.comparison.quality[kind] for row in panel]
        mean = np.array([one.mean for one in found])
        error = np.nan_to_num([one.error for one in found])
        axes.plot(members, mean, ls=dashes, color=colour, marker="o", markersize=4, label=label)
        axes.fill_between(members, mean - error, mean + error, color=colour, alpha=0.2, lw=0)
    axes.set_xscale("log")
    axes.set_xticks(members, [str(count) for count in members])
    axes.minorticks_off()
    axes.set_xlabel("MSPs (bands: ± one standard error)")
    axes.set_title(f"ε = {panel[0].epsilon:g}, {panel[0].records} records each", fontsize=10)
    axes.grid(alpha=0.3)
