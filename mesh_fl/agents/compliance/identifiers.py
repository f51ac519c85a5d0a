"""Ids of controls: as people write them, and as they are compared."""

import re
import unicodedata

LONGEST_ID = 80

_FAMILIES = "ac at au ca cm cp ia ir ma mp pe pl pm ps pt ra sa sc si sr"
FAMILIES = frozenset(_FAMILIES.split())
"""The twenty families of NIST SP 800-53 Rev. 5."""

_PIECE = re.compile(r"[a-z]+|[0-9]+")
_CITED = re.compile(
    r"^(?:(?:45\s*)?cfr|nist(?:\s*sp)?(?:\s*800-?53)?(?:\s*r(?:ev)?\.?\s*[0-9])?|iso|pci(?:\s*dss)?|req(?:uirement)?|control|annex)\b\.?\s*"
)
_WRITTEN = re.compile(
    r"[A-Z]{2}-[0-9]+(?:\([0-9a-z]+\))*"  # NIST SP 800-53
    r"|1[0-9]{2}\.[0-9]{3}(?:\([0-9A-Za-z]+\))*"  # HIPAA, 45 CFR part 164
    r"|(?:CC|PI|A|C|P)[0-9]+\.[0-9]+"  # SOC 2 trust services criteria
    r"|(?:Article|Art\.) [0-9]+(?:\([0-9a-z]+\))*"  # GDPR
)


def canonical_id(written: str) -> str:
    """Return the form in which two spellings of one id are equal.

    Case, separators, brackets and leading zeros do not count: "AC-2(1)", "ac-2.1", "AC-02(01)" and
    "ac_2_1" all give "ac.2.1", as "§164.308(a)(1)" and "164_308_a_1" give "164.308.a.1".

    Returns
    -------
    str
        Pieces joined by dots; "" where there is neither letter nor digit.
    """
    plain = unicodedata.normalize("NFKC", written[:LONGEST_ID]).strip().lower().lstrip("§ ")
    pieces = _PIECE.findall(_CITED.sub("", plain))
    pieces = [piece.lstrip("0") or "0" if piece.isdigit() else piece for piece in pieces]
    if pieces[:1] == ["art"]:
        pieces[0] = "article"
    return ".".join(piece for piece in pieces if piece != "smt")


def is_nist(identifier: str) -> bool:
    """Tell whether an id is one of NIST SP 800-53, which no other framework's looks like."""
    pieces = canonical_id(identifier).split(".")
    if len(pieces) < 2 or pieces[0] not in FAMILIES or not pieces[1].isdigit():
        return False
    return all(piece.isdigit() or len(piece) == 1 for piece in pieces[2:])


def written_id(key: str) -> str:
    """Write an id as people do, from a key such as "ac_2_1", "164_308_a_1_ii_a" or "cc_6_1"."""
    pieces = canonical_id(key).split(".")
    match pieces:
        case [family, number, *rest] if is_nist(key):
            return f"{family.upper()}-{number}" + "".join(f"({piece})" for piece in rest)
        case ["164", section, *rest]:
            # The fourth level counts in capitals: 164.308(a)(1)(ii)(A).
            levels = rest[:3] + [piece.upper() for piece in rest[3:]]
            return f"164.{section}" + "".join(f"({piece})" for piece in levels)
        case ["article", number, *rest]:
            return f"Article {number}" + "".join(f"({piece})" for piece in rest)
        case [("cc" | "pi") as series, number, criterion]:
            return f"{series.upper()}{number}.{criterion}"
    return key


def leading_id(name: str) -> tuple[str, str]:
    """Split a name such as "AC-2(1) Automated Account Management" into its id and its title.

    The id may also stand in brackets at the end: "Access Enforcement (AC-3)".

    Returns
    -------
    tuple of str
        The id, or "" where the name holds none; and what is left as the title.
    """
    if (found := _WRITTEN.match(name)) and not name[found.end() : found.end() + 1].isalnum():
        return found[0], name[found.end() :].strip(" :-\N{EN DASH}\N{EM DASH}")
    head, _, tail = name.rstrip().rpartition("(")
    if head and tail.endswith(")") and _WRITTEN.fullmatch(tail[:-1]):
        return tail[:-1], head.strip()
    return "", name
