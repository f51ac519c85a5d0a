"""Names and addresses of machines: which are real, and how far they reach.

A name is real when it lies below a public suffix (the ICANN part of the Public Suffix List, in the
snapshot that `publicsuffixlist` ships: nothing is fetched) or below a special-use one (RFC 6761,
6762, 7686, 8375; .internal by ICANN's resolution of 2024).
"""

import ipaddress
import re
from functools import cache
from typing import TYPE_CHECKING, Literal

import idna

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

Scope = Literal[
    "public",
    "private",
    "loopback",
    "link-local",
    "multicast",
    "documentation",
    "reserved",
    "unspecified",
]
"""Where an address or name means something."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_NAME_CHARACTERS = 253
"""Of a name in full (RFC 1035)."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_ONION = re.compile(r"[a-z2-7]{16}|[a-z2-7]{56}")
_SPECIAL: dict[str, Scope] = {
    "local": "private",
    "internal": "private",
    "home.arpa": "private",
    "localhost": "loopback",
    "test": "documentation",
    "example": "documentation",
    "invalid": "documentation",
}
_EXAMPLES = ("example.com", "example.net", "example.org")
_DOCUMENTATION = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    )
)


@cache
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


def ascii_name(text: str) -> str | None:
    """Return a host name in lower case, other scripts as punycode; None if it cannot be one."""
    name = text.rstrip(".").lower()
    if not 0 < len(name) <= MOST_NAME_CHARACTERS:
        return None
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except UnicodeError:  # idna.IDNAError is one
            return None
    fits = len(name) <= MOST_NAME_CHARACTERS
    return name if fits and all(map(_LABEL.fullmatch, name.split("."))) else None


def suffix_labels(name: str) -> int:
    """Count the labels of a name's public suffix: 1 for .com, 2 for .co.uk, 0 for none."""
    suffix = _suffixes().publicsuffix(name)
    return 0 if suffix is None else suffix.count(".") + 1


def name_scope(name: str) -> Scope | None:
    """Tell how far a name in ASCII reaches; None if no such name can be registered."""
    labels = name.split(".")
    if labels[-1] == "onion":
        return "public" if len(labels) > 1 and _ONION.fullmatch(labels[-2]) else None
    for suffix, scope in _SPECIAL.items():
        if name.endswith("." + suffix):
            return scope
    if any(name == example or name.endswith("." + example) for example in _EXAMPLES):
        return "documentation"
    return "public" if _suffixes().privatesuffix(name) else None


def address_scope(address: Address) -> Scope:
    """Tell how far an address reaches, by the IANA special-purpose registries."""
    if any(address in network for network in _DOCUMENTATION if network.version == address.version):
        return "documentation"
    tests: tuple[tuple[Scope, bool], ...] = (
        ("unspecified", address.is_unspecified),
        ("loopback", address.is_loopback),
        ("multicast", address.is_multicast),
        ("link-local", address.is_link_local),
        ("reserved", address.is_reserved),
        ("private", not address.is_global),
    )
    return next((scope for scope, holds in tests if holds), "public")


def address_of(text: str) -> Address | Network | None:
    """Read an address, or a network such as 10.0.0.0/8; the zone of an IPv6 address is dropped.

    With a prefix that leaves host bits set, as in 10.1.2.3/24, the address alone is meant.
    """
    written, _, prefix = text.partition("/")
    try:
        address = ipaddress.ip_address(written.partition("%")[0])
        if not prefix:
            return address
        return ipaddress.ip_network(f"{address}/{prefix}")
    except ValueError:
        return _address_alone(written) if prefix else None


def _address_alone(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
