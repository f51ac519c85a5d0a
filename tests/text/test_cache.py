import itertools
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.text import cache as caches
from mesh_fl.text.cache import FILE, Remembering, VectorCache, key_of, open_cache
from mesh_fl.text.encoder import Encoder, Vectors, cut


class Counting(Encoder):
    """Encodes a text by its characters, and counts what it is asked."""

    dimension = 4

    def __init__(self, name: str = "counting") -> None:
        self.name = name
        self.asked: list[str] = []

    def _encode_one(self, text: str) -> Vectors:
        self.asked.append(text)
        codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.float32)
        return np.array([len(text), codes[0], codes[-1], codes.mean()], dtype=np.float32)


TEXTS = ["printer offline", "VPN drops", "", "mailbox full", "printer offline"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FILE


@pytest.fixture
def fresh_rows() -> Vectors:
    return Counting().encode(TEXTS)


def encoded(path: Path, texts: Sequence[str] = TEXTS) -> tuple[Vectors, list[str]]:
    encoder, cache = Counting(), VectorCache(path)
    rows = Remembering(encoder, cache).encode(texts)
    cache.close()
    return rows, encoder.asked


def rows_of(path: Path) -> Iterator[tuple[bytes, bytes]]:
    database = sqlite3.connect(path)
    yield from database.execute("SELECT key, vector FROM vectors ORDER BY rowid").fetchall()
    database.close()


def change(path: Path, statement: str, *values: object) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(statement, values)
    database.close()


def test_what_was_encoded_once_is_read(path: Path, fresh_rows: Vectors) -> None:
    rows, asked = encoded(path)
    assert np.array_equal(rows, fresh_rows)
    assert asked == ["printer offline", "VPN drops", "mailbox full"]
    rows, asked = encoded(path)
    assert np.array_equal(rows, fresh_rows)
    assert asked == []
    assert encoded(path, ["new", "VPN drops", ""])[1] == ["new"]


def test_an_empty_text_is_not_kept(path: Path) -> None:
    assert not encoded(path, ["", " \n"])[0].any()
    assert list(rows_of(path)) == []
    assert encoded(path, [])[0].shape == (0, 4)


def test_models_do_not_share_vectors(path: Path) -> None:
    first, second = Counting("first"), Counting("second")
    for encoder in (first, second):
        Remembering(encoder, VectorCache(path)).encode(["same"])
    assert (first.asked, second.asked) == (["same"], ["same"])
    assert len(list(rows_of(path))) == 2


def test_a_key_is_blake2b_of_160_bits() -> None:
    assert key_of("m", "t").hex() == "16b9a81ee2a3a92f992f38d3ed6afa8f550a9807"
    different = [("m", "t"), ("m", "t "), ("m", "T"), ("mt", ""), ("", "m\0t"), ("m", "\0t")]
    assert len({key_of(*pair) for pair in different}) == len(different)


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=9), max_size=9))
def test_a_cache_changes_no_bit(texts: list[str]) -> None:
    fresh = Counting().encode(texts)
    with tempfile.TemporaryDirectory() as folder:
        cache = VectorCache(Path(folder) / FILE)
        remembering = Remembering(Counting(), cache)
        for _ in range(2):
            assert np.array_equal(remembering.encode(texts), fresh)
        for text, row in zip(texts, fresh, strict=True):
            assert np.array_equal(remembering.encode([text])[0], row)
        cache.close()


def test_more_texts_than_are_asked_for_at_once(path: Path) -> None:
    texts = [f"ticket {number}" for number in range(1203)]
    rows, asked = encoded(path, texts)
    assert asked == texts
    assert np.array_equal(rows, Counting().encode(texts))
    assert np.array_equal(encoded(path, texts)[0], rows)
    assert encoded(path, texts)[1] == []


