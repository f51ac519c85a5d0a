import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.quality import Metric
from mesh_fl.registry import agent_names
from mesh_fl.simulate.benchmarks import benchmark as registry
from mesh_fl.simulate.benchmarks.benchmark import (
    GROUP,
    Baseline,
    Benchmark,
    benchmarks_of,
    data_folder,
)
from mesh_fl.simulate.benchmarks.claims import Claim, read_claims
from mesh_fl.simulate.benchmarks.health import lightgbm_auc, majority_accuracy
from mesh_fl.simulate.benchmarks.measure import measure
from mesh_fl.simulate.benchmarks.page import page_of
from mesh_fl.simulate.benchmarks.row import Row, as_json, read_rows, write_rows
from mesh_fl.simulate.benchmarks.run import EPSILONS, Terms, run_benchmarks
from mesh_fl.simulate.cli import main
from mesh_fl.simulate.statistics import FEWEST_SEEDS
from mesh_fl.simulate.trial import Workload

DOCS = Path(__file__).parents[2] / "docs"
KEYS = [
    *("agent", "dataset", "metric", "higher_is_better", "epsilon", "members", "records"),
    *("public", "alone", "federated", "adapted", "pooled", "baseline", "se", "seeds"),
    *("verdict", "seconds", "baseline_name", "first_seed", "differences", "baseline_pooled"),
    "made_with",
]
MEMBERS, RECORDS = 10, 8
UNTRAINED, TRAINED, ALONE, POOLED, ADAPTED = range(5)


@dataclass(frozen=True, kw_only=True)
class Known(Agent):
    """Tells figures that are settled beforehand, one for each way to get a model."""

    figures: tuple[float, ...]
    clip: float = 1.0

    def init(self) -> State:
        return {"way": np.array(float(UNTRAINED))}

    def contribute(self, state: State, data: Data) -> Rows:
        return np.zeros((len(data["x"]), 1))

    def apply(self, state: State, total: Total) -> State:
        return {"way": np.array(float(TRAINED))}

    def adapt(self, state: State, data: Data) -> State:
        local = ALONE if len(data["x"]) == RECORDS else POOLED
        return {"way": np.array(float(ADAPTED if state["way"] == TRAINED else local))}

    def predict(self, state: State, data: Data) -> np.ndarray:
        return np.zeros(len(data["x"]))

    def evaluate(self, state: State, data: Data) -> dict[str, float]:
        # Splits differ by much more than ways to get a model do.
        split = float(data["x"].mean())
        return {"known": self.figures[int(state["way"])] + split}


@dataclass
class Outside:
    """A baseline that remembers what it was given."""

    calls: list[tuple[int, str, int]] = dataclasses.field(default_factory=list)

    def __call__(self, train: Data, test: Data, seed: int) -> float:
        digest = hashlib.sha256(np.ascontiguousarray(test["x"]).tobytes()).hexdigest()
        self.calls.append((len(train["x"]), digest, seed))
        return 0.25


def known(
    *figures: float, rising: bool = True, outside: Outside | None = None, metric: str = "known"
) -> Benchmark:
    """A benchmark with the figures of public, alone, federated, adapted and pooled models."""
    public, alone, federated, adapted, pooled = figures or (0.5, 0.6, 0.7, 0.8, 0.9)
    data = {"x": np.random.default_rng(0).normal(0, 5, 200)}
    config = {"figures": (public, federated, alone, pooled, adapted)}
    workload = Workload(
        "numbers", "test_benchmark:Known", config, data, Metric(metric, rising), rounds=2
    )
    baseline = Baseline("a guess", outside or Outside(), "Nobody guesses better.")
    return Benchmark(lambda: workload, "numbers", MEMBERS, RECORDS, baseline, "made up")


def strangers() -> tuple[Benchmark, ...]:
    """What a stranger's package registers."""
    return (known(),)


def unreachable() -> Workload:
    return Workload("far away", "health", {}, {"x": np.zeros(int(bool(data_folder())))}, METRIC)


