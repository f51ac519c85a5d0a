"""Indicators of compromise in running text: addresses, names, links, mailboxes, hashes, CVE ids.

The rules, where a text alone cannot tell:

- A dotted quad is an address unless the words around it speak of versions ("before 9.0.0.1",
  "1.2.3.4 and earlier") or its first number is 0.
- A dotted name must be real (below a public or special-use suffix). A plainly written one is left
  out where it looks like a file (setup.sh), code (user.name=) or a sentence without a space
  ("done.In"). Whoever defangs a name means it, whatever it looks like.
- 32, 40, 64 or 128 hexadecimal digits, letters and digits among them, are a hash.
- What lies inside a link or a mailbox is not told again.
"""

import re
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.threat._fangs import Refanged, defang, refang
from mesh_fl.agents.threat._hosts import (
    Scope,
    address_of,
    address_scope,
    ascii_name,
    name_scope,
    suffix_labels,
)
from mesh_fl.agents.threat._versions import VersionTalk

__all__ = ["Indicator", "IndicatorKind", "Scope", "find_indicators", "indicator_of"]

IndicatorKind = Literal[
    "ipv4", "ipv6", "domain", "url", "email", "md5", "sha1", "sha256", "sha512", "cve"
]

MOST_URL_CHARACTERS = 4096
MOST_CANDIDATES = 20_000
"""Different strings of one text that are looked at; what comes after them is left out."""

_HASHES: dict[int, IndicatorKind] = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
_FILE_ENDINGS = frozenset(
    ["cab", "do", "dot", "md", "mov", "ps", "pub", "py", "rs", "sh", "so", "tf", "zip"]
)
"""Top-level domains that far more often end the name of a file."""
_PRODUCTS = frozenset({"asp.net", "ado.net", "vb.net"})

_BREAKS_LINK = re.compile(r"[\s<>\"`\x00-\x1f]")
_OPENED_BY = {")": "(", "]": "[", "}": "{"}

