import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from small_network import Centre

from mesh_fl.agents.health import ClientHealth
from mesh_fl.errors import AgentError, ConfigError, DataError, MeshError
from mesh_fl.layout import Layout
from mesh_fl.quality import Metric
from mesh_fl.simulate import workloads
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark
from mesh_fl.simulate.splits import at_random
from mesh_fl.simulate.trial import Workload
from mesh_fl.simulate.workloads import FEWEST_MADE_UP, Wanted, find

CONFIG: dict[str, object] = {
    "features": [
        {"name": "seats", "kind": "number", "low": 1, "high": 99, "scale": "log"},
        {"name": "overdue", "kind": "flag"},
        {"name": "contract", "kind": "category", "levels": ["monthly", "yearly", "longer"]},
    ],
}
WANTED = Wanted(agent="health", data="simulated", config=CONFIG)
ROWS = [
    f"c{place},{1 + place},{'yn'[place % 2]},monthly,{'yn'[place % 3 == 0]}" for place in range(30)
]
TABLE = "\n".join(["number,seats,late,term,churned", *ROWS])
MAP = """
[tables.clients]
id = "number"

[tables.clients.columns]
overdue = { column = "late" }
contract = { column = "term" }
"""


class Plain(Centre):
    """Tells nothing of its quality."""

    def measure_layout(self) -> Layout:
        return {}


def asked(**changes: object) -> Wanted:
    return dataclasses.replace(WANTED, **changes)


class TestSimulated:
    def test_there_are_enough_to_deal_out_and_to_compare_on(self) -> None:
        assert find(WANTED).workload.records == FEWEST_MADE_UP
        many = find(asked(records=10_001)).workload
        assert many.records - int(0.2 * many.records) >= 10_001

    def test_they_are_the_same_each_time(self) -> None:
        first, again = find(WANTED).workload.data, find(WANTED).workload.data
        assert all(first[name].tobytes() == again[name].tobytes() for name in first)

    def test_features_keep_their_declarations(self) -> None:
        x = find(WANTED).workload.data["x"].astype(float)
        assert (np.abs(x) <= 1).all()
        assert set(np.unique(x[:, 1])) == {-1, 1}
        assert set(np.unique(x[:, 2])) == {-1, 0, 1}
        assert (x[:, 3] == 1).all()
        assert abs(x[:, :3].mean(axis=0)).max() < 0.05

    def test_there_is_something_to_learn(self) -> None:
        workload = find(WANTED).workload
        agent = workload.configured({"a": workload.records})
        fitted = agent.adapt(agent.init(), workload.data)
        assert agent.evaluate(fitted, workload.data)["auc"] > 0.7
        assert 0.1 < workload.data["y"].astype(float).mean() < 0.5

    @pytest.mark.parametrize("records", [1, 2])
    def test_few_can_be_made_up(self, records: int) -> None:
        agent = find(WANTED).workload.configured({"a": 1})
        assert isinstance(agent, ClientHealth)
        assert len(agent.simulated(records, seed=3)["y"]) == records

    def test_they_are_told_to_be_made_up(self) -> None:
        assert "made its records up" in find(WANTED).notes[0]

    def test_an_agent_that_makes_up_none_says_so(self) -> None:
        with pytest.raises(AgentError, match="Centre makes up no records: name public data"):
            find(Wanted(agent="small_network:Centre", data="simulated"))


