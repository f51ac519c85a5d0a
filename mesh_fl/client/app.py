"""The member as a Flower ClientApp: bytes in, an answer, bytes out."""

from collections.abc import Callable

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from mesh_fl.errors import ProtocolError
from mesh_fl.flower import unwrap, wrap
from mesh_fl.messages import ToMember, ToServer, decode, encode


def make_app(respond: Callable[[ToMember], ToServer]) -> ClientApp:
    """Return a ClientApp that answers the server's messages.

    Parameters
    ----------
    respond : callable
        Answers one message; what it refuses comes back as a `Refusal`.
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return Message(wrap(encode(respond(_read(message)))), reply_to=message)

    return app


def _read(message: Message) -> ToMember:
    found = decode(unwrap(message))
    if not isinstance(found, ToMember):
        raise ProtocolError(f"expected an ask from the server, got {found.type!r}")
    return found
