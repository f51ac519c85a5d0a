import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mesh_fl.errors import MeshError
from mesh_fl.simulate.cli import app
from mesh_fl.simulate.speed import builtin, floor, interleaved, record_round, run
from mesh_fl.simulate.speed.workload import Task

SMALL = Task(clients=12, records=20, tests=200, cohort=4, rounds=3)

ASKED_FOR = (
    "builtin_ms_per_client_round",
    "torch_ms_per_client_round",
    "floor_ms_per_client_round",
    "dp_ratio",
    "startup_s",
    "peak_mb",
)


def test_json_has_what_programs_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CROWD", 50)
    done = CliRunner().invoke(app, ["speed", "--rounds", "2", "--repeats", "1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert all(found[key] > 0 for key in ASKED_FOR)
    assert found["dp_ratio"] != 1
    for name in ("builtin", "floor", "torch"):
        assert 0.1 < found[f"{name}_accuracy"] < 1


def test_a_way_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RECORDS", "none")
    with pytest.raises(MeshError, match=r"record_round failed:(.|\n)*invalid literal"):
        run.speed(2, 1, lambda text: None)


def test_ways_are_taken_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, bool]] = []
    for module in (builtin, floor):
        real = module.train

        def noted(task: Task, real=real, module=module):
            taken.append((module.__name__.rpartition(".")[2], task.private))
            return real(task)

        monkeypatch.setattr(module, "train", noted)
    found = interleaved.measure("numpy", SMALL, 2)
    once = [("floor", False), ("builtin", False), ("builtin", True), ("floor", True)]
    assert taken == once * 2
    assert found["floor"]["ms"] > 0


def test_one_round_of_a_crowd_is_private_and_counts_everybody() -> None:
    found = record_round.measure(20, 30)
    assert 0 < found["seconds"] < 60
    assert record_round.crowd(20, 30).sizes == (30,) * 20


def test_without_torch_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys; from mesh_fl.simulate.speed import builtin; from "
        "mesh_fl.simulate.speed.workload import Task; builtin.train(Task(rounds=1)); "
        "print(*{'torch', 'flwr', 'scipy.sparse', 'sklearn', 'pandas'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
