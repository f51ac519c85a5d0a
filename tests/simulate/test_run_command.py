import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mesh_fl.agents.health import ClientHealth
from mesh_fl.errors import ConfigError
from mesh_fl.simulate.cli import main
from mesh_fl.simulate.conduct import Conduct
from mesh_fl.simulate.run import Trial
from mesh_fl.simulate.setting import Setting
from mesh_fl.simulate.workloads import Wanted, find

CONFIG = {
    "features": [
        {"name": "seats", "kind": "number", "low": 1, "high": 99},
        {"name": "overdue", "kind": "flag"},
    ]
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared records, half of whom left, and the agent's configuration."""
    folder, random = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    y = np.tile([0.0, 1.0], 500)
    x = np.column_stack([np.ones(1000), random.normal(y, 1.0), random.normal(y, 2.0)])
    np.savez(folder / "records.npz", x=x, y=y, opened=np.arange(1000), desk=np.arange(1000) % 4)
    (folder / "health.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def mesh_sim(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> "MeshSim":
    return MeshSim(folder, monkeypatch, capsys)


class MeshSim:
    """The command line, in this process; `told` is what the last run said on standard error."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self._patch, self._captured = folder, patch, captured
        self.told = ""

    def __call__(self, words: str, *, agent: str = "health", status: int = 0) -> str:
        data, config = self.folder / "records.npz", self.folder / "health.json"
        argv = ["mesh-sim", "run", agent, "--data", str(data), "--config", str(config)]
        argv += ["--rounds", "3"]
        self._patch.setattr(sys, "argv", [*argv, *words.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        out, self.told = self._captured.readouterr()
        assert ended.value.code == status, self.told
        assert "Traceback" not in self.told
        return out

    def json(self, words: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self(f"{words} --json"))
        return found

    def refused(self, words: str, *, status: int = 1, agent: str = "health") -> str:
        assert self(words, status=status, agent=agent) == ""
        return " ".join(self.told.replace("│", " ").split())


class TestLocal:
    def test_figures_for_programs(self, mesh_sim: MeshSim) -> None:
        found = mesh_sim.json("--clients 20 --records 10 --seed 1")
        assert (found["clients"], found["records"]) == (20, 200)
        assert (found["status"], found["rounds"], found["attempts"]) == ("finished", 3, 3)
        assert found["clients_in_sum"] == [20] * 3
        assert 0 < float(str(found["epsilon_spent"])) < 0.1
        assert found["after"] != found["before"]
        assert mesh_sim.told.splitlines() == [f"round {k}/3: 20 clients" for k in (1, 2, 3)]

    def test_a_table_for_people(self, mesh_sim: MeshSim) -> None:
        shown = mesh_sim("--clients 20 --seed 1 --dropout 0.1 --median-s 2 --spread 1")
        digest = mesh_sim.json("--clients 20 --seed 1 --dropout 0.1 --median-s 2 --spread 1")
        for word in ("rounds", "clients in a sum", "waited (simulated)", "epsilon spent", "before"):
            assert word in shown
        assert f"digest {digest['digest']}" in shown

    def test_a_seed_is_drawn_and_told(self, mesh_sim: MeshSim) -> None:
        first, other = (mesh_sim.json("--clients 9 --records 5 --dropout 0.02") for _ in range(2))
        assert first["digest"] != other["digest"]
        again = mesh_sim.json(f"--clients 9 --records 5 --dropout 0.02 --seed {first['seed']}")
        assert again["digest"] == first["digest"]

    def test_without_noise_nothing_is_promised(self, mesh_sim: MeshSim) -> None:
        found = mesh_sim.json("--clients 30 --epsilon inf --cohort 10 --seed 0")
        assert (found["epsilon"], found["epsilon_spent"]) == ("inf", None)
        assert found["clients_in_sum"] == [10] * 3

    def test_noise_by_shares_is_other_noise(self, mesh_sim: MeshSim) -> None:
        one = mesh_sim.json("--clients 5 --seed 0")
        shares = mesh_sim.json("--clients 5 --seed 0 --noise shares")
        assert (one["noise"], shares["noise"]) == ("one draw", "shares")
        assert one["digest"] != shares["digest"]

    @pytest.mark.parametrize(
        "split", ["dirichlet:0.1", "time:opened", "power-law:1.5", "column:desk"]
    )
    def test_splits(self, mesh_sim: MeshSim, split: str) -> None:
        """Seen in what some clients have: all of them together have the same."""
        words = "--clients 4 --records 50 --cohort 2 --seed 0 --epsilon inf"
        found, plain = (mesh_sim.json(f"{words} --split {one}") for one in (split, "random"))
        assert (found["split"], found["records"]) == (split, 200)
        assert found["digest"] != plain["digest"]

    def test_whoever_is_slow_is_left_out(self, mesh_sim: MeshSim) -> None:
        words = "--clients 60 --seed 0 --median-s 2 --spread 1 --timeout-s 5 --absent 0.1"
        found = mesh_sim.json(words)
        assert found["status"] == "finished"
        assert found["waited_s"] == 5.0 * int(str(found["attempts"]))
        counts = found["clients_in_sum"]
        assert isinstance(counts, list)
        assert max(counts) < 55
        assert "waited 5.0 s" in mesh_sim.told

    def test_the_model_is_written(self, mesh_sim: MeshSim, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        mesh_sim(f"--clients 5 --records 100 --epsilon inf --output {path}")
        assert load_file(path)["round"] == 3


class TestEncrypted:
    def test_members_masks_and_bfv(self, mesh_sim: MeshSim) -> None:
        words = "--clients 5 --records 10 --encrypted --seed 3"
        found, again = mesh_sim.json(words), mesh_sim.json(words)
        assert "round 3/3: train with 5 members" in mesh_sim.told
        assert (found["engine"], found["noise"]) == ("encrypted", "shares")
        assert found["digest"] == again["digest"]
        fast = mesh_sim.json("--clients 5 --records 10 --seed 3")
        for name in ("rounds", "clients_in_sum", "epsilon_spent", "before"):
            assert found[name] == fast[name]

    def test_with_dropouts(self, mesh_sim: MeshSim) -> None:
        found = mesh_sim.json("--clients 24 --records 5 --encrypted --dropout 0.05 --seed 3")
        counts = found["clients_in_sum"]
        assert isinstance(counts, list)
        assert found["status"] == "finished"
        assert min(counts) < 24


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--clients 5 --encrypted --cohort 3", "--encrypted excludes --cohort, since"),
            ("--clients 5 --encrypted --epsilon inf", "--encrypted excludes --epsilon inf, since"),
            ("--clients 5 --encrypted --engine ray", "--encrypted excludes --engine ray, since"),
            ("--clients 5 --nodes 2", "--nodes is for --engine ray"),
            ("--clients 5 --cohort 6", "--cohort: expected at most the 5 clients, found 6"),
            ("--clients 5 --epsilon 0", "--epsilon: expected a number above 0, or inf, found 0"),
            ("--clients 5 --epsilon nan", "--epsilon: expected a number above 0, or inf"),
            ("--clients 5 --dropout 1", "dropout: expected a chance from 0 to below 1"),
            ("--clients 5 --timeout-s nan", "timeout_s: expected at least 0"),
            ("--clients 5 --split iid", "split: expected random, dirichlet:0.5,"),
            ("--clients 5 --split time:never", "one of the arrays x, y, opened, desk, found"),
            ("--clients 5 --split column:y", "at least 5 different values for 5 clients, found 2"),
            ("--clients 5 --records 900", "5 x 900 records were asked for"),
            ("--clients 2000", "has 800 records for 2000 clients: ask for fewer"),
            ("--clients 1", "this plan is impossible"),
            ("--clients 5 --metric beauty", "no figure beauty"),
            ("--clients 5 --output /nowhere/x", "--output: expected a file in a folder that"),
            ("--clients 5 --config {", "--config: expected a TOML or JSON file"),
            ("--clients 9 --absent 0.99 --survivors 8", "too few clients were there in 1000 draws"),
        ],
    )
    def test_what_does_not_work_is_said(self, mesh_sim: MeshSim, words: str, said: str) -> None:
        assert said in mesh_sim.refused(words)

    @pytest.mark.parametrize(
        "words",
        [
            "",
            "--clients 0",
            "--clients 5 --engine spark",
            "--clients 5 --noise loud",
            "--clients x",
        ],
    )
    def test_what_is_no_option_is_usage(self, mesh_sim: MeshSim, words: str) -> None:
        assert "Usage" in mesh_sim.refused(words, status=2)

    def test_unknown_agents(self, mesh_sim: MeshSim) -> None:
        assert "nobody" in mesh_sim.refused("--clients 5", agent="nobody")

    def test_without_ray_the_extra_is_named(
        self, mesh_sim: MeshSim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        told = mesh_sim.refused("--clients 5 --engine ray")
        assert "pip install 'mesh_fl[ray]'" in told


class TestSetting:
    """Nine in ten of the answers that can be expected suffice."""

    @pytest.mark.parametrize(
        ("setting", "enough"),
        [
            (Setting(clients=100), 90),
            (Setting(clients=100, cohort=50), 45),
            (Setting(clients=100, survivors=7), 7),
            (Setting(clients=2), 2),
            (Setting(clients=100, conduct=Conduct(dropout=0.5)), 45),
            (Setting(clients=100, conduct=Conduct(absent=0.2)), 72),
            (Setting(clients=100, cohort=50, conduct=Conduct(absent=0.2)), 45),
            (Setting(clients=100, conduct=Conduct(median_s=2, spread=1, timeout_s=2)), 45),
            (Setting(clients=100, conduct=Conduct(median_s=1, spread=1, timeout_s=math.e)), 75),
            (Setting(clients=100, conduct=Conduct(median_s=2, timeout_s=2)), 90),
        ],
    )
    def test_survivors(self, setting: Setting, enough: int) -> None:
        assert setting.enough == enough

    def test_it_refuses_by_itself(self) -> None:
        with pytest.raises(ConfigError, match="--epsilon"):
            Setting(clients=5, epsilon=-1.0)


def test_an_agent_is_told_the_records_of_a_cohort() -> None:
    """It divides sums by them: told of everybody's, it would learn too slowly."""
    material = find(Wanted(agent="health", data="simulated", config=CONFIG))
    setting = {"clients": 40, "records": 64, "epsilon": math.inf}
    everybody, some = (
        Trial.of(material, Setting(**setting, cohort=cohort)).agent for cohort in (None, 10)
    )
    assert isinstance(everybody, ClientHealth)
    assert isinstance(some, ClientHealth)
    assert everybody.records == 40 * 64
    assert some.records == 10 * 64
