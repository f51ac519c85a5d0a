from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from end_to_end.network import Network, Terms, short_heartbeats


@pytest.fixture(scope="module")
def make_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Network]]:
    """Make networks with registered members; every process they started ends with the module."""
    networks: list[Network] = []

    def make(members: int, terms: Terms, **options: object) -> Network:
        folder = tmp_path_factory.mktemp("network")
        networks.append(Network(folder, terms, **{"prepare": short_heartbeats, **options}))
        networks[-1].make_server()
        for number in range(members):
            networks[-1].make_member(f"msp-{number}")
        networks[-1].found()
        return networks[-1]

    yield make
    for network in networks:
        network.end()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Give a network without server and members."""
    one = Network(tmp_path, prepare=short_heartbeats)
    yield one
    one.end()
