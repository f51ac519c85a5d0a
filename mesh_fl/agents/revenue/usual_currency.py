"""The currency to look for opportunities in, where no history told one."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.books import Books
from mesh_fl.agents.revenue.entries import days_of, named
from mesh_fl.agents.revenue.request import plain_currency, plain_id
from mesh_fl.schema import Table


def usual_currency(books: Books, client_id: str, day: int) -> str:
    """Return the currency that most invoices before a day are in, or else most agreements.

    Parameters
    ----------
    books : Books
    client_id : str
        Whose; all clients' where it is empty.
    day : int

    Returns
    -------
    str
        Empty where nobody told it.
    """
    for name in ("invoices", "agreements"):
        table = books.tables.get(name)
        if table is None:
            continue
        kept = _known(table, name, day)
        if client_id:
            kept &= named(table["client_id"], plain_id) == client_id
        counts = Counter(named(table["currency"], plain_currency)[kept].tolist())
        if counts:
            return str(min(counts, key=lambda one: (-counts[one], one)))
    return ""


def _known(table: Table, name: str, day: int) -> NDArray[np.bool_]:
    """Tell which rows count: what was issued later is not known yet, agreements are signed."""
    if name == "agreements":
        return np.ones(len(table["client_id"]), dtype=bool)
    issued, is_told = days_of(table["issued_at"])
    return is_told & (issued < day)
