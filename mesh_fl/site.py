"""What a member has at hand to answer with: its files, its tables, its other agents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mesh_fl.errors import AgentError
from mesh_fl.schema import Field, Table
from mesh_fl.training_facts import TrainingFacts

Files = Mapping[str, Path]
"""A member's own reference files by the names that an agent knows them by."""

Ask = Callable[[str, Mapping[str, object]], Mapping[str, object]]
"""Answers by another agent: its registered name and a request's fields, as over HTTP."""


@dataclass(frozen=True)
class OwnRows:
    """The good rows of a table.

    Parameters
    ----------
    table : Table
        A column for each field; a field that the file lacks is empty throughout.
    left_out : int
        Rows that could not be read.
    """

    table: Table = field(repr=False)
    left_out: int = 0


@dataclass(frozen=True)
class Gathered:
    """Records that an agent made of several tables.

    Parameters
    ----------
    ids : tuple of str
        One id a record, all different: those of the first table that the agent reads.
    table : Table
        A column for each field of the agent's schema, one entry a record.
    """

    ids: tuple[str, ...] = field(repr=False)
    table: Table = field(repr=False)


class OwnTable(ABC):
    """One of a member's tables, read when it is needed."""

    @property
    @abstractmethod
    def stamp(self) -> tuple[int, ...]:
        """What changes when the file does."""

    @abstractmethod
    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        """Read the good rows.

        Parameters
        ----------
        schema : tuple of Field
            What to read, through the member's column map.
        key : str
            The field that holds the record's id.

        Raises
        ------
        DataError
            If the file cannot be read or has no good row.
        """


def _nobody(agent: str, fields: Mapping[str, object]) -> Mapping[str, object]:
    raise AgentError(f"agent {agent} does not answer here: opt into it in client.toml")


def _no_trainings() -> Sequence[TrainingFacts]:
    return ()


@dataclass(frozen=True)
class Site:
    """What a member has at hand to answer with; none of it leaves.

    Parameters
    ----------
    files : mapping
        Reference files.
    tables : mapping
        The tables of client.toml.
    ask : callable
        Raises AgentError where an agent does not answer here.
    trainings : callable
        What is known here of the trainings that this member took part in, the oldest first.
    """

    files: Files = field(default_factory=dict)
    tables: Mapping[str, OwnTable] = field(default_factory=dict)
    ask: Ask = _nobody
    trainings: Callable[[], Sequence[TrainingFacts]] = _no_trainings
