import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner
from village import TODAY, Village

from mesh_fl.card import Card
from mesh_fl.errors import ConfigError
from mesh_fl.profile import SignedProfile, read_cards, read_directory
from mesh_fl.server.certificates import make_operator_key
from mesh_fl.server.cli import app
from mesh_fl.server.directory import FILE, Directory
from mesh_fl.server.members import Members


@pytest.fixture
def village(tmp_path: Path) -> Village:
    return Village(tmp_path)


@pytest.fixture
def home(village: Village) -> Path:
    """A server's home with the village on its roster."""
    from conftest import new_key

    path = village.home("server")
    make_operator_key(path)
    cards = [Card.make(name, 9, new_key(), key) for name, key in village.signing.items()]
    Members(path).found("village", 1, cards)
    return path


def changed(card: SignedProfile, **changes: object) -> SignedProfile:
    return card.model_copy(update={"profile": card.profile.model_copy(update=changes)})


def test_order_tells_nothing_about_arrival(village: Village, home: Path) -> None:
    cards = [village.card("acme", fresh=True) for _ in range(6)]
    for card in cards:
        Directory(home, TODAY).add([card])
    first = (home / FILE).read_bytes()
    (home / FILE).unlink()
    Directory(home, TODAY).add(cards[::-1])
    assert (home / FILE).read_bytes() == first
    handles = [one.handle for one in read_directory(home / FILE, TODAY)]
    assert handles == sorted(card.profile.handle for card in cards)


def test_a_newer_card_takes_the_place_of_an_older_one(village: Village, home: Path) -> None:
    old, new = village.card("acme"), village.card("acme", today=TODAY + timedelta(days=1))
    directory = Directory(home, TODAY)
    assert directory.add([old, new]) == directory.add([new]) == directory.cards() == (new,)
    with pytest.raises(ConfigError, match="a serial above 2"):
        directory.add([old])
    assert directory.cards() == (new,)


def test_expired_cards_are_refused_and_dropped(village: Village, home: Path) -> None:
    Directory(home, TODAY).add([village.card("acme", days=1)])
    later = Directory(home, TODAY + timedelta(days=2))
    with pytest.raises(ConfigError, match="expired"):
        later.add(read_cards(home / FILE))
    fresh = village.card("best")
    assert later.add([fresh]) == (fresh,)


def test_a_name_is_held_against_the_roster(village: Village, home: Path) -> None:
    good = village.card("acme", hidden=False)
    Directory(home, TODAY).add([good])
    village.signing["core"] = village.signing["best"]
    with pytest.raises(ConfigError, match="claims to be core"):
        Directory(home, TODAY).add([village.card("core", hidden=False)])
    assert Directory(home, TODAY).cards() == (good,)


def test_a_name_has_one_card(village: Village, home: Path) -> None:
    directory, later = Directory(home, TODAY), TODAY + timedelta(days=1)
    hidden = [village.card("acme", fresh=True) for _ in range(2)]
    other = village.card("best", hidden=False)
    old = village.card("acme", hidden=False, fresh=True)
    new = village.card("acme", hidden=False, fresh=True, today=later)
    directory.add([*hidden, other, old])
    assert set(directory.add([new])) == {*hidden, other, new}
    with pytest.raises(ConfigError, match="acme's newest card"):
        directory.add([old])
    again = village.card("acme", hidden=False, fresh=True, today=later)
    assert set(directory.add([again])) == {*hidden, other, again}


def test_hidden_cards_need_no_roster(village: Village, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    assert len(Directory(tmp_path / "bare", TODAY).add([village.card("acme")])) == 1
    with pytest.raises(ConfigError, match="no roster"):
        Directory(tmp_path / "bare", TODAY).add([village.card("acme", hidden=False)])


def test_a_card_is_taken_out(village: Village, home: Path) -> None:
    first, second = village.card("acme"), village.card("best")
    directory = Directory(home, TODAY)
    directory.add([first, second])
    assert directory.remove(first.profile.handle) == (second,)
    with pytest.raises(ConfigError, match="one of 1 cards"):
        directory.remove(first.profile.handle)


def test_a_directory_that_was_tampered_with_is_not_built_upon(village: Village, home: Path) -> None:
    blob = changed(village.card("acme"), skills=("x",)).dumps()
    (home / FILE).write_bytes(b"[" + blob + b"]")
    with pytest.raises(ConfigError, match="was changed"):
        Directory(home, TODAY).add([village.card("best")])


def test_a_home_that_is_none_is_told(village: Village, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        Directory(tmp_path / "none", TODAY).add([village.card("best")])


def test_commands(village: Village, home: Path, tmp_path: Path) -> None:
    from mesh_fl.profile import today_utc

    path, run = tmp_path / "card.json", CliRunner().invoke
    card = village.card("acme", today=today_utc())
    path.write_bytes(card.dumps())
    added = run(app, ["directory", "add", str(home), str(path), "--json"])
    assert json.loads(added.output)["handles"] == [card.profile.handle]
    shown = run(app, ["directory", "show", str(home)]).output
    assert "(hidden)" in shown
    assert "azure; vpn" in shown
    told = json.loads(run(app, ["directory", "show", str(home), "--json"]).output)
    assert told == [card.model_dump(mode="json")]
    removed = run(app, ["directory", "remove", str(home), card.profile.handle])
    assert "with 0 cards" in removed.output
    refused = run(app, ["directory", "remove", str(home), card.profile.handle])
    assert isinstance(refused.exception, ConfigError)


@pytest.mark.parametrize("command", ["add", "remove", "show"])
def test_every_command_shows_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, ["directory", command, "--help"]).output
    assert f"Example: mesh-server directory {command} /srv/mesh" in " ".join(shown.split())
