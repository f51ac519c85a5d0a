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
        return answered(message, respond(asked(message)))

    return app


def answered(message: Message, answer: ToServer) -> Message:
    """Return the Flower message that carries an answer."""
    return Message(wrap(encode(answer)), reply_to=message)


def asked(message: Message) -> ToMember:
    """Return what a Flower message asks.

    Raises
    ------
    ProtocolError
        If it carries anything else than a message to a member.
    """
    found = decode(unwrap(message))
    if not isinstance(found, ToMember):
        raise ProtocolError(f"expected an ask from the server, got {found.type!r}")
    return found
