"""Settings files: TOML read into frozen models, with every mistake named in one message."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretBytes,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from mesh_fl.errors import ConfigError

T = TypeVar("T", bound=BaseModel)


class Settings(BaseModel):
    """Base of every settings model: frozen; no unknown key, NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _from_folder(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or str(value) == "" or "\0" in str(value):
        raise ValueError("expected a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise ValueError("expected a path with a home folder that exists") from None
    folder = (info.context or {}).get("folder")
    return folder / path if isinstance(folder, Path) else path


ConfigPath = Annotated[Path, PlainValidator(_from_folder), Field(validate_default=True)]
"""A path that, in a settings file, is relative to the folder of that file (~ is the home)."""


def load_toml(path: Path, model: type[T], hint: str = "") -> T:
    """Read a settings file.

    Values are taken strictly: ``port = "80"`` is text, not a number.

    Parameters
    ----------
    path : Path
        A TOML 1.0 file in UTF-8; a byte order mark is tolerated.
    model : type
        What the file must hold.
    hint : str
        The command that makes the file, told when it is missing.

    Raises
    ------
    ConfigError
        If the file is missing, unreadable, not UTF-8 or not TOML, or with one line for each
        unknown key, missing key, and value of the wrong type or range.
    """
    text = _text(path, hint)
    try:
        tables = tomllib.loads(text)
        # pydantic's strict mode takes an array for a tuple only when it comes as JSON.
        document = json.dumps(tables, default=str)
    except RecursionError:
        raise ConfigError(f"{path}: expected TOML, found arrays nested too deeply") from None
    except ValueError as error:
        raise ConfigError(_syntax(path, text, str(error))) from None
    try:
        return model.model_validate_json(
            document, strict=True, context={"folder": path.absolute().parent}
        )
    except ValidationError as error:
        problems = error.errors(include_url=False)
    raise ConfigError("\n".join(_complaints(path.name, model, tables, problems)))


def _text(path: Path, hint: str) -> str:
    remedy = f"; make it with: {hint}" if hint else ""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a settings file, found none{remedy}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: expected a settings file, found a folder") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot read the settings file: {reason}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} line {line}: expected UTF-8, found byte 0x{raw[error.start]:02x};"
            " save the file as UTF-8"
        ) from None


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known word most like a misspelt one, or the empty word."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), "")


_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _syntax(path: Path, text: str, message: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return f"{path}: expected TOML: {message}"
    lines = text.splitlines() or [""]
    line, column = (int(g) if g else 0 for g in place.groups())
    line, column = (line, column) if line else (len(lines), len(lines[-1]) + 1)
    return f"{path} line {line}, column {column}: expected TOML: {message[: place.start()]}"


_Location = tuple[str | int, ...]
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_SECRET = (SecretStr, SecretBytes)
_SHOULD = "Input should be "


def _complaints(
    file: str, model: type[BaseModel], tables: Mapping[str, object], problems: list[ErrorDetails]
) -> list[str]:
    """Say each problem in one line; the branches of a union share theirs."""
    places: dict[tuple[_Location, str], list[ErrorDetails]] = {}
    for problem in problems:
        kind = "unknown" if problem["type"] in _UNKNOWN else problem["type"]
        topic = kind if kind in ("unknown", "missing") else "wrong"
        places.setdefault((_location(tables, problem), topic), []).append(problem)
    return [
        _complaint(file, model, location, topic, branches)
        for (location, topic), branches in places.items()
    ]


def _complaint(
    file: str, model: type[BaseModel], location: _Location, topic: str, branches: list[ErrorDetails]
) -> str:
    where = _where(file, location)
    if topic == "unknown":
        known = [name for kind in _kinds_at(model, location[:-1]) for name in _fields(kind)]
        guess = nearest(str(location[-1]), known)
        remedy = f"did you mean {guess!r}?" if guess else f"known: {', '.join(known) or 'none'}"
        return f"unknown key {where}; {remedy}"
    if topic == "missing":
        return f"missing key {where}"
    wanted = list(dict.fromkeys(_expected(branch["msg"]) for branch in branches))
    expected = " or ".join([wanted[0], *(more.removeprefix("expected ") for more in wanted[1:])])
    secret = any(kind in _SECRET for kind in _kinds_at(model, location))
    found = "" if secret or ", found " in expected else _found(branches[0])
    return f"{where}: {expected}{found}"


def _location(tables: Mapping[str, object], problem: ErrorDetails) -> _Location:
    """Keep what stands in the file of a location, not the names of union branches."""
    node: object = tables
    kept: list[str | int] = []
    last = len(problem["loc"]) - 1
    for place, part in enumerate(problem["loc"]):
        entries = _entries(node)
        if part in entries:
            node = entries[part]
        elif problem["type"] != "missing" or place != last:
            continue
        kept.append(part)
    return tuple(kept)


def _entries(node: object) -> Mapping[str | int, object]:
    if isinstance(node, list):
        return dict(enumerate(node))
    return node if isinstance(node, dict) else {}


def _where(file: str, location: _Location) -> str:
    names = [place for place, part in enumerate(location) if isinstance(part, str)]
    if not names:
        return file
    table, key = _dotted(location[: names[-1]]), _dotted(location[names[-1] :])
    return f"{key!r} in [{table}] of {file}" if table else f"{key!r} in {file}"


def _dotted(location: _Location) -> str:
    parts = (f" #{part + 1}" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _expected(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not message.startswith(_SHOULD):
        return message
    rest = message.removeprefix(_SHOULD).replace("an object", "a table")
    comparison = rest.startswith(("greater", "less", "a multiple"))
    return f"expected a value {rest}" if comparison else f"expected {rest}"


def _found(problem: ErrorDetails) -> str:
    match problem["input"]:
        case dict():
            return "" if problem["type"] == "value_error" else ", found a table"
        case list():
            return ", found an array"
        case bool() as value:
            return f", found {str(value).lower()}"
        case str() as text:
            return f", found {text[:80]!r}"
        case value:
            return f", found {value}"


def _kinds_at(model: type[BaseModel], location: _Location) -> list[object]:
    """Resolve the types that may stand at a location, every branch of a union among them."""
    kinds: list[object] = [model]
    for part in location:
        kinds = [deeper for kind in kinds for deeper in _step(kind, part)]
    return kinds


def _step(kind: object, part: str | int) -> Iterator[object]:
    fields = _fields(kind)
    inside = [fields[part]] if isinstance(part, str) and part in fields else get_args(kind)
    for annotation in inside:
        yield from _branches(annotation)


def _branches(annotation: object) -> Iterator[object]:
    if get_origin(annotation) in (Union, UnionType, Annotated):
        for branch in get_args(annotation):
            yield from _branches(branch)
    else:
        yield annotation


def _fields(kind: object) -> dict[str, object]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
