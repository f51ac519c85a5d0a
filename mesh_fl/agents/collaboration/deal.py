"""A deal as it is written down: who works how long, for what, and who is paid beside."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from mesh_fl.agents._reading import kind
from mesh_fl.agents._reading import text as plain
from mesh_fl.errors import DataError

MOST_PARTIES = 50
LONGEST_NAME = 100
LONGEST_WORK = 200
ONE, LARGEST = Decimal(1), Decimal(10) ** 12
MOST_DECIMALS = 6

_FEWER = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"}
_NO_DECIMALS = _FEWER | {"VND", "VUV", "XAF", "XOF", "XPF"}
_FOUR_DECIMALS = {"CLF", "UYW"}
_THREE_DECIMALS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}

KEYS = ("currency", "amount", "parties", "referral", "overhead", "remainder_to")
PARTY_KEYS = ("msp", "hours", "rate", "share", "work")


@dataclass(frozen=True)
class Party:
    """Somebody who works.

    Parameters
    ----------
    msp : str
    hours, rate : Decimal or None
        Paid by the hour, `rate` for each.
    share : Decimal or None
        Paid a share of what is left once all hours are paid, 0 to 1.
    work : str
        What they do, as it was told; may be empty.
    """

    msp: str
    hours: Decimal | None
    rate: Decimal | None
    share: Decimal | None
    work: str


@dataclass(frozen=True)
class Cut:
    """Somebody who is paid a share of the price for something else than work."""

    msp: str
    what: str
    share: Decimal


@dataclass(frozen=True)
class Deal:
    """What is to be shared.

    Parameters
    ----------
    currency : str
        ISO 4217.
    amount : Decimal or None
        The price; None where it is what the hours cost.
    parties : tuple of Party
    cuts : tuple of Cut
        Referral and overhead.
    remainder_to : str
        The party that what rounding leaves over goes to.
    """

    currency: str
    amount: Decimal | None
    parties: tuple[Party, ...]
    cuts: tuple[Cut, ...]
    remainder_to: str

    @property
    def unit(self) -> Decimal:
        """The smallest amount that can be paid."""
        return Decimal(1).scaleb(-decimals_of(self.currency))


def decimals_of(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217)."""
    if currency in _NO_DECIMALS:
        return 0
    if currency in _FOUR_DECIMALS:
        return 4
    return 3 if currency in _THREE_DECIMALS else 2


def read_deal(document: str) -> Deal:
    """Read a deal.

    Raises
    ------
    DataError
        If it is no JSON, has unknown or double keys, lacks something, or a number is out of range.
    """
    raw = _table(_parsed(document), "deal", KEYS)
    currency = raw.get("currency")
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise _refuse("currency", "three capital letters such as EUR", currency)
    parties = _parties(raw.get("parties"))
    names = [party.msp for party in parties]
    cuts = tuple(
        _cut(raw[what], what) for what in ("referral", "overhead") if raw.get(what) is not None
    )
    receiver = raw.get("remainder_to")
    remainder_to = names[0] if receiver is None else _name(receiver, "remainder_to")
    if remainder_to not in names:
        raise _refuse("remainder_to", f"one of the parties {', '.join(names)}", receiver)
    amount = None if raw.get("amount") is None else _number(raw["amount"], "amount")
    deal = Deal(currency, amount, parties, cuts, remainder_to)
    _check_amount(deal)
    return deal


def _check_amount(deal: Deal) -> None:
    amount, wants = deal.amount, deal.cuts or any(party.share is not None for party in deal.parties)
    if amount is None and wants:
        raise DataError(
            "deal.amount: expected the price, since shares of it are to be paid; found nothing"
        )
    if amount is not None and amount % deal.unit:
        raise DataError(
            f"deal.amount: expected whole units of {deal.unit} {deal.currency}, found {amount}"
        )


