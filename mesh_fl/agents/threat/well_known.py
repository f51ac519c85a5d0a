"""Indicators that say nothing: services that everybody uses, and the hashes of an empty file."""

import hashlib
import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from mesh_fl.agents.threat.indicators import Indicator

_EMPTY = frozenset(
    hashlib.new(name, usedforsecurity=False).hexdigest()
    for name in ("md5", "sha1", "sha256", "sha512")
)


def is_empty_file(indicator: Indicator) -> bool:
    """Tell whether an indicator is a hash of the empty file, which is on every machine."""
    return indicator.value in _EMPTY


def is_well_known(indicator: Indicator) -> bool:
    """Tell whether an address, name, link or mailbox belongs to a service of `well_known.toml`."""
    return _host(indicator).removeprefix("www.") in _services()


def _host(indicator: Indicator) -> str:
    match indicator.kind:
        case "url":
            return urlsplit(indicator.value).hostname or ""
        case "email":
            return indicator.value.rpartition("@")[2]
        case _:
            return indicator.value


@cache
def _services() -> frozenset[str]:
    text = Path(__file__).with_name("well_known.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return frozenset((*tables["resolvers"]["addresses"], *tables["sites"]["names"]))
