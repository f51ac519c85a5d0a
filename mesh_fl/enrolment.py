"""Who takes part in a training: consent to the plan, and the training's key for everybody."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.exchange import Exchange
from mesh_fl.messages import Enrol, Enrolled, Refusal, ToServer

MOST_STRIKES = 2
"""Attempts that a member may kill before it is left out of all that can do without it."""

PING_S = 2.0
"""How long a member that fell silent is waited for while the others could go on."""


@dataclass
class Enrolment:
    """Keeps track of the members of one training while this server runs.

    Parameters
    ----------
    checkpoint : Checkpoint
        Holds the sealed keys.
    exchange : Exchange
        How to reach the members.
    refused : callable
        Told who refuses, and why.
    timeout_s : float
        How long a member may take to consent.

    Attributes
    ----------
    enrolled : set of str
        Members that consented and hold the training's key.
    excluded : dict of str to str
        Members whose refusal lasts, and why.
    """

    checkpoint: Checkpoint
    exchange: Exchange
    refused: Callable[[str, str], None]
    timeout_s: float
    enrolled: set[str] = field(default_factory=set)
    excluded: dict[str, str] = field(default_factory=dict)
    _passed_over: dict[str, int] = field(default_factory=dict)
    _strikes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _distrusted: set[str] = field(default_factory=set)
    _maker: str | None = None

    def candidates(self) -> frozenset[str]:
        """Return the plan's members that could still take part, connected or not."""
        registered = self.exchange.members().keys() & self.checkpoint.plan.caps.keys()
        return frozenset(registered - self.excluded.keys())

    def ready(self, enough: int | None = None) -> tuple[str, ...]:
        """Enrol whom we can reach, and return the members that are ready, sorted.

        Parameters
        ----------
        enough : int, optional
            Members who killed `MOST_STRIKES` attempts are left out where so many others are ready.
        """
        connected = self.exchange.connected()
        # Who went away after a refusal may come back mended.
        for name in self.excluded.keys() - connected:
            del self.excluded[name]
        reachable = self.candidates() & connected
        self.enrol([name for name in reachable - self.enrolled if self._worth_asking(name)])
        ready = self.enrolled & reachable
        sound = {name for name in ready if not self._benched(name)}
        return tuple(sorted(sound if enough is not None and len(sound) >= enough else ready))

    def enrol(self, names: Collection[str]) -> None:
        """Have members consent and give each the training's key."""
        if not names or not self._keys_for(names):
            return
        sealed = self.checkpoint.sealed_keys
        asks = {name: self._message(name, {}) for name in names if name in sealed}
        known_silent = asks.keys() <= self._passed_over.keys()
        answers = self.exchange.send(asks, PING_S if known_silent else self.timeout_s)
        for name, answer in answers.items():
            if isinstance(answer, Enrolled):
                self.enrolled.add(name)
                self._passed_over.pop(name, None)
        self._replace_bad_keys(answers)
        self.note(answers)
        self.lost(asks.keys() - answers.keys())

    def note(self, answers: Mapping[str, ToServer]) -> None:
        """Remember who refused: for good, or until it has consented again."""
        for name, answer in answers.items():
            if not isinstance(answer, Refusal):
                continue
            self.enrolled.discard(name)
            if answer.lasting:
                self.excluded[name] = answer.reason
            self._passed_over.setdefault(name, 0)
            self.refused(name, answer.reason)

    def strike(self, names: Collection[str]) -> None:
        """Remember who killed an attempt, which everybody else has paid for."""
        for name in names:
            count, _ = self._strikes.get(name, (0, 0))
            self._strikes[name] = (count + 1, self.checkpoint.step)
        self.lost(names)

    def _benched(self, name: str) -> bool:
        """Tell whether a member struck too often lately: 16 releases after two, 64 after three."""
        count, step = self._strikes.get(name, (0, 0))
        return count >= MOST_STRIKES and self.checkpoint.step < step + 4**count

    def lost(self, names: Collection[str]) -> None:
        """Remember who did not answer: it must consent again before it is asked to contribute."""
        for name in names:
            self.enrolled.discard(name)
            self._passed_over.setdefault(name, 0)

    def _worth_asking(self, name: str) -> bool:
        """Ask a silent member at the 1st, 2nd, 4th, 8th, ... chance, so that it slows nobody."""
        if name not in self._passed_over:
            return True
        self._passed_over[name] += 1
        chances = self._passed_over[name]
        return chances & (chances - 1) == 0

    def _keys_for(self, names: Collection[str]) -> bool:
        """Have some member seal the training's key to everybody who lacks it."""
        keys = self.exchange.members()
        held = self.checkpoint.sealed_for
        lacking = {
            name: key
            for name, key in keys.items()
            if name in self.checkpoint.plan.caps and held.get(name) != key
        }
        if not lacking.keys() & set(names):
            return True
        holders = (self.candidates() & self.exchange.connected()) - lacking.keys()
        makers = holders if held else set(names)
        # Once everybody was tried, all are tried again: keys and cards are mended in between.
        trusted = makers - self._distrusted or makers
        return any(self._seal(name, lacking) for name in sorted(trusted))

    def _replace_bad_keys(self, answers: Mapping[str, ToServer]) -> None:
        """Before the first attempt, drop a key that most cannot open, and its maker's word."""
        unopened = [a for a in answers.values() if isinstance(a, Refusal) and a.cause == "key"]
        # One that others can open is not to blame: the key of whoever cannot is another than its
        # card says.
        opened = self.enrolled - {self._maker}
        if self.checkpoint.attempt == 0 and self._maker and len(unopened) > len(opened):
            self._distrusted.add(self._maker)
            self.refused(self._maker, "the key that it sealed cannot be opened by others")
            self.checkpoint.sealed_keys.clear()
            self.checkpoint.sealed_for.clear()
            self.enrolled.clear()
            self._maker = None

    def _seal(self, holder: str, lacking: Mapping[str, bytes]) -> bool:
        answers = self.exchange.send({holder: self._message(holder, lacking)}, self.timeout_s)
        self.note(answers)
        answer = answers.get(holder)
        if not isinstance(answer, Enrolled) or answer.sealed_keys.keys() != lacking.keys():
            return False
        self.checkpoint.sealed_keys |= answer.sealed_keys
        self.checkpoint.sealed_for |= lacking
        self._maker = holder
        return True

    def _message(self, name: str, seal_to: Mapping[str, bytes]) -> Enrol:
        return Enrol(
            training=self.checkpoint.training,
            plan=self.checkpoint.plan,
            sealed_key=self.checkpoint.sealed_keys.get(name),
            seal_to=dict(seal_to),
        )
