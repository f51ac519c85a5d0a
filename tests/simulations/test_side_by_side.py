"""The comparison with other engines: is it the same work, and is what it tells true?"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

PEERS = Path(__file__).parents[2] / "simulations" / "peers"
sys.path.append(str(PEERS))

import chart  # noqa: E402
import environments  # noqa: E402
import run  # noqa: E402
import workload  # noqa: E402
from comparison import compare  # noqa: E402
from engines import ENGINES, OURS, Engine, chosen  # noqa: E402
from measure import RunError, Usage, measured  # noqa: E402
from side_by_side import Run, run_all, run_one  # noqa: E402
from workload import Task  # noqa: E402

from mesh_fl.errors import ConfigError, DataError  # noqa: E402
from mesh_fl.simulate.shards import Shards  # noqa: E402
from mesh_fl.simulate.speed import builtin, floor  # noqa: E402

SMALL = Task(clients=12, records=20, tests=200, cohort=4, rounds=2)
FLOOR = chosen("floor", quick=True)[0]


def engine_of(script: str, folder: Path) -> Engine:
    file = folder / "engine.py"
    file.write_text(script)
    return Engine("odd", "odd", str(file), rounds=1, private="")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_data_depend_on_the_seed_and_on_nothing_else() -> None:
    code = f"import workload; print(workload.digest(workload.{SMALL!r}))"
    other = {**os.environ, "PYTHONPATH": str(PEERS), "PYTHONHASHSEED": "7"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=other, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == workload.digest(SMALL)
    assert workload.digest(replace(SMALL, seed=1)) != workload.digest(SMALL)


def test_clients_are_skewed_and_the_test_set_is_not() -> None:
    counts = [np.bincount(labels, minlength=10) for _, labels in workload.shards(Task())]
    assert np.std(counts) > 5
    assert np.std(np.bincount(workload.test_set(Task())[1], minlength=10)) < 40
    assert workload.PARAMETERS == 2762


def test_the_floor_trains_each_client_as_if_it_were_alone() -> None:
    features, labels = map(np.stack, zip(*workload.shards(SMALL), strict=True))
    targets = np.eye(10, dtype=np.float32)[labels]
    model = np.concatenate([weights.ravel() for weights in workload.start(SMALL)])
    together = floor.local_updates(model, features, targets, SMALL)
    for client in (0, 7):
        one = slice(client, client + 1)
        alone = floor.local_updates(model, features[one], targets[one], SMALL)
        np.testing.assert_allclose(together[one], alone, atol=1e-6)


def test_the_floor_takes_the_steps_that_torch_takes() -> None:
    torch = pytest.importorskip("torch")
    from torch_mlp import Net, local_epoch

    # One batch of everything: then the order, which torch shuffles, does not matter.
    task = replace(SMALL, batch=SMALL.records)
    features, labels = workload.shard(task, 3)
    net = Net(task)
    before = [p.detach().numpy().T.ravel().copy() for p in net.parameters()]
    local_epoch(net, torch.from_numpy(features), torch.from_numpy(labels), task)
    after = [p.detach().numpy().T.ravel() for p in net.parameters()]
    targets = np.eye(10, dtype=np.float32)[labels]
    update = floor.local_updates(np.concatenate(before), features[None], targets[None], task)
    np.testing.assert_allclose(update[0], np.concatenate(after) - np.concatenate(before), atol=1e-6)
    assert np.abs(update).max() > 1e-3


def test_private_totals_are_clipped_and_noised_as_asked() -> None:
    updates = np.random.default_rng(0).normal(size=(4, 2762)).astype(np.float32)
    source = np.random.default_rng(1)
    silent = replace(SMALL, private=True, clip=0.5, sigma=0.0)
    summed = floor.total(updates[:1], silent, source)
    assert np.linalg.norm(summed) == pytest.approx(0.5, rel=1e-5)
    small = updates * np.float32(1e-4)
    np.testing.assert_allclose(floor.total(small, silent, source), small.sum(axis=0), atol=1e-7)
    noise = floor.total(np.zeros_like(updates), replace(silent, sigma=2.0), source)
    assert noise.std() == pytest.approx(2.0, rel=0.1)


def test_the_noise_of_our_plan_is_the_tasks() -> None:
    task = replace(SMALL, private=True, clip=0.5, sigma=2.0, rounds=30)
    dealt = Shards.of({str(i): {"x": x, "y": y} for i, (x, y) in enumerate(workload.shards(task))})
    release = builtin.plan(builtin.perceptron(task), task, dealt).release("train")
    on_the_sum = release.share * task.cohort**0.5 / release.scale
    assert on_the_sum == pytest.approx(2.0, rel=5e-3)
    assert release.clip == 0.5


def test_ours_learns_as_much_as_the_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    status = run.main(["--quick", "--rounds", "20", "--only", "floor,mesh_fl", "--json", str(file)])
    found = json.loads(file.read_text())
    rows = {(row["engine"], row["private"]): row for row in found["rows"]}
    assert status == 0
    assert found["failures"] == []
    exact, floored = (rows[name, False]["medians"]["accuracy"] for name in (OURS, "floor"))
    assert exact == pytest.approx(floored, abs=0.03)
    assert floored > 0.9
    for name in (OURS, "floor"):
        assert 0.5 < rows[name, True]["medians"]["accuracy"] < floored
        assert rows[name, True]["rounds"] == 20
    assert set(rows[OURS, False]["ratios"].values()) == {1.0}
    shown = capsys.readouterr().out
    assert "clipped and noised" in shown
    assert "ms a client-round" in shown


def test_an_engine_that_fails_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    broken = engine_of("print('so far so good')\nraise SystemExit('no such thing')", tmp_path)
    runs, failures = run_all([broken, FLOOR], [SMALL], 2, tmp_path, lambda _: None)
    assert [one.engine for one in runs] == ["floor", "floor"]
    (failure,) = failures
    assert failure.engine == "odd"
    assert "so far so good" in failure.message
    assert "no such thing" in failure.message
    assert "found 1" in failure.message


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("pass", ConfigError, "without a result"),
        (
            "import sys; open(sys.argv[2], 'w').write("
            '\'{"marks": [1, 2], "accuracy": 1, "digest": "of something else"}\')',
            DataError,
            "other data",
        ),
    ],
    ids=["no result", "other data"],
)
def test_an_engine_that_lies_is_caught(
    script: str, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        run_one(engine_of(script, tmp_path), SMALL, 0, tmp_path)


def test_a_failure_is_told_and_makes_the_command_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = engine_of("raise SystemExit('no such thing')", tmp_path)
    monkeypatch.setattr(run, "chosen", lambda only, quick: [broken])
    assert run.main(["--quick", "--no-dp"]) == 1
    assert "odd failed" in capsys.readouterr().err


DAEMON = """
import os, pathlib, subprocess, sys, time
code = "x = b'1' * 80_000_000; sum(range(12_000_000)); import time; time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
pathlib.Path("pid").write_text(str(child.pid))
time.sleep(1.5)
os._exit(0)
"""


def test_daemons_are_counted_and_do_not_outlive_the_run(tmp_path: Path) -> None:
    usage = measured([sys.executable, "-c", DAEMON], {}, tmp_path, limit_s=60)
    assert usage.peak_bytes > 80_000_000
    assert usage.processes == 2
    assert usage.cpu_s > 0.1
    assert not alive(int((tmp_path / "pid").read_text()))


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(RunError, match="within 1 s, found -9"):
        measured([sys.executable, "-c", script], {}, tmp_path, limit_s=1)
    assert not alive(int((tmp_path / "output.log").read_text()))


def test_work_of_others_is_noticed() -> None:
    quiet = Usage(0.0, wall_s=10.0, cpu_s=9.0, peak_bytes=1, processes=1, others_cpu_s=0.5)
    assert not quiet.disturbed
    assert replace(quiet, others_cpu_s=3.0).disturbed


def made_run(engine: str, repeat: int, ms: float) -> Run:
    return Run(engine, False, repeat, 5, ms, ms, 1.0, 2.0, 0.9, 4.0, 3.0, 100.0, 1, 0.0, False)


def test_ratios_are_taken_within_a_repeat() -> None:
    # The machine is ten times slower in the last repeat; ratios of medians would say 30 or 3.
    speeds = {OURS: (1.0, 1.0, 10.0), "pfl": (2.0, 30.0, 30.0)}
    runs = [made_run(name, k, ms) for name, laps in speeds.items() for k, ms in enumerate(laps)]
    ours, pfl = compare(runs)
    assert set(ours.ratios.values()) == {1.0}
    assert pfl.ratios["ms_per_client_round"] == 3.0
    assert pfl.medians["ms_per_client_round"] == 30.0
    assert compare([one for one in runs if one.engine != OURS])[0].ratios == {}


def test_engines_are_chosen_by_name() -> None:
    assert [one.name for one in chosen("pfl, floor", quick=True)] == ["pfl", "floor"]
    assert chosen("", quick=False) == list(ENGINES)
    assert not any(one.own_environment for one in chosen("", quick=True))
    with pytest.raises(ConfigError, match="found 'tff'"):
        chosen("floor,tff", quick=False)


@pytest.mark.parametrize("engine", [e for e in ENGINES if e.own_environment], ids=lambda e: e.name)
def test_peers_are_pinned_and_torch_comes_first(engine: Engine) -> None:
    file = environments.REQUIREMENTS / engine.script.replace(".py", ".txt")
    lines = file.read_text().splitlines()
    assert lines[0].startswith("torch==")
    assert all("==" in line for line in lines)
    assert len(lines) >= 2


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pip was asked for, in environments that are only folders."""
    asked: list[list[str]] = []
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(environments.venv, "create", lambda home, **_: home.mkdir(parents=True))
    monkeypatch.setattr(environments, "_install", lambda python, what: asked.append(what))
    (tmp_path / "peer.txt").write_text("torch==1\npeer==2\n")
    return asked


