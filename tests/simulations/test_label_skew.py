import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "simulations"))

import label_skew


def test_skew_slows_learning_down(capsys: pytest.CaptureFixture[str]) -> None:
    label_skew.main(["--rounds", "8", "--seeds", "3", "--json"])
    found = {float(alpha): mean for alpha, (mean, _) in json.loads(capsys.readouterr().out).items()}
    assert found[100.0] > found[0.05] + 0.05
    assert found[100.0] > 0.5


def test_it_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    label_skew.main(["--rounds", "1", "--seeds", "2"])
    assert "accuracy after 1 rounds" in capsys.readouterr().out
