import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest
import typer

from mesh_fl.errors import BudgetError
from mesh_fl.terminal import Narrator, run, show_json, show_table, stop_on_signals

app = typer.Typer()


@app.command()
def act(what: str) -> None:
    if what == "refuse":
        raise BudgetError("epsilon [bold]0.2[/bold] is too much: wait")
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "abort":
        raise typer.Abort
    if what.isdigit():
        raise typer.Exit(int(what))


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["act", *arguments])
    with pytest.raises(SystemExit) as stop:
        run(app)
    return stop.value.code


class TestRun:
    @pytest.mark.parametrize(
        ("argument", "code"),
        [("nothing", 0), ("0", 0), ("3", 3), ("refuse", 1), ("interrupt", 130), ("abort", 130)],
    )
    def test_exit_codes(self, monkeypatch: pytest.MonkeyPatch, argument: str, code: int) -> None:
        assert exit_code(monkeypatch, argument) == code

    def test_a_refusal_is_one_message_and_no_traceback(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("mesh_fl.terminal.ERROR.file", sys.stderr, raising=False)
        assert exit_code(monkeypatch, "refuse") == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.strip() == "error: epsilon [bold]0.2[/bold] is too much: wait"

    @pytest.mark.parametrize("arguments", [(), ("a", "b"), ("a", "--wrong")])
    def test_wrong_usage_is_told(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: tuple[str, ...],
    ) -> None:
        assert exit_code(monkeypatch, *arguments) == 2
        assert "Usage" in capsys.readouterr().err


class TestNarrator:
    def test_sentences_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Narrator(as_json=False) as narrator:
            narrator.say("listening on [::1]:80", port=80)
            narrator.progress("train with 5 members", 2, 7)
        first, second = capsys.readouterr().out.splitlines()
        assert first[8:] == "  listening on [::1]:80"
        assert second[8:] == "  [2/7] train with 5 members"

    def test_lines_for_programs(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Narrator(as_json=True) as narrator:
            narrator.say("listening", port=80)
            narrator.progress("train", 2, 7, kind="round")
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        assert {**first, "at": ""} == {"at": "", "text": "listening", "port": 80}
        assert {**second, "at": ""} == {
            "at": "",
            "text": "train",
            "done": 2,
            "total": 7,
            "kind": "round",
        }
        assert first["at"] <= second["at"]

    def test_the_same_sentence_is_not_repeated(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Narrator(as_json=True) as narrator:
            for text in ("waiting", "waiting", "round", "waiting"):
                narrator.say(text)
        told = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
        assert told == ["waiting", "round", "waiting"]

    def test_long_sentences_stay_on_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        Narrator(as_json=False).say("word " * 100)
        assert len(capsys.readouterr().out.splitlines()) == 1

    def test_threads_do_not_tear_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        narrator = Narrator(as_json=True)

        def tell(number: int) -> None:
            for k in range(50):
                narrator.say(f"{number} {k}")

        threads = [threading.Thread(target=tell, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
        assert sorted(lines) == sorted(f"{number} {k}" for number in range(4) for k in range(50))


class TestShow:
    def test_a_table_shows_every_cell(self, capsys: pytest.CaptureFixture[str]) -> None:
        show_table("AUC", ["member", "auc"], [["ash", 0.845], ["birch", None]])
        out = capsys.readouterr().out
        assert all(text in out for text in ("AUC", "member", "ash", "birch", "0.845", "-"))

    def test_an_empty_table_is_no_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        show_table("Charges", ["step"], [])
        assert "step" in capsys.readouterr().out

    def test_json_is_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        show_json({"b": [1, None], "a": "ä"})
        assert json.loads(capsys.readouterr().out) == {"b": [1, None], "a": "ä"}


@pytest.fixture
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_asked_to_stop_sets_an_event(number: signal.Signals) -> None:
    stopped = stop_on_signals()
    assert not stopped.is_set()
    os.kill(os.getpid(), number)
    assert stopped.wait(5)


def test_a_terminal_gets_a_bar() -> None:
    """Under a pseudo-terminal, so that somebody seems to be watching."""
    code = textwrap.dedent(
        """
        from mesh_fl.terminal import Narrator
        with Narrator(as_json=False) as narrator:
            narrator.progress("train", 1, 3)
            narrator.progress("train", 3, 3)
        """
    )
    parent, child = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=child, stderr=child, env=environment
    )
    os.close(child)
    seen = b""
    try:
        while chunk := os.read(parent, 4096):
            seen += chunk
    except OSError:
        pass  # Linux ends a pseudo-terminal so.
    os.close(parent)
    assert process.wait(20) == 0
    assert b"3/3" in seen
    assert b"[1/3]" not in seen