METRIC = Metric("known", higher_is_better=True)


def far_and_near() -> tuple[Benchmark, ...]:
    return (dataclasses.replace(known(), workload=unreachable), known())


def far() -> tuple[Benchmark, ...]:
    return far_and_near()[:1]


def raises() -> tuple[Benchmark, ...]:
    raise ZeroDivisionError("by whoever wrote it")


def no_tuple() -> str:
    return "benchmarks"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch):
    """Register functions of this module as the benchmarks of agents, in place of all others."""

    def register(**functions: str) -> None:
        points = [
            EntryPoint(agent, value if ":" in value else f"test_benchmark:{value}", GROUP)
            for agent, value in functions.items()
        ]
        monkeypatch.setattr(
            registry, "entry_points", lambda group, name: [p for p in points if p.name == name]
        )

    return register


class TestRows:
    def test_keys_stand_in_their_order(self) -> None:
        (row,) = as_json(measure(known(), [0.1], range(5)))
        assert list(row) == KEYS

    def test_every_figure_stands_where_it_belongs(self) -> None:
        for row in measure(known(), [0.1, inf], range(5)):
            # Means differ by the split alone, which all figures share.
            split = row.public - 0.5
            found = [row.alone, row.federated, row.adapted, row.pooled]
            assert found == pytest.approx([split + x for x in (0.6, 0.7, 0.8, 0.9)], abs=2e-6)
            assert (row.baseline, row.baseline_pooled, row.se["baseline"]) == (0.25, 0.25, 0)
            assert row.differences == pytest.approx(
                {
                    "federated - alone": 0.1,
                    "federated - public": 0.2,
                    "adapted - alone": 0.2,
                    "adapted - public": 0.3,
                }
            )

    def test_differences_are_paired(self) -> None:
        (row,) = measure(known(), [0.1], range(6))
        assert row.se["federated"] is not None
        assert row.se["federated"] > 0.1
        assert row.se["federated - alone"] == 0

    @pytest.mark.parametrize(
        ("figures", "rising", "expected"),
        [
            ((0.5, 0.6, 0.7, 0.6, 0.9), True, "gain"),
            ((0.5, 0.6, 0.4, 0.7, 0.9), True, "gain"),
            ((0.7, 0.5, 0.6, 0.6, 0.9), True, "no gain at this crowd"),  # beats alone only
            ((0.5, 0.7, 0.6, 0.6, 0.9), True, "no gain at this crowd"),  # beats public only
            ((0.5, 0.6, 0.6, 0.6, 0.9), True, "no gain at this crowd"),  # equals alone
            ((0.5, 0.6, 0.7, 0.7, 0.9), False, "no gain at this crowd"),
            ((0.5, 0.6, 0.4, 0.6, 0.3), False, "gain"),
        ],
    )
    def test_verdict(self, figures: tuple[float, ...], rising: bool, expected: str) -> None:
        (row,) = measure(known(*figures, rising=rising), [1.0], range(5))
        assert row.verdict == expected
        assert row.higher_is_better == rising

    def test_four_seeds_are_too_few_for_a_verdict(self) -> None:
        (row,) = measure(known(), [1.0], range(4))
        assert (row.verdict, row.seeds) == ("too few seeds", 4)

    def test_epsilons_share_splits_and_references(self) -> None:
        outside = Outside()
        rows = measure(known(outside=outside), [0.1, 1, 8, inf], range(5, 10))
        assert len(outside.calls) == 5 * (MEMBERS + 1)
        assert len({digest for _, digest, _ in outside.calls}) == 5
        assert {seed for *_, seed in outside.calls} == set(range(5, 10))
        for name in ("public", "alone", "pooled", "baseline"):
            assert len({getattr(row, name) for row in rows}) == 1

    def test_a_split_depends_on_its_seed_alone(self) -> None:
        first, second = Outside(), Outside()
        measure(known(outside=first), [0.1], [7])
        measure(known(outside=second), [inf, 8], [3, 7])
        assert {d for _, d, seed in first.calls} == {d for _, d, seed in second.calls if seed == 7}

    def test_what_is_asked_for_twice_is_measured_once(self) -> None:
        assert [row.limit for row in measure(known(), [1, 0.1, 1.0], [3])] == [1, 0.1]

    def test_a_baseline_sees_own_records_and_then_everybodys(self) -> None:
        outside = Outside()
        measure(known(outside=outside), [inf], [0])
        assert [size for size, *_ in outside.calls] == [RECORDS] * MEMBERS + [MEMBERS * RECORDS]

    @pytest.mark.parametrize("place", range(5))
    def test_what_is_not_a_number_fails_loudly(self, place: int) -> None:
        figures = [0.5, 0.6, 0.7, 0.8, 0.9]
        figures[place] = nan
        with pytest.raises(DataError, match=r"Known on numbers, known: .*nan"):
            measure(known(*figures), [1.0], range(5))

    def test_a_figure_that_the_agent_does_not_tell_is_refused(self) -> None:
        with pytest.raises(AgentError, match="evaluate auc, found known"):
            measure(known(metric="auc"), [1.0], [0])

    def test_too_few_records_are_refused(self) -> None:
        with pytest.raises(DataError, match="1000 x 8 records were asked for"):
            measure(dataclasses.replace(known(), members=1000), [1.0], [0])

    @pytest.mark.parametrize("seeds", [1, 5])
    def test_rows_survive_a_file_of_plain_json(self, seeds: int, tmp_path: Path) -> None:
        rows = measure(known(), [0.1, 1, inf], range(seeds))
        write_rows(rows, tmp_path / "rows.json")

        def refuse(word: str) -> float:
            raise AssertionError(f"{word} is no JSON")

        told = json.loads((tmp_path / "rows.json").read_text(), parse_constant=refuse)
        assert [row["epsilon"] for row in told] == [0.1, 1, "inf"]
        assert read_rows(tmp_path / "rows.json") == rows
        assert [row.limit for row in rows] == [0.1, 1, inf]

    @pytest.mark.parametrize("text", ["", "[{}]", "{}", '[{"agent": 1}]', "\x00"])
    def test_other_files_are_refused(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "rows.json").write_text(text)
        with pytest.raises(DataError, match="expected rows of `mesh-sim benchmark --output`"):
            read_rows(tmp_path / "rows.json")

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot read"):
            read_rows(tmp_path / "rows.json")