# Every alternative starts at the edge of a run of its characters and never gives characters back:
# linear time.
_CANDIDATE = re.compile(
    r"""
    (?<![^\W_])(?=[\w:])(?:
    (?P<url>(?:https?|ftps?|sftp|wss?|ldaps?|rmi|smb|tcp|udp|ssh|telnet|rdp)
        ://[^\s<>"'`|\\^\x00-\x1f]++)
    | (?P<email>(?<![\w.+%-])\w[\w.+%'-]{0,63}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,126}+)
    | (?P<cve>CVE[-\u2010-\u2015](?:1999|20[0-9]{2})[-\u2010-\u2015][0-9]{4,15}+
        (?![^\W_]))
    | (?P<hash>[0-9A-Fa-f]{32,128}+(?![^\W_]))
    | (?P<ipv6>(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{3,45}+
        (?:%[\w.-]{1,16}+)?+(?:/[0-9]{1,3}+)?+(?![\w:]))
    | (?P<ipv4>(?<![\w.])[0-9]{1,3}+(?:\.[0-9]{1,3}+){3}(?!\.?\w)(?:/[0-9]{1,2}+(?![\w.]))?+)
    | (?P<domain>(?<![\w.@/\\$%-])[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,126}+(?!\.?[\w@\\]))
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Indicator(BaseModel):
    """One thing to search logs for.

    Attributes
    ----------
    kind : str
        What it is.
    value : str
        In one canonical form: refanged, lower case where case means nothing, names in ASCII.
    defanged : str
        The same for people to read, without a link to click on.
    scope : str or None
        How far the address or name reaches; None for hashes and CVE ids.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: IndicatorKind
    value: str
    defanged: str
    scope: Scope | None = None


def find_indicators(text: str) -> tuple[Indicator, ...]:
    """Return the indicators in a text, each once, in the order of their first occurrence.

    Defanged ones (hxxp://, [.], (dot), [@], [:]//) are found as well. Time is linear in the text,
    of which the first `MOST_CANDIDATES` different candidates count.
    """
    found: dict[str, Indicator | None] = {}
    for kind, candidate in _candidates(refang(text)):
        if candidate not in found:
            found[candidate] = _READERS[kind](candidate)
        if len(found) == MOST_CANDIDATES:
            break
    return tuple(dict.fromkeys(filter(None, found.values())))


def indicator_of(kind: IndicatorKind, value: str) -> Indicator | None:
    """Return the indicator that a value of a known kind is; None if it cannot be one."""
    match kind:
        case "ipv4" | "ipv6":
            read = _address(value)
        case "domain":
            read = _name(value)
        case "url":
            read = _url(value)
        case "email":
            read = _email(value)
        case "cve":
            read = _cve(value)
        case _:
            read = _hash(value)
    return read if read is not None and read.kind == kind else None


def _candidates(written: Refanged) -> Iterator[tuple[str, str]]:
    versions = VersionTalk(written.text)
    for match in _CANDIDATE.finditer(written.text):
        kind = match.lastgroup or ""
        meant = written.deliberate(*match.span())
        if kind == "ipv4" and versions.at(*match.span()) and not meant:
            continue
        if kind == "domain" and not meant and _looks_otherwise(match):
            continue
        yield kind, match[0]


def _looks_otherwise(match: re.Match[str]) -> bool:
    """Tell whether a plainly written name looks like a file, code or a missing space."""
    written, following = match[0], match.string[match.end() : match.end() + 1]
    name, ending = written.lower(), written.rpartition(".")[2]
    if following in ("=", "(") or ending.istitle() or name in _PRODUCTS:
        return True
    if name.endswith((".local", ".internal", ".test")):
        return name.count(".") < 2
    return ending.lower() in _FILE_ENDINGS and suffix_labels(name) == 1


def _indicator(kind: IndicatorKind, value: str, scope: Scope | None = None) -> Indicator:
    shown = value if scope is None else defang(value)
    return Indicator(kind=kind, value=value, defanged=shown, scope=scope)


def _address(text: str) -> Indicator | None:
    found = address_of(text)
    if found is None or (found.version == 4 and text.startswith("0.") and text != "0.0.0.0"):
        return None
    first = found if not hasattr(found, "network_address") else found.network_address
    return _indicator("ipv4" if found.version == 4 else "ipv6", str(found), address_scope(first))


def _ipv6(text: str) -> Indicator | None:
    # A::B is a name in a program; an address that is all letters is too rare to be worth it.
    text = text.rstrip(".")
    return _address(text) if any(map(str.isdigit, text)) else None


def _name(text: str) -> Indicator | None:
    name = ascii_name(text)
    scope = name and name_scope(name)
    return _indicator("domain", name, scope) if name and scope else None


def _email(text: str) -> Indicator | None:
    mailbox, _, host = text.rpartition("@")
    name = ascii_name(host)
    scope = name and name_scope(name)
    if not mailbox or "@" in mailbox or not name or not scope:
        return None
    return _indicator("email", f"{mailbox}@{name}", scope)


def _url(text: str) -> Indicator | None:
    text = _without_closing(text)
    if len(text) > MOST_URL_CHARACTERS or _BREAKS_LINK.search(text):
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    found = _link_host(host)
    if found is None or not parts.scheme:
        return None
    name, scope = found
    who, at, _ = parts.netloc.rpartition("@")
    place = f"{who}{at}{name}" + (f":{port}" if port is not None else "")
    _, _, rest = text.partition("://")
    return _indicator("url", f"{parts.scheme}://{place}{rest[len(parts.netloc) :]}", scope)


def _link_host(host: str) -> tuple[str, Scope] | None:
    """Return a link's host as written in a link; a name nobody registered is one's own."""
    address = _address_host(host)
    if address is not None:
        return address
    name = ascii_name(host)
    if name is None or name.rpartition(".")[2].isdigit():
        return None
    return name, "loopback" if name == "localhost" else name_scope(name) or "private"


def _address_host(host: str) -> tuple[str, Scope] | None:
    found = _address(host) if "/" not in host else None
    if found is None or found.scope is None:
        return None
    return (f"[{found.value}]" if found.kind == "ipv6" else found.value), found.scope


def _without_closing(text: str) -> str:
    """Drop what ends the sentence around a link: punctuation, and brackets opened before it."""
    left = {bracket: text.count(bracket) for bracket in "()[]{}"}
    end = len(text)
    while end:
        last = text[end - 1]
        opening = _OPENED_BY.get(last)
        if last not in ".,;:!?*([{" and (opening is None or left[opening] >= left[last]):
            break
        if last in left:
            left[last] -= 1
        end -= 1
    return text[:end]


def _hash(text: str) -> Indicator | None:
    kind = _HASHES.get(len(text))
    if kind is None or not re.fullmatch(r"(?=.*[0-9])(?=.*[a-fA-F])[0-9a-fA-F]+", text):
        return None
    return _indicator(kind, text.lower())


def _cve(text: str) -> Indicator | None:
    numbers = re.fullmatch(r"CVE\W([0-9]{4})\W([0-9]{4,15})", text.strip(), re.IGNORECASE)
    return _indicator("cve", f"CVE-{numbers[1]}-{numbers[2]}") if numbers else None


_READERS: dict[str, Callable[[str], Indicator | None]] = {
    "url": _url,
    "email": _email,
    "cve": _cve,
    "hash": _hash,
    "ipv6": _ipv6,
    "ipv4": _address,
    "domain": _name,
}
