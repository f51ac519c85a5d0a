"""Sums over Flower's runtime: mostly without Ray, whose part is to carry messages."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Error, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.supercore.task_identity import TaskIdentity
from small_network import AGENT, NAMES, RECORDS, Centre, plan_of

from mesh_fl.agent import Agent, Data, Rows, State
from mesh_fl.errors import AgentError, ConfigError, DataError, NetworkError, PlanError
from mesh_fl.simulate import ray_sums
from mesh_fl.simulate.conduct import Conduct
from mesh_fl.simulate.engine import Exact, simulate
from mesh_fl.simulate.ray_sums import RaySums, client_app, on_ray
from mesh_fl.simulate.shard_files import store, stored
from mesh_fl.simulate.shards import Shards
from mesh_fl.simulate.sums import LocalSums, Sums

SHARDS = Shards.of(
    {
        name: {"point": np.random.default_rng(number).normal(0.4, 0.3, (RECORDS, 3))}
        for number, name in enumerate(NAMES)
    }
)
PLAN = plan_of()


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends messages: in a simulation, Flower sets this."""
    for name in ("run_id", "node_id", "task_id"):
        monkeypatch.setattr(TaskIdentity, f"_{name}", 1)


@dataclass(frozen=True, kw_only=True)
class Touchy(Centre):
    """Fails at a client's records, once the model has gone far."""

    def contribute(self, state: State, data: Data) -> Rows:
        if state["steps"] > 90 and (data["point"] == SHARDS[3]["point"][0]).all(axis=1).any():
            raise ZeroDivisionError("a bug")
        return super().contribute(state, data)


FAR: State = {"centre": np.zeros(3), "steps": np.array([99.0])}


@dataclass
class InProcess:
    """A grid whose nodes are called at once, and answer in the opposite order."""

    app: ClientApp
    asked: list[Message] = field(default_factory=list)
    lost: bool = False
    count: int = 0
    _replies: dict[str, Message] = field(default_factory=dict)

    def get_node_ids(self) -> list[int]:
        return list(range(self.count))

    def push_messages(self, messages: list[Message]) -> list[str]:
        names = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = f"message-{len(self.asked)}"
            self.asked.append(message)
            names.append(message.metadata.message_id)
            self._replies[names[-1]] = self._reply(message)
        return names

    def _reply(self, message: Message) -> Message:
        if self.lost:
            return Message(Error(code=0, reason="the actor died"), reply_to=message)
        return self.app(message, context=None)  # type: ignore[arg-type]

    def pull_messages(self, names: set[str]) -> Iterator[Message]:
        """One of them a time, the last first."""
        yield self._replies.pop(max(names & self._replies.keys()))


def in_process(
    agent: Agent, folder: Path, nodes: int = 2, *, lost: bool = False, shards: Shards = SHARDS
) -> RaySums:
    store(shards, folder)
    grid = InProcess(client_app(agent, folder), lost=lost)
    return RaySums(grid, tuple(range(1, nodes + 1)), shards, threading.Event())  # type: ignore[arg-type]


@pytest.mark.parametrize("nodes", [1, 2, 5])
class TestParity:
    def test_totals_of_a_plan_are_the_same_to_the_bit(self, tmp_path: Path, nodes: int) -> None:
        conduct = Conduct(dropout=0.02, absent=0.1)
        plan = plan_of(rounds=4, measures=2, survivors=3, spares=4)
        local = simulate(AGENT, plan, SHARDS, seed=2, conduct=conduct)
        sums = in_process(AGENT, tmp_path, nodes)
        run = simulate(AGENT, plan, SHARDS, seed=2, conduct=conduct, sums=sums)
        assert run.digest == local.digest
        assert run.history == local.history
        assert {done.clients for done in run.history} != {5}
        for name in local.state:
            assert run.state[name].tobytes() == local.state[name].tobytes()

    def test_so_are_clipped_sums_without_noise(self, tmp_path: Path, nodes: int) -> None:
        local = simulate(AGENT, Exact(rounds=3), SHARDS)
        run = simulate(AGENT, Exact(rounds=3), SHARDS, sums=in_process(AGENT, tmp_path, nodes))
        assert run.digest == local.digest

    def test_plain_sums_differ_in_the_last_bits(self, tmp_path: Path, nodes: int) -> None:
        everybody = np.arange(len(SHARDS))
        local = LocalSums(AGENT, SHARDS).floats("train", AGENT.init(), everybody)
        sums = in_process(AGENT, tmp_path, nodes)
        found = [sums.floats("train", AGENT.init(), everybody) for _ in range(2)]
        np.testing.assert_allclose(found[0], local, rtol=1e-12)
        assert found[0].tobytes() == found[1].tobytes()


