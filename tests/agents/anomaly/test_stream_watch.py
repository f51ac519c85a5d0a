import json
import os
import signal
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mesh_fl.agents.anomaly.templates_made_up import log_lines
from mesh_fl.client.cli import app
from mesh_fl.client.watch_cli import _Ending

NOISE = np.random.default_rng(0).normal(50, 2, 3000).tolist()


def watch(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["watch", *map(str, arguments)])


def told(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def as_json(values: list[float]) -> list[str]:
    return [
        json.dumps({"series_id": "cpu", "ts": 1.77e9 + 60 * place, "value": value})
        for place, value in enumerate(values)
    ]


def test_an_alarm_is_a_line_of_json(tmp_path: Path) -> None:
    values = [*NOISE, 99.0, 50.0]
    result = watch(written(tmp_path / "readings.jsonl", as_json(values)))
    found = told(result)
    spike = next(one for one in found if one["index"] == 3000)
    assert spike["series_id"] == "cpu"
    assert spike["time"] == "2026-02-04T04:40:00+00:00"
    assert (spike["kind"], spike["value"]) == ("alarm", 99.0)
    assert spike["anomaly_score"] == 1 - spike["p_value"]
    assert "3,002 lines of 1 series: told alarm" in result.stderr


def test_csv_and_bare_numbers_are_read_too(tmp_path: Path) -> None:
    csv = ["value,series_id", *(f"{value},a" for value in [*NOISE, 99.0])]
    bare = [str(value) for value in [*NOISE, 99.0]]
    for lines in (csv, bare):
        (last,) = [
            one for one in told(watch(written(tmp_path / "x", lines))) if one["value"] == 99.0
        ]
        assert last["index"] == 3000


@pytest.mark.parametrize("text", [False, True])
def test_it_goes_on_where_it_stopped(tmp_path: Path, text: bool) -> None:
    lines = as_json([*NOISE, 99.0, *NOISE[:500]])
    if text:
        lines = [line for _, line, _ in log_lines(3000)]
        lines.insert(2500, "2026-03-01T00:02:05Z ad3 security: domain admins changed")
    more = ["--text"] if text else []
    whole = told(watch(written(tmp_path / "all", lines), "--false-alarm-rate", 0.002, *more))
    assert whole
    state, found = tmp_path / "state.json", []
    for part in (lines[:1700], lines[1700:1701], [], lines[1701:]):
        file = written(tmp_path / "part", part)
        found += told(watch(file, "--state", state, "--false-alarm-rate", 0.002, *more))
    assert found == whole
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_a_new_line_of_a_log_is_told(tmp_path: Path) -> None:
    lines = [line for _, line, _ in log_lines(4000)]
    lines.append("2026-03-01T00:03:20Z ad3 security: domain admins changed by mallory\x1b[31m")
    found = told(watch(written(tmp_path / "log", lines), "--text"))
    assert found[-1]["kind"] == "new"
    assert found[-1]["time"] == "2026-03-01T00:03:20+00:00"
    assert found[-1]["line"] == lines[-1]


def test_lines_that_cannot_be_read_are_counted_and_left_out(tmp_path: Path) -> None:
    bad = ["{", "a,b", '{"value": "x\x1b[31m"}', "[]", '{"value": 1e999}']
    result = watch(written(tmp_path / "x", [*as_json(NOISE[:50]), *bad]))
    assert told(result) == []
    assert "5 lines could not be read" in result.stderr
    assert "line 51: expected a JSON object" in result.stderr
    assert "\x1b" not in result.stderr
    assert "not enough data: 50 forecasts so far, of 999" in result.stderr


@pytest.mark.parametrize("text", [False, True])
def test_any_bytes_are_survived(tmp_path: Path, text: bool) -> None:
    file = tmp_path / "noise"
    file.write_bytes(b"1\n" + np.random.default_rng(0).bytes(100_000) + b"\n" + b"9" * 3_000_000)
    result = watch(file, *(["--text"] if text else []))
    assert text or "lines could not be read:" in result.stderr
    assert result.exit_code == 0
    for line in result.stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.jsonl"], "cannot read nothing.jsonl"),
        (["."], "cannot read ."),
        (["x", "--false-alarm-rate", "0"], "expected a false alarm rate"),
        (["x", "--period", "1"], "expected a period"),
        (["x", "--step", "-1"], "expected a step"),
        (["x", "--most", "0"], "expected to keep 1 series"),
        (["x", "--text", "--window", "0"], "expected a window"),
        (["x", "--state", "damaged"], "start anew"),
        (["x", "--state", "."], "cannot read"),
        (["x", "--state", "no/such/state"], "state"),
        (["x", "--state", "kept", "--period", "24"], "--period was left out, and is 24"),
        (["x", "--state", "kept", "--text"], "found one of readings"),
        (["x", "--step", "1e-320"], "expected a step"),
        (["x", "--text", "--window", "1e-320"], "expected a window"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("x"), ["1"])
    written(Path("damaged"), ["{}"])
    assert watch("x", "--state", "kept").exit_code == 0
    result = watch(*arguments)
    assert result.exit_code == 1
    assert says in str(result.exception)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_pipe_is_answered_at_once_and_ends_when_asked(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As with `tail -F`: an alarm comes while the pipe is open; a signal saves the state."""
    state = tmp_path / "state.json"
    code = "from mesh_fl.client.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "watch", "--state", str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        process.stdin.write("\n".join([*as_json([*NOISE, 99.0]), ""]).encode())
        process.stdin.flush()
        found = json.loads(process.stdout.readline())
        while found["index"] != 3000:
            found = json.loads(process.stdout.readline())
        process.send_signal(number)
        _, error = process.communicate()
    finally:
        timer.cancel()
    assert process.returncode == 0, error
    assert json.loads(state.read_text())["streams"]["series"][0][1]["count"] == 3001


def streamed(file: Path, output: int | TextIO, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from mesh_fl.client.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "watch", str(file), *arguments],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_full_disk_behind_standard_output_is_told(tmp_path: Path) -> None:
    file, state = written(tmp_path / "x", as_json([*NOISE, 99.0])), tmp_path / "state"
    with Path("/dev/full").open("w") as full:
        result = streamed(file, full, "--state", str(state))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: cannot write to standard output: No space left on device")
    assert json.loads(state.read_text())["streams"]["series"]


def test_a_reader_that_is_gone_is_a_quiet_end(tmp_path: Path) -> None:
    file, state = written(tmp_path / "x", as_json([*NOISE, 99.0])), tmp_path / "state"
    reads, writes = os.pipe()
    os.close(reads)
    try:
        result = streamed(file, writes, "--state", str(state))
    finally:
        os.close(writes)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(state.read_text())["streams"]["series"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--window", "60"], "--window"),
        (["--text", "--period", "24"], "--period"),
        (["--text", "--step", "60"], "--step"),
    ],
)
def test_options_that_would_count_for_nothing_are_refused(arguments: list[str], says: str) -> None:
    result = watch("x", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize("lines", [["ts,series_id,amount", "2026-03-01,a,1"], ["x", "{}"]])
def test_where_nothing_can_be_read_it_fails_with_the_reason(
    tmp_path: Path, lines: list[str]
) -> None:
    result = watch(written(tmp_path / "x", lines))
    assert result.exit_code == 1
    assert "none of 2 lines could be read: line 1: " in str(result.exception)
    assert watch(written(tmp_path / "y", ["ts,value"])).exit_code == 0


def test_semicolons_are_read_on_after_a_restart(tmp_path: Path) -> None:
    rows = [f"a;{value}" for value in [*NOISE, 99.0]]
    state = tmp_path / "state"
    told(watch(written(tmp_path / "x", ["series_id;value", *rows[:2000]]), "--state", state))
    found = told(watch(written(tmp_path / "y", rows[2000:]), "--state", state))
    assert (found[-1]["index"], found[-1]["value"]) == (3000, 99.0)


def test_lines_cannot_forge_what_is_said(tmp_path: Path) -> None:
    name = "a\x1b[31m\nerror: forged \u202e\ud800"
    lines = ["1", "\x1b]0;x\x07", json.dumps({"\x1b[31m": 1}), "\x9b31m,2"]
    lines.append(json.dumps({"series_id": name, "value": 1}))
    state = tmp_path / "state"
    result = watch(written(tmp_path / "x", lines), "--state", state)
    assert told(result) == []
    assert not any(c in result.stderr for c in "\x1b\x07\x9b\u202e")
    assert not any(line.startswith("error") for line in result.stderr.splitlines())
    assert "a\\x1b[31m\\nerror: forged" in result.stderr
    assert watch(written(tmp_path / "x", ["1"]), "--state", state).exit_code == 0


def burst(stamp: str) -> list[str]:
    """Twenty minutes with three lines each, then 40 lines in one."""
    start = datetime(2026, 3, 1, 10, tzinfo=UTC)
    after_s = [*(20.0 * place for place in range(60)), *(1200.0 + place for place in range(40))]
    times = [start + timedelta(seconds=one) for one in after_s]
    return [f"{one.strftime(stamp)} host1 cron: run job {one.second}" for one in times]


@pytest.mark.parametrize(
    "stamp",
    [
        "%b %d %H:%M:%S",
        "%Y-%m-%d %H:%M:%S,123",
        "%Y-%m-%dT%H:%M:%S+01:00",
        "[%d/%b/%Y:%H:%M:%S +0100]",
        "%s",
    ],
)
def test_bursts_go_by_the_times_of_lines(tmp_path: Path, stamp: str) -> None:
    file = written(tmp_path / "log", burst(stamp))
    result = watch("--text", file, "--window", "60")
    assert [one["kind"] for one in told(result)] == ["burst"]
    assert "begins with no time" not in result.stderr
    assert told(watch("--text", file, "--window", "3600")) == []


def test_windows_of_lines_are_told_once(tmp_path: Path) -> None:
    lines = ["no time here", *burst("up"), "2026-03-01T10:00:00Z x", "nor here"]
    result = watch("--text", written(tmp_path / "log", lines))
    assert result.stderr.count("begins with no time") == 1
    assert "line 1 begins with no time" in result.stderr
    assert "windows of 1,000 lines" in result.stderr


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    """As by `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _Ending():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
