import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from mesh_fl.errors import EncryptionError, PlanError
from mesh_fl.privacy.encryption import Parameters
from mesh_fl.simulate import cost
from mesh_fl.simulate.cli import main
from mesh_fl.simulate.cost import Clock, Setting, measure

STAGES = ["clip", "noise", "mask", "encrypt", "add", "decrypt", "unmask"]
SMALL = Setting(parameters=60, members=3, records=20)


@pytest.fixture(scope="module")
def figures() -> dict[str, int | float]:
    return measure(SMALL)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mesh-sim", "cost", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


# --- figures


def test_every_stage_took_time_and_every_size_is_told(figures: dict[str, int | float]) -> None:
    names = [f"{stage}_s" for stage in STAGES]
    names += [f"flare_{stage}_s" for stage in ("encrypt", "add", "decrypt")]
    names += [
        f"{whose}bytes_{way}_per_parameter" for whose in ("", "flare_") for way in ("up", "down")
    ]
    assert all(figures[name] > 0 for name in names)
    assert "_s" not in figures
    assert {"parameters": 60, "members": 3, "packing": 1, "repeats": 3}.items() <= figures.items()


def test_ratios_are_of_the_figures_beside_them(figures: dict[str, int | float]) -> None:
    for name in ("encrypt_s", "add_s", "decrypt_s"):
        ratio = figures[f"ratio_{name.removesuffix('_s')}"]
        assert ratio == pytest.approx(figures[name] / figures[f"flare_{name}"])
    up = figures["bytes_up_per_parameter"] / figures["flare_bytes_up_per_parameter"]
    assert figures["ratio_bytes_up"] == pytest.approx(up)


def test_sizes_are_those_of_one_block(figures: dict[str, int | float]) -> None:
    least = 2048 * figures["modulus_bits"] / 8
    assert least < 60 * figures["bytes_up_per_parameter"] < 1.5 * least
    assert 2 * least < 60 * figures["bytes_down_per_parameter"] < 3 * least


def test_median_of_laps_clip_in_proportion_and_bytes_per_parameter() -> None:
    setting = Setting(parameters=2**20, members=2, records=1000)
    assert setting.timed_rows == 4
    names = ["bytes_up", "bytes_down", "flare_bytes_up", "flare_bytes_down", "clip_s"]
    names += [f"{whose}{stage}_s" for whose in ("", "flare_") for stage in STAGES[3:6]]
    found = cost._figures([dict.fromkeys(names, lap * 2**20) for lap in (9, 1, 2)], setting)
    assert found["clip_s"] == 2 * 2**20 * 250
    assert found["add_s"] == 2 * 2**20
    assert found["bytes_up_per_parameter"] == 2
    assert "bytes_up" not in found


def test_large_models_are_measured_once_on_few_rows() -> None:
    assert (Setting(2_000_000, 2).repeats, Setting(2_000_001, 2).repeats) == (3, 1)
    assert Setting(10_000_000, 2).timed_rows == 1
    assert Setting(10, 2, records=7).timed_rows == 7


def test_an_inner_stage_does_not_count_for_the_outer(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: Iterator[int] = iter([0, 1, 11, 111, 1111])
    monkeypatch.setattr(cost.time, "process_time", lambda: next(ticks))
    told: list[str] = []
    clock = Clock(told.append)
    with clock("outer"), clock("inner"):
        pass
    assert clock.seconds == {"": 1, "outer": 10 + 1000, "inner": 100}
    assert told == ["outer", "inner"]


def test_time_until_an_error_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: Iterator[int] = iter([0, 1, 11, 111, 1111])
    monkeypatch.setattr(cost.time, "process_time", lambda: next(ticks))
    clock = Clock()
    with pytest.raises(RuntimeError), clock("stage"):
        raise RuntimeError
    with clock("next"):
        pass
    assert clock.seconds == {"": 1 + 100, "stage": 10, "next": 1000}


@pytest.mark.parametrize("name", ["open_sum", "Ckks"])
def test_wrong_sums_are_not_reported(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Wrong(cost.Ckks):
        def decrypt(self, parts: list[bytes]) -> np.ndarray:
            return super().decrypt(parts) + 0.01

    right = cost.open_sum
    wrong = {"open_sum": lambda *given: right(*given) + 1, "Ckks": Wrong}
    monkeypatch.setattr(cost, name, wrong[name])
    with pytest.raises(EncryptionError, match="sum came out wrong"):
        measure(SMALL)


# --- the plan behind


def test_a_million_parameters_need_34_bits() -> None:
    release, parameters = cost._encoding(Setting(1_000_000, 20, records=2000, packed=False))
    assert release.bound.bit_length() == 34
    assert release.packing.per_slot == 1
    assert parameters == Parameters.for_range(release.bound, 20)


def test_packing_shares_slots_where_the_range_allows() -> None:
    settings = [Setting(50_000, 3, 10.0, 10, packed) for packed in (True, False)]
    (dense, wide), (plain, narrow) = map(cost._encoding, settings)
    assert (dense.packing.per_slot, plain.packing.per_slot) == (2, 1)
    assert dense.bound == plain.bound
    assert narrow.modulus_bits < wide.modulus_bits < 2 * narrow.modulus_bits


def test_packed_sums_are_right() -> None:
    assert measure(Setting(3000, 3, 50.0, 2))["packing"] == 2


def test_noise_and_range_follow_epsilon_and_records() -> None:
    release = cost._encoding(SMALL)[0]
    strict = cost._encoding(Setting(60, 3, 0.01, 20))[0]
    many = cost._encoding(Setting(60, 3, 0.1, 20_000))[0]
    assert strict.share > 7 * release.share
    assert strict.bound > release.bound
    assert many.bound > 10 * release.bound


def test_impossible_range_is_refused() -> None:
    with pytest.raises(PlanError, match="60 bits"):
        measure(Setting(1000, 1000, records=10**9))


# --- the command


def test_json_alone_is_on_standard_output() -> None:
    # TenSEAL warns on standard output of vectors longer than a ciphertext.
    line = ["cost", "--parameters", "5000", "--members", "2", "--records", "3", "--json"]
    code = "from mesh_fl.simulate.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, check=True)
    assert json.loads(done.stdout)["parameters"] == 5000
    assert done.stderr == b""


def test_table_shows_both_ways(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], figures: dict[str, float]
) -> None:
    monkeypatch.setattr(cost, "measure", lambda *_: figures)
    assert run(monkeypatch, "--parameters", "60") == 0
    shown = capsys.readouterr().out
    assert f"{figures['ratio_add']:.3g}" in shown
    assert f"{figures['flare_add_s']:.3g}" in shown
    assert all(word in shown for word in ("60 parameters", "FLARE", "clip", "mask", "bytes up"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--epsilon", "nan"), "epsilon: Input should be a finite number"),
        (("--epsilon", "0"), "epsilon: Input should be greater than 0"),
        (("--epsilon", "1e9"), "change epsilon"),
        (("--members", "1"), "1 is not in the range"),
        (("--parameters", "0"), "0 is not in the range"),
        (("--records", "0"), "0 is not in the range"),
        (("--records", "many"), "not a valid int"),
    ],
)
def test_bad_arguments_get_a_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    assert run(monkeypatch, "--parameters", "60", *words) > 0
    shown = capsys.readouterr().err
    assert told in shown
    assert "Traceback" not in shown
