import errno
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.errors import ConfigError
from mesh_fl.store import FileJournal, Folder, Journal, MemoryJournal, locked, write_durably


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "deep" / "blobs")


class TestFolder:
    def test_it_is_a_mapping(self, folder: Folder, tmp_path: Path) -> None:
        folder["b"] = b"2"
        folder["a.model"] = b"\0\n\xff"
        folder["b"] = b"3"
        assert dict(folder) == {"a.model": b"\0\n\xff", "b": b"3"}
        assert dict(Folder(tmp_path / "deep" / "blobs")) == dict(folder)
        del folder["b"]
        assert list(folder) == ["a.model"]
        assert len(folder) == 1
        assert folder.get("b") is None
        with pytest.raises(KeyError):
            folder["b"]
        with pytest.raises(KeyError):
            del folder["b"]

    def test_everything_is_private(self, folder: Folder, tmp_path: Path) -> None:
        old = os.umask(0)
        try:
            other = Folder(tmp_path / "other")
            other["a"] = b"1"
        finally:
            os.umask(old)
        assert mode(tmp_path / "other") == 0o700
        assert mode(tmp_path / "other" / "a") == 0o600

    def test_a_file_that_was_open_to_all_becomes_private(self, folder: Folder) -> None:
        folder["a"] = b"1"
        file = folder._file("a")
        file.chmod(0o644)
        folder["a"] = b"2"
        assert mode(file) == 0o600

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../a", "a/b", ".hidden", "a\0b", "-a", "a\n", "a" * 200, "ä"]
    )
    def test_names_cannot_leave_the_folder(self, folder: Folder, name: str) -> None:
        with pytest.raises(KeyError):
            folder[name] = b"x"
        assert name not in folder
        with pytest.raises(KeyError):
            del folder[name]
        assert len(folder) == 0

    def test_drafts_of_a_crash_are_no_blobs(self, folder: Folder) -> None:
        folder["a"] = b"1"
        folder._file("a").with_name(".a.draft").write_bytes(b"half")
        assert dict(folder) == {"a": b"1"}
        folder["a"] = b"2"
        assert dict(folder) == {"a": b"2"}
        assert [file.name for file in folder._file("a").parent.iterdir()] == ["a"]


class TestDraft:
    def test_a_link_in_its_place_is_not_followed(self, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"precious")
        (tmp_path / ".a.draft").symlink_to(victim)
        write_durably(tmp_path / "a", b"new")
        assert victim.read_bytes() == b"precious"
        assert (tmp_path / "a").read_bytes() == b"new"
        assert not (tmp_path / "a").is_symlink()

    def test_one_that_is_open_to_others_is_not_used(self, tmp_path: Path) -> None:
        (tmp_path / ".a.draft").write_bytes(b"")
        (tmp_path / ".a.draft").chmod(0o666)
        write_durably(tmp_path / "a", b"secret")
        assert mode(tmp_path / "a") == 0o600

    @pytest.mark.parametrize("name", ["", ".", "/", "a\0b"])
    def test_what_is_no_name_of_a_file_is_told(self, name: str) -> None:
        with pytest.raises(ConfigError, match="cannot write"):
            write_durably(Path(name), b"x")


def full(room_bytes: int) -> Callable[[int, bytes], int]:
    write, left = os.write, room_bytes

    def limited(file: int, blob: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, bytes(blob)[:left])
        left -= written
        return written

    return limited


