"""An agent on trial: its data, the states that it passes through, and its rows."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.errors import AgentError
from mesh_fl.laws.variation import copied, copied_floats, spread
from mesh_fl.layout import Layout, size, unpack
from mesh_fl.privacy.clipping import choose_scale, sum_rows
from mesh_fl.registry import build, config_of
from mesh_fl.schema import Table

Quality = Callable[[Agent, State, Data], float]
"""A figure of merit: the larger, the better."""

Method = Literal["contribute", "measure"]
Matrix = NDArray[np.float64]

FEW = 24
MANY = 512
LARGEST = 1 << 22
NOISY_ROUNDS = 3
UNTRAINED = "before learning"
MOVED = f"after {NOISY_ROUNDS} noisy rounds"


@dataclass(frozen=True)
class Turn:
    """One way to ask an agent for rows.

    Parameters
    ----------
    agent : Agent
    method : {"contribute", "measure"}
    stage : str
        Which state this is, in words.
    state : State
    """

    agent: Agent
    method: Method
    stage: str
    state: State

    def __str__(self) -> str:
        return f"{self.method} {self.stage}"

    @property
    def layout(self) -> Layout:
        """Return the layout that the rows must have."""
        if self.method == "measure":
            return self.agent.measure_layout()
        return self.agent.layout(copied_floats(self.state))

    def raw(self, data: Data) -> Rows:
        """Ask for rows, with copies of everything."""
        ask = self.agent.contribute if self.method == "contribute" else self.agent.measure
        return ask(copied_floats(self.state), copied(data))

    def rows(self, data: Data) -> Matrix:
        """Ask for rows, and return them dense."""
        return dense(self.raw(data))

    def total(self, data: Data) -> Total:
        """Return the clipped sum of the rows, without noise."""
        clip = self.agent.clip if self.method == "contribute" else self.agent.measure_clip
        return clipped_sum(self.raw(data), self.layout, clip)


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that the laws try an agent on.

    Parameters
    ----------
    agent : Agent
    data : Data
        Copied from the caller's.
    table : Table, optional
        What `prepare` would read.
    quality : callable, optional
        Tells how well a state answers.
    rounds, members : int
        Of the trial trainings.
    epsilon : float
        Of the private trial training.
    margin : float
        Relative gain that counts as learning.
    seed : int
        Of noise and order.
    born : dict of str to str
        The agent's `attributes` before anything was asked of it.
    """

    agent: Agent
    data: Data
    table: Table | None
    quality: Quality | None
    rounds: int
    members: int
    epsilon: float
    margin: float
    seed: int
    born: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return what the registry imports the agent by."""
        return f"{type(self.agent).__module__}:{type(self.agent).__qualname__}"

    @property
    def measures(self) -> bool:
        """Tell whether the agent declares what it measures."""
        return size(self.agent.measure_layout()) > 0

    @cached_property
    def few(self) -> Data:
        """Records enough to tell them apart, few enough to leave out each in turn."""
        return spread(self.data, self._fitting(FEW))

    @cached_property
    def many(self) -> Data:
        """As many records as fit dense rows."""
        return spread(self.data, self._fitting(MANY))

    @cached_property
    def stages(self) -> Mapping[str, State]:
        """Return the initial state and, if the agent gets that far, one that noise has moved."""
        stages: dict[str, State] = {UNTRAINED: copied_floats(self.agent.init())}
        try:
            stages[MOVED] = self._moved(stages[UNTRAINED])
        except Exception:
            # A law of its own tells why `apply` fails; the others go on with what there is.
            return stages
        return stages

    def turns(self) -> Iterator[Turn]:
        """Return every way to ask for rows."""
        methods: list[Method] = ["contribute", "measure"] if self.measures else ["contribute"]
        for method in methods:
            for stage, state in self.stages.items():
                yield Turn(self.agent, method, stage, state)

    def generator(self) -> np.random.Generator:
        """Return the generator of all that is random here; the same on every call."""
        return np.random.default_rng(self.seed)

    def rebuilt(self) -> Agent:
        """Return another instance, made as a member makes it.

        Raises
        ------
        AgentError
            If the class or its configuration does not allow it.
        """
        try:
            config = json.loads(config_of(self.agent))
        except Exception as error:
            raise AgentError(f"the configuration cannot be written as JSON: {error}") from error
        return build(self.name, config)

    def _fitting(self, most: int) -> int:
        dimension = size(self.agent.layout(self.agent.init()))
        return int(np.clip(LARGEST // max(dimension, 1), 4, most))

    def _moved(self, state: State) -> State:
        random = self.generator()
        for _ in range(NOISY_ROUNDS):
            exact = Turn(self.agent, "contribute", "", state).total(self.few)
            total = noisy(exact, 5 * self.agent.clip, random)
            state = copied_floats(self.agent.apply(copied_floats(state), total))
        return state


def attributes(agent: Agent) -> dict[str, str]:
    """Return everything that an agent object holds, in words, since arrays do not compare."""
    fields = getattr(agent, "__dataclass_fields__", {})
    held = {name: getattr(agent, name, None) for name in fields}
    return {name: repr(value) for name, value in (held | getattr(agent, "__dict__", {})).items()}


def dense(rows: Rows) -> Matrix:
    """Return rows as a dense matrix."""
    if not isinstance(rows, np.ndarray):
        rows = rows.toarray()
    return np.array(rows, dtype=np.float64)


def clipped_sum(rows: Rows, layout: Layout, clip: float) -> Total:
    """Clip, round and add rows as a member does, and cut the sum into blocks."""
    dimension = size(layout)
    scale = choose_scale(clip, dimension)
    return unpack(layout, sum_rows(rows, clip, scale, dimension) / scale)


def noisy(total: Total, sigma: float, random: np.random.Generator) -> Total:
    """Return a total with Gaussian noise of standard deviation `sigma`."""
    return {name: block + random.normal(0, sigma, block.shape) for name, block in total.items()}
