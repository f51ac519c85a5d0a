"""The commands, as an engineer types them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh_fl.client.cli import app
from mesh_fl.errors import ConfigError, MeshError, ProtocolError
from mesh_fl.introductions.ours import own_handles
from mesh_fl.introductions.results import new_file
from mesh_fl.server.cli import app as server_app

NAMES = ("acme", "best", "core")
PROFILE = 'about = "Small offices."\nskills = ["azure"]\ncontact = "jo@{name}.example"\n'
HOSTILE = "\x1b[2J\x07"


def run(*words: object, of: object = app) -> str:
    """Run a command and give what it printed; raise what it refused by."""
    done = CliRunner().invoke(of, [str(word) for word in words])
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server and three members that trust one roster; best and core have cards."""
    folder = tmp_path_factory.mktemp("network")
    server = folder / "server"
    run("init", server, "--name", "coop", of=server_app)
    for name in NAMES:
        run("init", folder / name, "--name", name, "--server", "mesh.org:9443", "--cap", 9)
        (folder / name / "profile.toml").write_text(PROFILE.format(name=name))
    cards = [folder / name / "card.json" for name in NAMES]
    found = run("members", "found", server, *cards, "--colluders", 1, "--json", of=server_app)
    for name in NAMES:
        fingerprint = json.loads(found)["fingerprint"]
        roster = server / "roster.json"
        run("members", "trust", folder / name, roster, "--fingerprint", fingerprint)
    run("profile", "card", folder / "best", "-o", folder / "best.json", "--hidden")
    run("profile", "card", folder / "core", "-o", folder / "core.json")
    run("directory", "add", server, folder / "best.json", folder / "core.json", of=server_app)
    shutil.copy(server / "directory.json", folder)
    return folder


@pytest.fixture
def folder(founded: Path, tmp_path: Path) -> Path:
    shutil.copytree(founded, tmp_path / "network")
    return tmp_path / "network"


def handle_of(folder: Path, name: str) -> str:
    (handle,) = own_handles(folder / name / "profile.toml")
    return handle


@pytest.fixture
def ask(folder: Path) -> Callable[..., Path]:
    def asked(name: str = "acme", of: str = "best", *words: object) -> Path:
        directory, path = folder / "directory.json", folder / "request.json"
        handle = handle_of(folder, of)[:8]
        to = ("introductions", "ask", folder / name, handle, "--directory", directory)
        run(*to, "--message", "Hello", "--requirements", "azure", *words, "-o", path)
        return path

    return asked


class TestProfile:
    def test_init_writes_what_card_reads(self, folder: Path) -> None:
        (folder / "acme" / "profile.toml").unlink()
        assert "profile.toml" in run("profile", "init", folder / "acme")
        made = run("profile", "card", folder / "acme", "-o", folder / "a.json", "--json")
        told = json.loads(made)
        assert (told["name"], told["hidden"], told["skills"]) == ("acme", False, [])
        with pytest.raises(ConfigError, match="there already"):
            run("profile", "init", folder / "acme")
        with pytest.raises(ConfigError, match="no folder"):
            run("profile", "init", folder / "none")

    def test_a_hidden_card_that_names_us_is_refused(self, folder: Path) -> None:
        path = folder / "acme" / "profile.toml"
        path.write_text('about = "Acme helps."\n')
        words = ("profile", "card", folder / "acme", "-o", folder / "a.json", "--hidden")
        with pytest.raises(ConfigError, match="does not name us, found 'acme'"):
            run(*words)
        assert not (folder / "a.json").exists()
        assert "hidden" in run(*words, "--yes")

    def test_list_and_withdraw(self, folder: Path) -> None:
        handle = handle_of(folder, "best")
        assert "(hidden)" in run("profile", "list", folder / "best")
        (told,) = json.loads(run("profile", "list", folder / "best", "--json"))
        assert told["handle"] == handle
        assert "directory remove" in run("profile", "withdraw", folder / "best", handle)
        assert json.loads(run("profile", "list", folder / "best", "--json")) == []

    def test_a_handle_cannot_move_the_cursor(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match="handle of a card of ours") as caught:
            run("profile", "withdraw", folder / "best", HOSTILE + "../../x")
        assert str(caught.value).isprintable()