class TestFullDisk:
    @pytest.mark.parametrize("room_bytes", [0, 1, 9])
    def test_the_old_content_stays(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch, room_bytes: int
    ) -> None:
        folder["a"] = b"the old content"
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full(room_bytes))
            with pytest.raises(ConfigError, match=r"cannot write .*No space left.*free some space"):
                folder["a"] = b"the new content"
            with pytest.raises(ConfigError):
                folder["b"] = b"something else"
        assert dict(folder) == {"a": b"the old content"}
        assert [file.name for file in folder._file("a").parent.iterdir()] == ["a"]
        folder["a"] = b"the new content"
        assert folder["a"] == b"the new content"

    @pytest.mark.parametrize("room_bytes", [0, 1, 9])
    def test_the_journal_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room_bytes: int
    ) -> None:
        journal = FileJournal(tmp_path / "journal")
        journal.append(b"the first line")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full(room_bytes))
            with pytest.raises(ConfigError, match="nothing was lost"):
                journal.append(b"the second line")
        assert (tmp_path / "journal").read_bytes() == b"the first line\n"
        journal.append(b"the third line")
        assert journal.read() == b"the first line\nthe third line\n"

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_failing_later_leaves_the_old_content_too(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        folder["a"] = b"old"
        with monkeypatch.context() as patch:
            patch.setattr(*((os, call, fail) if call == "fsync" else (Path, call, fail)))
            with pytest.raises(ConfigError, match="check the disk and the path"):
                folder["a"] = b"new"
        assert dict(folder) == {"a": b"old"}

    def test_short_writes_are_finished(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write
        monkeypatch.setattr(os, "write", lambda file, blob: write(file, bytes(blob)[:3]))
        write_durably(tmp_path / "a", b"0123456789")
        journal = FileJournal(tmp_path / "journal")
        journal.append(b"0123456789")
        assert (tmp_path / "a").read_bytes() == b"0123456789"
        assert journal.read() == b"0123456789\n"


class TestDurability:
    def test_content_is_synced_before_it_replaces_the_old_and_the_folder_after(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order: list[str] = []
        fsync, replace = os.fsync, Path.replace

        def note_sync(file: int) -> None:
            order.append("sync folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "sync file")
            fsync(file)

        def note_replace(self: Path, target: Path) -> Path:
            order.append("replace")
            return replace(self, target)

        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(Path, "replace", note_replace)
        write_durably(tmp_path / "a", b"1")
        assert order == ["sync file", "replace", "sync folder"]
        order.clear()
        journal = FileJournal(tmp_path / "journal")
        journal.append(b"1")
        assert order == ["sync file", "sync folder"]
        journal.append(b"2")
        assert order == ["sync file", "sync folder", "sync file"]


@pytest.mark.parametrize(
    "make", [lambda path: MemoryJournal(), FileJournal], ids=["memory", "file"]
)
def test_a_journal_keeps_its_lines(tmp_path: Path, make: Callable[[Path], Journal]) -> None:
    journal = make(tmp_path / "journal")
    assert journal.read() == b""
    for line in (b"one", b"", b"two \r \t"):
        journal.append(line)
    assert journal.read() == b"one\n\ntwo \r \t\n"


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=5),
       torn=st.binary(min_size=1, max_size=40).map(lambda b: b.replace(b"\n", b" ")))  # fmt: skip
def test_a_torn_line_is_dropped_wherever_it_was_cut(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = FileJournal(path)
    for line in lines:
        journal.append(line)
    whole = journal.read()
    path.write_bytes(whole + torn)
    assert FileJournal(path).read() == whole
    FileJournal(path).append(b"next")
    assert path.read_bytes() == whole + b"next\n"


def test_a_journal_is_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        FileJournal(tmp_path / "journal").append(b"1")
    finally:
        os.umask(old)
    assert mode(tmp_path / "journal") == 0o600


def test_a_path_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for write in (
        lambda: Folder(tmp_path / "file" / "blobs"),
        lambda: write_durably(tmp_path / "missing" / "a", b""),
        lambda: FileJournal(tmp_path / "missing" / "journal").append(b""),
    ):
        with pytest.raises(ConfigError, match=r"cannot write .*: check the disk and the path"):
            write()


class TestLock:
    def test_a_home_is_held_once(self, tmp_path: Path) -> None:
        with (
            locked(tmp_path),
            pytest.raises(ConfigError, match="in use by another process"),
            locked(tmp_path),
        ):
            pass
        with locked(tmp_path):
            pass

    def test_an_error_gives_it_back(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), locked(tmp_path):
            raise ZeroDivisionError
        with locked(tmp_path):
            pass

    def test_a_process_that_dies_gives_it_back(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("fork")
        held, gone = context.Event(), context.Event()
        process = context.Process(target=hold, args=(tmp_path, held, gone), daemon=True)
        process.start()
        assert held.wait(20)
        with pytest.raises(ConfigError, match="stop that one first"), locked(tmp_path):
            pass
        process.kill()
        process.join(20)
        with locked(tmp_path):
            pass


def hold(path: Path, held: object, gone: object) -> None:
    with locked(path):
        held.set()  # type: ignore[attr-defined]
        gone.wait(60)  # type: ignore[attr-defined]
