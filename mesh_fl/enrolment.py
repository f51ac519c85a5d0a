"""Who takes part in a training: consent to the plan, by members on the newest roster."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.exchange import Exchange
from mesh_fl.messages import Enrol, Enrolled, Refusal, ToServer
from mesh_fl.statements import Account, Presence

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
        Holds the last word of each member.
    exchange : Exchange
        How to reach the members.
    refused : callable
        Told who refuses, and why.
    timeout_s : float
        How long a member may take to consent.

    Attributes
    ----------
    enrolled : dict of str to int
        Members that consented, and how many releases their models have seen.
    excluded : dict of str to str
        Members whose refusal lasts, and why.
    """

    checkpoint: Checkpoint
    exchange: Exchange
    refused: Callable[[str, str], None]
    timeout_s: float
    enrolled: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    _passed_over: dict[str, int] = field(default_factory=dict)
    _strikes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with the roster as it is, or as it was where its members have work to finish."""
        self.roster, at = self.exchange.roster(), self.checkpoint
        if at.charter is not None and (at.cohort or at.pending is not None):
            self.roster = self.roster.until(at.charter.presences[0].roster)

    def candidates(self) -> frozenset[str]:
        """Return the plan's members that could still take part, connected or not."""
        registered = self.roster.cards.keys() & self.checkpoint.plan.caps.keys()
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
        absent = reachable - self.enrolled.keys()
        self.enrol([name for name in absent if self._worth_asking(name)])
        ready = self.enrolled.keys() & reachable
        sound = {name for name in ready if not self._benched(name)}
        return tuple(sorted(sound if enough is not None and len(sound) >= enough else ready))

    def enrol(self, names: Collection[str]) -> None:
        """Have members consent."""
        asks = {name: self._message(name) for name in names}
        if not asks:
            return
        known_silent = asks.keys() <= self._passed_over.keys()
        answers = self.exchange.send(asks, PING_S if known_silent else self.timeout_s)
        for name, answer in answers.items():
            if isinstance(answer, Enrolled):
                self.enrolled[name] = answer.step
                self._passed_over.pop(name, None)
        self.note(answers)
        self.lost(asks.keys() - answers.keys())

    def follow_roster(self) -> None:
        """Take the newest roster: everybody has to consent again, by it."""
        newest = self.exchange.roster()
        if newest.head != self.roster.head:
            self.roster = newest
            self.enrolled.clear()

    def blame(self, name: str, why: str) -> None:
        """Leave out a member that is to blame, for as long as it stays connected."""
        self.enrolled.pop(name, None)
        self.excluded[name] = why
        self.refused(name, why)

    def restored(self, words: Collection[Account | Presence]) -> Collection[str]:
        """Blame whoever's ledger does not go on from its last word, and return them."""
        gone_back = [one.by for one in words if not self.continues(one)]
        for name in gone_back:
            self.blame(name, "it signed for an older ledger than before: restored from a backup")
        return gone_back

    def note(self, answers: Mapping[str, ToServer]) -> None:
        """Remember who refused: for good, or until it has consented again."""
        for name, answer in answers.items():
            if not isinstance(answer, Refusal):
                continue
            self.enrolled.pop(name, None)
            if answer.lasting:
                self.excluded[name] = answer.reason
            self._passed_over.setdefault(name, 0)
            self.refused(name, answer.reason)
        self._hear_accusers(answers)

    def _hear_accusers(self, answers: Mapping[str, ToServer]) -> None:
        """Leave out a member on whose account more refuse than may collude."""
        refusals = [one for one in answers.values() if isinstance(one, Refusal)]
        voices = Counter(one.about for one in refusals if one.about in self.roster.cards)
        for name, count in voices.items():
            if count > self.checkpoint.plan.colluders:
                self.blame(name, f"{count} members remember a longer ledger of it")

    def continues(self, word: Account | Presence) -> bool:
        """Tell whether a member's ledger goes on from its last word; a restored one does not.

        The other members would refuse it too, and the attempt would be lost.
        """
        last = self._latest(word.by)
        if last is None or word.lines > last.lines:
            return True
        return (word.lines, word.head) == (last.lines, last.head)

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
            self.enrolled.pop(name, None)
            self._passed_over.setdefault(name, 0)

    def _worth_asking(self, name: str) -> bool:
        """Ask a silent member at the 1st, 2nd, 4th, 8th, ... chance, so that it slows nobody."""
        if name not in self._passed_over:
            return True
        self._passed_over[name] += 1
        chances = self._passed_over[name]
        return chances & (chances - 1) == 0

    def _message(self, name: str) -> Enrol:
        return Enrol(
            training=self.checkpoint.training,
            plan=self.checkpoint.plan,
            roster=self.roster.dumps(),
            latest=self._latest(name),
        )

    def _latest(self, name: str) -> Account | Presence | None:
        latest = self.checkpoint.latest.get(name)
        if latest is None or not latest.verifies(self.roster.key_of(name)):
            return None  # by a key that has left the roster
        return latest
