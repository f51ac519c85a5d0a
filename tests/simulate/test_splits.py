import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mesh_fl.errors import ConfigError, DataError
from mesh_fl.simulate.dealing import deal_of
from mesh_fl.simulate.splits import (
    at_random,
    by_column,
    by_sizes,
    by_time,
    dirichlet,
    power_law,
)

Parts = list[NDArray[np.int64]]
SEEDS = st.integers(0, 2**32)
LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(np.array)


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def together(parts: Parts) -> NDArray[np.int64]:
    """All places that were dealt, after a look at each client's own: rising, none twice."""
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    return np.sort(np.concatenate(parts))


def check_complete(parts: Parts, count: int) -> None:
    np.testing.assert_array_equal(together(parts), np.arange(count))


def shares(labels: NDArray[np.int64], parts: Parts) -> NDArray[np.float64]:
    """The share of each label at each client, shape (clients, labels)."""
    counts = [np.bincount(labels[part], minlength=labels.max() + 1) for part in parts]
    return np.array([count / count.sum() for count in counts])


class TestAtRandom:
    @given(st.integers(1, 9), st.integers(0, 9), SEEDS)
    def test_clients_are_equal_and_share_nothing(
        self, members: int, records: int, seed: int
    ) -> None:
        data = {"x": np.zeros((100, 2)), "y": np.zeros(100)}
        parts = at_random(data, members, records, seeded(seed))
        assert [len(part) for part in parts] == [records] * members
        dealt = together(parts)
        assert len(np.unique(dealt)) == members * records
        assert set(dealt) <= set(range(100))

    def test_too_few_records_are_said(self) -> None:
        with pytest.raises(DataError, match="expected 12 records for 3 clients, found 11"):
            at_random({"x": np.zeros(11)}, 3, 4, seeded(0))


class TestBySizes:
    @given(st.lists(st.integers(0, 12), min_size=1, max_size=9), st.integers(0, 20), SEEDS)
    def test_sizes_are_as_asked(self, sizes: list[int], spare: int, seed: int) -> None:
        parts = by_sizes(sum(sizes) + spare, sizes, seeded(seed))
        assert [len(part) for part in parts] == sizes
        assert len(np.unique(together(parts))) == sum(sizes)

    @pytest.mark.parametrize("sizes", [[], [3, -1]])
    def test_what_is_no_size_is_refused(self, sizes: list[int]) -> None:
        with pytest.raises(ConfigError, match="sizes: expected at least one, none negative"):
            by_sizes(9, sizes, seeded(0))


class TestDirichlet:
    @given(LABELS, st.integers(1, 80), st.floats(1e-12, 1e12), SEEDS)
    def test_everything_is_dealt_once_and_evenly(
        self, labels: NDArray[np.int64], clients: int, alpha: float, seed: int
    ) -> None:
        clients = min(clients, len(labels))
        parts = dirichlet(labels, clients, alpha, seeded(seed))
        check_complete(parts, len(labels))
        sizes = {len(part) for part in parts}
        assert len(parts) == clients
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1

    def test_towards_infinity_every_client_is_like_the_whole(self) -> None:
        labels = np.repeat([0, 1, 2], [6000, 3000, 1000])
        for alpha in (1e6, math.inf):
            found = shares(labels, dirichlet(labels, 10, alpha, seeded(1)))
            off = np.sort(np.abs(found - [0.6, 0.3, 0.1]).max(axis=1))
            # Of 1000 draws a share is 0.016 off in standard deviation; the client that takes what
            # is left is off by the sum of the others, three times as much.
            assert off[-2] < 5 * 0.016
            assert off[-1] < 15 * 0.016

    @pytest.mark.parametrize("alpha", [1e-3, 1e-12])
    def test_towards_zero_nearly_every_client_has_one_label(self, alpha: float) -> None:
        labels = np.tile(np.arange(5), 2000)
        largest = shares(labels, dirichlet(labels, 100, alpha, seeded(2))).max(axis=1)
        assert np.mean(largest > 0.99) > 0.9

    def test_in_between_labels_are_as_uneven_as_told(self) -> None:
        """Of Dirichlet(alpha p) a share has variance p (1 - p) / (alpha + 1)."""
        labels = np.tile([0, 1], 20_000)
        found = shares(labels, dirichlet(labels, 400, 4.0, seeded(3)))[:200, 0]
        # Of 200 clients the variance is 10 % off; draws of 100 records add p (1 - p) / 100.
        assert found.var() == pytest.approx(0.25 / 5 + 0.25 / 100, rel=0.35)

    def test_labels_may_be_words(self) -> None:
        words = np.array(["no", "yes", "no", "maybe"])
        check_complete(dirichlet(words, 2, 0.5, seeded(0)), 4)

    @pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan])
    def test_what_is_no_concentration_is_refused(self, alpha: float) -> None:
        with pytest.raises(ConfigError, match="alpha: expected a number above 0"):
            dirichlet(np.arange(4), 2, alpha, seeded(0))

    def test_fewer_records_than_clients_are_refused(self) -> None:
        with pytest.raises(DataError, match="at least 5 records for 5 clients, found 4"):
            dirichlet(np.arange(4), 5, 1.0, seeded(0))


