"""Revenue: forecasts of clients' monthly amounts by a blend that a whole network learns.

Public forecasters are blended with weights that start from public ones and follow the summed
clipped gradient of the mean absolute scaled error; bands around the blend follow the share of
months outside of them (`conformal`). Both are served from a mean that favours late iterates
(Lacoste-Julien, Schmidt and Bach 2012, arXiv 1212.2002).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.revenue.answer import RevenueAnswer
from mesh_fl.agents.revenue.blend import PLAIN, WITH_PROPHET, Blend, misses, refit
from mesh_fl.agents.revenue.conformal import own_shift, public_logs
from mesh_fl.agents.revenue.desk import Desk
from mesh_fl.agents.revenue.history import LONGEST, MOST, read_history
from mesh_fl.agents.revenue.made_up import made_up
from mesh_fl.agents.revenue.months import DAY_S, month_of
from mesh_fl.agents.revenue.prophet_forecast import load_prophet
from mesh_fl.agents.revenue.quality import WORST, Quality
from mesh_fl.agents.revenue.records import records_of, shortest
from mesh_fl.agents.revenue.request import fields
from mesh_fl.agents.revenue.rows import BAND_WEIGHT, excesses, layout_of, pulls, rows_of
from mesh_fl.agents.revenue.series import gather
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Gathered, OwnTable, Site

__all__ = ["RevenueAnswer", "RevenueForecasting"]

LONGEST_HORIZON = 24

FARTHEST = 10.0
"""Of a step or a logarithm; noise alone must not lead to infinite bands."""


@dataclass(frozen=True, kw_only=True)
class RevenueForecasting(Agent):
    """Forecasts clients' monthly amounts, with bands.

    The record is one client's history.

    Parameters
    ----------
    as_of : str
        First day of a month; a training reads nothing from then on. Public, the same at every
        member.
    horizon : int
        Months that are held out of a history to learn from.
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a row.
    learning_rate : float
        Step size of the blend on the mean gradient.
    band_rate : float
        Step size of the bands, in logarithms, on the mean excess outside.
    prior_records : float
        How many records weigh as much as public knowledge: with so many, steps are half as long,
        since in a small network most of a step is noise.
    prior_precision : float
        How firmly `adapt` holds to a trained global blend, in records.
    own_precision : float
        How firmly `adapt` holds to the public one, before any training.
    band_records : float
        How many records of one's own weigh as much as the network's bands.
    prophet : bool
        Whether Prophet, an extra, is blended in as the seventh forecaster.
    """

    endpoint: ClassVar[str] = "/revenue"
    answers_untrained: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("clients", "invoices", "agreements")

    as_of: str = "2026-01-01"
    horizon: int = 18
    records: float = 1000.0
    clip: float = 0.35
    learning_rate: float = 1.5
    band_rate: float = 0.6
    prior_records: float = 1000.0
    prior_precision: float = 30.0
    own_precision: float = 10.0
    band_records: float = 100.0
    prophet: bool = False

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "revenue", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        yield "as_of", _begins_a_month(self.as_of), "the first day of a month such as 2026-01-01"
        yield "horizon", 1 <= self.horizon <= LONGEST_HORIZON, f"1 to {LONGEST_HORIZON} months"
        for name in ("records", "clip", "learning_rate", "band_rate", "prior_records"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        for name in ("prior_precision", "own_precision", "band_records"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "prophet", isinstance(self.prophet, bool), "true or false"

    @property
    def blending(self) -> Blend:
        """What is blended, and in which directions weights may move."""
        return WITH_PROPHET if self.prophet else PLAIN

    @property
    def schema(self) -> tuple[Field, ...]:
        """A client's monthly amounts, and what a request may tell besides."""
        return fields()

    def gather(self, tables: Mapping[str, OwnTable]) -> Gathered:
        """Return each client's monthly amounts before `as_of`; see `series.gather`.

        Raises
        ------
        DataError
            If no table holds an amount.
        """
        return gather(tables, self.as_of)

    def at_home(self, today: date) -> "RevenueForecasting":
        """Return the agent with all months before this one."""
        return replace(self, as_of=today.replace(day=1).isoformat())

    def prepare(self, table: Table) -> Data:
        """Return histories with their last months held out; see `records.records_of`.

        A history that tells when it began ends with the month before `as_of`.

        Raises
        ------
        DataError
            If a history is no list of amounts.
        ConfigError
            If `prophet` is asked for and not installed.
        """
        histories = self._histories(table)
        return records_of([one[-LONGEST:] for one in histories], self.horizon, self.blending)

    def _histories(self, table: Table) -> list[NDArray[np.float64]]:
        histories = [read_history(str(one), MOST) for one in table["history"]]
        if "start" not in table:
            return histories
        until = month_of(int(np.datetime64(self.as_of, "D").astype(np.int64)))
        starts = table["start"].astype(np.float64).tolist()
        return [_before(until, *one) for one in zip(histories, starts, strict=True)]

    def why_idle(self, table: Table) -> str:
        """Say how long histories have to be, where they are not."""
        lengths = [len(one) for one in self._histories(table)]
        least = shortest(self.horizon)
        short = sum(one < least for one in lengths)
        return f"{short} of them have fewer than {least} whole months before {self.as_of}" * (
            short > 0
        )

    def init(self) -> State:
        """Return the public blend and the public bands."""
        blend, bands = np.zeros(len(self.blending.steps)), public_logs()
        return {
            "blend": blend,
            "bands": bands,
            "latest_blend": blend.copy(),
            "latest_bands": bands.copy(),
            "round": np.array(0.0),
        }

    def layout(self, state: State) -> Layout:
        """Return what is summed: the pull on the blend, and the excess outside of bands."""
        return layout_of(len(self.blending.steps))

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each record's pull on the blend and how many of its months left their band.

        Guarantee
        ---------
        A row depends on its own record and the public state only, and is scaled down to `clip`.
        Adding or removing a record moves the sum by at most that.
        """
        missed, apart = _blended(data)
        miss = misses(missed, apart, state["latest_blend"])
        pull = pulls(miss, apart)
        excess = excesses(miss, data["reach"].astype(np.float64), state["latest_bands"])
        return rows_of(pull, excess, self.clip)

    def apply(self, state: State, total: Total) -> State:
        """Take one step; the mean gives iterate t a weight proportional to t."""
        rounds = float(state["round"])
        size = self.records + self.prior_records
        steps = {
            "blend": self.learning_rate * total["pull"] / size,
            "bands": self.band_rate * total["excess"] / BAND_WEIGHT / size,
        }
        after = {"round": np.array(rounds + 1)}
        for name, step in steps.items():
            latest = np.clip(state[f"latest_{name}"] + step, -FARTHEST, FARTHEST)
            after[f"latest_{name}"] = latest
            after[name] = state[name] + (latest - state[name]) * 2 / (rounds + 2)
        return {name: after[name] for name in state}

    def predict(self, state: State, data: Data) -> NDArray[np.float64]:
        """Return the blend of the months held out, in naive misses; NaN for months not held out."""
        actual = data["actual"].astype(np.float64)
        return actual - misses(*_blended(data), state["blend"])

    def measure_layout(self) -> Layout:
        """Return what is summed to tell the quality."""
        return {"judged": (), "miss": (), "inside": ()}

    def measure(self, state: State, data: Data) -> Rows:
        """Return for each record 1, its scaled error and the share inside of the band."""
        return Quality.of(state, data).rows() * self.measure_clip / math.sqrt(3)

    def score(self, total: Total) -> Mapping[str, float]:
        """Read "mase" and "coverage"; NaN where the noise leaves no records."""
        judged = float(total["judged"])
        if judged <= 0:
            return {"mase": math.nan, "coverage": math.nan}
        return {
            "mase": max(0.0, float(total["miss"]) / judged * WORST),
            "coverage": float(np.clip(float(total["inside"]) / judged, 0, 1)),
        }

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return the figures of `Quality` over all records, exactly."""
        return Quality.of(state, data).means

    def adapt(self, state: State, data: Data) -> State:
        """Blend anew on one's own records around the global blend, and shift its bands."""
        missed, apart = _blended(data)
        precision = self.prior_precision if state["round"] > 0 else self.own_precision
        blend = refit(missed, apart, state["blend"], precision)
        reach = data["reach"].astype(np.float64)
        miss = misses(missed, apart, blend)
        shift = own_shift(miss, reach, state["bands"], self.band_records)
        return {**state, "blend": blend, "bands": state["bands"] + shift}

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up records; see `made_up`."""
        return made_up(records, self.horizon, len(self.blending.steps), seed)

    def answer(self, state: State, table: Table) -> Sequence[RevenueAnswer]:
        """Forecast, with what to do about it, from what each request tells.

        Parameters
        ----------
        state : State
            Any model: `init`, a trained one, or one from `adapt`.
        table : Table
            See `schema`.

        Raises
        ------
        DataError
            If a history cannot be read.
        """
        return Desk(blend=self.blending).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with a member's own tables, which are read again as they change."""
        super().answering(site)
        if self.prophet:
            load_prophet()  # here, and not in the midst of the first answer
        return Desk(site, self.blending).answer

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return RevenueForecasting().simulated(600, seed=0)


def _blended(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return data["missed"].astype(np.float64), data["apart"].astype(np.float64)


def _before(until: int, history: NDArray[np.float64], start_s: float) -> NDArray[np.float64]:
    """Return the months before one, of a history that may tell when it began."""
    if not math.isfinite(start_s):
        return history
    return history[: max(0, until - month_of(int(start_s // DAY_S)))]


def _begins_a_month(text: str) -> bool:
    try:
        return date.fromisoformat(text).day == 1
    except (TypeError, ValueError):
        return False
