import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import broken_agents
import numpy as np
import pytest
from broken_agents import BROKEN, Sound, table
from numpy.typing import NDArray

import mesh_fl
from mesh_fl import Agent, Data, Rows, State, Total, check
from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.check import LAWS, Report, check_agent
from mesh_fl.errors import AgentError, DataError
from mesh_fl.laws import purity
from mesh_fl.simulate import cli

DATA = Sound().prepare(table())
NAMES = {law.name for law in LAWS}


def outcomes(report: Report) -> dict[str, str]:
    return {finding.check: finding.outcome for finding in report.findings}


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the one law that needs half a second for an interpreter of its own."""
    others = tuple(law for law in LAWS if law is not purity.same_in_another_process)
    monkeypatch.setattr(check, "LAWS", others)


def caught(law: str, agent: type[Agent]) -> None:
    report = check_agent(agent(), DATA, table=table())
    assert outcomes(report)[law] == "failed", str(report)
    assert not report.passed


IN_ANOTHER = purity.same_in_another_process.name
HERE = [(law, agent) for law, agent in BROKEN if law != IN_ANOTHER]


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize(("law", "agent"), HERE, ids=[agent.__name__ for _, agent in HERE])
def test_each_slip_is_caught_by_its_law(law: str, agent: type[Agent]) -> None:
    caught(law, agent)


def test_what_differs_between_processes_is_caught() -> None:
    for law, agent in BROKEN:
        if law == IN_ANOTHER:
            caught(law, agent)


def test_every_law_can_fail() -> None:
    assert {law for law, _ in BROKEN} == NAMES


def test_law_names_are_unique_and_all_have_a_remedy() -> None:
    assert len(NAMES) == len(LAWS)
    assert all(law.text.endswith(".") and law.remedy.endswith(".") for law in LAWS)


def test_a_sound_agent_keeps_every_law() -> None:
    report = check_agent(Sound(), DATA, table=table())
    assert set(outcomes(report).values()) == {"passed"}, str(report)
    assert outcomes(report).keys() == NAMES
    report.require()


FEATURES = (
    Feature(name="contract", kind="category", levels=("monthly", "yearly")),
    Feature(name="tenure", kind="number", low=0, high=72, scale="log"),
    Feature(name="tickets", kind="number", low=0, high=40, optional=True),
    Feature(name="paperless", kind="flag"),
)


def test_client_health_keeps_every_law() -> None:
    random = np.random.default_rng(3)
    base = table(600)
    tickets = np.where(random.random(600) < 0.1, np.nan, base["tickets"].astype(float))
    clients = {
        "contract": random.choice(["monthly", "yearly"], 600),
        "tenure": base["tenure"],
        "tickets": tickets,
        "paperless": random.integers(0, 2, 600).astype(float),
        "churned": base["left"],
    }
    agent = ClientHealth(features=FEATURES, records=600)
    report = check_agent(agent, agent.prepare(clients), table=clients)
    assert set(outcomes(report).values()) == {"passed"}, str(report)


@dataclass(frozen=True, kw_only=True)
class Delta(Agent):
    """One row a member: the step that it would take by itself."""

    unit: ClassVar[Literal["record", "client"]] = "client"
    clip: float = 1.0

    def init(self) -> State:
        return {"mean": np.zeros(3)}

    def contribute(self, state: State, data: Data) -> Rows:
        x = data["x"].astype(float)
        return (x - state["mean"]).mean(axis=0, keepdims=True) if len(x) else np.zeros((1, 3))

    def apply(self, state: State, total: Total) -> State:
        return {"mean": state["mean"] + total["mean"] / 5}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        distances: NDArray[np.float64] = np.abs(data["x"].astype(float) - state["mean"]).sum(axis=1)
        return distances


@pytest.mark.usefixtures("one_process")
def test_a_row_per_client_is_not_held_to_laws_of_records() -> None:
    def closeness(agent: Agent, state: State, data: Data) -> float:
        return -float(agent.predict(state, data).astype(float).mean())

    data = {"x": np.random.default_rng(0).normal((1, -2, 3), 0.1, (400, 3))}
    report = check_agent(Delta(), data, quality=closeness, epsilon=200)
    found = outcomes(report)
    assert report.passed, str(report)
    assert found["one record one row"] == "not checked"
    assert found["learns without noise"] == found["learns at modest epsilon"] == "passed"


@pytest.mark.usefixtures("one_process")
def test_few_clients_that_drown_in_noise_are_no_breach() -> None:
    def closeness(agent: Agent, state: State, data: Data) -> float:
        return -float(agent.predict(state, data).astype(float).mean())

    data = {"x": np.random.default_rng(0).normal((1, -2, 3), 0.1, (400, 3))}
    report = check_agent(Delta(), data, quality=closeness, epsilon=0.1)
    assert report.passed, str(report)
    assert outcomes(report)["learns at modest epsilon"] == "not checked"


@pytest.mark.usefixtures("one_process")
def test_what_cannot_be_measured_is_not_passed() -> None:
    report = check_agent(Delta(), {"x": np.eye(9, 3)})
    assert outcomes(report)["learns without noise"] == "not checked"
    assert outcomes(report)["prepare is record by record"] == "not checked"
    assert outcomes(report)["score reads noise"] == "not checked"


@pytest.mark.usefixtures("one_process")
def test_too_few_records_to_learn_privately_is_no_breach() -> None:
    small = {name: values[:60] for name, values in DATA.items()}
    report = check_agent(Sound(records=60), small)
    assert report.passed, str(report)
    assert outcomes(report)["learns at modest epsilon"] == "not checked"


@pytest.mark.usefixtures("one_process")
def test_a_quality_decides_whether_it_learned() -> None:
    def worse(agent: Agent, state: State, data: Data) -> float:
        return -float(np.abs(state["weights"]).sum()) - 1

    report = check_agent(Sound(), DATA, quality=worse)
    assert outcomes(report)["learns without noise"] == "failed"


@pytest.mark.usefixtures("one_process")
def test_the_callers_data_stay_as_they_were() -> None:
    data = {name: values.copy() for name, values in DATA.items()}
    check_agent(broken_agents.WritesAndRestores(), data)
    assert data.keys() == DATA.keys()
    assert all(data[name].tobytes() == DATA[name].tobytes() for name in DATA)
    assert all(values.flags.writeable for values in data.values())


class Explodes(Agent):
    """Raises wherever it is touched."""

    clip = 1.0

    def __getattribute__(self, name: str) -> object:
        if name in ("init", "layout", "measure_layout", "contribute", "apply", "predict"):
            raise RuntimeError(f"no {name} today")
        return super().__getattribute__(name)

    def init(self) -> State:
        return {}

    def contribute(self, state: State, data: Data) -> Rows:
        return np.zeros((0, 0))

    def apply(self, state: State, total: Total) -> State:
        return {}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        return np.zeros(0)


@pytest.mark.usefixtures("one_process")
def test_nothing_that_an_agent_raises_comes_through() -> None:
    report = check_agent(Explodes(), DATA)
    assert not report.passed
    assert any("no init today" in finding.evidence for finding in report.failed)


class Quits(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        sys.exit("enough")


@pytest.mark.usefixtures("one_process")
def test_an_agent_cannot_end_the_check() -> None:
    report = check_agent(Quits(), DATA)
    assert any("SystemExit: enough" in finding.evidence for finding in report.failed)


@pytest.mark.usefixtures("one_process")
def test_a_report_tells_law_evidence_remedy_and_can_insist() -> None:
    report = check_agent(broken_agents.DropsABlock(), DATA)
    told = str(report)
    assert "lost rounds" in told
    assert "remedy: Return `{**state, ...}`" in told
    with pytest.raises(AgentError, match=r"adapt keeps the blocks: .*lost rounds"):
        report.require()


@pytest.mark.usefixtures("one_process")
def test_evidence_names_the_line_that_raised() -> None:
    report = check_agent(broken_agents.WaitsForTraining(), DATA)
    finding = next(f for f in report.failed if f.check == "predicts before learning")
    assert "broken_agents.py, line" in finding.evidence


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"x": np.zeros((3, 2))},
        {"x": np.zeros((9, 2)), "y": np.zeros(8)},
        {"x": np.array(1.0)},
        {"x": np.array([None] * 9)},
    ],
)
def test_unusable_data_are_the_callers_mistake(data: Data) -> None:
    with pytest.raises(DataError, match="expected arrays"):
        check_agent(Sound(), data)


def test_only_agents_are_checked() -> None:
    with pytest.raises(AgentError, match=r"expected an instance of mesh_fl\.Agent"):
        check_agent(Sound, DATA)  # type: ignore[arg-type]


def test_the_check_is_public_and_light() -> None:
    assert mesh_fl.check_agent is check_agent
    heavy = "{'torch', 'flwr', 'opacus', 'tenseal', 'pyarrow'}"
    code = f"import sys, mesh_fl; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The command


@pytest.fixture
def mesh_sim(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> "Command":
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Command(monkeypatch, capsys, tmp_path)


@dataclass
class Command:
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    folder: Path

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["mesh-sim", *words])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        told = self.capsys.readouterr()
        return status, told.out, told.err


AGENT = "broken_agents:Sound"


@pytest.fixture
def npz(tmp_path: Path) -> str:
    np.savez(tmp_path / "table.npz", allow_pickle=False, **table())
    return "table.npz"


@pytest.mark.usefixtures("one_process")
def test_the_command_prints_the_laws(mesh_sim: Command, npz: str) -> None:
    status, out, err = mesh_sim("check", AGENT, "--data", npz)
    assert (status, err) == (0, "")
    assert "one record one row" in out
    assert "failed" not in out


@pytest.mark.usefixtures("one_process")
def test_the_command_fails_with_a_remedy(mesh_sim: Command, npz: str) -> None:
    status, out, _ = mesh_sim("check", "broken_agents:Standardises", "--data", npz)
    assert status == 1
    assert "prepare record 0 alone: x differs" in " ".join(out.split())
    assert "fit nothing on the table" in out


@pytest.mark.usefixtures("one_process")
def test_the_command_speaks_json(mesh_sim: Command, npz: str) -> None:
    status, out, _ = mesh_sim("check", "broken_agents:StepsUphill", "--data", npz, "--json")
    report = json.loads(out)
    assert status == 1
    assert report["passed"] is False
    failed = [f["check"] for f in report["findings"] if f["outcome"] == "failed"]
    assert failed == ["learns without noise"]


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("form", ["inline", "toml", "json"])
def test_the_command_configures(mesh_sim: Command, npz: str, form: str) -> None:
    text = {"toml": "rate = -2.0", "json": '{"rate": -2.0}', "inline": '{"rate": -2.0}'}[form]
    (mesh_sim.folder / f"agent.{form}").write_text(text)
    config = text if form == "inline" else f"agent.{form}"
    status, out, _ = mesh_sim("check", AGENT, "--config", config, "--data", npz)
    assert status == 1
    assert "learns without noise" in out.split("└")[-1]


@pytest.mark.usefixtures("one_process")
def test_the_command_asks_the_class_for_an_example(mesh_sim: Command) -> None:
    module = "from dataclasses import dataclass\nimport numpy as np\nimport broken_agents as b\n"
    module += "@dataclass(frozen=True, kw_only=True)\nclass Mine(b.Sound):\n"
    module += "    @staticmethod\n    def example():\n        return b.table(40)\n"
    (mesh_sim.folder / "my_agents.py").write_text(module)
    status, out, err = mesh_sim("check", "my_agents:Mine")
    assert (status, err) == (0, "")
    assert "my_agents:Mine" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody"], "no agent is registered as 'nobody'"),
        (["no_such_module:Agent"], "cannot import agent no_such_module:Agent"),
        (["broken_agents:table"], "to be a subclass of mesh_fl.Agent"),
        (["faulty:Agent"], "faulty:Agent raises NameError"),
        ([AGENT], "offers no example of its data"),
        ([AGENT, "--data", "absent.npz"], "expected an npz file of plain arrays"),
        ([AGENT, "--data", "text.npz"], "expected an npz file of plain arrays"),
        ([AGENT, "--data", "pickled.npz"], "expected an npz file of plain arrays"),
        ([AGENT, "--data", "short.npz"], "expected arrays of one length"),
        ([AGENT, "--data", "single.npy"], "expected an npz file of plain arrays"),
        ([AGENT, "--config", "absent.toml"], "--config: expected a TOML or JSON file"),
        ([AGENT, "--config", "{"], "--config: expected a TOML or JSON file"),
        ([AGENT, "--config", '{"rates": 1}'], "cannot be configured so"),
    ],
)
def test_mistakes_are_told_in_one_message(mesh_sim: Command, words: list[str], told: str) -> None:
    (mesh_sim.folder / "faulty.py").write_text("undefined_name")
    (mesh_sim.folder / "text.npz").write_text("no zip")
    np.savez(mesh_sim.folder / "pickled.npz", x=np.array([{"a": 1}] * 9, dtype=object))
    np.savez(mesh_sim.folder / "short.npz", x=np.zeros((1, 3)), y=np.zeros(1))
    np.save(mesh_sim.folder / "single.npy", np.zeros((9, 3)))
    status, out, err = mesh_sim("check", *words)
    assert status == 1
    assert out == ""
    assert told in err
    assert "Traceback" not in err


def test_help_shows_an_example(mesh_sim: Command) -> None:
    status, out, _ = mesh_sim("check", "--help")
    assert status == 0
    assert "mesh-sim check my_package.tickets:MeanHours" in out


def test_every_law_is_in_the_guide() -> None:
    guide = (Path(__file__).parent.parent / "docs/guides/agents.md").read_text()
    lines = [line for line in guide.splitlines() if line.startswith("| ")][2:]
    assert lines == [f"| {law.name} | {law.text} |" for law in LAWS]