def _parsed(document: str) -> object:
    try:
        parsed: object = json.loads(
            document,
            parse_float=Decimal,
            # Python refuses integers of more digits than this, and says so in its own words.
            parse_int=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_without_doubles,
        )
    except RecursionError:
        raise DataError("deal: expected a JSON object, found one nested too deeply") from None
    except (ValueError, ArithmeticError):
        raise DataError("deal: expected a JSON object, found what is no JSON") from None
    return parsed


def _no_constant(name: str) -> Decimal:
    raise DataError(f"deal: expected numbers, found {name}")


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise DataError(f"deal: expected each key once, found {plain(name, 60)!r} again")
        found[name] = value
    return found


def _table(value: object, place: str, keys: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DataError(f"{place}: expected an object with {', '.join(keys)}; found {kind(value)}")
    unknown = [name for name in value if name not in keys]
    if unknown:
        raise DataError(f"{place}: expected {', '.join(keys)}; found {plain(unknown[0], 60)!r}")
    return value


def _parties(value: object) -> tuple[Party, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PARTIES:
        found = f"{len(value)}" if isinstance(value, list) else kind(value)
        raise DataError(f"deal.parties: expected 1 to {MOST_PARTIES} parties, found {found}")
    parties = tuple(_party(one, f"parties.{place}") for place, one in enumerate(value))
    names = [party.msp for party in parties]
    if len(set(names)) < len(names):
        raise DataError("deal.parties: expected each party once, found one again")
    return parties


def _party(value: object, place: str) -> Party:
    raw = _table(value, f"deal.{place}", PARTY_KEYS)
    by_hour = raw.get("hours") is not None and raw.get("rate") is not None
    by_share = raw.get("share") is not None
    half = (raw.get("hours") is None) != (raw.get("rate") is None)
    if by_hour == by_share or half:
        raise DataError(f"deal.{place}: expected either hours and rate, or share")
    return Party(
        msp=_name(raw.get("msp"), f"{place}.msp"),
        hours=_number(raw["hours"], f"{place}.hours") if by_hour else None,
        rate=_number(raw["rate"], f"{place}.rate") if by_hour else None,
        share=_share(raw["share"], f"{place}.share") if by_share else None,
        work=_work(raw.get("work"), f"{place}.work"),
    )


def _cut(value: object, what: str) -> Cut:
    raw = _table(value, f"deal.{what}", ("msp", "share"))
    share = _share(raw.get("share"), f"{what}.share")
    return Cut(_name(raw.get("msp"), f"{what}.msp"), what, share)


def _name(value: object, place: str) -> str:
    return _text(value, place, "a name", LONGEST_NAME)


def _work(value: object, place: str) -> str:
    return "" if value is None else _text(value, place, "words", LONGEST_WORK)


def _text(value: object, place: str, what: str, longest: int) -> str:
    """Read one line, whole: half a name may be somebody else's."""
    line = plain(value, longest + 1)
    if not line or len(line) > longest:
        raise _refuse(place, f"{what} of 1 to {longest} characters", value)
    return line


def _share(value: object, place: str) -> Decimal:
    return _number(value, place, largest=ONE)


def _number(value: object, place: str, largest: Decimal = LARGEST) -> Decimal:
    """Read a number, or one written as text."""
    expected = f"a number from 0 to {largest:,}, with at most {MOST_DECIMALS} decimals"
    text = str(value) if isinstance(value, Decimal) else plain(value, 40)
    try:
        number = Decimal(text) if "_" not in text else None
    except ArithmeticError:
        number = None
    if number is None or not number.is_finite() or not 0 <= number <= largest:
        raise _refuse(place, expected, value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MOST_DECIMALS:
        raise _refuse(place, expected, value)
    return number + 0


def _refuse(place: str, expected: str, value: object) -> DataError:
    found = str(value)[:40] if isinstance(value, Decimal) else kind(value)
    return DataError(f"deal.{place}: expected {expected}; found {found}")
