import json
import math
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.quality import Metric
from mesh_fl.simulate import cli, crowd, plots
from mesh_fl.simulate.comparison import KINDS, Comparison
from mesh_fl.simulate.crowd import Findings, Grid, Row, explore
from mesh_fl.simulate.trial import Federated, References
from mesh_fl.simulate.workloads import Wanted, find

CONFIG = {
    "features": [
        {"name": "seats", "kind": "number", "low": 1, "high": 99},
        {"name": "overdue", "kind": "flag"},
    ]
}
MATERIAL = find(Wanted(agent="health", data="simulated", config=CONFIG))
AUC = Metric("auc", True)
SMALL = ["crowd", "health", "--data", "simulated", "--config", json.dumps(CONFIG), "--seeds", "2"]


def grid(**changes: object) -> Grid:
    terms = {"epsilons": (1.0,), "members": (6,), "records": (20,), "seeds": 2}
    return Grid(**(terms | changes))


def compared(public: float, alone: float, federated: float, adapted: float) -> Comparison:
    wobble = [0.001 * seed for seed in range(5)]
    return Comparison.of(
        [References(public, alone + by, 0.9) for by in wobble],
        [Federated(1.0, federated + by, adapted + by) for by in wobble],
        AUC,
    )


GAIN = compared(0.5, 0.7, 0.8, 0.75)
LOSS = compared(0.5, 0.7, 0.6, 0.7)


def told(comparisons: dict[int, Comparison], epsilon: float = 0.1) -> str:
    rows = tuple(Row(epsilon, members, 56, found) for members, found in comparisons.items())
    (answer,) = Findings(rows, ()).answers
    return answer


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mesh-sim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


class TestComparison:
    def test_known_answers(self) -> None:
        assert GAIN.verdict == "gain"
        assert GAIN.quality["federated"].mean == pytest.approx(0.802)
        assert GAIN.differences["federated - alone"].mean == pytest.approx(0.1)
        assert GAIN.differences["adapted - alone"].error == pytest.approx(0, abs=1e-12)
        assert GAIN.differences["adapted - public"].mean == pytest.approx(0.252)
        assert LOSS.verdict == "no gain at this crowd"

    def test_the_best_model_is_named(self) -> None:
        assert GAIN.best(AUC) == "federated"
        assert GAIN.best(Metric("brier", False)) == "adapted"

    def test_a_figure_that_is_none_fails_loudly(self) -> None:
        with pytest.raises(DataError, match="expected a finite figure from every seed"):
            compared(0.5, math.nan, 0.8, 0.8)


class TestAnswer:
    def test_how_many_it_takes(self) -> None:
        answer = told({12: LOSS, 25: LOSS, 50: GAIN, 100: GAIN})
        assert answer == (
            "at epsilon = 0.1 it takes about 50 MSPs of 56 records to beat being alone (25 do not)"
        )

    def test_a_lucky_small_crowd_does_not_count(self) -> None:
        assert "it takes about 100 MSPs" in told({12: GAIN, 50: LOSS, 100: GAIN})

    def test_the_smallest_may_do(self) -> None:
        assert "the smallest crowd tried, 12 MSPs of 56 records, already" in told({12: GAIN})

    def test_none_may_do(self) -> None:
        assert "no crowd tried (12, 25 MSPs of 56 records)" in told({12: LOSS, 25: LOSS})
        assert "not worth the budget" in told({12: LOSS, 25: LOSS})

    def test_small_crowds_that_gain_and_large_ones_that_do_not_settle_nothing(self) -> None:
        said = told({12: GAIN, 25: LOSS})
        assert "12 MSPs of 56 records seemed to gain" in said
        assert "nothing is settled" in said

    @given(st.lists(st.booleans(), min_size=1, max_size=6))
    def test_all_larger_crowds_gain_as_well(self, gains: list[bool]) -> None:
        sizes = [10 * 2**place for place in range(len(gains))]
        answer = told(
            {size: GAIN if gain else LOSS for size, gain in zip(sizes, gains, strict=True)}
        )
        named = re.search(r"(?:about|tried,) (\d+) MSPs", answer)
        assert (named is None) == (not gains[-1])
        if named is not None:
            first = sizes.index(int(named[1]))
            assert all(gains[first:])
            assert first == 0 or not gains[first - 1]


class TestExplore:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"epsilons": (0.0,)},
            {"epsilons": (math.nan,)},
            {"epsilons": ()},
            {"members": (1,)},
            {"members": (10**6,)},
            {"records": (0,)},
            {"seeds": 0},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(ConfigError, match=r"--\w+: expected .*, found"):
            grid(**wrong)

    def test_every_combination_in_order(self) -> None:
        wanted = grid(epsilons=(math.inf, 1.0), members=(8, 6), records=(20, 10))
        found = explore(MATERIAL, wanted)
        assert [(row.records, row.epsilon, row.members) for row in found.rows] == [
            (records, epsilon, members)
            for records in (10, 20)
            for epsilon in (1.0, math.inf)
            for members in (6, 8)
        ]
        assert [len(panel) for panel in found.panels] == [2, 2, 2, 2]
        assert len(found.answers) == 4

    def test_it_is_the_same_each_time(self) -> None:
        assert explore(MATERIAL, grid()) == explore(MATERIAL, grid())
        assert explore(MATERIAL, grid()) != explore(MATERIAL, grid(first_seed=2))

    def test_epsilons_are_tried_on_the_same_splits(self) -> None:
        tight, loose = explore(MATERIAL, grid(epsilons=(0.01, math.inf))).rows
        for kind in ("public", "alone", "pooled"):
            assert tight.comparison.quality[kind] == loose.comparison.quality[kind]
        assert (
            tight.comparison.quality["federated"].mean
            < loose.comparison.quality["federated"].mean - 0.02
        )

    def test_crowds_that_cannot_be_served_are_left_out_and_named(self) -> None:
        told: list[str] = []
        found = explore(MATERIAL, grid(members=(6, 500)), told.append)
        assert [row.members for row in found.rows] == [6]
        assert "500 MSPs of 20 records are left out: 500 x 20 records were" in found.skipped[0]
        assert told == ["[1/2] 6 MSPs of 20 records", "[2/2] 500 MSPs of 20 records"]

    def test_none_at_all_is_an_error(self) -> None:
        with pytest.raises(DataError, match="no crowd could be tried:\n500 MSPs"):
            explore(MATERIAL, grid(members=(500,)))

    def test_the_deal_of_the_data_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        dealt = []

        def deal(data, members, records, random):  # type: ignore[no-untyped-def]
            dealt.append((members, records))
            return MATERIAL.deal(data, members, records, random)

        explore(crowd.Material(MATERIAL.workload, deal), grid())
        assert dealt == [(6, 20)] * 2


