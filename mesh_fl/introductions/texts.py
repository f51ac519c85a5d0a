"""Texts of bounded length that other members wrote, and that a terminal can show as they are."""

import unicodedata
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, StringConstraints, ValidationError

from mesh_fl.errors import ConfigError

Told = TypeVar("Told", bound=BaseModel)

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _harmless(text: str) -> str:
    """Refuse what could move a cursor or turn the direction of the text after it."""
    for character in text:
        control = unicodedata.category(character) in ("Cc", "Cs") and character != "\n"
        if control or character in _BIDI:
            raise ValueError(f"expected text without control characters, found {character!a}")
    return text


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("expected one line, found several")
    return text


Short = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_one_line),
    AfterValidator(_harmless),
]
"""One line of at most 100 characters."""

Long = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=4000), AfterValidator(_harmless)
]
"""Lines of at most 4,000 characters in all."""

Note = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(_harmless)
]
"""Lines of at most 1,000 characters in all."""

Contact = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200),
    AfterValidator(_one_line),
    AfterValidator(_harmless),
]
"""One line that says how to reach us, or the empty text."""


def checked(model: type[Told], **values: object) -> Told:
    """Make a model of what people typed.

    Raises
    ------
    ConfigError
        If a value is too long, or no text.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
    what = ".".join(map(str, problem["loc"])) or model.__name__.lower()
    raise ConfigError(f"{what}: {problem['msg'].removeprefix('Value error, ')}: change it")