class TestRegistry:
    def test_a_strangers_package_brings_its_own(self, registered) -> None:
        registered(theirs="strangers")
        (found,) = benchmarks_of("theirs")
        assert found.dataset == "numbers"
        assert benchmarks_of("health") == ()

    @pytest.mark.parametrize("value", ["raises", "no_tuple", "missing", "no_such_module:f"])
    def test_what_cannot_be_used_is_told(self, registered, value: str) -> None:
        registered(theirs=value)
        with pytest.raises(ConfigError, match=value.split(":")[0]):
            benchmarks_of("theirs")

    def test_data_without_a_package_need_a_folder(self, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.delenv("MESH_DATA", raising=False)
        with pytest.raises(ConfigError, match="set MESH_DATA"):
            data_folder()
        monkeypatch.setenv("MESH_DATA", str(tmp_path))
        assert data_folder() == tmp_path


class TestRun:
    TERMS = Terms(("health",), (0.1, inf), range(5))

    def test_an_agent_without_benchmarks_does_not_vanish(self, registered, capsys) -> None:
        registered()
        with pytest.raises(ConfigError, match="nothing could be measured"):
            run_benchmarks(Terms(epsilons=(inf,), seeds=range(5)))
        told = capsys.readouterr().err
        assert agent_names()
        for agent in agent_names():
            assert f"no benchmark is registered for {agent}" in told

    def test_data_that_are_not_here_are_told_and_the_rest_is_measured(
        self, registered, capsys, monkeypatch
    ) -> None:
        monkeypatch.delenv("MESH_DATA", raising=False)
        registered(health="far_and_near")
        assert len(run_benchmarks(self.TERMS)) == 2
        assert "left out: these data come with no package: set MESH_DATA" in capsys.readouterr().err

    def test_an_unknown_agent_is_refused(self) -> None:
        with pytest.raises(AgentError, match="no agent is registered as 'helth'"):
            run_benchmarks(Terms(("helth",)))

    @pytest.mark.parametrize("epsilon", [0.0, -1.0, nan])
    def test_an_epsilon_that_promises_nothing_is_refused(self, epsilon: float) -> None:
        with pytest.raises(ConfigError, match="above 0"):
            Terms(epsilons=(1.0, epsilon))


def mesh_sim(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mesh-sim", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


class TestCommand:
    WORDS = ("benchmark", "--agent", "health", "--epsilon", "0.1,1", "--epsilon", "inf")

    def test_json_and_file_hold_the_same(self, registered, monkeypatch, capsys, tmp_path) -> None:
        registered(health="strangers")
        output = tmp_path / "rows.json"
        words = ("--seeds", "2", "--first-seed", "7", "--json", "--output", str(output))
        assert mesh_sim(monkeypatch, *self.WORDS, *words) == 0
        told = capsys.readouterr()
        rows = json.loads(told.out)
        assert rows == json.loads(output.read_text())
        assert [row["epsilon"] for row in rows] == [0.1, 1, "inf"]
        assert {row["first_seed"] for row in rows} == {7}
        assert {row["verdict"] for row in rows} == {"too few seeds"}
        assert "fewer than 5 seeds" in told.err

    def test_a_table_tells_means_with_their_errors(self, registered, monkeypatch, capsys) -> None:
        registered(health="strangers")
        assert mesh_sim(monkeypatch, *self.WORDS, "--seeds", "5") == 0
        told = capsys.readouterr().out
        assert "0.250 ± 0.000" in told
        assert "gain" in told
        assert "a guess" in told

    def test_a_page_is_made_of_the_file(self, registered, monkeypatch, tmp_path) -> None:
        registered(health="strangers")
        rows, page = str(tmp_path / "rows.json"), tmp_path / "page.md"
        assert mesh_sim(monkeypatch, *self.WORDS, "--seeds", "5", "--output", rows) == 0
        assert mesh_sim(monkeypatch, "benchmarks-page", rows, str(page)) == 0
        assert page.read_text() == page_of(read_rows(Path(rows)))
        assert "not among these rows" in page.read_text()

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--epsilon", "much"), "--epsilon: expected numbers"),
            (("--epsilon", "0"), "above 0"),
            (("--agent", "helth"), "no agent is registered as 'helth'"),
            (("--agent", "health"), "nothing could be measured"),
            (("--output", "/no/such/folder/rows.json"), "no folder /no/such/folder"),
            (("--seeds", "0"), "--seeds"),
        ],
    )
    def test_bad_words_are_told(self, registered, monkeypatch, capsys, words, told: str) -> None:
        monkeypatch.delenv("MESH_DATA", raising=False)
        registered(health="far")
        assert mesh_sim(monkeypatch, "benchmark", *words) != 0
        found = capsys.readouterr().err
        assert told in found
        assert "Traceback" not in found


