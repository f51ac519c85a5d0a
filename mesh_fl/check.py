"""Find out whether an agent keeps its contract: law, evidence, remedy."""

import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data
from mesh_fl.errors import AgentError, DataError
from mesh_fl.laws import learning, model, purity, rows
from mesh_fl.laws.case import Case, Quality, attributes
from mesh_fl.laws.law import BreachError, Law, UncheckedError
from mesh_fl.laws.variation import copied
from mesh_fl.schema import Table

__all__ = ["LAWS", "Finding", "Quality", "Report", "check_agent"]

Outcome = Literal["passed", "failed", "not checked"]

LAWS: tuple[Law, ...] = (
    model.configuration_survives_json,
    model.limits_are_sound,
    purity.init_is_constant,
    rows.rows_have_the_layout,
    rows.rows_are_finite,
    rows.one_record_one_row,
    rows.order_does_not_matter,
    rows.shards_add_up,
    rows.many_are_each,
    rows.bad_record_stays_alone,
    rows.empty_shard,
    model.prepare_is_record_by_record,
    purity.nothing_is_mutated,
    purity.same_call_same_answer,
    purity.same_in_another_process,
    model.state_stays_sound,
    model.state_survives_the_wire,
    model.predicts_before_learning,
    model.score_reads_noise,
    model.adapt_keeps_the_blocks,
    learning.learns_without_noise,
    learning.learns_at_modest_epsilon,
    purity.no_learned_state,
)
"""In the order in which they are tried; each can be understood once those before it hold."""

FEWEST_RECORDS = 4


@dataclass(frozen=True)
class Finding:
    """What came out of one law.

    Attributes
    ----------
    check : str
        Name of the law.
    law : str
        The law in one sentence.
    outcome : {"passed", "failed", "not checked"}
    evidence : str
        What was seen, or why nothing could be.
    remedy : str
        What to do about a breach.
    """

    check: str
    law: str
    outcome: Outcome
    evidence: str
    remedy: str

    def __str__(self) -> str:
        lines = [
            f"{self.outcome:<12} {self.check}" + (f": {self.evidence}" if self.evidence else "")
        ]
        if self.outcome == "failed":
            lines += [f"    law: {self.law}", f"    remedy: {self.remedy}"]
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """What came out of all laws.

    Attributes
    ----------
    agent : str
        The agent's class, as package.module:Class.
    findings : tuple of Finding
        One for each of `LAWS`, in order.
    """

    agent: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Tell whether no law is broken; some may not have been checked."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Return the breaches."""
        return tuple(finding for finding in self.findings if finding.outcome == "failed")

    def require(self) -> None:
        """Insist on a sound agent.

        Raises
        ------
        AgentError
            With every breach and its remedy.
        """
        if not self.passed:
            raise AgentError(
                "\n".join([f"{self.agent} breaks its contract:", *map(str, self.failed)])
            )

    def __str__(self) -> str:
        return "\n".join([f"agent {self.agent}", *map(str, self.findings)])


def check_agent(
    agent: Agent,
    data: Data,
    *,
    table: Table | None = None,
    quality: Quality | None = None,
    rounds: int = 16,
    members: int = 5,
    epsilon: float = 8.0,
    margin: float = 0.02,
    seed: int = 0,
) -> Report:
    """Try every law of the contract on an agent.

    Parameters
    ----------
    agent : Agent
        Configured as it will be used; a broken one is reported, never raised.
    data : Data
        Arrays by record, as `prepare` gives them; at least 4 records, and some hundreds
        to see learning.
    table : Table, optional
        Some records as `prepare` reads them.
    quality : callable, optional
        ``quality(agent, state, data)``, the larger the better; by default the first of auc,
        accuracy and r2, or else minus brier or loss, that the agent measures.
    rounds, members : int
        Of the trial trainings.
    epsilon : float
        Of the private one.
    margin : float
        Gain, relative to the larger of both figures, that counts as learning; half of it is asked
        of the private training.
    seed : int
        Of all noise and order.

    Returns
    -------
    Report

    Raises
    ------
    AgentError
        If `agent` is no instance of `Agent`.
    DataError
        If the data are no arrays of one length, or too few.
    """
    if not isinstance(agent, Agent):
        raise AgentError(f"expected an instance of mesh_fl.Agent, got {agent!r}")
    case = Case(
        agent=agent,
        data=_sound(data, FEWEST_RECORDS),
        table=None if table is None else _sound(table, 1),
        quality=quality,
        rounds=rounds,
        members=members,
        epsilon=epsilon,
        margin=margin,
        seed=seed,
        born=attributes(agent),
    )
    return Report(case.name, tuple(_findings(case, LAWS)))


def _findings(case: Case, laws: Sequence[Law]) -> Iterator[Finding]:
    broken: list[str] = []
    for law in laws:
        if law is learning.learns_at_modest_epsilon and broken:
            reason = f"repair first: {', '.join(broken)}"
            yield Finding(law.name, law.text, "not checked", reason, law.remedy)
            continue
        outcome, evidence = _try(law, case)
        if outcome == "failed":
            broken.append(law.name)
        yield Finding(law.name, law.text, outcome, evidence, law.remedy)


def _try(law: Law, case: Case) -> tuple[Outcome, str]:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "passed", law.probe(case)
    except UncheckedError as reason:
        return "not checked", str(reason)
    except BreachError as breach:
        return "failed", str(breach)
    except (Exception, SystemExit) as error:
        # Whatever a stranger's code raises is evidence against it.
        return "failed", _raised(error, case.agent)


def _raised(error: BaseException, agent: Agent) -> str:
    source = getattr(sys.modules.get(type(agent).__module__), "__file__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == source]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"raises {type(error).__name__}: {error}{where}"


def _sound(data: Data, fewest: int) -> Data:
    found = {name: np.shape(values) for name, values in data.items()}
    lengths = {shape[:1] for shape in found.values()}
    if len(lengths) != 1 or () in lengths or max(lengths)[0] < fewest:
        raise DataError(f"expected arrays of one length, at least {fewest} records, found {found}")
    if not all(_plain(np.asarray(values)) for values in data.values()):
        raise DataError("expected arrays of numbers or text, found Python objects: convert them")
    return copied({name: np.asarray(values) for name, values in data.items()})


def _plain(values: NDArray[np.generic]) -> bool:
    """Return whether an array holds numbers or text; texts of any length come as objects."""
    return not values.dtype.hasobject or all(isinstance(one, str) for one in values.flat)
