"""What the parts of a row are as wide as, and what each is multiplied by."""

from dataclasses import dataclass
from typing import Literal

from mesh_fl.agents._histogram import EMPTY
from mesh_fl.agents.market.figures import Figure
from mesh_fl.agents.market.quality import EIGHTHS
from mesh_fl.agents.market.rows import weight
from mesh_fl.agents.market.sentiment import SIGNS, declared
from mesh_fl.agents.market.topics import topics

Part = Literal["figures", "sentiment", "topics"]

PARTS: tuple[Part, ...] = ("figures", "sentiment", "topics")


@dataclass(frozen=True)
class Parts:
    """The parts that a configuration learns; the parameters are those of `MarketIntelligence`."""

    figures: tuple[Figure, ...]
    segments: tuple[str, ...]
    periods: tuple[str, ...]
    learns: tuple[Part, ...]
    clip: float

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells of each figure: its bins in every segment, and in all others together."""
        return tuple((len(self.segments) + 1) * one.bins for one in self.figures)

    @property
    def figures_shape(self) -> tuple[int, int]:
        """Figures, and the cells of the largest with the empty ones."""
        return len(self.figures), max(self.cells) + EMPTY

    @property
    def trend_cells(self) -> int:
        """Cells of the topics: periods, topics, signs."""
        return max(1, len(self.periods)) * len(topics()) * len(SIGNS)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The blocks of a row, in order."""
        shapes: dict[str, tuple[int, ...]] = {
            "figures": self.figures_shape,
            "sentiment": declared().public_model.shape,
            "topics": (self.trend_cells + EMPTY,),
        }
        return {name: shape for name, shape in shapes.items() if name in self.learns}

    @property
    def histograms(self) -> int:
        """How many histograms are learned: one for each figure, one of the topics."""
        return len(self.figures) * ("figures" in self.learns) + ("topics" in self.learns)

    @property
    def measured(self) -> dict[str, tuple[int, ...]]:
        """The blocks of a measure: of what is learned, and of nothing else."""
        shapes: dict[str, tuple[int, ...]] = {}
        if "sentiment" in self.learns:
            shapes["signs"] = (len(SIGNS), len(SIGNS))
        if self.histograms:
            shapes["eighths"] = (self.histograms, EIGHTHS)
        return shapes

    @property
    def weight(self) -> float:
        """What every part is multiplied by."""
        return weight(self.clip, len(self.learns))
