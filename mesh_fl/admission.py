"""What an entry makes of the members: the rules of the roster, signatures aside."""

import base64
from collections.abc import Mapping

from mesh_fl.card import Card
from mesh_fl.entry import Entry
from mesh_fl.errors import ProtocolError

Cards = Mapping[str, Card]


def admitted(cards: Cards, entry: Entry) -> dict[str, Card]:
    """Return the members after an entry.

    Parameters
    ----------
    cards : mapping of str to Card
        The members before it, by name.

    Raises
    ------
    ProtocolError
        If the entry breaks a rule.
    ConfigError
        If a card was changed after it was signed.
    """
    _check_fields(entry)
    rule = {"found": _found, "join": _join, "renew": _renew, "remove": _remove}[entry.kind]
    after = rule(cards, entry)
    for card in entry.cards:
        card.verify()
    _check_keys(after)
    return after


def _check_fields(entry: Entry) -> None:
    if entry.kind != "found" and (entry.network, entry.operator, entry.colluders) != ("", "", 0):
        raise ProtocolError("network, operator and colluders are fixed by the founding")
    removes = entry.kind == "remove"
    if (bool(entry.names), bool(entry.cards)) != (removes, not removes):
        raise ProtocolError(f"expected {'names' if removes else 'cards'} and nothing else")
    if len(set(entry.whom)) < len(entry.whom):
        raise ProtocolError("it names a member twice")


def _check_keys(cards: Cards) -> None:
    """Refuse two members with one key, which would be one member with two voices."""
    owners: dict[str, str] = {}
    for card in cards.values():
        for key in (card.identity, card.signing):
            if (owner := owners.setdefault(key, card.name)) != card.name:
                raise ProtocolError(
                    f"{card.name} has the same key as {owner}: every member makes its own by "
                    "`mesh-client init`"
                )


def _found(_: Cards, entry: Entry) -> dict[str, Card]:
    # If all colluders are among the founders, two others are left: one to hide the other in a
    # sum, and enough to approve a join while one member is away.
    if len(entry.cards) < entry.colluders + 2:
        raise ProtocolError(
            f"expected at least {entry.colluders + 2} founders, 2 more than may collude, found "
            f"{len(entry.cards)}: wait for more cards"
        )
    if not _is_key(entry.operator):
        raise ProtocolError("expected the operator's Ed25519 public key")
    return {card.name: card for card in entry.cards}


def _join(cards: Cards, entry: Entry) -> dict[str, Card]:
    if known := sorted(cards.keys() & set(entry.whom)):
        raise ProtocolError(
            f"{', '.join(known)} is a member already: renew its card, or remove it first if its "
            "signing key is another one"
        )
    return {**cards, **{card.name: card for card in entry.cards}}


def _renew(cards: Cards, entry: Entry) -> dict[str, Card]:
    for card in entry.cards:
        before = cards.get(card.name)
        if before is None:
            raise ProtocolError(f"{card.name} is no member, so there is no card to renew")
        if card.signing != before.signing:
            raise ProtocolError(
                f"{card.name} has another signing key: remove it, then propose that it joins"
            )
        if card.serial <= before.serial:
            raise ProtocolError(
                f"expected a card of {card.name} newer than serial {before.serial}, found "
                f"{card.serial}: have it sign one by `mesh-client card HOME --cap N`"
            )
    return {**cards, **{card.name: card for card in entry.cards}}


def _remove(cards: Cards, entry: Entry) -> dict[str, Card]:
    if unknown := sorted(set(entry.names) - cards.keys()):
        known = ", ".join(sorted(cards))
        raise ProtocolError(f"no member is called {', '.join(unknown)}; registered: {known:.500}")
    left = {name: card for name, card in cards.items() if name not in entry.names}
    if not left:
        raise ProtocolError("it would leave no member")
    return left


def _is_key(text: str) -> bool:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return len(key) == 32 and base64.b64encode(key).decode() == text