class TestCommand:
    def test_json_is_whole_and_alone(self, monkeypatch, capsys) -> None:
        words = ["--members", "6,8", "--records", "20", "--epsilon", "1,inf", "--json"]
        assert command(monkeypatch, *SMALL, *words) == 0
        out, err = capsys.readouterr()
        found = json.loads(out)
        assert [row["epsilon"] for row in found["rows"]] == [1.0, 1.0, "inf", "inf"]
        assert (found["metric"], found["higher_is_better"], found["seeds"]) == ("auc", True, 2)
        for row in found["rows"]:
            assert set(row["se"]) == {*KINDS, *row["differences"]}
            assert row["verdict"] == "too few seeds"
            assert row["differences"]["adapted - alone"] == pytest.approx(
                row["adapted"] - row["alone"]
            )
        assert "[2/2] 8 MSPs of 20 records" in err

    def test_a_single_seed_has_no_error(self, monkeypatch, capsys) -> None:
        words = ["--members", "6", "--epsilon", "1", "--seeds", "1", "--json"]
        assert command(monkeypatch, *SMALL, *words) == 0
        (row,) = json.loads(capsys.readouterr().out)["rows"]
        assert set(row["se"].values()) == {None}

    def test_people_get_the_answer_first(self, monkeypatch, capsys) -> None:
        words = ["--members", "6", "--epsilon", "inf", "--seeds", "5"]
        assert command(monkeypatch, *SMALL, *words) == 0
        out = capsys.readouterr().out
        assert out.startswith("at epsilon = inf ")
        assert "auc on simulated, 56 records each, epsilon = inf, 5 seeds" in out
        assert "health made its records up" in out
        assert re.search(
            r"│ +6 │ 0\.\d{3} +(│ 0\.\d{3}±\.\d{3} +){4}│ (no )?gain +│\n", out
        )  # unwrapped

    def test_a_plot_is_drawn(self, monkeypatch, capsys, tmp_path: Path) -> None:
        words = ["--members", "6,8", "--epsilon", "1", "--plot", str(tmp_path / "a.png")]
        assert command(monkeypatch, *SMALL, *words) == 0
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--members", "a few"], "--members: expected numbers with commas between them"),
            (["--members", "1.5"], "--members: expected numbers with commas between them"),
            (["--epsilon", "-1"], "--epsilon: expected numbers above 0, or inf, found -1"),
            (["--records", ""], "--records: expected numbers with commas between them"),
            (["--plot", "a.pdf"], "--plot: expected a file named .png"),
            (["--plot", "none/a.png"], "--plot: expected a file named .png in a folder that"),
            (["--metric", "gini"], "no figure gini"),
            (["--data", "nowhere"], "no data 'nowhere' for agent health"),
            (["--data", "nowhere.csv"], "expected --map FILE.toml"),
            (["--config", "{"], "--config: expected a TOML or JSON file, or JSON"),
            (["--config", '{"colour": 1}'], "agent health cannot be configured so"),
            (["--members", "100000", "--records", "1000000"], "at most"),
        ],
    )
    def test_bad_words_are_told(self, monkeypatch, capsys, words, message) -> None:
        assert command(monkeypatch, *SMALL, *words) == 1
        out, err = capsys.readouterr()
        assert message in err
        assert out == ""

    def test_an_unknown_agent_is_told(self, monkeypatch, capsys) -> None:
        assert command(monkeypatch, "crowd", "wealth", "--data", "simulated") == 1
        assert "no agent is registered as 'wealth'" in capsys.readouterr().err

    def test_help_has_an_example(self, monkeypatch, capsys) -> None:
        assert command(monkeypatch, "crowd", "--help") == 0
        assert "Example: mesh-sim crowd health --data telco" in capsys.readouterr().out


class TestPlots:
    def test_without_matplotlib_the_extra_is_named(self, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.setattr(plots, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"pip install 'mesh_fl\[plot\]'"):
            plots.refuse_unwritable(tmp_path / "a.png")

    def test_lines_are_told_apart_without_colour(self) -> None:
        assert set(plots.STYLES) == set(KINDS)
        assert len({dashes for _, _, dashes in plots.STYLES.values()}) == len(KINDS)

    def test_single_seeds_have_no_band(self, tmp_path: Path) -> None:
        found = explore(MATERIAL, grid(seeds=1))
        plots.draw(found, AUC, "one seed", tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_size > 1000