ONE_KIND: Data = {"x": np.ones((30, 1)), "y": np.zeros(30)}
BOTH: Data = {"x": np.repeat([[0.0], [1.0]], 40, axis=0), "y": np.repeat([0.0, 1.0], 40)}


class TestHealth:
    def test_the_data_suffice(self) -> None:
        found = benchmarks_of("health")
        every = ("", "_interactions", "_seven", "_scorecard", "_trees")
        names = {one.dataset for one in found}
        assert names == {"telco"} | {f"mlc_churn{one}" for one in every}
        for one in found:
            workload = one.workload()
            assert one.members * one.records <= 0.8 * workload.records
            assert workload.metric.name in ("auc", "accuracy", "brier")
            assert "records" not in workload.config

    def test_lightgbm_learns_what_there_is_to_learn(self) -> None:
        assert lightgbm_auc(BOTH, BOTH, 0) == 1
        assert lightgbm_auc(ONE_KIND, BOTH, 0) == 0.5

    def test_without_lightgbm_it_says_what_to_install(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "lightgbm", None)
        with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[benchmark\]'"):
            lightgbm_auc(BOTH, BOTH, 0)

    @pytest.mark.parametrize(("left", "expected"), [(0.0, 0.5), (1.0, 0.5), (0.9, 0.25)])
    def test_the_majority_is_that_of_ones_own_records(self, left: float, expected: float) -> None:
        test = {"y": np.repeat([0.0, 1.0], [30, 10] if expected == 0.25 else [20, 20])}
        own = {"y": np.repeat([0.0, 1.0], [10 - round(10 * left), round(10 * left)])}
        assert majority_accuracy(own, test, 0) == expected

    def test_accuracy_of_the_untrained_is_that_of_the_majority(self) -> None:
        workload = benchmarks_of("health")[1].workload()
        agent = workload.configured({"all": 64})
        found = agent.evaluate(agent.init(), workload.data)["accuracy"]
        assert found == pytest.approx(1 - workload.data["y"].astype(float).mean())


