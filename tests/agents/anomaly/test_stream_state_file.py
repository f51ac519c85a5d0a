"""The file by which `mesh-client watch` goes on: never silently lost, never misread."""

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mesh_fl.client import watch_state
from mesh_fl.client.cli import app
from mesh_fl.client.watch_state import StateFile
from mesh_fl.errors import ConfigError


def watch(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["watch", *map(str, arguments)])


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    file = tmp_path / "lines"
    file.write_text("1\n2\n3\n")
    return file


class Disk:
    """Writes files, until it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.written: list[bytes] = []
        monkeypatch.setattr(watch_state, "write_durably", self._write)

    def _write(self, path: Path, blob: bytes) -> None:
        if self.error is not None:
            cause = OSError(self.error, os.strerror(self.error))
            raise ConfigError(f"cannot write {path}: choose a home; nothing was lost") from cause
        self.written.append(blob)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b" \n", "an empty file"),
        (b'{"a": 1}', "another or a damaged one"),
        (b'{"header": [], "stre', "one that was cut off"),
        (b"\xff\x00", "no JSON object"),
        (b"[1]", "no JSON object"),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_what_is_no_state_is_named(
    tmp_path: Path, lines: Path, content: bytes, found: str, text: bool
) -> None:
    state = tmp_path / "state"
    state.write_bytes(content)
    result = watch(lines, "--state", state, *(["--text"] if text else []))
    said = str(result.exception)
    assert result.exit_code == 1
    assert found in said
    assert said.startswith(f"{state}: expected a state of `mesh-client watch")
    assert "give another file by --state, or remove this one" in said
    assert state.read_bytes() == content


@pytest.mark.parametrize("text", [False, True])
def test_a_state_of_the_other_kind_is_named(tmp_path: Path, lines: Path, text: bool) -> None:
    state = tmp_path / "state"
    one, other = (["--text"], []) if text else ([], ["--text"])
    assert watch(lines, "--state", state, *one).exit_code == 0
    kept = state.read_bytes()
    said = str(watch(lines, "--state", state, *other).exception)
    assert ("found one of log lines (--text)" if text else "found one of readings") in said
    assert ("`mesh-client watch`" if text else "`mesh-client watch --text`") in said
    assert state.read_bytes() == kept


def test_only_files_are_states_and_none_is_read_without_end(
    tmp_path: Path, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in ("/dev/full", "/dev/zero", pipe, tmp_path):
        assert "no regular file" in str(watch(lines, "--state", path).exception)
    monkeypatch.setattr(watch_state, "MOST_STATE_BYTES", 1000)
    (tmp_path / "large").write_bytes(b" " * 1001)
    said = str(watch(lines, "--state", tmp_path / "large").exception)
    assert "a state of 1,000 bytes at most, found more" in said


def test_a_state_that_is_too_large_to_be_read_again_is_not_written(
    tmp_path: Path, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_state, "MOST_STATE_BYTES", 300)
    result = watch(lines, "--state", tmp_path / "state")
    assert result.exit_code == 1
    assert "keep fewer by --most" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--period", "24"], "--period was left out, and is 24"),
        (["--step", "0.5"], "--step was left out, and is 0.5"),
        (["--false-alarm-rate", "0.01"], "--false-alarm-rate was 0.001"),
        (["--most", "7"], "--most was 1000, and is 7"),
    ],
)
def test_options_that_differ_are_named(
    tmp_path: Path, lines: Path, arguments: list[str], says: str
) -> None:
    state = tmp_path / "state"
    assert watch(lines, "--state", state).exit_code == 0
    said = str(watch(lines, "--state", state, *arguments).exception)
    assert said.startswith(f"{state}: ")
    assert says in said
    assert "None" not in said


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_what_cannot_be_written_is_refused_at_the_start(
    tmp_path: Path, lines: Path, disk: Disk, error: int
) -> None:
    disk.error = error
    result = watch(lines, "--state", tmp_path / "state")
    said = str(result.exception)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said.startswith(f"cannot write the state to {tmp_path / 'state'}: {os.strerror(error)}")
    assert "--state" in said
    assert "home" not in said
    assert "nothing was lost" not in said


def test_a_missing_folder_is_named(tmp_path: Path, lines: Path) -> None:
    said = str(watch(lines, "--state", tmp_path / "no" / "state").exception)
    assert f"make {tmp_path / 'no'}, or name another file by --state" in said


def test_a_disk_that_fills_is_warned_of_and_tried_again(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_state, "SAVE_EVERY_S", -1.0)
    said: list[str] = []
    state = StateFile(tmp_path / "state", lambda: f"{len(said)}", said.append)
    state.begin()
    disk.error = errno.ENOSPC
    state.keep()
    state.keep()
    assert len(disk.written) == 1
    assert [one.startswith("warning: cannot write the state") for one in said] == [True, True]
    assert "watching goes on" in said[0]
    disk.error = None
    state.keep()
    state.keep()
    assert disk.written[1:] == [b"2", b"3"]
    assert said[2:] == [f"the state is written to {tmp_path / 'state'} again"]
    assert state.finish()


def test_it_is_written_no_more_than_once_a_minute(tmp_path: Path, disk: Disk) -> None:
    state = StateFile(tmp_path / "state", lambda: "", print)
    state.begin()
    for _ in range(100):
        state.keep()
    assert len(disk.written) == 1
    assert state.finish()
    assert len(disk.written) == 2


def test_a_last_state_that_is_lost_is_a_failure(
    tmp_path: Path, lines: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StateFile, "keep", lambda _: setattr(disk, "error", errno.ENOSPC))
    result = watch(lines, "--state", tmp_path / "state")
    assert result.exit_code == 1
    assert "error: cannot write the state" in result.stderr
    assert "is lost to the next run" in result.stderr
    assert "3 lines of 1 series" in result.stderr


def test_a_link_stays_a_link(tmp_path: Path, lines: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "state"
    link.symlink_to(tmp_path / "there" / "state")
    assert watch(lines, "--state", link).exit_code == 0
    assert link.is_symlink()
    assert (tmp_path / "there" / "state").read_bytes().startswith(b"{")
