"""Members of an epoch, without a network around them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from small_network import FOUNDERS, NAMES, plan_of

from mesh_fl.keyring import Keyring, Term
from mesh_fl.privacy.encryption import Parameters
from mesh_fl.statements import Charter, KeyNotice, Presence, presences_digest

PLAN = plan_of()
TRAINING = "ab" * 16


@dataclass
class Party:
    """A member with its keys only."""

    name: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    parameters: Parameters = PLAN.parameters

    def keyring(self) -> Keyring:
        """As after a restart."""
        return Keyring(self.name, TRAINING, self.parameters, self.blobs)

    def presence(self, epoch: int = 1, **fields: object) -> Presence:
        sealing, masking = self.keyring().convene(epoch)
        terms: dict[str, object] = {
            "by": self.name,
            "training": TRAINING,
            "plan": PLAN.digest,
            "roster": FOUNDERS.roster.head,
            "epoch": epoch,
            "sealing": sealing,
            "masking": masking,
            "lines": 1,
            "head": f"head of {self.name}",
        }
        return Presence.model_validate({**terms, **fields}).signed(FOUNDERS.signing[self.name])

    def make(
        self, presences: tuple[Presence, ...], epoch: int = 1, **fields: object
    ) -> tuple[Charter, dict[str, bytes]]:
        terms: dict[str, object] = {
            "by": self.name,
            "training": TRAINING,
            "epoch": epoch,
            "presences": presences_digest(presences),
            "fingerprint": "",
        }
        draft = KeyNotice.model_validate({**terms, **fields})
        sealed, notice = self.keyring().make_key(draft, presences)
        notice = notice.signed(FOUNDERS.signing[self.name])
        return Charter(presences=presences, notice=notice), sealed


def parties() -> dict[str, Party]:
    return {name: Party(name) for name in NAMES}


def presences_of(people: Iterable[Party], epoch: int = 1) -> tuple[Presence, ...]:
    return tuple(one.presence(epoch) for one in sorted(people, key=lambda one: one.name))


def entered(people: Mapping[str, Party], epoch: int = 1, maker: str = "ash") -> dict[str, Term]:
    """Everybody's place in an epoch."""
    charter, sealed = people[maker].make(presences_of(people.values(), epoch), epoch)
    return {name: one.keyring().enter(charter, sealed[name]) for name, one in people.items()}