class TestByColumn:
    @given(LABELS)
    def test_a_value_is_a_client(self, column: NDArray[np.int64]) -> None:
        parts = by_column(column)
        check_complete(parts, len(column))
        assert [set(column[part]) for part in parts] == [{value} for value in np.unique(column)]

    @given(LABELS, st.integers(1, 5))
    def test_no_value_is_torn_apart(self, column: NDArray[np.int64], clients: int) -> None:
        clients = min(clients, len(np.unique(column)))
        parts = by_column(column, clients)
        check_complete(parts, len(column))
        homes = [set(column[part]) for part in parts]
        assert len(homes) == clients
        assert all(homes)
        assert sum(map(len, homes)) == len(np.unique(column))

    @given(LABELS, st.integers(1, 5))
    def test_nobody_has_much_more_than_the_least(
        self, column: NDArray[np.int64], clients: int
    ) -> None:
        """Who has most was the least when it got its last value (Graham 1969)."""
        counts = np.unique(column, return_counts=True)[1]
        clients = min(clients, len(counts))
        sizes = [len(part) for part in by_column(column, clients)]
        assert max(sizes) - min(sizes) <= counts.max()

    def test_values_go_to_the_smallest_client_in_turn(self) -> None:
        services = np.repeat(["mail", "vpn", "erp", "web", "dns"], [3, 4, 5, 6, 7])
        homes = [set(services[part]) for part in by_column(services, 2)]
        assert homes == [{"dns", "vpn", "mail"}, {"web", "erp"}]

    def test_fewer_values_than_clients_are_refused(self) -> None:
        with pytest.raises(DataError, match="at least 3 different values for 3 clients, found 2"):
            by_column(np.array(["a", "b", "a"]), 3)

    @pytest.mark.parametrize("column", [np.zeros((3, 2)), np.zeros(0)])
    def test_what_is_no_column_is_refused(self, column: NDArray[np.float64]) -> None:
        with pytest.raises(DataError, match="column: expected one value a record, found shape"):
            by_column(column)

    def test_missing_values_are_refused(self) -> None:
        with pytest.raises(DataError, match="a value for every record"):
            by_column(np.array([1.0, math.nan]))


class TestByTime:
    @given(LABELS, st.integers(1, 80))
    def test_periods_follow_each_other(self, times: NDArray[np.int64], clients: int) -> None:
        clients = min(clients, len(times))
        parts = by_time(times, clients)
        check_complete(parts, len(times))
        for earlier, later in itertools.pairwise(parts):
            assert times[earlier].max() <= times[later].min()
        sizes = {len(part) for part in parts}
        assert max(sizes) - min(sizes) <= 1

    def test_dates_are_times(self) -> None:
        days = np.array(["2024-05-02", "2024-05-01", "2024-05-03"], dtype="datetime64[D]")
        assert [part.tolist() for part in by_time(days, 3)] == [[1], [0], [2]]

    def test_a_missing_time_is_refused(self) -> None:
        with pytest.raises(DataError, match="times: expected a value for every record"):
            by_time(np.array(["2024-05-02", "NaT"], dtype="datetime64[D]"), 1)


