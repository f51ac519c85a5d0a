"""How many of us, with how many records, for how good a model: crowds of several sizes, tried."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from math import inf

from mesh_fl.errors import ConfigError, DataError, PlanError
from mesh_fl.simulate.arguments import blamed_on
from mesh_fl.simulate.comparison import Comparison
from mesh_fl.simulate.statistics import FEWEST_SEEDS
from mesh_fl.simulate.trial import Crowd, Federated, References
from mesh_fl.simulate.workloads import Material

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is tried: every combination, over every seed.

    Parameters
    ----------
    epsilons : tuple of float
        Total promises; infinite for clipped sums without noise.
    members, records : tuple of int
        How many MSPs, and how many records each.
    seeds : int
        Fresh splits and noise.
    first_seed : int

    Raises
    ------
    ConfigError
        If nothing can be tried so.
    """

    epsilons: tuple[float, ...]
    members: tuple[int, ...]
    records: tuple[int, ...]
    seeds: int = FEWEST_SEEDS
    first_seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name, values, least, sound in (
            ("epsilon", self.epsilons, "numbers above 0, or inf", _all(self.epsilons, 0, inf)),
            ("members", self.members, "2 to 100000 MSPs", _all(self.members, 1, 100_000)),
            ("records", self.records, "1 to 1000000 each", _all(self.records, 0, 1_000_000)),
            ("seeds", (self.seeds,), "at least 1", self.seeds >= 1),
        ):
            if not sound:
                found = ", ".join(f"{value:g}" for value in values) or "none"
                raise ConfigError(f"--{name}: expected {least}, found {found}")

    @property
    def largest(self) -> int:
        """Records of the largest crowd."""
        return max(self.members) * max(self.records)


def _all(values: Sequence[float], above: float, most: float) -> bool:
    return len(values) > 0 and all(above < value <= most for value in values)


@dataclass(frozen=True)
class Row:
    """What one crowd comes to at one epsilon.

    Parameters
    ----------
    epsilon : float
    members, records : int
        How many MSPs, and how many records each.
    comparison : Comparison
    """

    epsilon: float
    members: int
    records: int
    comparison: Comparison

    @property
    def gains(self) -> bool:
        """Whether the federation pays."""
        return self.comparison.verdict == "gain"


@dataclass(frozen=True)
class Findings:
    """All that was tried.

    Parameters
    ----------
    rows : tuple of Row
        Panel by panel: of one epsilon and one number of records, the smallest crowd first.
    skipped : tuple of str
        What could not be tried, and why.
    """

    rows: tuple[Row, ...]
    skipped: tuple[str, ...]

    @property
    def panels(self) -> Iterator[tuple[Row, ...]]:
        """Go through crowds that differ in the number of MSPs only."""
        for _, rows in groupby(self.rows, key=lambda row: (row.records, row.epsilon)):
            yield tuple(rows)

    @property
    def answers(self) -> tuple[str, ...]:
        """Say for each panel how many it takes."""
        return tuple(_answer(panel) for panel in self.panels)


def explore(material: Material, grid: Grid, tell: Tell = lambda text: None) -> Findings:
    """Try crowds of several sizes.

    Parameters
    ----------
    material : Material
        Public or made-up records.
    grid : Grid
    tell : callable
        Told how far it has come.

    Raises
    ------
    DataError
        If the records serve no crowd of the grid.
    AgentError
        If the agent fails.
    """
    rows: list[Row] = []
    skipped: list[str] = []
    crowds = list(product(sorted(set(grid.records)), sorted(set(grid.members))))
    for place, (records, members) in enumerate(crowds, start=1):
        tell(f"[{place}/{len(crowds)}] {members} MSPs of {records} records")
        try:
            rows += _try(material, grid, members, records)
        except (DataError, PlanError) as error:
            skipped.append(f"{members} MSPs of {records} records are left out: {error}")
    if not rows:
        raise DataError("\n".join(["no crowd could be tried:", *skipped]))
    rows.sort(key=lambda row: (row.records, row.epsilon, row.members))
    return Findings(tuple(rows), tuple(skipped))


def _try(material: Material, grid: Grid, members: int, records: int) -> list[Row]:
    """Try one crowd at every epsilon, on the same splits."""
    workload, epsilons = material.workload, sorted(set(grid.epsilons))
    references: list[References] = []
    federated: dict[float, list[Federated]] = {epsilon: [] for epsilon in epsilons}
    for seed in range(grid.first_seed, grid.first_seed + grid.seeds):
        with blamed_on(workload.agent):
            crowd = Crowd.gather(workload, members, records, seed, material.deal)
            references.append(References.of(crowd))
            for epsilon in epsilons:
                federated[epsilon].append(Federated.of(crowd, epsilon))
    return [
        Row(epsilon, members, records, Comparison.of(references, runs, workload.metric))
        for epsilon, runs in federated.items()
    ]


def _answer(panel: Sequence[Row]) -> str:
    """Say how many it takes: from there on, every larger crowd that was tried gains as well."""
    where, tried = f"at epsilon = {panel[0].epsilon:g}", [row.members for row in panel]
    each = f"MSPs of {panel[0].records} records"
    if any(row.comparison.verdict == "too few seeds" for row in panel):
        return f"{where}: fewer than {FEWEST_SEEDS} seeds settle nothing, ask for more by --seeds"
    enough = len(panel)
    while enough and panel[enough - 1].gains:
        enough -= 1
    if enough == len(panel) and any(row.gains for row in panel):
        gained = ", ".join(str(row.members) for row in panel if row.gains)
        return (
            f"{where} {gained} {each} seemed to gain, and the largest crowd did not: nothing is "
            "settled, ask for more seeds"
        )
    if enough == len(panel):
        crowds = ", ".join(map(str, tried))
        return (
            f"{where} no crowd tried ({crowds} {each}) surely beats both being alone and what is "
            "public: not worth the budget"
        )
    if enough == 0:
        return f"{where} the smallest crowd tried, {tried[0]} {each}, already beats being alone"
    return (
        f"{where} it takes about {tried[enough]} {each} to beat being alone "
        f"({tried[enough - 1]} do not)"
    )
