"""One process that trains and serves: the Fleet connection, the member, and its local HTTP."""

import threading
from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import BaseModel

from mesh_fl.agent import Agent
from mesh_fl.client.app import make_app
from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member
from mesh_fl.client.models import PUBLIC, ModelCard, Models
from mesh_fl.client.own_tables import own_tables
from mesh_fl.client.pace import paced
from mesh_fl.client.serve import answer, make_api
from mesh_fl.client.settings import ClientSettings
from mesh_fl.client.supernode import serve_node
from mesh_fl.client.trainings import Trainings
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.local_http import LocalServer
from mesh_fl.member import Member
from mesh_fl.messages import Ask, Refusal, ToMember, ToServer
from mesh_fl.registry import agent_class
from mesh_fl.round import respond
from mesh_fl.site import Site
from mesh_fl.store import locked
from mesh_fl.terminal import Narrator


class Health(BaseModel):
    """What GET /health tells.

    Parameters
    ----------
    status : str
        "ok" as long as this answers.
    member, server, connection : str
        Who we are, whom we train with, and how the connection stands.
    models : dict of str to ModelCard
        The served model of each agent.
    epsilon_spent : float
        By the record that spent most.
    """

    status: Literal["ok"] = "ok"
    member: str
    server: str
    connection: str
    models: dict[str, ModelCard]
    epsilon_spent: float


def run_member(home: Home, narrator: Narrator, stopped: threading.Event) -> None:
    """Train and serve until stopped.

    Raises
    ------
    MeshError
        If something is wrong that waiting does not mend.
    """
    with locked(home.path):
        settings = home.settings
        member = open_member(home)
        if not settings.agents:
            raise ConfigError("client.toml opts into no agent: add [agents.NAME] with its table")
        agents = {name: agent_class(name) for name in settings.agents}
        _refuse_idle(settings, agents)
        tables, trainings = own_tables(settings), Trainings(member)

        def site_of(name: str) -> Site:
            return Site(settings.agents[name].files, tables, ask, trainings.facts)

        models = Models(lambda card: _told_model(narrator, card), site_of)

        def ask(name: str, fields: Mapping[str, object]) -> Mapping[str, object]:
            if name not in agents:
                raise AgentError(f"agent {name} is not opted into here: add it to client.toml")
            return answer(models.newest(name), fields)

        public = [name for name, cls in agents.items() if cls.answers_untrained]
        for name in public:
            narrator.say(f"reading what {name} answers from", kind="reading")
            models.read_files(name)
        models.resume(member)
        for name in public:
            models.take_public(name)
        threading.Thread(
            target=models.adapt_public, args=(public, member.holdings), daemon=True
        ).start()
        member.on_model = models.take
        member.on_error = lambda error: narrator.say(f"refused: {error}", kind="refused")
        connection = ["connecting"]

        def on_state(sentence: str) -> None:
            connection[0] = sentence
            narrator.say(sentence, kind="connection")

        def health() -> Health:
            cards = {name: served.card for name, served in models.served().items()}
            return Health(
                member=settings.name,
                server=settings.server,
                connection=connection[0],
                models=cards,
                epsilon_spent=member.ledger.most_spent,
            )

        api = make_api(agents, models, health, settings.serve.host)
        with LocalServer(api, settings.serve.host, settings.serve.port) as local:
            narrator.say(f"answers at {local.address}/docs", kind="serving", address=local.address)
            serve_node(
                make_app(paced(_answering(member, narrator), settings.privacy.pace_s, stopped)),
                settings.server,
                ca=settings.ca,
                key=home.identity,
                stopped=stopped,
                on_state=on_state,
            )


def _refuse_idle(settings: ClientSettings, agents: Mapping[str, type[Agent]]) -> None:
    for name, choice in settings.agents.items():
        strangers = set(choice.tables) - set(agents[name].reads)
        if strangers and agents[name].reads:
            raise ConfigError(
                f"agents.{name}: expected tables among {', '.join(agents[name].reads)}, found "
                f"{', '.join(sorted(strangers))}: answers find every described table without it"
            )
        if not choice.learns_from and not agents[name].answers_untrained:
            raise ConfigError(
                f"agents.{name} names no table: it answers only after a training on one; "
                f'add table = "..." below [agents.{name}]'
            )


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