def test_who_breaks_off_keeps_what_was_done(path: Path) -> None:
    class Interrupted(Counting):
        def _encode_one(self, text: str) -> Vectors:
            if text == "ticket 700":
                raise KeyboardInterrupt
            return super()._encode_one(text)

    texts = [f"ticket {number}" for number in range(900)]
    with pytest.raises(KeyboardInterrupt):
        Remembering(Interrupted(), VectorCache(path)).encode(texts)
    assert encoded(path, texts)[1] == texts[500:]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x00" * 15,
        b"\x00" * 16,
        np.full(4, np.nan, dtype="<f4").tobytes(),
        np.full(4, np.inf, dtype="<f4").tobytes(),
        np.full(4, 1e30, dtype="<f4").tobytes(),
        np.full(4, 0.6, dtype="<f4").tobytes(),
        np.full(8, 0.5, dtype="<f4").tobytes(),
        "sixteen letters!",
        7,
        1.5,
        None,
    ],
)
def test_a_damaged_vector_is_encoded_anew_and_replaced(
    path: Path, fresh_rows: Vectors, damaged: object
) -> None:
    encoded(path)
    change(path, "UPDATE vectors SET vector = ?", damaged)
    rows, asked = encoded(path)
    assert np.array_equal(rows, fresh_rows)
    assert len(asked) == 3
    assert encoded(path)[1] == []


@pytest.mark.parametrize("keep", [0, 1, 100, 4096, 6000])
@pytest.mark.parametrize("junk", [b"", b"junk" * 4000])
def test_a_corrupt_file_is_no_error(
    path: Path, fresh_rows: Vectors, keep: int, junk: bytes
) -> None:
    encoded(path, [f"ticket {number}" for number in range(200)])
    path.write_bytes(path.read_bytes()[:keep] + junk)
    for _ in range(2):
        assert np.array_equal(encoded(path)[0], fresh_rows)


def test_a_corrupt_file_is_told_once_and_without_the_texts(
    path: Path, fresh_rows: Vectors, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    remembering = Remembering(Counting(), VectorCache(path))
    for _ in range(3):
        assert np.array_equal(remembering.encode(TEXTS), fresh_rows)
    assert len(caplog.records) == 1
    assert "not kept on disk" in caplog.text
    assert "printer" not in caplog.text


def test_a_foreign_table_is_no_error(path: Path, fresh_rows: Vectors) -> None:
    path.parent.mkdir()
    change(path, "CREATE TABLE vectors (name TEXT, price REAL, stock REAL)")
    assert np.array_equal(encoded(path)[0], fresh_rows)


def test_a_place_that_cannot_be_used_is_no_error(
    tmp_path: Path, fresh_rows: Vectors, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / FILE).mkdir(parents=True)
    places = [tmp_path / "file" / FILE, tmp_path / "folder" / FILE, Path("/proc/none") / FILE]
    for number, place in enumerate(places, start=1):
        assert np.array_equal(encoded(place)[0], fresh_rows)
        assert len(caplog.records) == number


@pytest.mark.parametrize(
    ("pragma", "told"), [("query_only = 1", "readonly"), ("max_page_count = 6", "full")]
)
def test_a_read_only_file_and_a_full_disk_are_no_error(
    path: Path, caplog: pytest.LogCaptureFixture, pragma: str, told: str
) -> None:
    cache = VectorCache(path)
    remembering = Remembering(Counting(), cache)
    remembering.encode(["before"])
    assert cache._database is not None
    cache._database.execute(f"PRAGMA {pragma}")
    texts = [f"ticket {number}" for number in range(400)]
    for _ in range(2):
        assert np.array_equal(remembering.encode(texts), Counting().encode(texts))
    assert told in caplog.text
    assert len(caplog.records) == 1
    assert encoded(path, ["before"])[1] == []


def test_a_file_that_stays_locked_is_no_error(
    path: Path, fresh_rows: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "BUSY_S", 0.05)
    encoded(path, ["before"])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert np.array_equal(encoded(path)[0], fresh_rows)
    assert encoded(path, ["before"])[1] == []
    other.close()
    assert len(encoded(path)[1]) == 3


def test_nobody_else_may_read_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        cache = VectorCache(path)
        cache.write({b"key": np.ones(1, dtype=np.float32)})
        files = sorted(path.parent.iterdir())
        assert len(files) == 3, "the database, its log and the log's index"
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    path.chmod(0o644)
    VectorCache(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_lies_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_CACHE", str(tmp_path / "mine" / "deep"))
    assert open_cache() is not None
    assert (tmp_path / "mine" / "deep" / FILE).is_file()


def test_else_the_file_lies_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MESH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert open_cache() is not None
    assert (tmp_path / "xdg" / "mesh_fl" / FILE).is_file()


def test_nothing_is_kept_if_the_user_wants_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert open_cache() is None
    encoder = Counting()
    remembering = Remembering(encoder, open_cache())
    assert np.array_equal(remembering.encode(TEXTS), Counting().encode(TEXTS))
    remembering.encode(["VPN drops"])
    assert encoder.asked.count("VPN drops") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_are_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "MOST_VECTORS", 20)
    remembering = Remembering(Counting(), VectorCache(path))
    texts = [f"ticket {number:02}" for number in range(50)]
    for text in texts:
        remembering.encode([text])
        assert len(list(rows_of(path))) <= 20
    kept = [key for key, _ in rows_of(path)]
    assert kept == [key_of("counting", cut(text)) for text in texts[-len(kept) :]]
    assert len(kept) >= 18


def test_a_closed_cache_knows_nothing(path: Path, fresh_rows: Vectors) -> None:
    cache = VectorCache(path)
    remembering = Remembering(Counting(), cache)
    remembering.encode(TEXTS)
    cache.close()
    cache.close()
    assert np.array_equal(remembering.encode(TEXTS), fresh_rows)
    assert cache.read([key_of("counting", "VPN drops")], 4) == {}


def test_threads_share_a_cache(path: Path) -> None:
    remembering = Remembering(Counting(), VectorCache(path))
    texts = [f"ticket {number}" for number in range(40)]
    fresh = Counting().encode(texts)
    with ThreadPoolExecutor(8) as threads:
        for rows in threads.map(remembering.encode, [texts] * 16):
            assert np.array_equal(rows, fresh)
    assert len(list(rows_of(path))) == 40


def test_threads_go_on_when_the_file_fails_under_them(path: Path) -> None:
    cache = VectorCache(path)
    remembering = Remembering(Counting(), cache)
    started, dropped = threading.Barrier(5), threading.Event()

    def encode(start: int) -> bool:
        started.wait()
        last = same = False
        for number in itertools.count():
            last = dropped.is_set()
            text = f"ticket {start} {number}"
            same = np.array_equal(remembering.encode([text]), Counting().encode([text]))
            if last or not same:
                break
        return same

    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(encode, start) for start in range(4)]
        started.wait()
        try:
            change(path, "DROP TABLE vectors")
        finally:
            dropped.set()
        assert all(one.result() for one in done)
    assert cache._database is None


