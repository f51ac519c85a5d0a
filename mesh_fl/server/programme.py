"""The trainings of a network, one agent after the other.

Every training has a folder of its own, so a server that is killed goes on with the one that it was
at. A training is planned when its turn comes, with the members that are registered then.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from mesh_fl.agent import Agent
from mesh_fl.checkpoint import BLOB, Checkpoint
from mesh_fl.errors import ConfigError, MeshError
from mesh_fl.exchange import Exchange
from mesh_fl.logbook import Event
from mesh_fl.registry import build
from mesh_fl.server.certificates import operator_key
from mesh_fl.server.forecast import announce, forecast
from mesh_fl.server.members import Members
from mesh_fl.server.planning import FEDERATION, plan_for
from mesh_fl.server.report import Report, keep_reports, report_of
from mesh_fl.server.settings import ServerSettings
from mesh_fl.server.steering import chosen_clip, with_clip
from mesh_fl.statements import Account, Presence
from mesh_fl.store import Folder, make_home
from mesh_fl.terminal import Narrator
from mesh_fl.training import Training, begin

TRAININGS = "trainings"

Words = dict[str, Account | Presence]
"""Members' signed words, which name the lines of their ledgers."""


def _never() -> bool:
    return False


@dataclass
class Programme:
    """Trains the agents of a home, in the order of server.toml.

    Parameters
    ----------
    home : Path
        Where server.toml is, and the trainings are stored.
    settings : ServerSettings
    exchange : Exchange
        How to reach the members.
    narrator : Narrator
        Tells the operator.
    new : bool
        Begin new trainings although some are stored.
    agents : sequence of str
        These alone; all of server.toml when empty.
    again : str
        The command that begins new trainings, to be told.
    stopped : callable
        Asked now and then; True leaves everything where it stands.
    """

    home: Path
    settings: ServerSettings
    exchange: Exchange
    narrator: Narrator
    new: bool = False
    agents: Sequence[str] = ()
    stopped: Callable[[], bool] = _never
    again: str = "mesh-server start --new"
    trainings: dict[str, Training] = field(default_factory=dict, init=False)
    current: Training | None = field(default=None, init=False)
    _waited_since: float | None = field(default=None, init=False)
    _gives_way: bool = field(default=False, init=False)
    _skipped: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Refuse agents that server.toml does not name."""
        if strangers := set(self.agents) - set(self.settings.agents):
            raise ConfigError(
                f"expected agents among {', '.join(self.settings.agents)}, found "
                f"{', '.join(sorted(strangers))}: add [agents.NAME] to server.toml"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The agents to train, in order."""
        return tuple(self.agents) or tuple(self.settings.agents)

    @property
    def is_over(self) -> bool:
        """Whether every training has come to an end."""
        opened = self.trainings.values()
        planned = set(self.names) - self._skipped
        return planned <= self.trainings.keys() and bool(opened) and all(map(_is_over, opened))

    def open_first(self) -> None:
        """Plan, or restore, the first training, so that what is wrong with it is told at once."""
        self._open(self.names[0])

    def run(self) -> None:
        """Train every agent; one whose members are not there gives way to the next, for a while."""
        waiting = list(self.names)
        while waiting and not self.stopped():
            for name in tuple(waiting):
                training = self._open_or_tell(name, alone=len(self.names) == 1)
                if training is None or self._take_turn(training, last=len(waiting) == 1):
                    waiting.remove(name)
                if self.stopped():
                    return

    def close(self) -> None:
        """Hand the last models to members that lack one."""
        for training in self.trainings.values():
            if _is_over(training):
                training.close()

    def reports(self) -> list[Report]:
        """Return the figures of all trainings so far."""
        return [report_of(training.checkpoint) for training in tuple(self.trainings.values())]

    def keep_reports(self) -> list[Report]:
        """Write report.json, and return what it holds."""
        return keep_reports(self.home, self.reports())

    def _take_turn(self, training: Training, last: bool) -> bool:
        """Train until it is over, or its members keep it waiting; tell whether it is over."""
        self.current, self._waited_since, self._gives_way = training, None, not last
        if _is_over(training):
            told = f"{training.plan.agent}: this training is over ({training.checkpoint.status}); "
            told += f"members get its model; `{self.again}` begins another"
            self.narrator.say(told, kind="over", agent=training.plan.agent)
        else:
            # Others were trained since: a home restored meanwhile is shown its newest word.
            training.checkpoint.latest = newest(training.checkpoint.latest, last_words(self.home))
        training.run()
        self.keep_reports()
        if not _is_over(training):
            return False
        training.close()
        return True

    def _turn_is_over(self) -> bool:
        since, turn_s = self._waited_since, self.settings.wait.turn_s
        has_waited = since is not None and time.monotonic() > since + turn_s
        return self.stopped() or (self._gives_way and has_waited)

    def _open_or_tell(self, name: str, alone: bool) -> Training | None:
        """Open a training; what is wrong with one agent of several is told, and it is left out."""
        try:
            return self._open(name)
        except MeshError as error:
            if alone:
                raise
            self._skipped.add(name)
            self.narrator.say(f"{name} is not trained: {error}", kind="skipped", agent=name)
            return None

    def _open(self, name: str) -> Training:
        if name not in self.trainings:
            self.trainings[name] = self._make(name)
        return self.trainings[name]

    def _make(self, name: str) -> Training:
        blobs, members = training_folder(self.home, name), Members(self.home)
        begins = self.new or BLOB not in blobs
        settings = self._with_chosen_clip(name) if begins else self.settings
        agent, checkpoint = open_training(settings, name, members, self.home, self.new)
        if begins:
            announce(forecast(self.settings, checkpoint.plan), self.narrator)
        wait = self.settings.wait
        return Training(
            agent=agent,
            checkpoint=checkpoint,
            exchange=self.exchange,
            blobs=blobs,
            operator=operator_key(self.home),
            timeout_s=wait.timeout_s,
            patience_s=wait.patience_s,
            quorum=wait.quorum,
            waits=True,
            stopped=self._turn_is_over,
            on_event=lambda event: self._hear(name, event),
        )

    def _with_chosen_clip(self, name: str) -> ServerSettings:
        """Take the clip that `federation` chose for an agent, where it was trained to."""
        if FEDERATION not in self.settings.agents or name == FEDERATION:
            return self.settings
        config = self.settings.agents[name].config
        clip = chosen_clip(training_folder(self.home, FEDERATION), name, config)
        if clip is None:
            return self.settings
        told = f"{name}: rows are clipped at {clip:.4g}, as {FEDERATION} chose by their lengths"
        self.narrator.say(told, kind="clip", agent=name, clip=clip)
        return with_clip(self.settings, name, clip)

    def _hear(self, name: str, event: Event) -> None:
        if event.kind != "waiting":
            self._waited_since = None
        elif self._waited_since is None:
            self._waited_since = time.monotonic()
        text = event.text if len(self.names) == 1 else f"{name}: {event.text}"
        facts = {"kind": event.kind, "agent": name}
        if event.kind in ("asked", "round"):
            self.narrator.progress(text, event.step, event.steps, **facts)
        else:
            self.narrator.say(text, step=event.step, steps=event.steps, **facts)


