import contextlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError, model_validator

from mesh_fl.config import ConfigPath, Settings, load_toml
from mesh_fl.errors import ConfigError


class Privacy(Settings):
    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.1
    rounds: int = 64


class Member(Settings):
    name: str
    home: ConfigPath = Path("home")
    password: SecretStr | None = None
    words: Mapping[str, str | int | float | bool] = {}


class Client(Settings):
    privacy: Privacy = Privacy()
    members: tuple[Member, ...] = ()
    by_name: Mapping[str, Member] = {}
    span: tuple[int, int] = (1, 2)
    choice: Privacy | str = "none"

    @model_validator(mode="after")
    def _ordered(self) -> "Client":
        if self.span[0] > self.span[1]:
            raise ValueError(f"span must rise, found {self.span}")
        return self


def load(folder: Path, text: str | bytes) -> Client:
    path = folder / "client.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_toml(path, Client, hint="mesh-client init")


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    client = load(
        tmp_path,
        "\ufeffspan = [3, 4]\r\n[privacy]\r\nepsilon = 1\r\n"
        '[[members]]\nname = "a"\npassword = "x"\nwords = {Yes = true, n = 1, f = 0.5, t = "1"}\n',
    )
    assert client.span == (3, 4)
    assert client.privacy == Privacy(epsilon=1.0)
    words = client.members[0].words
    assert [type(words[key]) for key in ("Yes", "n", "f", "t")] == [bool, int, float, str]
    assert load(tmp_path, "") == Client()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Privacy().__setattr__("rounds", 3)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[privacy]\nepsilom = 1",
            "unknown key 'epsilom' in [privacy] of client.toml; did you mean 'epsilon'?",
        ),
        (
            "zzz = 1",
            "unknown key 'zzz' in client.toml; known: privacy, members, by_name, span, choice",
        ),
        (
            '[[members]]\nname = "a"\n[[members]]\nname = "b"\nhoem = "x"',
            "unknown key 'hoem' in [members #2] of client.toml; did you mean 'home'?",
        ),
        (
            '[by_name.x]\nname = "a"\nnames = "b"',
            "unknown key 'names' in [by_name.x] of client.toml; did you mean 'name'?",
        ),
        ("[by_name.x]", "missing key 'name' in [by_name.x] of client.toml"),
        (
            "[privacy]\nepsilon = 0",
            "'epsilon' in [privacy] of client.toml: expected a value greater than 0, found 0",
        ),
        (
            "[privacy]\nepsilon = nan",
            "'epsilon' in [privacy] of client.toml: expected a finite number, found nan",
        ),
        (
            '[privacy]\nrounds = "64"',
            "'rounds' in [privacy] of client.toml: expected a valid integer, found '64'",
        ),
        (
            "[privacy]\nrounds = true",
            "'rounds' in [privacy] of client.toml: expected a valid integer, found true",
        ),
        ("privacy = 1", "'privacy' in client.toml: expected a table, found 1"),
        ("span = [1, 'x']", "'span #2' in client.toml: expected a valid integer, found 'x'"),
        ("span = [2, 1]", "client.toml: span must rise, found (2, 1)"),
        ("by_name = []", "'by_name' in client.toml: expected a table, found an array"),
        ("choice = {rouns = 1}", "unknown key 'rouns' in [choice] of client.toml; did you mean"),
        (
            '[by_name.x]\nname = "a"\nwords = {yes = [1]}',
            "'yes' in [by_name.x.words] of client.toml: expected a valid string or a valid integer"
            " or a valid number or a valid boolean, found an array",
        ),
        (
            '[by_name.x]\nname = "a"\nhome = ""',
            "'home' in [by_name.x] of client.toml: expected a path, found ''",
        ),
        (
            '[by_name.x]\nname = "a"\nhome = "~nobody-of-this-name/x"',
            "'home' in [by_name.x] of client.toml: expected a path with a home folder that exists",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, line: str) -> None:
    assert refusal(tmp_path, text).startswith(line)


def test_all_mistakes_of_a_file_are_in_one_message(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'zzz = 1\n[privacy]\nepsilon = 2\nrounds = "x"\n[by_name.x]\n')
    assert len(message.splitlines()) == 4
    assert {"zzz", "epsilon", "rounds", "name"} <= set(message.split("'"))


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    text = '[[members]]\nname = "a"\npassword = {}\n[[members]]\npasword = "hunter2"\n'
    for secret in ('["hunter2"]', "2147483647"):
        message = refusal(tmp_path, text.replace("{}", secret))
        assert "'password' in [members #1]" in message
        assert "hunter2" not in message
        assert "2147483647" not in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = \n", "line 2, column 5: expected TOML: "),
        ("a = 1\na = 2", "line 2, column "),
        ("a = '''\nx", "line 2, column 2: expected TOML: "),
        ("[a\n", "line 1, column 3: expected TOML: "),
        (b"a = 1\n\nb = '\xe9'", "line 3: expected UTF-8, found byte 0xe9"),
        ("a = 1".encode("utf-16"), "line 1: expected UTF-8"),
        ("a = " + "[" * 20_000, ": expected TOML"),
        ("a = " + "1" * 5000, ": expected TOML"),
        ("a = 0x" + "f" * 5000, ": expected TOML"),
        ("a = 2024-13-45", "line 1, column "),
    ],
)
def test_what_is_no_toml_is_placed(tmp_path: Path, text: str | bytes, place: str) -> None:
    assert place in refusal(tmp_path, text)


def test_a_missing_file_tells_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.toml: .* found none; make it with: mesh-client"):
        load_toml(tmp_path / "nope.toml", Client, hint="mesh-client init")
    with pytest.raises(ConfigError, match=r"found none$"):
        load_toml(tmp_path / "nope.toml", Client)
    with pytest.raises(ConfigError, match="found a folder"):
        load_toml(tmp_path, Client)
    for path in (tmp_path / "a\0b", tmp_path / ("x" * 5000)):
        with pytest.raises(ConfigError, match="cannot read"):
            load_toml(path, Client)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/homes/me")
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "client.toml"
    path.write_text(
        '[by_name]\na = {name = "", home = "../data"}\nb = {name = ""}\n'
        'c = {name = "", home = "/srv"}\nd = {name = "", home = "~/x"}\n'
    )
    monkeypatch.chdir(tmp_path)
    members = load_toml(Path("inner/client.toml"), Client).by_name
    assert members["a"].home == path.parent / "../data"
    assert members["b"].home == path.parent / "home"
    assert members["c"].home == Path("/srv")
    assert members["d"].home == Path("/homes/me/x")
    assert Member(name="e", home=Path("x")).home == Path("x")


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.binary(max_size=60))
def test_any_file_gives_settings_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    raw = text.encode() if isinstance(text, str) else text
    with contextlib.suppress(ConfigError):
        load(tmp_path_factory.getbasetemp(), raw)
        assert set(tomllib.loads(raw.decode("utf-8-sig"))) <= set(Client.model_fields)


@settings(deadline=None)
@given(
    st.recursive(
        st.integers() | st.text(max_size=5) | st.booleans(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["name", "home", "epsilon", "words", "x"]), inner, max_size=3
            )
            | st.lists(inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(sorted(Client.model_fields)),
)
def test_any_value_under_any_key_gives_settings_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, value: object, key: str
) -> None:
    with contextlib.suppress(ConfigError):
        client = load(tmp_path_factory.getbasetemp(), f"{key} = {as_toml(value)}")
        assert client.model_fields_set == {key}


def as_toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + "}"
        case _:
            return '"' + "".join(f"\\U{ord(letter):08x}" for letter in str(value)) + '"'
