"""Resource allocation: how long work takes, who does it when, and how many people it needs.

What is learned is how long tickets take (`durations`); schedules, capacity and dispatching are
computed from it at each member.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Answering, Data, Rows, State, Total
from mesh_fl.agents._soundness import refuse_unsound
from mesh_fl.agents.resource import quality
from mesh_fl.agents.resource.answer import ResourceAnswer
from mesh_fl.agents.resource.desk import Desk
from mesh_fl.agents.resource.durations import Durations
from mesh_fl.agents.resource.gathering import gather_tickets, is_day
from mesh_fl.agents.resource.inputs import Cells, Input, Inputs
from mesh_fl.agents.resource.made_up import made_up_tickets
from mesh_fl.agents.resource.request import ASKED, NAMES
from mesh_fl.agents.resource.spread import LONGEST
from mesh_fl.agents.resource.ticket_inputs import ticket_inputs
from mesh_fl.errors import AgentError, DataError
from mesh_fl.layout import Layout
from mesh_fl.schema import Field, Table
from mesh_fl.site import Gathered, OwnTable, Site

__all__ = ["Input", "ResourceAllocation", "ResourceAnswer"]

Vector = NDArray[np.float64]

LABELS = ("actual_hours", "elapsed_hours")

MOST_HOURS = 24.0 * 366
MOST_CLIP = 1e6


@dataclass(frozen=True, kw_only=True)
class ResourceAllocation(Agent):
    """Predicts how long tickets take, and plans by it.

    The record is one ticket.

    Parameters
    ----------
    inputs : tuple of Input
        What is known of a ticket as it is opened, the same at every member.
    label : {"actual_hours", "elapsed_hours"}
        What is learned: the work done, or the time from opening to closing.
    usual_hours : float
        What a ticket takes of which nothing is known, as public knowledge has it.
    least_hours, most_hours : float
        Hours of a ticket are taken as at least and at most so many.
    as_of : str
        Date that records made of tables end before, the same at every member.
    records : float
        Public order of magnitude of all members' records, such as the sum of the declared caps.
    clip : float
        L2 bound of a row.
    learning_rate : float
        Step size on the mean pull.
    momentum : float
        Share of the last step that is kept.
    spread_rate : float
        Step size of the spread, in logarithms, on the mean excess.
    prior_records : float
        How many records weigh as much as public knowledge: with so many, steps are half as long,
        since in a small network most of a step is noise.
    prior_precision : float
        How firmly `adapt` holds to a trained global model.
    own_precision : float
        How firmly `adapt` holds to the public one, before any training.
    spread_records : float
        How many records of one's own weigh as much as the network's spread.
    """

    endpoint: ClassVar[str] = "/resource"
    answers_untrained: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("tickets", "time_entries")

    inputs: tuple[Input, ...] = field(default_factory=ticket_inputs)
    label: Literal["actual_hours", "elapsed_hours"] = "actual_hours"
    usual_hours: float = 1.0
    least_hours: float = 0.05
    most_hours: float = 168.0
    as_of: str = ""
    records: float = 1000.0
    clip: float = 2.0
    learning_rate: float = 12.0
    momentum: float = 0.8
    spread_rate: float = 6.0
    prior_records: float = 10_000.0
    prior_precision: float = 10.0
    own_precision: float = 2.0
    spread_records: float = 100.0

    def __post_init__(self) -> None:
        """Refuse a configuration that cannot train."""
        refuse_unsound(self, "resource", self._rules())

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        names = [one.name for one in self.inputs]
        yield "inputs", bool(names), "at least one input"
        yield "inputs", len(set(names)) == len(names), "a different name for each input"
        taken = sorted({*NAMES, *LABELS} & set(names))
        yield "inputs", not taken, f"names other than {', '.join(taken)}"
        yield "inputs", all(one.optional for one in self.inputs), "inputs that may be left out"
        yield "label", self.label in LABELS, f"one of {', '.join(LABELS)}"
        yield "least_hours", 0 < self.least_hours < self.most_hours, "above 0, below most_hours"
        yield "most_hours", self.most_hours <= MOST_HOURS, f"at most {MOST_HOURS:g}"
        within = self.least_hours <= self.usual_hours <= self.most_hours
        yield "usual_hours", within, "a number from least_hours to most_hours"
        yield "as_of", is_day(self.as_of), "a date such as 2026-03-31, or nothing"
        yield (
            "clip",
            LONGEST < self.clip <= MOST_CLIP,
            f"{LONGEST:.2f} to {MOST_CLIP:g}",
        )
        for name in ("records", "learning_rate", "spread_rate", "spread_records"):
            yield name, 0 < getattr(self, name) < math.inf, "a number above 0"
        yield "prior_records", 0 <= self.prior_records < math.inf, "a number, at least 0"
        for name in ("prior_precision", "own_precision"):
            yield name, 1e-3 <= getattr(self, name) < math.inf, "a number, at least 0.001"
        yield "momentum", 0 <= self.momentum < 1, "a number from 0 up to below 1"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The inputs, the label, and what a request may tell besides."""
        label = Field(
            name=self.label,
            kind="number",
            low=0,
            optional=True,
            description="Hours that it took; records to learn from need it.",
        )
        return (*self.inputs, label, *ASKED)

    def gather(self, tables: Mapping[str, OwnTable]) -> Gathered:
        """Make a record of each ticket that was closed before `as_of`; see `gather_tickets`.

        Raises
        ------
        DataError
            If no date is set, it is not over, or no ticket tells its hours.
        """
        return gather_tickets(tables, self.inputs, self.label, self.as_of, time.time())

    def at_home(self, today: date) -> "ResourceAllocation":
        """Return the agent with today's date, where the configuration names none."""
        return self if self.as_of else replace(self, as_of=today.isoformat())

    def prepare(self, table: Table) -> Data:
        """Return each ticket's cells, shape (n, groups + 1), and its hours, where they are told.

        Raises
        ------
        DataError
            If a value cannot be read, or the hours of a ticket are missing or below 0.
        """
        cells = self._inputs.place(table)
        if self.label not in table:
            return {"cells": cells}
        hours = table[self.label].astype(np.float64)
        if not (hours >= 0).all() or not np.isfinite(hours).all():
            raise DataError(
                f"{self.label}: expected hours of at least 0 for each of {len(hours)} tickets, "
                'found one without; leave it out, or name tables = ["tickets"] in place of table, '
                "which reads a queue with its open tickets"
            )
        return {"cells": cells, "hours": np.clip(hours, self.least_hours, self.most_hours)}

    def init(self) -> State:
        """Return public knowledge: `usual_hours`, and the declared factors."""
        return self._durations.init()

    def layout(self, state: State) -> Layout:
        """Return what is summed: the pull on the weights, and how many misses are too far up."""
        return self._durations.layout()

    def contribute(self, state: State, data: Data) -> Rows:
        """Return each ticket's pull on the weights, and where it lies in the spread.

        Guarantee
        ---------
        A row depends on its own ticket and the public state only, and is at most `clip` long:
        adding or removing a ticket moves the sum by at most that.
        """
        return self._durations.rows(state, *_labelled(data))

    def apply(self, state: State, total: Total) -> State:
        """Take one step with momentum."""
        return self._durations.apply(state, total)

    def predict(self, state: State, data: Data) -> Vector:
        """Return the logarithm of the hours that each ticket takes."""
        return self._durations.logs(state, _cells(data))

    def measure_layout(self) -> Layout:
        """Return what is summed to tell the quality."""
        return quality.LAYOUT

    def measure(self, state: State, data: Data) -> Rows:
        """Return what each ticket adds to the figures of `score`."""
        cells, logs = _labelled(data)
        predicted = self._durations.logs(state, cells)
        bounds = (self.least_hours, self.most_hours)
        return quality.rows(logs, predicted, state["spread"], bounds) * self.measure_clip

    def score(self, total: Total) -> Mapping[str, float]:
        """Return "r2" of log hours, "coverage" and the number of "tickets", as the noise lets."""
        return quality.read({name: block / self.measure_clip for name, block in total.items()})

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return "r2", "mae_log", "coverage" and "flow_time_saving"; see `quality.exactly`."""
        cells, logs = _labelled(data)
        return quality.exactly(logs, self._durations.logs(state, cells), state["spread"])

    def adapt(self, state: State, data: Data) -> State:
        """Fit the member's own tickets around the given model, in private.

        With an untrained state this is a model trained alone, around public knowledge.
        """
        return self._durations.adapt(state, *_labelled(data))

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up tickets; see `made_up_tickets`."""
        bounds = (self.least_hours, self.most_hours)
        return made_up_tickets(self._inputs, bounds, records, seed)

    def answer(self, state: State, table: Table) -> Sequence[ResourceAnswer]:
        """Tell for each request how long its tasks take, and plan them; see `request.ASKED`.

        Raises
        ------
        DataError
            If a request cannot be read or asks for too much.
        """
        return Desk(self._durations, self.label).answer(state, table)

    def answering(self, site: Site) -> Answering:
        """Return `answer` with a member's own tables, which are read again as they change."""
        super().answering(site)
        return Desk(self._durations, self.label, site).answer

    @staticmethod
    def example() -> Data:
        """Return made-up records for a trial of the contract."""
        return ResourceAllocation().simulated(1000, seed=0)

    @property
    def _inputs(self) -> Inputs:
        return Inputs(self.inputs, self.usual_hours)

    @property
    def _durations(self) -> Durations:
        return Durations(
            inputs=self._inputs,
            bounds=(self.least_hours, self.most_hours),
            records=self.records,
            clip=self.clip,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            spread_rate=self.spread_rate,
            prior_records=self.prior_records,
            prior_precision=self.prior_precision,
            own_precision=self.own_precision,
            spread_records=self.spread_records,
        )


def _cells(data: Data) -> Cells:
    return data["cells"].astype(np.int64, copy=False)


def _labelled(data: Data) -> tuple[Cells, Vector]:
    """Return the cells and the logarithms of the hours."""
    if "hours" not in data:
        raise AgentError(
            "resource: expected tickets that tell their hours, found none; map the label's column"
        )
    return _cells(data), np.log(data["hours"].astype(np.float64))
