"""A sound agent, and what it takes to break each law: one small slip a class."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from mesh_fl import Agent, Data, Field, Rows, State, Table, Total
from mesh_fl.laws.case import dense
from mesh_fl.layout import Layout, unpack

RECORDS = 400


def table(records: int = RECORDS) -> Table:
    random = np.random.default_rng(5)
    tickets, tenure = random.uniform(0, 40, records), random.uniform(0, 72, records)
    left = random.random(records) < expit((tickets - 20) / 6 - (tenure - 36) / 12)
    return {"tickets": tickets, "tenure": tenure, "left": left.astype(np.float64)}


@dataclass(frozen=True, kw_only=True)
class Sound(Agent):
    """Logistic regression with everything that an agent may have."""

    clip: float = 1.0
    measure_clip: float = 1.0
    rate: float = 2.0
    records: float = RECORDS
    words: tuple[str, ...] = ("tickets", "tenure")

    @property
    def schema(self) -> tuple[Field, ...]:
        return (
            Field(name="tickets", kind="number", low=0, high=40),
            Field(name="tenure", kind="number", low=0, high=72),
            Field(name="left", kind="flag"),
        )

    def prepare(self, table: Table) -> Data:
        tickets, tenure = (np.asarray(table[name], np.float64) for name in self.words)
        x = np.column_stack([tickets / 20 - 1, tenure / 36 - 1, np.ones(len(tickets))])
        return {"x": x, "y": np.asarray(table["left"], np.float64)}

    def init(self) -> State:
        return {"weights": np.zeros(3), "rounds": np.array(0.0)}

    def layout(self, state: State) -> Layout:
        return {"gradient": (3,)}

    def contribute(self, state: State, data: Data) -> Rows:
        x, y = _floats(data)
        return x * (expit(x @ state["weights"]) - y)[:, None]

    def apply(self, state: State, total: Total) -> State:
        step = self.rate * total["gradient"] / self.records
        return {"weights": state["weights"] - step, "rounds": np.asarray(state["rounds"] + 1)}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        return expit(_floats(data)[0] @ state["weights"])

    def measure_layout(self) -> Layout:
        return {"hits": (2,)}

    def measure(self, state: State, data: Data) -> Rows:
        y = _floats(data)[1]
        hits = (np.asarray(self.predict(state, data), np.float64) > 0.5) == (y > 0.5)
        return csr_array(np.column_stack([hits, ~hits]).astype(np.float64))

    def score(self, total: Total) -> Mapping[str, float]:
        hits, misses = np.maximum(total["hits"], 0)
        return {"accuracy": float(hits / (hits + misses)) if hits + misses else float("nan")}

    def adapt(self, state: State, data: Data) -> State:
        return {**state, "own": np.zeros(1)}


def _floats(data: Data) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(data["x"], np.float64), np.asarray(data["y"], np.float64)


BROKEN: list[tuple[str, type[Agent]]] = []


def breaks(law: str) -> Callable[[type[Any]], type[Any]]:
    def note(cls: type[Any]) -> type[Any]:
        whole = dataclass(frozen=True, kw_only=True)(cls)
        BROKEN.append((law, whole))
        return whole

    return note


@breaks("configuration survives json")
class HoldsAnArray(Sound):
    start: Any = field(default_factory=lambda: np.zeros(3))


@breaks("configuration survives json")
class ForgetsAField(Sound):
    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", self.rate + 1)


class NoDataclass(Agent):
    clip = 1.0

    def init(self) -> State:
        return {"mean": np.zeros(3)}

    def contribute(self, state: State, data: Data) -> Rows:
        return _floats(data)[0]

    def apply(self, state: State, total: Total) -> State:
        return {"mean": total["mean"] / RECORDS}

    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        return _floats(data)[0] @ state["mean"]


@dataclass(kw_only=True)
class NotFrozen(NoDataclass):
    clip: float = 1.0


BROKEN += [("configuration survives json", NoDataclass), ("configuration survives json", NotFrozen)]


@breaks("limits are sound")
class NoClip(Sound):
    clip: float = 0.0


@breaks("limits are sound")
class EndlessMeasureClip(Sound):
    measure_clip: float = 1e400


@breaks("limits are sound")
class OddUnit(Sound):
    unit = "site"  # type: ignore[assignment]


@breaks("init is constant")
class RandomStart(Sound):
    def init(self) -> State:
        return {"weights": np.random.default_rng().normal(size=3), "rounds": np.array(0.0)}


_STARTS = itertools.count()


@breaks("init is constant")
class CountsStarts(Sound):
    def init(self) -> State:
        return {"weights": np.full(3, 1e-3 * next(_STARTS)), "rounds": np.array(0.0)}


@breaks("rows have the layout")
class SinglePrecision(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        single: Any = rows.astype(np.float32)
        return single  # type: ignore[no-any-return]


@breaks("rows have the layout")
class ListOfRows(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows.tolist()  # type: ignore[no-any-return]


@breaks("rows have the layout")
class TooWide(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return np.hstack([rows, rows])


@breaks("rows have the layout")
class SumsByItself(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return np.atleast_2d(rows.sum(axis=0))


@breaks("rows have the layout")
class LayoutGrows(Sound):
    def layout(self, state: State) -> Layout:
        return {"gradient" if state["rounds"] < 1 else "slope": (3,)}

    def apply(self, state: State, total: Total) -> State:
        return super().apply(state, {"gradient": next(iter(total.values()))})


@breaks("rows are finite")
class DividesByZero(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows / _floats(data)[1][:, None]


@breaks("one record one row")
class Centres(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows - rows.mean(axis=0) if len(rows) else rows


@breaks("one record one row")
class CentresOnceTrained(Sound):
    """Innocent until noise has moved the model."""

    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(Sound.contribute(self, state, data))
        return rows - rows.mean(axis=0) if len(rows) and state["rounds"] > 0 else rows


@breaks("one record one row")
class DividesByTheLargest(Sound):
    """Only the record with the largest value gives it away."""

    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows / float(np.abs(_floats(data)[0][:, :2]).max(initial=1e-9))


@breaks("one record one row")
class MeasuresRanks(Sound):
    def measure(self, state: State, data: Data) -> Rows:
        risk = np.asarray(self.predict(state, data), np.float64) + _floats(data)[0][:, 0]
        above = risk > np.median(risk) if len(risk) else risk > 0
        return np.column_stack([above, ~above]).astype(np.float64)


@breaks("order does not matter")
class RunningMean(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return np.cumsum(rows, axis=0) / (1 + np.arange(len(rows)))[:, None]


@breaks("shards add up")
class DividesByTheCount(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows / max(1, len(rows))


@breaks("shards add up")
class WeighsRareRecords(Sound):
    """Without twins in the data, only adding some shows it."""

    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        _, place, times = np.unique(
            _floats(data)[0], axis=0, return_inverse=True, return_counts=True
        )
        return rows / times[place.ravel()][:, None]


@breaks("many are each")
class TrainsClientsInTurn(Sound):
    """What one client learned is where the next one starts."""

    def contribute_many(self, state: State, shards: Sequence[Data]) -> Sequence[Rows]:
        rows = []
        for shard in shards:
            rows.append(self.contribute(state, shard))
            total = unpack(self.layout(state), dense(rows[-1]).sum(axis=0))
            state = self.apply(state, total)
        return rows


@breaks("bad record stays alone")
class RefusesNan(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        if np.isnan(_floats(data)[0]).any():
            raise ValueError("NaN in the data")
        return super().contribute(state, data)


@breaks("bad record stays alone")
class GivesUpOnInfinity(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows * float(np.isfinite(_floats(data)[0]).all())


@breaks("empty shard")
class NeedsRecords(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        assert float(_floats(data)[0].max()) is not None
        return super().contribute(state, data)


@breaks("empty shard")
class ForgetsTheWidth(Sound):
    def measure(self, state: State, data: Data) -> Rows:
        return super().measure(state, data) if len(data["x"]) else np.zeros((0, 0))


@breaks("prepare is record by record")
class Standardises(Sound):
    def prepare(self, table: Table) -> Data:
        data = dict(super().prepare(table))
        x: Any = data["x"]
        return data | {"x": x - x.mean(axis=0)} if len(x) else data


@breaks("nothing is mutated")
class StepsInPlace(Sound):
    def apply(self, state: State, total: Total) -> State:
        weights = state["weights"]
        weights -= self.rate * total["gradient"] / self.records
        return {"weights": weights, "rounds": np.asarray(state["rounds"] + 1)}


@breaks("nothing is mutated")
class RepairsTheTotal(Sound):
    def score(self, total: Total) -> Mapping[str, float]:
        np.maximum(total["hits"], 0, out=total["hits"])
        return super().score(total)


@breaks("nothing is mutated")
class AddsAColumn(Sound):
    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        data["risk"] = super().predict(state, data)  # type: ignore[index]
        return data["risk"]


@breaks("nothing is mutated")
class WritesAndRestores(Sound):
    """Leaves no trace, but cannot work on what others may read meanwhile."""

    def contribute(self, state: State, data: Data) -> Rows:
        x: Any = data["x"]
        x *= -1.0
        rows = dense(super().contribute({**state, "weights": -state["weights"]}, data))
        x *= -1.0
        return -rows


@breaks("same call same answer")
class AddsItsOwnNoise(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows + np.random.default_rng().normal(0, 1e-3, rows.shape)


_SEEN: list[float] = []


@breaks("same call same answer")
class RemembersTheLast(Sound):
    def apply(self, state: State, total: Total) -> State:
        _SEEN.append(float(total["gradient"][0]))
        return super().apply(state, {"gradient": total["gradient"] + sum(_SEEN[-5:])})


@breaks("same in another process")
class HashesWords(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = dense(super().contribute(state, data))
        return rows * (1 + hash(self.words[0]) % 10**6 / 10**6)


@breaks("state stays sound")
class SinglePrecisionState(Sound):
    def apply(self, state: State, total: Total) -> State:
        after: Any = super().apply(state, total)
        return {name: block.astype(np.float32) for name, block in after.items()}


@breaks("state stays sound")
class KeepsAHistory(Sound):
    def apply(self, state: State, total: Total) -> State:
        after = super().apply(state, total)
        return {**after, "rounds": np.append(state["rounds"], 1.0)}


@breaks("state stays sound")
class SwapsBlocks(Sound):
    def apply(self, state: State, total: Total) -> State:
        after = super().apply(state, total)
        return {name: after[name] for name in reversed(list(after))}


@breaks("state stays sound")
class DividesByTheTotal(Sound):
    def apply(self, state: State, total: Total) -> State:
        gradient = total["gradient"]
        return super().apply(state, {"gradient": gradient / np.sqrt(gradient @ gradient)})


@breaks("state survives the wire")
class ReservedName(Sound):
    def init(self) -> State:
        return {**super().init(), "__metadata__": np.zeros(1)}

    def apply(self, state: State, total: Total) -> State:
        return {**super().apply(state, total), "__metadata__": np.zeros(1)}


@breaks("state survives the wire")
class NumbersItsBlocks(Sound):
    def init(self) -> State:
        return {**super().init(), 7: np.zeros(1)}  # type: ignore[dict-item]

    def apply(self, state: State, total: Total) -> State:
        return {**super().apply(state, total), 7: np.zeros(1)}  # type: ignore[dict-item]


@breaks("predicts before learning")
class WaitsForTraining(Sound):
    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        if state["rounds"] == 0:
            raise RuntimeError("not trained")
        return super().predict(state, data)


@breaks("predicts before learning")
class OneAnswerForAll(Sound):
    def predict(self, state: State, data: Data) -> NDArray[np.generic]:
        answers: Any = super().predict(state, data)
        return np.full(1, answers.mean())


@breaks("score reads noise")
class TrustsCounts(Sound):
    def score(self, total: Total) -> Mapping[str, float]:
        return {"accuracy": float(np.prod(np.sqrt(total["hits"])))}


@breaks("score reads noise")
class DividesByTheSum(Sound):
    def score(self, total: Total) -> Mapping[str, float]:
        return {"accuracy": float(total["hits"][0]) / float(total["hits"].sum())}


@breaks("adapt keeps the blocks")
class DropsABlock(Sound):
    def adapt(self, state: State, data: Data) -> State:
        return {"weights": state["weights"]}


@breaks("adapt keeps the blocks")
class ReshapesABlock(Sound):
    def adapt(self, state: State, data: Data) -> State:
        return {**state, "weights": state["weights"][None]}


@breaks("learns without noise")
class StepsUphill(Sound):
    rate: float = -2.0


@breaks("learns without noise")
class IgnoresTheTotal(Sound):
    """Gets better by itself: the answer is in the code."""

    def apply(self, state: State, total: Total) -> State:
        known = np.array([3.0, -3.0, 0.0])
        return {"weights": known, "rounds": np.asarray(state["rounds"] + 1)}


@breaks("learns at modest epsilon")
class RejectsOutliers(Sound):
    """Starts anew when a total exceeds what rows could make, as the noise of a wide clip does."""

    clip: float = 300.0

    def apply(self, state: State, total: Total) -> State:
        if np.abs(total["gradient"]).max() > self.records / 2:
            return self.init()
        return super().apply(state, total)


@breaks("no learned state")
class Caches(Sound):
    def contribute(self, state: State, data: Data) -> Rows:
        rows = super().contribute(state, data)
        object.__setattr__(self, "last", len(data["x"]))
        return rows