PROCESS = """
import sys
from pathlib import Path
import numpy as np
from mesh_fl.text.cache import VectorCache
cache = VectorCache(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 60):
    vector = np.zeros(4, dtype=np.float32)
    vector[number % 4] = 1
    cache.write({b"%d" % number: vector})
    assert cache.read([b"%d" % number], 4)[b"%d" % number][number % 4] == 1
"""


def test_processes_share_a_file(path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path), str(start)], stderr=subprocess.PIPE
        )
        for start in (0, 40, 80)
    ]
    errors = [one.communicate()[1] for one in running]
    assert errors == [b""] * 3
    assert [one.returncode for one in running] == [0] * 3
    keys = [b"%d" % number for number in range(140)]
    assert VectorCache(path).read(keys, 4).keys() == set(keys)


def test_what_is_asked_about_is_neither_read_nor_left_on_disk(tmp_path) -> None:
    """How long an answer takes must not tell whether its text was known."""
    inner = Counting()
    encoder = Remembering(inner, VectorCache(tmp_path / "v"))
    for _ in range(2):
        encoder.encode(["a secret"], kept=False)
    assert inner.asked == ["a secret"] * 2
    encoder.encode(["a secret"])
    assert inner.asked == ["a secret"] * 3
    encoder.encode(["a secret"])
    assert inner.asked == ["a secret"] * 3


def test_a_link_and_a_file_of_somebody_else_are_refused(tmp_path, monkeypatch, caplog) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"")
    target.chmod(0o644)
    (tmp_path / "link").symlink_to(target)
    VectorCache(tmp_path / "link").write({b"k": np.ones(4, np.float32)})
    assert target.stat().st_mode & 0o777 == 0o644
    assert target.read_bytes() == b""
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    cache = VectorCache(tmp_path / "own")
    cache.write({b"k": np.ones(4, np.float32)})
    assert cache.read([b"k"], 4) == {}
    assert "somebody else's" in caplog.text
