"""One spelling for each currency."""

_CODES = {"US$": "USD", "USD$": "USD", "$US": "USD", "\N{EURO SIGN}": "EUR"}
_CODES |= {"EURO": "EUR", "EUROS": "EUR", "\N{POUND SIGN}": "GBP"}


def currency_code(written: str) -> str:
    """Return one spelling for all of a currency: usd and US$ are USD."""
    code = written.strip().upper()
    return _CODES.get(code, code)