class TestOrder:
    def test_parts_are_added_in_the_order_of_the_clients(self, tmp_path: Path) -> None:
        """Of these values, other orders give other sums; the last node answers first."""
        values = np.repeat([1e16, 1.0, -1e16, 1.0, 1.0], 3).reshape(5, 3)
        shards = Shards(NAMES, {"point": values}, (1,) * 5)
        sums = in_process(AGENT, tmp_path, nodes=5, shards=shards)
        found = sums.floats("train", AGENT.init(), np.arange(5))
        assert found[:3].tolist() == [2.0] * 3
        assert values[::-1].sum(axis=0).tolist() != [2.0] * 3


class TestMessages:
    def test_every_node_has_about_as_many_records(self, tmp_path: Path) -> None:
        sums = in_process(AGENT, tmp_path)
        sums.integers("train", AGENT.init(), np.arange(5))
        asked = sums.grid.asked  # type: ignore[attr-defined]
        ranges = [m.content.array_records["clients"].to_numpy_ndarrays()[0].tolist() for m in asked]
        assert ranges == [[0, 1], [2, 3, 4]]
        assert [m.metadata.dst_node_id for m in asked] == [1, 2]

    def test_nobody_is_asked_for_nothing(self, tmp_path: Path) -> None:
        sums = in_process(AGENT, tmp_path, nodes=4)
        local = LocalSums(AGENT, SHARDS).integers("train", AGENT.init(), np.array([4]))
        found = sums.integers("train", AGENT.init(), np.array([4]))
        np.testing.assert_array_equal(found, local)
        assert len(sums.grid.asked) == 1  # type: ignore[attr-defined]

    def test_the_client_is_named_at_which_the_agent_fails(self, tmp_path: Path) -> None:
        sums = in_process(Touchy(), tmp_path)
        with pytest.raises(
            AgentError, match="elm: agent Touchy failed in contribute: ZeroDivisionError: a bug"
        ):
            sums.integers("train", FAR, np.arange(5))

    def test_a_process_that_died_is_told(self, tmp_path: Path) -> None:
        sums = in_process(AGENT, tmp_path, lost=True)
        with pytest.raises(NetworkError, match="a process of Ray ended: the actor died"):
            sums.integers("train", AGENT.init(), np.arange(5))

    def test_nobody_waits_for_a_runtime_that_is_over(self, tmp_path: Path) -> None:
        sums = in_process(AGENT, tmp_path)
        sums.over.set()
        with pytest.raises(NetworkError, match="Ray ended before all of its processes"):
            sums.integers("train", AGENT.init(), np.arange(5))


class TestStored:
    def test_what_is_stored_comes_back(self, tmp_path: Path) -> None:
        shards = Shards(
            ("a", "b/c"), {"x": np.eye(3, dtype=np.float32), "ü/": np.array(list("xyz"))}, (1, 2)
        )
        store(shards, tmp_path)
        found = stored(tmp_path)
        assert (found.names, found.sizes) == (shards.names, shards.sizes)
        for key, values in shards.data.items():
            assert found.data[key].dtype == values.dtype
            np.testing.assert_array_equal(found.data[key], values)

    def test_objects_are_refused(self, tmp_path: Path) -> None:
        shards = Shards(("a",), {"x": np.array([None])}, (1,))
        with pytest.raises(DataError, match="x: expected an array of values"):
            store(shards, tmp_path)


