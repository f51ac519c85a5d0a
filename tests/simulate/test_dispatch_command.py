"""`mesh-sim dispatch`: policies side by side, and one's own past in other orders."""

import csv
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.policy_learned import LearnedPolicy
from mesh_fl.simulate.cli import main
from mesh_fl.state import dump_state

SHORT = "--technicians 2 --load 0.9 --weeks 4 --seeds 3 --solver-seeds 0"
POLICIES = ["FIFO", "SPT", "WSPT", "EDD", "ATC(2)", "true SPT", "true WSPT"]


class MeshSim:
    """The command line, in this process; `told` is what the last run said on standard error."""

    def __init__(self, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self._patch, self._captured, self.told = patch, captured, ""

    def __call__(self, words: str, status: int = 0) -> str:
        self._patch.setattr(sys, "argv", ["mesh-sim", "dispatch", *words.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        out, self.told = self._captured.readouterr()
        assert ended.value.code == status, self.told
        assert "Traceback" not in self.told
        return out


@pytest.fixture
def mesh_sim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> MeshSim:
    monkeypatch.chdir(tmp_path)
    return MeshSim(monkeypatch, capsys)


def test_every_policy_is_reported_with_its_error_beside_the_others(mesh_sim: MeshSim) -> None:
    found = json.loads(mesh_sim(f"{SHORT} --json"))
    rows = {row["policy"]: row for row in found["rows"]}
    assert set(POLICIES) <= set(rows)
    assert rows["FIFO"]["saved_share"] == {"mean": 0.0, "se": 0.0}
    assert rows["WSPT"]["beside_wspt_h"]["mean"] == 0.0
    assert all(row["cost_h"]["se"] > 0 and row["seeds"] == 3 for row in rows.values())
    assert rows["true WSPT"]["cost_h"]["mean"] < rows["FIFO"]["cost_h"]["mean"]
    assert found == json.loads(mesh_sim(f"{SHORT} --json"))
    assert "queue 3 of 3" in mesh_sim.told


def test_a_policy_is_learned_written_and_read_again(mesh_sim: MeshSim) -> None:
    told = mesh_sim(f"{SHORT} --train --episodes 48 --policy policy.safetensors")
    assert "learned from 48 queues" in told
    again = json.loads(mesh_sim(f"{SHORT} --policy policy.safetensors --json"))
    assert again["training"] is None
    assert "learned" in {row["policy"] for row in again["rows"]}
    assert LearnedPolicy.load(Path("policy.safetensors"))


def test_without_a_learned_policy_it_says_so(mesh_sim: MeshSim) -> None:
    assert "no learned policy" in mesh_sim(SHORT)


def test_cp_sat_meets_some_of_the_queues(mesh_sim: MeshSim) -> None:
    words = "--load 0.8 --weeks 2 --technicians 2 --seeds 2 --solver-seeds 1 --json"
    rows = {row["policy"]: row for row in json.loads(mesh_sim(words))["rows"]}
    assert (rows["CP-SAT"]["seeds"], rows["CP-SAT"]["cost_h"]["se"]) == (1, None)


def test_hours_may_be_those_of_a_model(mesh_sim: MeshSim) -> None:
    agent = ResourceAllocation(records=2000.0)
    state = {**agent.init(), "spread": np.array([-0.1, 0.0, 0.1])}
    Path("model.safetensors").write_bytes(dump_state(state))
    usual, sharp = (
        {row["policy"]: row["flow_h"]["mean"] for row in json.loads(mesh_sim(words))["rows"]}
        for words in (f"{SHORT} --json", f"{SHORT} --model model.safetensors --json")
    )
    assert usual["FIFO"] != sharp["FIFO"]
    # With hours all but known, knowing them saves next to nothing.
    assert sharp["SPT"] / sharp["true SPT"] < usual["SPT"] / usual["true SPT"]


COLUMNS = [
    "ticket_id",
    "opened_at",
    "first_response_at",
    "closed_at",
    "assignee_id",
    "actual_hours",
    "category",
]


def write_past(folder: Path) -> Path:
    """A quarter of tickets that one technician does, first come, first served."""
    random, now, free = np.random.default_rng(0), 0.0, 0.0
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    with (folder / "tickets.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(900):
            now += random.exponential(2.0)
            category = str(random.choice(["short", "long"]))
            hours = {"short": 0.5, "long": 3.0}[category] * random.lognormal(0, 0.2)
            begun = max(now, free)
            free = begun + hours
            moments = [monday + timedelta(hours=one) for one in (now, begun, free)]
            told = [one.isoformat() for one in moments]
            writer.writerow([f"T{number}", *told, "ada", hours, category])
    path = folder / "client.toml"
    path.write_text('[tables.tickets]\npath = "tickets.csv"\nid = "ticket_id"\n')
    return path


def test_ones_own_past_is_played_again(mesh_sim: MeshSim, tmp_path: Path) -> None:
    path = write_past(tmp_path)
    told = mesh_sim(f"--tables {path}")
    assert "hours of waiting a month" in " ".join(told.split())
    assert "hours of work: none claimed" in " ".join(told.split())
    found = json.loads(mesh_sim(f"--tables {path} --json"))
    assert 0 < found["low"] < found["hours_saved_a_month"] < found["high"]
    assert found["labour_hours_saved_a_month"] is None


def test_of_a_past_that_is_half_unreadable_nothing_is_claimed(
    mesh_sim: MeshSim, tmp_path: Path
) -> None:
    path = write_past(tmp_path)
    lines = (tmp_path / "tickets.csv").read_text().splitlines()
    spoilt = [
        lines[0],
        *(one.replace("T", "T,,", 1) if n % 4 else one for n, one in enumerate(lines[1:])),
    ]
    (tmp_path / "tickets.csv").write_text("\n".join(spoilt))
    found = json.loads(mesh_sim(f"--tables {path} --json"))
    assert found["hours_saved_a_month"] is None
    assert "of 900 rows of tickets cannot be read" in found["reason"]
    assert "could not be read and are left out" in mesh_sim(f"--tables {path}")


def test_a_model_may_predict_the_past(mesh_sim: MeshSim, tmp_path: Path) -> None:
    """The public model tells these categories no different, so nothing is saved by them."""
    path = write_past(tmp_path)
    Path("model.safetensors").write_bytes(dump_state(ResourceAllocation().init()))
    found = json.loads(mesh_sim(f"--tables {path} --model model.safetensors --json"))
    own = json.loads(mesh_sim(f"--tables {path} --json"))
    assert abs(found["hours_saved_a_month"]) < 0.2 * own["hours_saved_a_month"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--load 9", "load: expected"),
        ("--load x", "--load: expected numbers"),
        ("--load nan", "load: expected"),
        ("--weeks 0", "weeks: expected"),
        ("--technicians 100000", "technicians: expected"),
        ("--policy nothing", "cannot read nothing"),
        ("--model nothing", "--model: cannot read nothing"),
        ("--tables nothing", "nothing"),
        ("--train --episodes 1", "episodes: expected"),
        ("--train --policy no/where", "--policy: expected a file in a folder"),
    ],
)
def test_bad_words_are_told_in_one_message(mesh_sim: MeshSim, words: str, told: str) -> None:
    mesh_sim(f"--seeds 2 --solver-seeds 0 {words}", status=1)
    assert told in " ".join(mesh_sim.told.split())


def test_tables_are_read_before_minutes_of_learning(mesh_sim: MeshSim, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[tables.tickets]\npath = "none.csv"\nid = "x"\n')
    mesh_sim("--train --episodes 480 --tables c.toml", status=1)
    assert "none.csv: expected a table, found no such file" in mesh_sim.told
    assert "learning" not in mesh_sim.told


def test_a_configuration_of_no_model_is_refused(mesh_sim: MeshSim) -> None:
    mesh_sim('--config {"clip":3}', status=1)
    assert "--config: expected with --model" in mesh_sim.told


def test_a_model_of_another_configuration_is_refused(mesh_sim: MeshSim) -> None:
    Path("model.safetensors").write_bytes(dump_state({"weights": np.zeros(3)}))
    mesh_sim("--model model.safetensors", status=1)
    assert "is no model of agent resource" in " ".join(mesh_sim.told.split())


def test_scarce_specialities_and_tight_agreements_cost_more(mesh_sim: MeshSim) -> None:
    words = "--load 0.8 --weeks 6 --seeds 4 --solver-seeds 0 --json"
    usual, scarce = (json.loads(mesh_sim(f"{words}{more}")) for more in ("", " --scarce"))
    assert (usual["scarce"], scarce["scarce"]) == (False, True)
    late, tight = (
        next(row["tardiness_h"]["mean"] for row in found["rows"] if row["policy"] == "WSPT")
        for found in (usual, scarce)
    )
    assert tight > 1.2 * late
