"""Amounts and counts in words."""

from mesh_fl.agents.revenue.accounts import Accounts, Client


def money(amount: float, currency: str) -> str:
    """Write an amount, as 1,250.00 EUR."""
    return f"{amount:,.2f} {currency}".strip()


def counted(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def called(client: Client) -> str:
    """Return a client's name, or else its id."""
    return client.name or client.client_id


def currency_of(accounts: Accounts) -> str | None:
    """Return the currency; None where nobody told it."""
    return accounts.currency or None
