"""What a member answers with: the newest model of each agent, and what is at hand for it."""

import threading
from collections.abc import Callable, Mapping, Sequence

from mesh_fl.client.holdings import refuse_strangers
from mesh_fl.client.models import ModelCard, Models
from mesh_fl.client.own_tables import own_tables
from mesh_fl.client.serve import answer
from mesh_fl.client.settings import ClientSettings
from mesh_fl.errors import AgentError, ConfigError
from mesh_fl.member import Member
from mesh_fl.registry import agent_class
from mesh_fl.seat import Holding
from mesh_fl.site import Site
from mesh_fl.terminal import Narrator
from mesh_fl.training_facts import TrainingFacts

Facts = Callable[[], Sequence[TrainingFacts]]


class Answers:
    """The agents that a member opted into, ready to answer.

    Parameters
    ----------
    settings : ClientSettings
    on_model : callable
        Told of each new model.
    facts : callable
        What is known here of trainings.

    Raises
    ------
    ConfigError
        If an agent would neither answer nor learn.
    """

    def __init__(
        self, settings: ClientSettings, on_model: Callable[[ModelCard], None], facts: Facts
    ) -> None:
        if not settings.agents:
            raise ConfigError("client.toml opts into no agent: add [agents.NAME] with its table")
        self.agents = {name: agent_class(name) for name in settings.agents}
        self._settings, self._facts = settings, facts
        self._refuse_idle()
        self._tables = own_tables(settings)
        self.models = Models(on_model, self._site_of)

    def open(
        self, narrator: Narrator, holdings: Mapping[str, Holding], member: Member | None
    ) -> None:
        """Serve what was served before, and public models of the other agents.

        Parameters
        ----------
        narrator : Narrator
        holdings : mapping
            What public models are fitted to, beside what is served.
        member : Member, optional
            None where no training was ever joined.
        """
        public = [name for name, cls in self.agents.items() if cls.answers_untrained]
        for name in public:
            narrator.say(f"reading what {name} answers from", kind="reading")
            self.models.read_files(name)
        if member is not None:
            self.models.resume(member)
        for name in public:
            self.models.take_public(name)
        threading.Thread(
            target=self.models.adapt_public, args=(public, holdings), daemon=True
        ).start()

    def _site_of(self, name: str) -> Site:
        return Site(self._settings.agents[name].files, self._tables, self._ask, self._facts)

    def _ask(self, name: str, fields: Mapping[str, object]) -> Mapping[str, object]:
        if name not in self.agents:
            raise AgentError(f"agent {name} is not opted into here: add it to client.toml")
        return answer(self.models.newest(name), fields)

    def _refuse_idle(self) -> None:
        for name, choice in self._settings.agents.items():
            reads = self.agents[name].reads
            if reads:
                refuse_strangers(name, choice, reads)
            if not choice.learns_from and not self.agents[name].answers_untrained:
                raise ConfigError(
                    f"agents.{name} names no table: it answers only after a training on one; "
                    f'add table = "..." below [agents.{name}]'
                )
