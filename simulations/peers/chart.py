"""What a client-round takes, as a PNG."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from comparison import WORDS, Row
from engines import Engine

from mesh_fl.errors import ConfigError


def require() -> None:
    """Refuse to draw without matplotlib.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "expected matplotlib for a plot: `pip install matplotlib`, or leave the plot out"
        )


def draw(rows: Sequence[Row], engines: Sequence[Engine], file: Path) -> None:
    """Draw a point for each engine, with and without privacy, on a logarithmic axis."""
    require()
    from matplotlib.figure import Figure

    places = {engine.name: place for place, engine in enumerate(engines)}
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(engines)), layout="constrained")
    axes = figure.subplots()
    for private, marker in ((False, "o"), (True, "s")):
        found = [row for row in rows if row.private == private]
        speeds = [row.medians["ms_per_client_round"] for row in found]
        heights = [places[row.engine] + 0.4 * (private - 0.5) for row in found]
        axes.plot(speeds, heights, marker, label=WORDS[private])
        for speed, height in zip(speeds, heights, strict=True):
            axes.annotate(f"   {speed:.3g}", (speed, height), va="center")
    axes.set_yticks(range(len(engines)), [engine.title for engine in engines])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds a client-round, after the first round")
    axes.margins(x=0.1)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(file, dpi=150)