class TestIntroductions:
    def test_accepted(self, folder: Path, ask: Callable[..., Path]) -> None:
        request, reply = ask(), folder / "reply.json"
        shown = run("introductions", "read", folder / "best", request)
        assert "acme (signed by that member)" in shown
        assert "jo@acme.example" in shown
        words = ("introductions", "accept", folder / "best", request, "-o", reply)
        assert "tells our name" in run(*words, "--message", "Gladly")
        opened = run("introductions", "open", folder / "acme", reply)
        assert "best (signed by that member)" in opened
        assert "jo@best.example" in opened
        assert "best" in run("introductions", "list", folder / "acme")

    def test_declined(self, folder: Path, ask: Callable[..., Path]) -> None:
        request, reply = ask(), folder / "reply.json"
        run("introductions", "decline", folder / "best", request, "-o", reply)
        opened = run("introductions", "open", folder / "acme", reply)
        assert "declined" in opened
        assert "best" not in opened

    def test_json_tells_the_same(self, folder: Path, ask: Callable[..., Path]) -> None:
        request, reply = ask(), folder / "reply.json"
        read = json.loads(run("introductions", "read", folder / "best", request, "--json"))
        assert read["signed_by_member"] is True
        assert (read["name"], read["message"]) == ("acme", "Hello")
        words = ("introductions", "accept", folder / "best", request, "-o", reply, "--json")
        assert json.loads(run(*words))["accepted"] is True
        opened = json.loads(run("introductions", "open", folder / "acme", reply, "--json"))
        assert (opened["name"], opened["signed_by_member"]) == ("best", True)
        (listed,) = json.loads(run("introductions", "list", folder / "best", "--json"))
        assert opened["introduction"] == read["introduction"] == listed["introduction"]

    def test_named_cards_are_asked_too(self, folder: Path, ask: Callable[..., Path]) -> None:
        request, reply = ask("acme", "core"), folder / "reply.json"
        run("introductions", "accept", folder / "core", request, "-o", reply)
        assert "core (signed" in run("introductions", "open", folder / "acme", reply)

    @pytest.mark.parametrize("handle", ["", "0", "zzzzzzzz", HOSTILE * 9, "../../../x"])
    def test_a_handle_that_is_none_is_told(self, folder: Path, handle: str) -> None:
        words = ("ask", folder / "acme", handle, "--directory", folder / "directory.json")
        with pytest.raises(ConfigError, match="the handle of one of 2 cards") as caught:
            run("introductions", *words, "-o", folder / "r.json")
        assert HOSTILE not in str(caught.value)

    def test_without_a_contact_nobody_is_asked(self, folder, ask) -> None:
        (folder / "acme" / "profile.toml").write_text("")
        with pytest.raises(ConfigError, match="set contact in"):
            ask()
        assert ask("acme", "best", "--contact", "jo@x").exists()

    def test_what_would_move_the_cursor_is_not_sent(self, ask: Callable[..., Path]) -> None:
        with pytest.raises(ConfigError, match="control characters"):
            ask("acme", "best", "--message", HOSTILE)

    def test_who_is_not_on_our_roster_is_told_loudly(self, folder, ask) -> None:
        request = ask()
        strangers(folder, "best", "acme")
        shown = run("introductions", "read", folder / "best", request)
        assert "NOT A MEMBER" in shown
        with pytest.raises(ProtocolError, match="--unknown"):
            run("introductions", "accept", folder / "best", request, "-o", folder / "r.json")
        assert not (folder / "r.json").exists()

    def test_who_is_no_member_cannot_ask(self, folder, ask) -> None:
        strangers(folder, "acme", "acme")
        with pytest.raises(ConfigError, match="no such member"):
            ask()

    def test_a_list_marks_whom_no_roster_knows(self, folder, ask) -> None:
        request, reply = ask(), folder / "reply.json"
        run("introductions", "accept", folder / "best", request, "-o", reply)
        run("introductions", "open", folder / "acme", reply)
        assert "NOT A MEMBER" not in run("introductions", "list", folder / "acme")
        strangers(folder, "acme", "best")
        (told,) = json.loads(run("introductions", "list", folder / "acme", "--json"))
        assert (told["partner"], told["signed_by_member"]) == ("best", False)

    def test_a_second_answer_is_told_to_be_the_first(self, folder, ask) -> None:
        request, words = ask(), ("introductions", "accept", folder / "best")
        first, second, third = (folder / f"{number}.json" for number in range(3))
        assert "stands" not in run(*words, request, "-o", first)
        said = run(*words, request, "-o", second, "--contact", "new@best.example")
        assert "that answer stands" in said
        assert first.read_bytes() == second.read_bytes()
        assert json.loads(run(*words, request, "-o", third, "--json"))["answer_stood"] is True

    @pytest.mark.parametrize("command", ["read", "accept", "decline", "open"])
    def test_files_of_the_wrong_kind_are_refused(self, folder: Path, command: str) -> None:
        output = ["-o", folder / "out.json"] if command in ("accept", "decline") else []
        for file in ("directory.json", "best.json", "none.json", "acme/signing.key"):
            with pytest.raises(MeshError, match=file):
                run("introductions", command, folder / "best", folder / file, *output)


