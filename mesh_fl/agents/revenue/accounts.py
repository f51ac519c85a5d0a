"""Clients with their agreements and invoices, as opportunities are looked for among them."""

import math
from dataclasses import dataclass, field

from mesh_fl.agents.revenue.entries import Vector, Words
from mesh_fl.agents.revenue.months import Integers


@dataclass(frozen=True)
class Client:
    """A client.

    Parameters
    ----------
    employees : float
        NaN where it is not told, as for every client that the table of clients lacks.
    """

    client_id: str
    name: str = field(default="", repr=False)
    industry: str = ""
    employees: float = math.nan
    is_gone: bool = False


@dataclass(frozen=True)
class Agreement:
    """An agreement that runs, or will.

    Parameters
    ----------
    start, end : float
        Days; infinite where they are not told.
    monthly : float
        What it brings in a month.
    seats : float
        NaN where they are not told.
    """

    client_id: str
    kind: str
    start: float
    end: float
    monthly: float
    seats: float

    @property
    def yearly(self) -> float:
        """Return what it brings in a year."""
        return 12 * self.monthly

    @property
    def seat_rate(self) -> float:
        """Return what it brings for each seat and month; NaN without seats."""
        return self.monthly / self.seats if self.seats > 0 else math.nan


@dataclass(frozen=True)
class Invoices:
    """Invoices that were issued, column by column.

    Parameters
    ----------
    client : ndarray of int, shape (n,)
        Places in `Accounts.ids`.
    issued : ndarray of int
        Days.
    amount, due : ndarray
        Amounts; days, infinite where they are not told.
    unpaid : ndarray
        What is still to be paid; below zero for credits that are still to be used.
    kind : ndarray of str
    """

    client: Integers
    issued: Integers
    amount: Vector
    due: Vector
    unpaid: Vector
    kind: Words


@dataclass(frozen=True)
class Work:
    """Hours worked on tickets, by the day on which these were opened."""

    client: Integers
    opened: Integers
    hours: Vector


@dataclass(frozen=True)
class Accounts:
    """What is known of all clients on a day, in one currency.

    Parameters
    ----------
    day : int
    currency : str
    ids : tuple of str
        Of the clients of invoices and tickets.
    clients : dict
        By id; those that only other tables name included.
    agreements : tuple of Agreement
        Those that have not ended, of clients that have not left.
    invoices : Invoices
        Those that were issued before the day.
    work : Work
        The same of tickets.
    """

    day: int
    currency: str
    ids: tuple[str, ...] = field(repr=False)
    clients: dict[str, Client] = field(repr=False)
    agreements: tuple[Agreement, ...] = field(repr=False)
    invoices: Invoices = field(repr=False)
    work: Work = field(repr=False)

    @property
    def running(self) -> list[Agreement]:
        """Return the agreements that have begun."""
        return [one for one in self.agreements if one.start <= self.day]

    def stays(self, client_id: str) -> bool:
        """Tell whether somebody is still a client, as far as is known."""
        return client_id != "" and not self.client(client_id).is_gone

    def client(self, client_id: str) -> Client:
        """Return a client, of whom nothing but the id may be known."""
        return self.clients.get(client_id, Client(client_id))
