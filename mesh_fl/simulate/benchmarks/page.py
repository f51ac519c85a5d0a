"""The page of benchmarks, made from measured rows alone."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from mesh_fl.errors import ConfigError
from mesh_fl.simulate.benchmarks.benchmark import benchmarks_of
from mesh_fl.simulate.benchmarks.claims import read_claims
from mesh_fl.simulate.benchmarks.row import Row, read_rows, task_of
from mesh_fl.simulate.trial import COLLUDERS, SURVIVORS, TEST_SHARE

INTRODUCTION = f"""\
# Benchmarks

What each agent is worth to its members, on real data, beside what they could have without the
network. All figures come from `mesh-sim benchmark`, and this page is made from them:
`mesh-sim benchmarks-page docs/benchmarks.json docs/benchmarks.md`.

- **public**: the model before any training, which is what everybody knows.
- **alone**: the same agent with the same public knowledge on one member's own records, without
  privacy; the mean over members, or over fifty of them where there are more.
- **federated**: the model that all members train together; ε is the total promise for a record.
- **adapted**: the federated model fitted on to a member's own records; the mean as for alone.
- **pooled**: the same agent on everybody's records, without privacy: out of reach, for comparison.
- The **baseline** is what a member would use otherwise, on its own records and on the same declared
  columns; *the same, pooled* is that method on everybody's records, without privacy.
- At ε = inf rows are clipped as ever, and there is no noise.

The verdict is **gain** only where the federated or the adapted model beats both public and alone,
each by more than two standard errors of the paired difference. It takes the better of the two, so a
row that stands alone may be luck: look at its neighbours.

Each seed deals the table out anew: {TEST_SHARE:.0%} is held out to compare models on, members get
disjoint records of the rest, and the noise is drawn anew. Every ε sees the same splits. Plans allow
for {SURVIVORS:.0%} of the members to answer and {COLLUDERS:.0%} to collude. The noise is simulated:
as wide as in a deployment, but its seed is known. Figures are means ± standard errors over seeds.
All splits are of one table and overlap, so the errors tell how much the split and the noise matter,
and not what another table would give.
"""

REFERENCES = ("public", "alone", "pooled", "baseline", "baseline_pooled")
TRAINED = (
    "federated",
    "adapted",
    "federated - alone",
    "adapted - alone",
    "federated - public",
    "adapted - public",
)


def write_page(rows: Path, page: Path) -> None:
    """Write the page of a file of rows.

    Raises
    ------
    DataError
        If the rows cannot be read.
    ConfigError
        If the page cannot be written.
    """
    text = page_of(read_rows(rows))
    try:
        page.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {page}: {error.strerror}") from None


def page_of(rows: Sequence[Row]) -> str:
    """Return the page as Markdown."""
    agents = (line for _, group in groupby(rows, _agent_of) for line in _agent(list(group)))
    return "\n".join([INTRODUCTION, *agents, *_claims(rows), *_making(rows)])


def _agent(rows: Sequence[Row]) -> Iterator[str]:
    yield f"## {rows[0].agent}\n"
    for _, group in groupby(rows, task_of):
        yield from _task(list(group))


def _task(rows: Sequence[Row]) -> Iterator[str]:
    first = rows[0]
    better = "more" if first.higher_is_better else "less"
    yield f"### {first.dataset}, {first.metric} ({better} is better)\n"
    yield (
        f"{first.members} members of {first.records} records, {_origin(first)} "
        f"{first.seeds} seeds from {first.first_seed}.\n"
    )
    heads = ["public", "alone", "pooled", first.baseline_name, "the same, pooled"]
    yield from _table(heads, [[first.told(figure) for figure in REFERENCES]])
    yield from _table(
        ["ε", *TRAINED, "verdict"],
        [
            [f"{row.limit:g}", *(row.told(figure) for figure in TRAINED), f"**{row.verdict}**"]
            for row in rows
        ],
    )


def _origin(row: Row) -> str:
    """Say how the data were dealt out and where they come from, where that is known here."""
    for benchmark in benchmarks_of(row.agent):
        if (benchmark.dataset, benchmark.baseline.name) == (row.dataset, row.baseline_name):
            told = f"dealt out {benchmark.dealt}: {benchmark.source}."
            return f"{told} {benchmark.baseline.remark}".rstrip()
    return "of a data set that is not registered here."


def _claims(rows: Sequence[Row]) -> Iterator[str]:
    yield "## What was once claimed\n"
    yield "An early design named these figures; no run stood behind any of them.\n"
    told = [[claim.text, claim.measured(rows)] for claim in read_claims()]
    yield from _table(["claim", "measured"], told)


def _making(rows: Sequence[Row]) -> Iterator[str]:
    yield "## How the figures were made\n"
    yield "```console"
    yield from dict.fromkeys(_command(list(group)) for _, group in groupby(rows, _run_of))
    yield "```\n"
    for made_with in dict.fromkeys(tuple(row.made_with.items()) for row in rows):
        yield f"- {', '.join(f'{name} {value}' for name, value in made_with)}"
    yield ""


def _command(rows: Sequence[Row]) -> str:
    first = rows[0]
    epsilons = ",".join(dict.fromkeys(f"{row.limit:g}" for row in rows))
    return (
        f"mesh-sim benchmark --agent {first.agent} --epsilon {epsilons} --seeds {first.seeds} "
        f"--first-seed {first.first_seed}"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(heads)
    yield "|" + "---|" * len(heads)
    yield from map(_line, rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _agent_of(row: Row) -> str:
    return row.agent


def _run_of(row: Row) -> tuple[str, int, int]:
    return row.agent, row.seeds, row.first_seed
