"""The member as an app for Flower's own `flower-supernode`.

Flower starts a process for each message, so the member is opened from its home each time, and
holds the home's lock only while it answers. Nothing serves its models meanwhile: `mesh-client
start` does, before or after, not at the same time.
"""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from mesh_fl.client.app import answered, asked
from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member
from mesh_fl.client.pace import paced
from mesh_fl.errors import ConfigError, MeshError
from mesh_fl.messages import Refusal, ToMember, ToServer
from mesh_fl.round import respond
from mesh_fl.store import locked

UNABLE = Refusal(cause="setup", lasting=False)

_log = logging.getLogger(__name__)

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answer one message of the server; whatever goes wrong, it hears no words of ours."""
    try:
        return answered(message, _answer(asked(message), _home(context.node_config)))
    except MeshError as error:
        _log.warning("refused: %s", error)
    except Exception:
        # Flower would send the exception's own text, which may quote a member's records.
        _log.exception("the member failed")
    return answered(message, UNABLE)


def _answer(message: ToMember, home: Home) -> ToServer:
    """Answer at a fixed time: the server is told how long it took."""

    def answer(message: ToMember) -> ToServer:
        with locked(home.path):
            return respond(message, open_member(home))

    return paced(answer, home.settings.privacy.pace_s, threading.Event())(message)


def _home(node_config: Mapping[str, object]) -> Home:
    """Return the home that this node's own command line names, never one that the server names."""
    home = node_config.get("home")
    if not isinstance(home, str) or not home:
        raise ConfigError(
            "expected the member's home, found none: start `flower-supernode` with --node-config "
            "\"home='HOME'\" (`mesh-client flower HOME` tells the whole command)"
        )
    return Home(Path(home))