class TestSession:
    """Of a runtime that is played: it calls the server, whose messages are answered at once."""

    @pytest.fixture(autouse=True)
    def played(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(server: ServerApp, client: ClientApp, nodes: int, **options: object) -> None:
            os.environ["RAY_LEFT_THIS"] = "1"
            os.environ["PYTHONPATH"] = "elsewhere"
            self.options = {"nodes": nodes, **options}
            grid = InProcess(client, count=nodes)
            server(grid, context=None)  # type: ignore[arg-type]

        monkeypatch.setattr(ray_sums, "run_simulation", run)
        monkeypatch.setattr(ray_sums.importlib.util, "find_spec", lambda name: True)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def test_what_the_work_returns_comes_back(self) -> None:
        before = {**os.environ}
        local = simulate(AGENT, PLAN, SHARDS, seed=1)
        run = on_ray(AGENT, SHARDS, lambda sums: simulate(AGENT, PLAN, SHARDS, seed=1, sums=sums))
        assert run.digest == local.digest
        assert {**os.environ} == before

    def test_what_it_raises_comes_through(self) -> None:
        def work(sums: Sums) -> None:
            raise PlanError("too few")

        with pytest.raises(PlanError, match="too few"):
            on_ray(AGENT, SHARDS, work)

    def test_there_are_no_more_nodes_than_clients(self) -> None:
        for nodes, expected in ((1, 1), (3, 3), (99, 5)):
            assert on_ray(AGENT, SHARDS, lambda sums: len(sums.nodes), nodes=nodes) == expected
            assert self.options["nodes"] == expected

    def test_a_cluster_that_is_there_is_not_told_its_size(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on_ray(AGENT, SHARDS, lambda sums: None, nodes=2)
        started = self.options["backend_config"]["init_args"]
        assert (started["num_cpus"], started["include_dashboard"]) == (2, False)
        assert not Path(started["_temp_dir"]).exists(), "Ray's folder is removed"
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
        on_ray(AGENT, SHARDS, lambda sums: None, nodes=2)
        assert not {"num_cpus", "_temp_dir"} & self.options["backend_config"]["init_args"].keys()

    def test_a_runtime_that_does_not_start_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(*args: object, **options: object) -> None:
            raise RuntimeError("crashed") from ConnectionError("nobody at 10.0.0.1")

        monkeypatch.setattr(ray_sums, "run_simulation", run)
        with pytest.raises(ConfigError, match=r"Ray does not run: nobody at 10\.0\.0\.1"):
            on_ray(AGENT, SHARDS, lambda sums: None)


class TestRefused:
    def test_without_the_extra_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray_sums.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[ray\]'"):
            on_ray(AGENT, SHARDS, lambda sums: None)

    def test_no_nodes_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray_sums.importlib.util, "find_spec", lambda name: True)
        with pytest.raises(ConfigError, match="nodes: expected at least 1, found 0"):
            on_ray(AGENT, SHARDS, lambda sums: None, nodes=0)


def test_nothing_calls_home() -> None:
    code = (
        "import os, mesh_fl.simulate.ray_sums, flwr.supercore.telemetry as flower; "
        "print(os.environ['RAY_USAGE_STATS_ENABLED'], flower.FLWR_TELEMETRY_ENABLED)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "0"]


@pytest.mark.slow
def test_on_ray_it_is_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    """All in one session of Ray, which takes seconds to start."""
    before = {**os.environ}

    def work(sums: Sums) -> str:
        run = simulate(Touchy(), PLAN, SHARDS, seed=5, cohort=4, sums=sums)
        exact = simulate(Touchy(), Exact(rounds=2, clipped=False), SHARDS, sums=sums)
        local = simulate(Touchy(), Exact(rounds=2, clipped=False), SHARDS)
        np.testing.assert_allclose(exact.state["centre"], local.state["centre"], rtol=1e-12)
        with pytest.raises(AgentError, match="elm: agent Touchy failed in contribute"):
            sums.integers("train", FAR, np.arange(5))
        # An error of the work itself comes out as it is, and ends everything.
        raise PlanError(run.digest)

    local = simulate(Touchy(), PLAN, SHARDS, seed=5, cohort=4)
    with pytest.raises(PlanError, match=local.digest):
        on_ray(Touchy(), SHARDS, work, nodes=2)
    assert {**os.environ} == before
    assert capfd.readouterr() == ("", "")