class TestResults:
    """Where a file is written, nothing was."""

    @pytest.mark.parametrize(
        "place", ["", ".", "/", "acme", "none/x", "a" * 300, "/dev/full", "best.json"]
    )
    def test_what_is_no_new_file_is_refused_before_anything_changes(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        monkeypatch.chdir(folder)
        card = (folder / "best.json").read_bytes()
        to = (handle_of(folder, "best"), "--directory", "directory.json", "-o", place)
        for words in (("introductions", "ask", "acme", *to), ("profile", "card", "acme", *to[3:])):
            with pytest.raises(ConfigError, match=r"cannot write|new file"):
                run(*words)
        assert json.loads(run("introductions", "list", "acme", "--json")) == []
        assert json.loads(run("profile", "list", "acme", "--json")) == []
        assert (folder / "best.json").read_bytes() == card

    def test_a_nul_is_told(self) -> None:
        with pytest.raises(ConfigError, match=r"a\\x00b"):
            new_file(Path("a\0b"))

    def test_no_file_of_a_home_is_overwritten(self, folder: Path, ask) -> None:
        request, best = ask(), folder / "best"
        for file in [path for path in best.rglob("*") if path.is_file()]:
            before = file.read_bytes()
            with pytest.raises(ConfigError, match="nothing is overwritten"):
                run("introductions", "accept", best, request, "-o", file)
            assert file.read_bytes() == before
        assert json.loads(run("introductions", "list", best, "--json")) == []

    def test_a_request_is_not_overwritten_by_its_reply(self, folder: Path, ask) -> None:
        request = ask()
        before = request.read_bytes()
        with pytest.raises(ConfigError, match="nothing is overwritten"):
            run("introductions", "decline", folder / "best", request, "-o", request)
        assert request.read_bytes() == before

    def test_a_link_to_nothing_is_not_followed(self, folder: Path, ask) -> None:
        request, link = ask(), folder / "link.json"
        link.symlink_to(folder / "elsewhere.json")
        with pytest.raises(ConfigError, match="nothing is overwritten"):
            run("introductions", "decline", folder / "best", request, "-o", link)
        assert not (folder / "elsewhere.json").exists()


def strangers(folder: Path, home: str, name: str) -> None:
    """Take a member out, and let another one's home follow."""
    server = folder / "server"
    run("members", "remove", server, name, of=server_app)
    shutil.copy(server / "roster.json", folder / home / "roster.json")


@pytest.mark.parametrize(
    "command",
    [
        *(("profile", one) for one in ("init", "card", "list", "withdraw")),
        *(("introductions", one) for one in ("ask", "read", "accept", "decline", "open", "list")),
    ],
)
def test_every_command_shows_an_example_and_takes_json(command: tuple[str, str]) -> None:
    shown = " ".join(run(*command, "--help").split())
    assert f"Example: mesh-client {' '.join(command)} ~/mesh" in shown
    assert "--json" in shown


def test_real_processes(folder: Path) -> None:
    def started(*words: object) -> subprocess.CompletedProcess[str]:
        code = "from mesh_fl.client.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder)

    to = (handle_of(folder, "best"), "--directory", "directory.json")
    assert started("introductions", "ask", "acme", *to, "-o", "q.json").returncode == 0
    assert started("introductions", "accept", "best", "q.json", "-o", "r.json").returncode == 0
    opened = started("introductions", "open", "acme", "r.json", "--json")
    assert json.loads(opened.stdout)["name"] == "best"
    refused = started("introductions", "read", "acme", "q.json")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: expected the handle of a card of ours")
