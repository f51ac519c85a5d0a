"""The contract of an agent: one row per record, and everything else follows.

An agent turns its data into a matrix with one row per record (the privacy unit). The privacy
pipeline clips every row, sums them, adds noise and encrypts; the agent sees only the noised total
and applies it to the public model. A row may depend on its own record and the public state only,
so the sensitivity bound is a fact about the pipeline and not about the agent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.layout import Layout, unpack
from mesh_fl.schema import Field, Table
from mesh_fl.site import Gathered, OwnTable, Site

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Data = Mapping[str, NDArray[np.generic]]
"""Arrays by name; axis 0 is the record."""

State = Mapping[str, NDArray[np.float64]]
"""The public model: exactly what travels."""

# Quoted, since scipy.sparse takes a quarter of a second to load and most agents have no use for it.
Rows: TypeAlias = "NDArray[np.float64] | csr_array[np.float64]"
"""One row per record, shape (n, dim)."""

Total = Mapping[str, NDArray[np.float64]]
"""The noised sum of all clipped rows, cut into named blocks."""

Answering = Callable[[State, Table], Sequence[BaseModel]]
"""Answers for each record of a table with a model, as `Agent.answer` does."""


class Prediction(BaseModel):
    """The plainest answer: what `predict` says of one record."""

    prediction: float | str | list[float]


class Agent(ABC):
    """A learner whose data leaves a site only as a noised, encrypted sum of clipped rows.

    Subclasses are frozen keyword-only dataclasses: their fields are the configuration, part of the
    plan that every member agrees to. No learned state lives in an agent object.

    Only `clip`, `init`, `contribute`, `apply` and `predict` are mandatory.

    Attributes
    ----------
    unit : {"record", "client"}
        What one row stands for. "client" means one row in all, such as a model delta.
    clip : float
        L2 bound that every row of `contribute` is scaled down to.
    measure_clip : float
        L2 bound of the rows of `measure`.
    endpoint : str, optional
        Path that `mesh-client start` serves answers at; /agents/NAME when None.
    answers_untrained : bool
        Whether `init` already holds public knowledge that is worth serving before any training;
        then every field of the configuration has a default.
    reads : tuple of str
        Tables of an MSP (`mesh_fl.msp_tables`) that `gather` makes records of; a record is a row
        of the first, with what the others tell of it.
    """

    unit: ClassVar[Literal["record", "client"]] = "record"
    endpoint: ClassVar[str | None] = None
    answers_untrained: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()
    clip: float
    measure_clip: float = 1.0

    @property
    def schema(self) -> tuple[Field, ...]:
        """The columns that `prepare` reads; empty for an agent that is handed arrays."""
        return ()

    @property
    def borrows(self) -> str:
        """The agent whose records this one learns from; empty for records of its own."""
        return ""

    def gather(self, tables: Mapping[str, OwnTable]) -> Gathered:
        """Make records of several tables, as a member does that names `tables` and not one table.

        A record may depend on the rows of its own id only, in whichever table, and on the public
        configuration.

        Parameters
        ----------
        tables : mapping
            Those of `reads` that the member lets it read.

        Raises
        ------
        DataError
            If they hold no record.
        """
        raise AgentError(f'{type(self).__name__} reads one table: name it by table = "..."')

    def at_home(self, today: date) -> "Agent":
        """Return the agent as it fits the public model to a member's own records, for itself alone.

        A training needs a moment that all members share, in its configuration; at home today is as
        good as any.
        """
        return self

    def prepare(self, table: Table) -> Data:
        """Turn a table into arrays, record by record: nothing may be fitted on private data."""
        return table

    def why_idle(self, table: Table) -> str:
        """Say why most records of a table teach nothing; empty where no one reason is known.

        Parameters
        ----------
        table : Table
            As `prepare` takes it.
        """
        return ""

    @abstractmethod
    def init(self) -> State:
        """Return the public model before any training; the same on every call."""

    def layout(self, state: State) -> Layout:
        """Name the blocks of a row; by default those of the state, in order."""
        return {name: value.shape for name, value in state.items()}

    @abstractmethod
    def contribute(self, state: State, data: Data) -> Rows:
        """Return one row per record. No randomness, no side effect."""

    def contribute_many(self, state: State, shards: Sequence[Data]) -> Sequence[Rows]:
        """Return the rows of several clients, for simulations; override it to compute them at once.

        They must be what `contribute` returns for each client alone, up to rounding.
        """
        return [self.contribute(state, shard) for shard in shards]

    @abstractmethod
    def apply(self, state: State, total: Total) -> State:
        """Return the next model. Pure and deterministic."""

    @abstractmethod
    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        """Answer for each record, with whichever model is given."""

    def measure_layout(self) -> Layout:
        """Name the blocks of what `measure` sums; empty when the agent measures nothing."""
        return {}

    def measure(self, state: State, data: Data) -> Rows:
        """Return one row per record whose sum tells the quality; charged like training."""
        raise AgentError(f"{type(self).__name__} declares no measure: plan it with measures = 0")

    def score(self, total: Total) -> Mapping[str, float]:
        """Read quality figures from the summed rows of `measure`."""
        raise AgentError(f"{type(self).__name__} declares no score: plan it with measures = 0")

    def evaluate(self, state: State, data: Data) -> Mapping[str, float]:
        """Return quality figures on records at hand; they stay at their owner, and cost nothing.

        By default those of `score`, from sums without noise.
        """
        rows = self.measure(state, data)
        return self.score(unpack(self.measure_layout(), np.asarray(rows.sum(axis=0)).ravel()))

    def adapt(self, state: State, data: Data) -> State:
        """Return a local model around the global one; it never leaves the client."""
        return state

    def export(self, state: State) -> str:
        """Return a model as a text that another program loads.

        Raises
        ------
        AgentError
            If no other program knows such models.
        """
        raise AgentError(f"{type(self).__name__} has no model that another program loads")

    def simulated(self, records: int, seed: int) -> Data:
        """Return made-up records with something to learn, prepared.

        They let a crowd be tried for size where no public data are at hand.
        """
        raise AgentError(f"{type(self).__name__} makes up no records: name public data")

    def answer(self, state: State, table: Table) -> Sequence[BaseModel]:
        """Answer for each record of a table in words that people act on."""
        predictions = self.predict(state, self.prepare(table))
        return [Prediction(prediction=value) for value in predictions.tolist()]

    def answering(self, site: Site) -> Answering:
        """Return `answer` with what a member has at hand; by default it needs none of it.

        Reference files are public knowledge that answers cite, such as catalogues; they are read
        here, once, and not for each answer. Nothing is learned from any of it.

        Raises
        ------
        ConfigError
            If a file is none that the agent knows, is missing or cannot be read.
        """
        if site.files:
            raise ConfigError(
                f"{type(self).__name__} takes no reference files, found {', '.join(site.files)}"
            )
        return self.answer
