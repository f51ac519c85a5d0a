"""Who gets which records: splits of a data set among clients, alike or unlike on purpose.

Every split returns, for each client, the rising places of its records; no record is dealt twice.
What is drawn comes from the generator that is given, so a seed gives the same split again.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Data
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.shards import Places

Column = NDArray[np.generic]

Deal = Callable[[Data, int, int, np.random.Generator], list[Places]]
"""Divides records among so many clients of so many records each, or on average."""


def at_random(data: Data, members: int, records: int, random: np.random.Generator) -> list[Places]:
    """Deal records out at random: what each client holds is alike.

    Parameters
    ----------
    data : Data
    members, records : int
        So many clients of so many records each; the rest is nobody's.
    random : numpy.random.Generator

    Raises
    ------
    DataError
        If there are too few records.
    """
    return by_sizes(len(next(iter(data.values()))), [records] * members, random)


def by_sizes(count: int, sizes: Sequence[int], random: np.random.Generator) -> list[Places]:
    """Deal records out at random to clients of given sizes, as from `power_law`.

    Parameters
    ----------
    count : int
        Records that there are; what the sizes leave over is nobody's.
    sizes : sequence of int
    random : numpy.random.Generator

    Raises
    ------
    DataError
        If there are fewer records than the sizes add up to.
    """
    if not len(sizes) or min(sizes) < 0:
        raise ConfigError(f"sizes: expected at least one, none negative, found {list(sizes)[:9]}")
    if sum(sizes) > count:
        raise DataError(
            f"expected {sum(sizes)} records for {len(sizes)} clients, found {count}: ask for fewer "
            "or smaller clients"
        )
    ends = np.cumsum(sizes)
    dealt = random.permutation(count)[: ends[-1]]
    return [np.sort(part) for part in np.split(dealt, ends[:-1])]


def dirichlet(
    labels: Column, clients: int, alpha: float, random: np.random.Generator
) -> list[Places]:
    """Deal all records out to clients of equal size, each with a mixture of labels of its own.

    A client's mixture is drawn from Dirichlet(alpha p), p being the shares of the labels among all
    records (Hsu, Qi and Brown 2019, arXiv 1909.06335). Where a label is used up, its share goes to
    the others in proportion; a client that wants none of what is left draws another mixture from
    that. No client is empty: sizes differ by at most one. Which clients come last, and take what is
    left, is drawn.

    Parameters
    ----------
    labels : ndarray, shape (n,)
    clients : int
    alpha : float
        Above 0: at infinity all mixtures are p, near 0 a client has one label as far as they last.
    random : numpy.random.Generator

    Raises
    ------
    ConfigError
        If alpha is not above 0.
    DataError
        If there are fewer records than clients.
    """
    if not alpha > 0:
        raise ConfigError(f"alpha: expected a number above 0, found {alpha}")
    _refuse_too_many(clients, len(_flat(labels, "labels")), "records")
    kinds, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    piles = [random.permutation(np.flatnonzero(kinds == kind)) for kind in range(len(counts))]
    prior, left, parts = counts / counts.sum(), counts.copy(), []
    for size in _evenly(len(labels), clients):
        taken = _draw_labels(size, left, prior, alpha, random)
        drawn = [piles[kind][left[kind] - n : left[kind]] for kind, n in enumerate(taken)]
        parts.append(np.sort(np.concatenate(drawn)))
        left -= taken
    return [parts[client] for client in random.permutation(clients)]


def by_column(column: Column, clients: int | None = None) -> list[Places]:
    """Deal all records out by a column, such as the service: those of one value stay together.

    Parameters
    ----------
    column : ndarray, shape (n,)
    clients : int, optional
        One client a value when left out, in the order of the values. Else the values are given
        out from the most frequent on, each to the client that has the fewest records (Graham
        1969, longest processing time first).

    Raises
    ------
    DataError
        If there are fewer values than clients, or a value is missing.
    """
    values, counts = np.unique(_flat(column, "column"), return_inverse=True, return_counts=True)[1:]
    owners = np.arange(len(counts))
    if clients is not None:
        _refuse_too_many(clients, len(counts), "different values")
        owners = _spread(counts, clients)
    return _gathered(owners[values], clients or len(counts))


def by_time(times: Column, clients: int) -> list[Places]:
    """Deal all records out by time: each client has a period, the first client the earliest.

    Periods hold equally many records, give or take one; records of one time stay in their order.

    Parameters
    ----------
    times : ndarray, shape (n,)
        Numbers, dates or times.
    clients : int

    Raises
    ------
    DataError
        If there are fewer records than clients, or a time is missing.
    """
    _refuse_too_many(clients, len(_flat(times, "times")), "records")
    ends = np.cumsum(_evenly(len(times), clients))
    return [np.sort(part) for part in np.split(np.argsort(times, kind="stable"), ends[:-1])]


def power_law(
    count: int, clients: int, exponent: float, random: np.random.Generator, least: int = 1
) -> list[int]:
    """Draw up sizes of which a few are large and most are small.

    The k-th largest has a share proportional to k ** -exponent (Zipf 1949) of what is left when
    everybody has the least; which client is the k-th is drawn.

    Parameters
    ----------
    count : int
        What all sizes add up to.
    clients : int
    exponent : float
        At least 0, where all are equal; 1 is Zipf's own law.
    random : numpy.random.Generator
    least : int
        The smallest size.

    Raises
    ------
    DataError
        If there are too few records for everybody to have the least.
    """
    if not 0 <= exponent < math.inf or least < 0:
        raise ConfigError(
            f"expected an exponent and a least size from 0 on, found {exponent} and {least}"
        )
    _refuse_nobody(clients)
    if count < least * clients:
        raise DataError(f"expected at least {least * clients} records, found {count}: ask for less")
    ranks = np.arange(1, clients + 1)
    weights = ranks**-exponent
    sizes = least + _rounded((count - least * clients) * weights / weights.sum())
    return [int(size) for size in random.permutation(sizes)]


def _draw_labels(
    size: int, left: Places, prior: NDArray[np.float64], alpha: float, random: np.random.Generator
) -> Places:
    """Return how many records of each label a client gets of those that are left."""
    taken, mixture = np.zeros_like(left), _mixture(prior, alpha, random)
    while (missing := size - int(taken.sum())) > 0:
        remains = taken < left
        if mixture[remains].sum() <= 0:
            mixture = np.zeros_like(prior)
            mixture[remains] = _mixture(prior[remains] / prior[remains].sum(), alpha, random)
        wanted = np.where(remains, mixture, 0.0)
        taken += random.multinomial(missing, wanted / wanted.sum())
        taken = np.minimum(taken, left)
    return taken


def _mixture(
    prior: NDArray[np.float64], alpha: float, random: np.random.Generator
) -> NDArray[np.float64]:
    # Beyond these, numpy's gamma draws overflow or vanish; the limits are exact for all purposes.
    if alpha > 1e9:
        return prior
    if alpha < 1e-9:
        return random.multinomial(1, prior).astype(np.float64)
    return random.dirichlet(alpha * prior)


def _spread(counts: Places, clients: int) -> Places:
    """Return the client of each value."""
    owners, loads = np.zeros(len(counts), np.int64), np.zeros(clients, np.int64)
    for value in np.argsort(-counts, kind="stable"):
        owners[value] = int(np.argmin(loads))
        loads[owners[value]] += counts[value]
    return owners


def _gathered(owners: Places, clients: int) -> list[Places]:
    order = np.argsort(owners, kind="stable")
    return np.split(order, np.searchsorted(owners[order], np.arange(1, clients)))


def _evenly(count: int, clients: int) -> list[int]:
    return [count * (k + 1) // clients - count * k // clients for k in range(clients)]


def _rounded(shares: NDArray[np.float64]) -> Places:
    """Round to integers that add up to the same, by the largest remainders."""
    floors = np.floor(shares).astype(np.int64)
    missing = round(shares.sum()) - int(floors.sum())
    floors[np.argsort(floors - shares, kind="stable")[:missing]] += 1
    return floors


def _flat(values: Column, name: str) -> Column:
    if values.ndim != 1 or not len(values):
        raise DataError(f"{name}: expected one value a record, found shape {values.shape}")
    if np.any(values != values):
        raise DataError(f"{name}: expected a value for every record, found some missing")
    return values


def _refuse_too_many(clients: int, found: int, what: str) -> None:
    _refuse_nobody(clients)
    if found < clients:
        raise DataError(
            f"expected at least {clients} {what} for {clients} clients, found {found}: ask for "
            "fewer clients, or bring more data"
        )


def _refuse_nobody(clients: int) -> None:
    if clients < 1:
        raise ConfigError(f"clients: expected at least 1, found {clients}")
