"""Epochs at the server: who takes part in the next one, and that all of them hold its key.

An epoch ends after so many releases, when the roster changes, and when somebody is ready who does
not hold its key. The server passes on keys that it cannot open.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from mesh_fl.checkpoint import Checkpoint
from mesh_fl.enrolment import Enrolment
from mesh_fl.errors import MeshError
from mesh_fl.exchange import Exchange
from mesh_fl.keyring import unusable
from mesh_fl.messages import Convene, Convened, KeyMade, MakeKey
from mesh_fl.statements import Charter, Presence
from mesh_fl.verification import check_charter


@dataclass
class Convening:
    """Keeps the epochs of one training.

    Parameters
    ----------
    checkpoint : Checkpoint
        Holds the charter and the sealed keys.
    exchange : Exchange
        How to reach the members.
    enrolment : Enrolment
        Who consented, by which roster.
    timeout_s : float
        How long members may take to answer.
    confirm : callable
        Has members enter an epoch, without charge; returns who did.
    """

    checkpoint: Checkpoint
    exchange: Exchange
    enrolment: Enrolment
    timeout_s: float
    confirm: Callable[[Collection[str]], Collection[str]]
    _distrusted: set[str] = field(default_factory=set, init=False)

    def due(self, ready: Collection[str]) -> bool:
        """Tell whether a new epoch should begin before these members are asked."""
        charter, plan = self.checkpoint.charter, self.checkpoint.plan
        if charter is None or not set(ready) <= set(self.checkpoint.entered):
            return True
        if charter.presences[0].roster != self.exchange.roster().head:
            return True
        return self.checkpoint.step - self.checkpoint.epoch_began >= plan.epoch_steps

    def begin(self, ready: Collection[str]) -> bool:
        """Begin an epoch with as many of these as are there; False if too few are."""
        presences = self._presences(ready)
        if len(presences) < self.checkpoint.plan.survivors:
            return False
        names = [one.by for one in presences]
        trusted = [name for name in names if name not in self._distrusted] or names
        maker = trusted[self.checkpoint.epoch % len(trusted)]
        made = self._made_by(maker, presences)
        if made is None or not self._entered(*made):
            self._distrusted.add(maker)
            return False
        return True

    def _presences(self, ready: Collection[str]) -> tuple[Presence, ...]:
        number = self.checkpoint.epoch + 1
        order = Convene(training=self.checkpoint.training, epoch=number)
        answers = self.exchange.send(dict.fromkeys(ready, order), self.timeout_s)
        found = {
            name: answer.presence
            for name, answer in sorted(answers.items())
            if isinstance(answer, Convened) and self._sound(name, answer.presence, number)
        }
        for name in unusable(tuple(found.values())):
            del found[name]
        for name in self.enrolment.restored(tuple(found.values())):
            del found[name]
        self.enrolment.note(answers)
        self.enrolment.lost([name for name in ready if name not in found])
        return tuple(found.values())

    def _sound(self, name: str, one: Presence, number: int) -> bool:
        terms = (self.checkpoint.training, self.checkpoint.plan.digest, number)
        return (
            one.by == name
            and (one.training, one.plan, one.epoch) == terms
            and one.roster == self.enrolment.roster.head
            and one.verifies(self.enrolment.roster.key_of(name))
        )

    def _made_by(
        self, maker: str, presences: tuple[Presence, ...]
    ) -> tuple[Charter, Mapping[str, bytes]] | None:
        training, number = self.checkpoint.training, self.checkpoint.epoch + 1
        order = MakeKey(training=training, epoch=number, presences=presences)
        answers = self.exchange.send({maker: order}, self.timeout_s)
        self.enrolment.note(answers)
        made = answers.get(maker)
        if not isinstance(made, KeyMade) or made.sealed_keys.keys() != _names(presences):
            return None
        charter = Charter(presences=presences, notice=made.notice)
        try:
            check_charter(charter, training, self.checkpoint.plan, self.enrolment.roster)
        except MeshError:
            return None
        return charter, made.sealed_keys

    def _entered(self, charter: Charter, sealed_keys: Mapping[str, bytes]) -> bool:
        """Have everybody open the key before anything is charged under it."""
        # Kept even if few enter: those who did never go back to an earlier number.
        self.checkpoint.charter, self.checkpoint.sealed_keys = charter, dict(sealed_keys)
        self.checkpoint.entered, self.checkpoint.epoch_began = (), self.checkpoint.step
        self.checkpoint.latest |= {one.by: one for one in charter.presences}
        self.checkpoint.entered = tuple(sorted(self.confirm(charter.members)))
        return len(self.checkpoint.entered) >= self.checkpoint.plan.survivors


def _names(presences: Iterable[Presence]) -> set[str]:
    return {one.by for one in presences}
