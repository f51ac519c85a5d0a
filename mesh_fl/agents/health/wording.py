"""Reasons and sums in words."""

LEAST_TOLD = 0.005
"""In log odds; less is not told as moving the risk."""


def in_words(about: str, value: float | str | None, typical: float | None, part: float) -> str:
    """Say what a feature does to the risk."""
    if value is None and typical is not None:
        return f"{about}: not known, so it counts as typical ({plain(typical)})"
    told = about if value is None else f"{about}: {plain(value)}"
    against = "" if typical is None else f", typical is {plain(typical)}"
    if abs(part) < LEAST_TOLD:
        return f"{told}{against}; it does not move the risk"
    moves = "raises" if part > 0 else "lowers"
    return f"{told}{against}; it {moves} the log odds of leaving by {abs(part):.2f}"


def plain(value: float | str) -> str:
    """Write a number with three digits, or more before the point."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def money(amount: float, currency: str) -> str:
    """Write an amount with its currency, if that is told."""
    return f"{amount:,.2f} {currency}".rstrip()


def percent(share: float) -> str:
    """Write a share in percent."""
    return f"{100 * share:.1f}%"