def training_folder(home: Path, agent: str) -> Folder:
    """Return where an agent's training is stored."""
    make_home(home / TRAININGS)
    return Folder(home / TRAININGS / quote(agent, safe=""))


def open_training(
    settings: ServerSettings, name: str, members: Members, home: Path, new: bool
) -> tuple[Agent, Checkpoint]:
    """Return an agent's stored training, or begin one."""
    blobs = training_folder(home, name)
    stored = Checkpoint.load(blobs)
    if stored is not None and not new:
        stored.latest = newest(stored.latest, last_words(home))
        return build(stored.plan.agent, json.loads(stored.plan.config)), stored
    agent, plan = plan_for(settings, name, members.roster())
    fresh = begin(agent, plan)
    if stored is not None:
        blobs[f"{BLOB}.{int(time.time())}"] = blobs[BLOB]
    # A home restored since then is shown what it has signed, before it takes part.
    fresh.latest = last_words(home)
    return agent, fresh


def spent_before(home: Path, agent: str) -> float:
    """Return the squared mu that all stored trainings of an agent have charged, old ones too."""
    folder = training_folder(home, agent)
    stored = (Checkpoint.load(folder, name) for name in folder if name.startswith(BLOB))
    return sum(one.spent for one in stored if one is not None)


def last_words(home: Path) -> Words:
    """Return each member's newest word, of all trainings."""
    found: Words = {}
    for folder in sorted((home / TRAININGS).glob("*/")):
        try:
            stored = Checkpoint.load(Folder(folder))
        except ConfigError:
            continue  # told when that agent's turn comes
        found = newest(found, stored.latest if stored else {})
    return found


def newest(one: Words, other: Words) -> Words:
    """Return of each member the word for the longer ledger."""
    found = dict(one)
    for name, word in other.items():
        if name not in found or word.lines > found[name].lines:
            found[name] = word
    return found


def _is_over(training: Training) -> bool:
    return training.checkpoint.status != "running"
