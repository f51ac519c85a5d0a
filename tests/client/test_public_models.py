"""Models that are served before any training, with the member's reference files at hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from pydantic import BaseModel

from mesh_fl.agent import Agent, Answering, Data, State, Total
from mesh_fl.agents.health import ClientHealth, Feature
from mesh_fl.client.models import PUBLIC, ModelCard, Models
from mesh_fl.errors import AgentError, ConfigError, DataError
from mesh_fl.schema import Field, Table
from mesh_fl.seat import Dataset, Holding
from mesh_fl.site import Site

READ: list[str] = []


class Said(BaseModel):
    said: str


@dataclass(frozen=True, kw_only=True)
class Oracle(Agent):
    """Says what stands in its file."""

    answers_untrained: ClassVar[bool] = True
    clip: float = 1.0

    @property
    def schema(self) -> tuple[Field, ...]:
        return (Field(name="n", kind="number"),)

    def init(self) -> State:
        return {"w": np.zeros(1)}

    def contribute(self, state: State, data: Data) -> np.ndarray:
        return np.zeros((len(data["n"]), 1))

    def apply(self, state: State, total: Total) -> State:
        return state

    def predict(self, state: State, data: Data) -> np.ndarray:
        return np.zeros(len(data["n"]))

    def adapt(self, state: State, data: Data) -> State:
        return {"w": data["n"].astype(np.float64).mean(keepdims=True)}

    def answering(self, site: Site) -> Answering:
        if not site.files:
            return self.answer
        text = site.files["book"].read_text()
        READ.append(text)

        def answer(state: State, table: Table) -> Sequence[BaseModel]:
            return [Said(said=text) for _ in table["n"]]

        return answer


NAME = f"{__name__}:Oracle"
TABLE = {"n": np.array([1.0, 2.0])}


@pytest.fixture(autouse=True)
def nothing_read():
    READ.clear()


def test_a_public_model_is_served_with_its_files(tmp_path) -> None:
    (tmp_path / "book").write_text("wisdom")
    told: list[ModelCard] = []
    models = Models(told.append, lambda name: Site({"book": tmp_path / "book"}))
    models.read_files(NAME)
    models.take_public(NAME)
    served = models.newest(NAME)
    assert (served.card.version, served.card.round, served.card.epsilon) == (PUBLIC, 0, 0.0)
    assert told == [served.card]
    assert served.answer(TABLE) == [Said(said="wisdom"), Said(said="wisdom")]
    served.answer(TABLE)
    models.take_public(NAME)
    assert READ == ["wisdom"]
    assert len(told) == 1


def test_a_missing_file_is_no_silent_loss(tmp_path) -> None:
    models = Models(site_of=lambda name: Site({"book": tmp_path / "none"}))
    with pytest.raises(FileNotFoundError):
        models.read_files(NAME)
    assert models.served() == {}


def test_an_agent_without_files_takes_none() -> None:
    agent = ClientHealth(features=(Feature(name="n", kind="number", low=0, high=1),), records=1)
    assert agent.answering(Site()) == agent.answer
    with pytest.raises(ConfigError, match="takes no reference files, found kev"):
        agent.answering(Site({"kev": Path("kev.csv")}))


@dataclass(frozen=True, kw_only=True)
class Choosy(Oracle):
    """Answers about nothing in particular until it is configured."""

    subject: str


def test_an_agent_that_needs_a_configuration_is_not_public() -> None:
    with pytest.raises(AgentError, match="cannot be configured so"):
        Models().read_files(f"{__name__}:Choosy")


def holding(data: Data) -> Holding:
    return Holding(lambda config: Oracle(), lambda agent: Dataset(data, "t", ("a",)))


def test_a_public_model_is_fitted_to_our_own_records() -> None:
    models = Models()
    models.take_public(NAME)
    models.adapt_public([NAME], {NAME: holding({"n": np.array([7.0])})})
    served = models.newest(NAME)
    assert (served.card.version, served.card.adapted) == (PUBLIC, True)
    assert served.state["w"] == 7.0


def test_records_that_cannot_be_read_leave_it_as_it_is() -> None:
    models = Models()
    models.take_public(NAME)
    before = models.newest(NAME)

    def broken(agent: Agent) -> Dataset:
        raise DataError("no such table")

    models.adapt_public([NAME], {NAME: Holding(lambda config: Oracle(), broken)})
    assert models.newest(NAME) is before


def test_a_trained_model_that_came_meanwhile_is_kept() -> None:
    models = Models()
    models.take_public(NAME)
    trained = replace(models.newest(NAME), card=models.newest(NAME).card)

    def slow(agent: Agent) -> Dataset:
        models._served[NAME] = trained
        return Dataset({"n": np.array([7.0])}, "t", ("a",))

    models.adapt_public([NAME], {NAME: Holding(lambda config: Oracle(), slow)})
    assert models.newest(NAME) is trained
