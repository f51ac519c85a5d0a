"""Splits by words, as a command line names them."""

from collections.abc import Callable

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.errors import ConfigError
from mesh_fl.simulate.shards import Places
from mesh_fl.simulate.splits import (
    Column,
    Deal,
    at_random,
    by_column,
    by_sizes,
    by_time,
    dirichlet,
    power_law,
)

Split = Callable[[Data, int, np.random.Generator], list[Places]]
"""Divides all records among so many clients."""

LABEL = "y"
"""The array that `dirichlet` takes for labels where no other is named."""

WORDS = "random, dirichlet:0.5, dirichlet:0.5:LABEL, column:NAME, time:NAME or power-law:1.5"


def deal_of(words: str) -> Deal:
    """Return the split that words such as those of `WORDS` ask for.

    All but the first leave it at members x records altogether, drawn at random before they are
    split.

    Raises
    ------
    ConfigError
        If the words are none of these.
    """
    kind, _, rest = words.partition(":")
    match kind:
        case "random" if not rest:
            return at_random
        case "dirichlet":
            number, _, label = rest.partition(":")
            alpha, name = _number(number, words), label or LABEL
            return _of_some(lambda d, k, random: dirichlet(_array(d, name), k, alpha, random))
        case "column" if rest:
            return _of_some(lambda d, k, random: by_column(_array(d, rest), k))
        case "time" if rest:
            return _of_some(lambda d, k, random: by_time(_array(d, rest), k))
        case "power-law":
            exponent = _number(rest, words)
            return _of_some(lambda d, k, random: _by_power_law(_count(d), k, exponent, random))
        case _:
            raise ConfigError(f"split: expected {WORDS}, found {words!r}")


def _of_some(split: Split) -> Deal:
    """Return a split of members x records, drawn at random, by a split of everything."""

    def deal(data: Data, members: int, records: int, random: np.random.Generator) -> list[Places]:
        (some,) = by_sizes(_count(data), [members * records], random)
        drawn = {name: values[some] for name, values in data.items()}
        return [some[part] for part in split(drawn, members, random)]

    return deal


def _by_power_law(
    count: int, clients: int, exponent: float, random: np.random.Generator
) -> list[Places]:
    return by_sizes(count, power_law(count, clients, exponent, random), random)


def _number(text: str, words: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"split: expected {WORDS}, found {words!r}") from None


def _array(data: Data, name: str) -> Column:
    if name not in data:
        raise ConfigError(
            f"split: expected the name of one of the arrays {', '.join(data)}, found {name!r}"
        )
    return data[name]


def _count(data: Data) -> int:
    return len(next(iter(data.values())))
