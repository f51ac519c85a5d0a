"""Who is paid what, with the arithmetic of each line; in decimals, to the last cent."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, localcontext

from pydantic import BaseModel, ConfigDict

from mesh_fl.agents.collaboration.deal import Cut, Deal, Party
from mesh_fl.errors import DataError

EXACT = Context(prec=60)
"""Products of two numbers below 10 ** 12 with six decimals have at most 36 digits."""

ZERO = Decimal(0)


class Line(BaseModel):
    """One payment.

    Attributes
    ----------
    msp : str
    what : str
        Work or share, with what is done for it where that was told; referral, overhead, or what
        is left.
    arithmetic : str
        How the amount comes about.
    amount : Decimal
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    msp: str
    what: str
    arithmetic: str
    amount: Decimal


class PartyTotal(BaseModel):
    """What one of them gets altogether."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    msp: str
    amount: Decimal


class RevenueSharing(BaseModel):
    """How a price is shared.

    Attributes
    ----------
    currency : str
    price : Decimal
        As it was given, or what the hours cost.
    lines : tuple of Line
        They add up to the price exactly.
    totals : tuple of PartyTotal
    remainder_to : str
        Who gets what rounding leaves over, and what nobody else is due.
    check : str
        The sum of the lines, written out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str
    price: Decimal
    lines: tuple[Line, ...]
    totals: tuple[PartyTotal, ...]
    remainder_to: str
    check: str


def share_revenue(deal: Deal) -> RevenueSharing:
    """Return who is paid what.

    Hours are paid first, then referral and overhead, each a share of the price. Parties with a
    share divide what is left; where nobody has one, it goes to `remainder_to`.

    Raises
    ------
    DataError
        If hours, referral and overhead take more than the price, or shares do not add up to 1.
    """
    with localcontext(EXACT):
        return _Sharing(deal).shared()


class _Sharing:
    """One deal's arithmetic, line after line."""

    def __init__(self, deal: Deal) -> None:
        self._deal = deal
        self._lines = [
            self._work(party, party.hours, party.rate)
            for party in deal.parties
            if party.hours is not None and party.rate is not None
        ]
        self._price = self._sum if deal.amount is None else deal.amount.quantize(deal.unit)

    @property
    def _sum(self) -> Decimal:
        return sum((line.amount for line in self._lines), ZERO).quantize(self._deal.unit)

    def shared(self) -> RevenueSharing:
        self._lines += [self._cut(cut) for cut in self._deal.cuts]
        rest = self._price - self._sum
        if rest < 0:
            raise DataError(
                f"deal: hours, referral and overhead take {self._money(self._sum)}, more than the "
                f"price of {self._money(self._price)}: raise the amount, or lower one of them"
            )
        self._divide(rest)
        return RevenueSharing(
            currency=self._deal.currency,
            price=self._price,
            lines=tuple(self._lines),
            totals=self._totals(),
            remainder_to=self._deal.remainder_to,
            check=self._check(),
        )

    def _work(self, party: Party, hours: Decimal, rate: Decimal) -> Line:
        exact = hours * rate
        amount = exact.quantize(self._deal.unit, ROUND_HALF_EVEN)
        told = f"{hours:f} h x {rate:f} {self._deal.currency}/h"
        rounded = "" if amount == exact else f" = {exact.normalize():,f}, rounded"
        return Line(
            msp=party.msp,
            what=_of("work", party.work),
            arithmetic=f"{told}{rounded} = {self._money(amount)}",
            amount=amount,
        )

    def _cut(self, cut: Cut) -> Line:
        return self._part(cut.msp, cut.what, self._price, cut.share)

    def _part(self, msp: str, what: str, whole: Decimal, share: Decimal) -> Line:
        """Return a share, rounded down: what rounding leaves over has its own line."""
        exact = whole * share
        amount = exact.quantize(self._deal.unit, ROUND_DOWN)
        rounded = "" if amount == exact else f" = {exact.normalize():,f}, rounded down"
        told = f"{self._money(whole)} x {share:f}{rounded} = {self._money(amount)}"
        return Line(msp=msp, what=what, arithmetic=told, amount=amount)

    def _divide(self, rest: Decimal) -> None:
        """Share what is left once everybody else is paid."""
        shares = [(one, one.share) for one in self._deal.parties if one.share is not None]
        if shares:
            self._expect_whole([share for _, share in shares])
            self._lines += [
                self._part(one.msp, _of("share", one.work), rest, share) for one, share in shares
            ]
        left = self._price - self._sum
        if left:
            why = "what rounding leaves over" if shares else "what is left of the price"
            sums = f"{self._money(self._price)} - {self._money(self._sum)}"
            told = f"{sums} = {self._money(left)}"
            receiver = self._deal.remainder_to
            self._lines.append(Line(msp=receiver, what=why, arithmetic=told, amount=left))

    def _expect_whole(self, shares: Sequence[Decimal]) -> None:
        found = sum(shares, ZERO)
        if found != 1:
            raise DataError(
                f"deal.parties: expected shares that add up to 1, found {found.normalize():f}: "
                "they divide what is left once hours, referral and overhead are paid"
            )

    def _totals(self) -> tuple[PartyTotal, ...]:
        found: dict[str, Decimal] = {}
        for line in self._lines:
            found[line.msp] = found.get(line.msp, ZERO) + line.amount
        return tuple(PartyTotal(msp=msp, amount=amount) for msp, amount in found.items())

    def _check(self) -> str:
        terms = " + ".join(f"{line.amount:,f}" for line in self._lines)
        return f"{terms} = {self._money(self._price)}"

    def _money(self, amount: Decimal) -> str:
        return f"{amount:,f} {self._deal.currency}"


def _of(what: str, work: str) -> str:
    return f"{what}: {work}" if work else what
