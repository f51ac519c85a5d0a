"""A forecast by Prophet (Taylor and Letham 2018), an extra: public as the others, and slow.

The same history has the same forecast: one seed, no samples, the likeliest parameters alone.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agents.revenue.seasonality import LEAST, SEASON
from mesh_fl.errors import ConfigError

if TYPE_CHECKING:
    from prophet import Prophet

Vector = NDArray[np.float64]

PROPHET = "prophet"

MISSING = "prophet = true needs the package prophet, not installed: pip install 'mesh_fl[prophet]'"

MONTHS_AHEAD = 96
"""That are forecast at once, so that another period needs no other fit."""

MOST_KEPT = 1024
"""Histories whose forecasts are kept."""

MOST_STEPS = 2000
"""Of a fit."""

WAVES = 5
"""Of a year: more cannot be told apart with a value a month."""

MONTH_DAYS = 365.25 / SEASON
"""Months of one length, whichever they are: the year comes round exactly."""


def load_prophet() -> "Callable[..., Prophet]":
    """Return Prophet's class; its messages about each fit are turned off.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    try:
        from cmdstanpy.utils import get_logger
        from prophet import Prophet
    except ImportError:
        raise ConfigError(MISSING) from None
    get_logger().setLevel(logging.ERROR)
    return Prophet


def prophet_ahead(history: Vector, months: int) -> Vector | None:
    """Forecast by Prophet: a trend that bends, and a season.

    Parameters
    ----------
    history : ndarray, shape (n,)
    months : int

    Returns
    -------
    ndarray, shape (months,), or None
        None of a history below 25 months, of which no blend is made, and where the fit fails.

    Raises
    ------
    ConfigError
        If Prophet is not installed.
    """
    if len(history) < LEAST:
        return None
    found = _foreseen(history.tobytes(), max(months, MONTHS_AHEAD))
    return None if found is None else found[:months]


@lru_cache(maxsize=MOST_KEPT)
def _foreseen(history: bytes, months: int) -> Vector | None:
    model_of = load_prophet()
    import pandas as pd

    amounts = np.frombuffer(history)
    days = pd.to_timedelta(np.arange(len(amounts) + months) * MONTH_DAYS, unit="D")
    moments = pd.Timestamp("2000-01-01") + days
    model = model_of(
        yearly_seasonality=WAVES,
        weekly_seasonality=False,
        daily_seasonality=False,
        uncertainty_samples=0,
    )
    # Newton's method, its own choice, takes a minute where a history has no noise at all.
    if model.stan_backend is not None:
        model.stan_backend.set_options(newton_fallback=False)
    known = pd.DataFrame({"ds": moments[: len(amounts)], "y": amounts})
    try:
        # Its program writes what it finds to files, which must not outlive the fit.
        with TemporaryDirectory(prefix="mesh_fl-") as folder:
            model.fit(known, seed=1, algorithm="LBFGS", iter=MOST_STEPS, output_dir=folder)
        told = model.predict(pd.DataFrame({"ds": moments[len(amounts) :]}))["yhat"]
    except (RuntimeError, ValueError, ArithmeticError):
        return None
    found: Vector = np.array(told, dtype=np.float64)
    found.setflags(write=False)
    return found if np.isfinite(found).all() else None
