"""The training as an app for Flower's own `flower-superlink`, started by `flwr run`.

`mesh-server flower` writes the folder that `flwr run` takes; docs/guides/flower.md says how it
differs from `mesh-server start`.
"""

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from mesh_fl.errors import ConfigError
from mesh_fl.privacy.plan import LARGE
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.members import Members
from mesh_fl.server.planning import caps_of
from mesh_fl.server.programme import Programme
from mesh_fl.server.settings import ServerSettings, load_settings
from mesh_fl.store import locked
from mesh_fl.terminal import Narrator

AGAIN = "flwr run ... --run-config new=true"
POLL_S = 0.25
RESEND_S = 60.0
LEAST_TIMEOUT_S = 120.0
"""A process starts for each message; one that takes 30 s to start is given up for another."""

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train the members of the home that the run configuration names, to the end."""
    home, new = _home(context.run_config), context.run_config.get("new", False)
    with locked(home), Narrator(as_json=False) as narrator:
        exchange = FlowerExchange(
            RegisteredNodes(grid),
            Members(home),
            poll_s=POLL_S,
            resend_s=RESEND_S,
            least_timeout_s=LEAST_TIMEOUT_S,
        )
        settings = load_settings(home)
        _refuse_large(settings, Members(home))
        programme = Programme(home, settings, exchange, narrator, new is True, again=AGAIN)
        programme.open_first()
        programme.run()
        programme.close()
        programme.keep_reports()


class RegisteredNodes:
    """Nodes of a stock SuperLink, known by the keys that `flwr supernode register` told it.

    A node signs each request, so one with the identity key of a card on the roster is that
    member's. With ``--enable-supernode-auth`` nobody else gets in; without it SuperNodes make up
    keys that are on no card, and none is taken for a member.

    Parameters
    ----------
    grid : Grid
        What Flower hands to a ServerApp.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._ids: dict[bytes, int] = {}

    @property
    def grid(self) -> Grid:
        """Where messages go out and replies come in."""
        return self._grid

    def register(self, public_key: bytes) -> int | None:
        """Return the node of a key (an OpenSSH line); None if it was never online."""
        key = load_ssh_public_key(public_key)
        return self._ids.get(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def remove(self, node_id: int) -> None:
        """Do nothing: it is sent nothing any more; `flwr supernode unregister` shuts it out."""

    def online(self) -> frozenset[int]:
        """Return the nodes that are connected, or were within two heartbeats."""
        nodes = list(self._grid.get_nodes())
        self._ids |= {node.public_key: node.node_id for node in nodes}
        return frozenset(node.node_id for node in nodes)


def _home(run_config: Mapping[str, object]) -> Path:
    home = run_config.get("home")
    if not isinstance(home, str) or not home:
        raise ConfigError(
            "expected the server's home in the run configuration, found none: make the app by "
            "`mesh-server flower HOME FOLDER`, or add --run-config \"home='HOME'\""
        )
    return Path(home)


def _refuse_large(settings: ServerSettings, members: Members) -> None:
    roster = members.roster()
    largest = max(len(caps_of(settings, name, roster)) for name in settings.agents)
    if largest > LARGE:
        raise ConfigError(
            f"expected at most {LARGE} members, found {largest}: in larger "
            "cohorts members keep keys in memory from message to message, and stock Flower starts "
            "them anew for each: run `mesh-server start`"
        )