class TestClaims:
    def test_each_is_measured_or_says_why_not(self) -> None:
        rows = read_rows(DOCS / "benchmarks.json")
        assert len(read_claims()) == 22
        for claim in read_claims():
            assert bool(claim.unmeasured) != bool(claim.row(rows)), claim.text

    def test_an_agent_that_has_come_is_no_longer_said_to_lack(self) -> None:
        for claim in read_claims():
            if "no such agent" in claim.unmeasured:
                assert claim.agent
                assert claim.agent not in agent_names(), claim.text

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"agent": "health", "dataset": "telco"},
            {"dataset": "telco", "metric": "auc", "epsilon": 1},
            {"unmeasured": "not measured", "dataset": "telco"},
        ],
    )
    def test_neither_or_both_is_refused(self, fields: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Claim.model_validate({"text": "it flies", **fields})


class TestPage:
    ROWS = tuple(read_rows(DOCS / "benchmarks.json"))

    def test_it_is_what_the_command_would_write(self) -> None:
        assert (DOCS / "benchmarks.md").read_text() == page_of(self.ROWS)

    def test_it_tells_every_row(self) -> None:
        page = page_of(self.ROWS)
        for row in self.ROWS:
            assert f"| {row.limit:g} | {row.told('federated')} |" in page

    def test_the_stored_rows_are_of_enough_fresh_splits(self) -> None:
        """As many as a verdict needs, and the benchmarks as they are registered now."""
        assert {row.first_seed for row in self.ROWS} == {5000}
        assert min(row.seeds for row in self.ROWS) >= FEWEST_SEEDS
        known = [one for name in agent_names() for one in benchmarks_of(name)]
        assert {row.dataset for row in self.ROWS} == {one.dataset for one in known}
        for one in known:
            found = [row for row in self.ROWS if row.dataset == one.dataset]
            assert {row.limit for row in found} == set(EPSILONS)
            assert {(row.members, row.records) for row in found} == {(one.members, one.records)}

    def test_what_was_measured_differently_is_told_apart(self) -> None:
        first = self.ROWS[0]
        other = first.model_copy(update={"seeds": 7, "made_with": {"machine": "an abacus"}})
        page = page_of([first, other])
        assert "--seeds 10" in page
        assert "--seeds 7" in page
        assert "- machine an abacus" in page

    def test_rows_of_unknown_data_are_shown(self) -> None:
        row = self.ROWS[0].model_copy(update={"agent": "theirs", "baseline_name": "a | b"})
        page = page_of([Row.model_validate(row.model_dump())])
        assert "not registered here" in page
        assert "a \\| b" in page
