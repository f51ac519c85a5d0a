"""How cost grows: the points that are measured, and what is read from them."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "simulations"))

import growth
from growth import Point, Series

from mesh_fl.errors import ConfigError

FEW = (Series("clients", "clients", (Point(3, records=10), Point(6, records=10, cohort=2))),)


def test_the_power_is_read_from_the_costs() -> None:
    sizes = [10, 100, 1000]
    assert growth.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert growth.exponent(sizes, [7.0, 7.0, 7.0]) == pytest.approx(0.0, abs=1e-12)


def test_one_size_grows_at_a_time() -> None:
    for line in growth.series(quick=False):
        names = ("clients", "records", "hidden", "cohort")
        varying = {name for name in names if len({getattr(p, name) for p in line.points}) > 1}
        assert varying == {"hidden" if line.axis == "parameters" else line.axis}
        assert line.sizes == sorted(set(line.sizes))
    assert max(growth.series(quick=False)[0].sizes) == 10_000
    assert Point().parameters == 2762


def test_points_are_measured_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(growth, "series", lambda quick: FEW)
    file = tmp_path / "growth.json"
    growth.main(["--rounds", "2", "--json", str(file)])
    (line,) = json.loads(file.read_text())
    assert line["sizes"] == [3, 6]
    for cost, asked in zip(line["costs"], (3, 2), strict=True):
        assert cost["ms_per_client_round"] == pytest.approx(1000 * cost["round_s"] / asked)
        # The peak is that of this process, which may have run other tests.
        assert 10 < cost["peak_mb"] < 8000
    assert "clients **" in capsys.readouterr().out


def test_a_plot_without_matplotlib_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "find_spec", lambda name: None)
    monkeypatch.setattr(growth, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(ConfigError, match="pip install matplotlib"):
        growth.main(["--quick", "--plot", str(tmp_path / "plot.png")])