class TestPowerLaw:
    @given(st.integers(1, 40), st.integers(0, 500), st.floats(0, 20), st.integers(0, 5), SEEDS)
    def test_sizes_add_up(
        self, clients: int, spare: int, exponent: float, least: int, seed: int
    ) -> None:
        count = least * clients + spare
        sizes = power_law(count, clients, exponent, seeded(seed), least)
        assert len(sizes) == clients
        assert sum(sizes) == count
        assert min(sizes) >= least

    def test_they_fall_by_the_law(self) -> None:
        sizes = sorted(power_law(100_000, 50, 1.5, seeded(0), least=0), reverse=True)
        for rank in (2, 4, 9):
            assert sizes[0] / sizes[rank - 1] == pytest.approx(rank**1.5, rel=0.01)

    def test_without_an_exponent_all_are_equal(self) -> None:
        assert power_law(60, 12, 0.0, seeded(0)) == [5] * 12

    def test_it_is_drawn_who_is_large(self) -> None:
        largest = {int(np.argmax(power_law(99, 9, 2.0, seeded(seed)))) for seed in range(60)}
        assert len(largest) > 5

    @pytest.mark.parametrize(("exponent", "least"), [(-1.0, 1), (math.inf, 1), (1.0, -1)])
    def test_what_is_no_law_is_refused(self, exponent: float, least: int) -> None:
        with pytest.raises(ConfigError, match="an exponent and a least size from 0 on"):
            power_law(10, 2, exponent, seeded(0), least)

    def test_too_few_records_are_refused(self) -> None:
        with pytest.raises(DataError, match="expected at least 12 records, found 11"):
            power_law(11, 4, 1.0, seeded(0), least=3)


@pytest.mark.parametrize(
    "split",
    [
        lambda random: at_random({"x": np.zeros(90)}, 9, 5, random),
        lambda random: dirichlet(np.tile(np.arange(3), 30), 9, 0.5, random),
        lambda random: by_sizes(90, power_law(90, 9, 1.5, random), random),
    ],
)
def test_a_seed_gives_the_same_split_again(
    split: Callable[[np.random.Generator], Parts],
) -> None:
    first, again, other = (split(seeded(seed)) for seed in (4, 4, 5))
    assert [part.tolist() for part in first] == [part.tolist() for part in again]
    assert [part.tolist() for part in first] != [part.tolist() for part in other]


@pytest.mark.parametrize("clients", [0, -3])
def test_nobody_is_refused(clients: int) -> None:
    flat = np.arange(6)
    for split in (
        lambda: dirichlet(flat, clients, 1.0, seeded(0)),
        lambda: by_column(flat, clients),
        lambda: by_time(flat, clients),
        lambda: power_law(6, clients, 1.0, seeded(0)),
    ):
        with pytest.raises(ConfigError, match=f"clients: expected at least 1, found {clients}"):
            split()


TICKETS = {
    "x": np.zeros((120, 2)),
    "y": np.tile([0.0, 1.0], 60),
    "service": np.repeat(["mail", "vpn", "erp", "web"], 30),
    "opened": np.arange(120)[::-1],
}


class TestWords:
    @pytest.mark.parametrize(
        "words",
        [
            "random",
            "dirichlet:0.5",
            "dirichlet:0.01:service",
            "column:service",
            "time:opened",
            "power-law:1.5",
        ],
    )
    def test_members_times_records_are_dealt(self, words: str) -> None:
        parts = deal_of(words)(TICKETS, 4, 20, seeded(0))
        assert len(parts) == 4
        assert len(np.unique(together(parts))) == 80

    def test_they_are_the_splits_that_they_name(self) -> None:
        by_service = deal_of("column:service")(TICKETS, 4, 20, seeded(0))
        assert all(len(set(TICKETS["service"][part])) == 1 for part in by_service)
        first, *_, last = deal_of("time:opened")(TICKETS, 4, 20, seeded(0))
        assert first.min() > last.max()
        skewed = deal_of("dirichlet:0.000001")(TICKETS, 4, 20, seeded(0))
        assert np.mean([len(set(TICKETS["y"][part])) == 1 for part in skewed]) >= 0.5
        sizes = sorted(len(part) for part in deal_of("power-law:2")(TICKETS, 4, 20, seeded(0)))
        assert sizes[-1] > 2 * sizes[-2]

    @pytest.mark.parametrize(
        "words",
        ["", "Random", "random:3", "dirichlet:", "dirichlet:x", "column", "time:", "power-law:x"],
    )
    def test_other_words_are_refused(self, words: str) -> None:
        with pytest.raises(ConfigError, match=r"split: expected random, .*, found"):
            deal_of(words)

    @pytest.mark.parametrize("words", ["column:colour", "time:colour", "dirichlet:1:colour"])
    def test_unknown_arrays_are_refused(self, words: str) -> None:
        with pytest.raises(ConfigError, match="one of the arrays x, y, service, opened, found"):
            deal_of(words)(TICKETS, 4, 20, seeded(0))

    def test_more_than_there_is_is_refused(self) -> None:
        with pytest.raises(DataError, match="found 120"):
            deal_of("time:opened")(TICKETS, 11, 11, seeded(0))