class TestPublicSets:
    @pytest.fixture(autouse=True)
    def sets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = find(WANTED).workload.data

        def one(metric: str) -> Benchmark:
            def load() -> Workload:
                figure = Metric(metric, metric != "brier")
                return Workload("Made for tests", "health", CONFIG, data, figure, rounds=7)

            nothing = Baseline("nothing", lambda train, test, seed: 0.5)
            return Benchmark(load, "tests", 4, 10, nothing, "nowhere", at_random, "at random")

        def known(agent: str) -> tuple[Benchmark, ...]:
            return (one("auc"), one("brier")) if agent == "health" else ()

        monkeypatch.setattr(workloads, "benchmarks_of", known)

    def test_by_name_with_their_own_terms(self) -> None:
        found = find(Wanted(agent="health", data="tests"))
        assert found.workload.dataset == "Made for tests"
        assert (found.workload.metric.name, found.workload.rounds) == ("auc", 7)
        assert found.notes == ("nowhere; dealt out at random",)

    def test_other_terms_may_be_asked_for(self) -> None:
        found = find(Wanted(agent="health", data="tests", metric="brier", rounds=3)).workload
        assert (found.metric, found.rounds) == (Metric("brier", False), 3)

    def test_a_configuration_beside_them_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="tests brings the agent's configuration along"):
            find(asked(data="tests"))

    def test_an_unknown_name_is_told_the_known_ones(self) -> None:
        with pytest.raises(ConfigError, match=r"no data 'tset'.* tests, simulated, or a file"):
            find(asked(data="tset"))


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "clients.csv").write_text(TABLE)
        (tmp_path / "map.toml").write_text(MAP)
        return tmp_path

    def test_a_table_by_its_map(self, folder: Path) -> None:
        found = find(asked(data=str(folder / "clients.csv"), columns=folder / "map.toml"))
        assert found.workload.records == len(ROWS)
        assert found.workload.dataset == "clients.csv"
        assert found.notes == ()

    def test_arrays_and_columns_in_npz_are_the_same(self, folder: Path) -> None:
        table = find(asked(data=str(folder / "clients.csv"), columns=folder / "map.toml"))
        np.savez(folder / "arrays.npz", **table.workload.data)
        columns = {
            "seats": np.arange(1.0, 31.0),
            "overdue": (np.arange(30) % 2 == 0).astype(float),
            "contract": np.array(["monthly"] * 30),
            "churned": (np.arange(30) % 3 != 0).astype(float),
        }
        np.savez(folder / "columns.npz", **columns)
        for name in ("arrays.npz", "columns.npz"):
            read = find(asked(data=str(folder / name))).workload.data
            np.testing.assert_allclose(read["x"], table.workload.data["x"])
            assert set(read) == {"x", "y"}

    def test_rows_left_out_are_told(self, folder: Path) -> None:
        (folder / "clients.csv").write_text(TABLE + "\nc99,1000,y,monthly,y")
        found = find(asked(data=str(folder / "clients.csv"), columns=folder / "map.toml"))
        assert "1 of 31 rows were left out" in found.notes[0]
        assert "from 1 to 99" in found.notes[0]

    def test_a_client_toml_serves_as_a_map(self, folder: Path) -> None:
        text = (
            'name = "acme"\nserver = "a:1"\n' + MAP + '[tables.other]\nid = "x"\npath = "y.csv"\n'
        )
        (folder / "client.toml").write_text(text + '[agents.health]\ntable = "clients"\n')
        found = find(asked(data=str(folder / "clients.csv"), columns=folder / "client.toml"))
        assert found.workload.records == len(ROWS)

    def test_a_client_toml_tells_where_its_tables_are(self, folder: Path) -> None:
        own = MAP.replace('id = "number"', 'id = "number"\npath = "clients.csv"')
        (folder / "client.toml").write_text(own + '[agents.health]\ntable = "clients"\n')
        found = find(asked(data=str(folder / "client.toml")))
        table = find(asked(data=str(folder / "clients.csv"), columns=folder / "map.toml"))
        assert found.notes == (f"{len(ROWS)} records of clients",)
        for name, values in table.workload.data.items():
            np.testing.assert_array_equal(found.workload.data[name], values)

    def test_records_that_teach_nothing_say_why(self, tmp_path: Path) -> None:
        rows = "\n".join(f"{n},EUR,100,5,month,backup" for n in range(9))
        (tmp_path / "a.csv").write_text(f"id,currency,amount,seats,period,type\n{rows}\n")
        (tmp_path / "client.toml").write_text(
            '[tables.agreements]\npath = "a.csv"\nid = "id"\n'
            '[agents.market]\ntable = "agreements"\n'
        )
        told = asked(agent="market", config={}, data=str(tmp_path / "client.toml"))
        with pytest.raises(DataError, match=r"9 of them: expected a price in USD, found 'EUR'"):
            find(told)
        assert find(dataclasses.replace(told, config={"currency": "EUR"})).workload.records == 9

    def test_histories_that_are_too_short_say_so(self, tmp_path: Path) -> None:
        months = [f"2024-{month:02d}-15" for month in range(1, 13)]
        rows = "\n".join(f"{n},a,{day},100" for n, day in enumerate(months))
        (tmp_path / "i.csv").write_text(f"no,client_id,issued_at,total\n{rows}\n")
        (tmp_path / "c.csv").write_text("client_id\na\n")
        (tmp_path / "client.toml").write_text(
            '[tables.invoices]\npath = "i.csv"\nid = "no"\n'
            '[tables.clients]\npath = "c.csv"\nid = "client_id"\n'
        )
        told = {"agent": "revenue", "config": {"as_of": "2025-01-01"}}
        with pytest.raises(DataError, match="1 of them have fewer than 31 whole months before"):
            find(asked(data=str(tmp_path / "client.toml"), **told))

    def test_records_of_several_tables(self, tmp_path: Path) -> None:
        months = [f"{year}-{month:02d}" for year in (2022, 2023, 2024) for month in range(1, 13)]
        rows = [
            f"{client}-{month},c{client},{month}-15,{100 + 10 * client + place}"
            for client in range(3)
            for place, month in enumerate(months)
        ]
        (tmp_path / "i.csv").write_text("\n".join(["no,client_id,issued_at,total", *rows]))
        (tmp_path / "c.csv").write_text("client_id\nc0\nc1\nc2\n")
        (tmp_path / "client.toml").write_text(
            '[tables.invoices]\npath = "i.csv"\nid = "no"\n'
            '[tables.clients]\npath = "c.csv"\nid = "client_id"\n'
        )
        asked_for = {"agent": "revenue", "config": {"as_of": "2025-01-01"}}
        found = find(asked(data=str(tmp_path / "client.toml"), **asked_for))
        assert found.notes == ("3 records of clients, invoices",)
        assert found.workload.records == 3

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"data": "clients.csv"}, r"expected --map FILE.toml"),
            (
                {"data": "clients.csv", "columns": "none.toml"},
                "expected a settings file, found none",
            ),
            ({"data": "clients.csv", "columns": "two.toml"}, r"expected one \[tables.X\] section"),
            ({"data": "clients.csv", "columns": "wild.toml"}, r"expected one \[tables.X\] section"),
            ({"data": "none.csv", "columns": "map.toml"}, "found no such file"),
            ({"data": "clients.csv", "columns": "many.toml"}, r"give --data .*many.toml alone"),
            ({"data": "none.npz"}, "expected an npz file of plain arrays"),
            ({"data": "map.toml"}, r"'path' in \[tables.clients\] of .*map.toml"),
            ({"data": "no_agent.toml"}, r"expected \[agents.health\] .* found tables strange"),
            ({"data": "none.toml"}, "expected a settings file, found none"),
            ({"data": "arrays.npz", "columns": "map.toml"}, "--map tells how a table is read"),
            ({"data": "ragged.npz"}, "expected arrays of one length"),
            ({"data": "scalar.npz"}, "expected arrays of one length"),
            ({"data": "empty.npz"}, "expected arrays of one length"),
            ({"data": "strange.npz"}, "agent health raises KeyError"),
        ],
    )
    def test_bad_files_are_told(self, folder: Path, files: dict[str, str], message: str) -> None:
        (folder / "two.toml").write_text(MAP + '[tables.other]\nid = "x"\n')
        (folder / "wild.toml").write_text(MAP + '[agents.health]\ntable = "gone"\n')
        (folder / "many.toml").write_text(MAP + '[agents.health]\ntables = ["clients"]\n')
        strange = '[tables.strange]\nid = "number"\npath = "clients.csv"\n'
        (folder / "no_agent.toml").write_text(strange)
        np.savez(folder / "arrays.npz", x=np.zeros((3, 4)), y=np.zeros(3))
        np.savez(folder / "ragged.npz", x=np.zeros((3, 4)), y=np.zeros(2))
        np.savez(folder / "scalar.npz", x=np.float64(3))
        np.savez(folder / "empty.npz")
        np.savez(folder / "strange.npz", y=np.zeros(3))
        places = {
            key: str(folder / name) if key == "data" else folder / name
            for key, name in files.items()
        }
        with pytest.raises(MeshError, match=message):
            find(asked(**places))

    def test_an_agent_without_a_schema_reads_no_table(self, folder: Path) -> None:
        wanted = Wanted(agent="small_network:Centre", data=str(folder / "clients.csv"))
        with pytest.raises(AgentError, match="declares no schema"):
            find(wanted)


class TestMetric:
    def test_the_agents_first_unless_told(self) -> None:
        assert find(WANTED).workload.metric == Metric("auc", True)
        assert find(asked(metric="brier")).workload.metric == Metric("brier", False)

    def test_an_unknown_one_is_told_the_known_ones(self) -> None:
        with pytest.raises(ConfigError, match=r"no figure gini .*expected one of .*auc"):
            find(asked(metric="gini"))

    def test_an_agent_that_tells_no_quality_is_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "points.npz", point=np.zeros((9, 3)))
        with pytest.raises(AgentError, match="tells no quality: give it `evaluate`"):
            find(Wanted(agent="test_workloads:Plain", data=str(tmp_path / "points.npz")))


def test_what_an_agent_raises_is_told_as_its_fault(tmp_path: Path) -> None:
    np.savez(tmp_path / "short.npz", x=np.zeros((9, 2)), y=np.zeros(9))
    with pytest.raises(MeshError, match="agent health raises ValueError"):
        find(asked(data=str(tmp_path / "short.npz")))


def test_a_configuration_is_checked() -> None:
    config = json.loads('{"features": "all"}')
    with pytest.raises(AgentError, match="features"):
        find(Wanted(agent="health", data="simulated", config=config))
