"""One process that trains and serves: the Fleet connection, the member, and its local HTTP."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydantic import BaseModel

from mesh_fl.client.answers import Answers
from mesh_fl.client.app import make_app
from mesh_fl.client.dealing import late_deals
from mesh_fl.client.holdings import holdings
from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member
from mesh_fl.client.models import PUBLIC, ModelCard
from mesh_fl.client.pace import paced
from mesh_fl.client.serve import make_api
from mesh_fl.client.supernode import serve_node
from mesh_fl.client.trainings import Trainings
from mesh_fl.local_http import LocalServer
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Refusal, ToMember, ToServer
from mesh_fl.round import respond
from mesh_fl.store import locked
from mesh_fl.terminal import Narrator


class Health(BaseModel):
    """What GET /health tells.

    Parameters
    ----------
    status : str
        "ok" as long as this answers.
    member, connection : str
        Who we are, and how the connection to the server stands.
    server : str or None
        Whom we train with.
    models : dict of str to ModelCard
        The served model of each agent.
    epsilon_spent : float
        By the record that spent most.
    """

    status: Literal["ok"] = "ok"
    member: str
    server: str | None
    connection: str
    models: dict[str, ModelCard]
    epsilon_spent: float


def run_member(home: Home, narrator: Narrator, stopped: threading.Event) -> None:
    """Train and serve until stopped; serve only, where there never was a roster to train by.

    Raises
    ------
    MeshError
        If something is wrong that waiting does not mend.
    """
    with locked(home.path):
        if home.has_roster or home.has_ledger:
            _train_and_serve(home, narrator, stopped)
        else:
            _serve_alone(home, narrator, stopped)


def _train_and_serve(home: Home, narrator: Narrator, stopped: threading.Event) -> None:
    settings = home.settings
    operator = settings.operator
    member = open_member(home)
    for fault in late_deals(settings, member.ledger):
        narrator.say(f"WARNING: {fault}", kind="dealt")
    answers = Answers(settings, partial(_told_model, narrator), Trainings(member).facts)
    answers.open(narrator, member.holdings, member)
    member.on_model = answers.models.take
    member.on_error = lambda error: narrator.say(f"refused: {error}", kind="refused")
    connection = Connection(narrator)
    with _served(home, answers, connection, lambda: member.ledger.most_spent, narrator):
        serve_node(
            make_app(paced(_answering(member, narrator), settings.privacy.pace_s, stopped)),
            operator,
            ca=settings.ca,
            key=home.identity,
            stopped=stopped,
            on_state=connection.say,
        )


def _serve_alone(home: Home, narrator: Narrator, stopped: threading.Event) -> None:
    """Answer from public knowledge and the member's own tables; nothing is sent to anybody."""
    ledger = home.ledger(writable=False)
    answers = Answers(home.settings, partial(_told_model, narrator), tuple)
    answers.open(narrator, holdings(home.settings, ledger.dealt), None)
    connection = Connection(narrator)
    with _served(home, answers, connection, lambda: ledger.most_spent, narrator):
        connection.say(
            "not connected, for there is no roster yet: answering alone; `mesh-client members "
            f"trust {home.path} roster.json`, then start again to train with others"
        )
        stopped.wait()


@dataclass
class Connection:
    """How the connection to the server stands, in a sentence.

    Parameters
    ----------
    narrator : Narrator
    """

    narrator: Narrator
    state: str = "connecting"

    def say(self, sentence: str) -> None:
        """Tell how it stands now."""
        self.state = sentence
        self.narrator.say(sentence, kind="connection")


@contextmanager
def _served(
    home: Home,
    answers: Answers,
    connection: Connection,
    spent: Callable[[], float],
    narrator: Narrator,
) -> Iterator[None]:
    """Answer over HTTP meanwhile."""
    settings = home.settings

    def health() -> Health:
        return Health(
            member=settings.name,
            server=settings.server,
            connection=connection.state,
            models={name: served.card for name, served in answers.models.served().items()},
            epsilon_spent=spent(),
        )

    host, port = settings.serve.host, settings.serve.port
    with LocalServer(make_api(answers.agents, answers.models, health, host), host, port) as local:
        narrator.say(f"answers at {local.address}/docs", kind="serving", address=local.address)
        yield


def _answering(member: Member, narrator: Narrator) -> Callable[[ToMember], ToServer]:
    def answer(message: ToMember) -> ToServer:
        reply = respond(message, member)
        if isinstance(reply, Refusal) or not isinstance(message, Ask):
            return reply
        call = message.call
        if call.phase != "close":
            steps = len(member.resume(call.training).plan.schedule)
            text = f"contributed to release {call.step}"
            narrator.progress(text, call.step, steps, kind="contributed")
        elif message.model is not None:
            narrator.say("training is over; the last model is here", kind="closed")
        return reply

    return answer


def _told_model(narrator: Narrator, card: ModelCard) -> None:
    if card.version == PUBLIC:
        fitted = ", adapted to our own data" if card.adapted else ""
        text = f"serving {card.agent} from public knowledge{fitted}, until a training"
        narrator.say(text, kind="model")
        return
    adapted = "adapted to our own data" if card.adapted else "not adapted"
    narrator.progress(
        f"serving {card.agent} {card.version}, {adapted}",
        card.round,
        card.rounds,
        kind="model",
        version=card.version,
    )