def test_an_environment_is_made_once(installs: list[list[str]], tmp_path: Path) -> None:
    wanted = str(tmp_path / "peer.txt")
    python = environments.interpreter("peer", tmp_path / "envs")
    assert python == tmp_path / "envs" / "peer" / "bin" / "python"
    assert installs == [["torch==1"], ["--requirement", wanted]]
    environments.interpreter("peer", tmp_path / "envs")
    assert len(installs) == 2
    Path(wanted).write_text("torch==1\npeer==3\n")
    environments.interpreter("peer", tmp_path / "envs")
    assert len(installs) == 4


def test_a_half_made_environment_is_made_again(
    installs: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(python: Path, what: list[str]) -> None:
        raise ConfigError("no network")

    with monkeypatch.context() as offline:
        offline.setattr(environments, "_install", fail)
        with pytest.raises(ConfigError, match="no network"):
            environments.interpreter("peer", tmp_path / "envs")
    environments.interpreter("peer", tmp_path / "envs")
    assert len(installs) == 2


def test_what_pip_says_is_told() -> None:
    with pytest.raises(ConfigError, match="no-such-file"):
        environments._install(Path(sys.executable), ["--no-index", "./no-such-file.whl"])


def test_a_plot_without_matplotlib_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "find_spec", lambda name: None)
    monkeypatch.setattr(run, "run_all", lambda *_: pytest.fail("ran"))
    with pytest.raises(ConfigError, match="pip install matplotlib"):
        run.main(["--quick", "--plot", str(tmp_path / "plot.png")])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_peer_runs_in_an_environment_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    words = ["--only", "mesh_fl,pfl", "--repeats", "1", "--no-dp"]
    assert run.main([*words, "--envs", str(tmp_path), "--json", str(file)]) == 0
    rows = {row["engine"]: row for row in json.loads(file.read_text())["rows"]}
    assert rows["pfl"]["medians"]["accuracy"] > 0.85
    assert rows["pfl"]["ratios"]["ms_per_client_round"] > 1
