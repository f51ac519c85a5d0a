"""Asks on their way out, and what comes back: sound replies, refusals, and silence."""

from collections.abc import Mapping

from mesh_fl.asking import Asking
from mesh_fl.checkpoint import Checkpoint
from mesh_fl.enrolment import Enrolment
from mesh_fl.exchange import Exchange
from mesh_fl.messages import Ask, Refusal, Reply
from mesh_fl.round import fits

MISFIT = Refusal(cause="reply", lasting=True)


class Delivery:
    """Sends asks and sorts the answers.

    Parameters
    ----------
    asking : Asking
        Makes the asks.
    exchange : Exchange
        How to reach the members.
    enrolment : Enrolment
        Told who refused, lied or fell silent.
    checkpoint : Checkpoint
        Where the training stands.
    timeout_s : float
        How long members may take.
    """

    def __init__(
        self,
        asking: Asking,
        exchange: Exchange,
        enrolment: Enrolment,
        checkpoint: Checkpoint,
        timeout_s: float,
    ) -> None:
        self.asking = asking
        self._exchange, self._enrolment = exchange, enrolment
        self._at, self._timeout_s = checkpoint, timeout_s
        self._refused: tuple[str, int, int] = ("", 0, 0)

    def close(
        self, cohort: tuple[str, ...], *, publish: bool = False
    ) -> tuple[Ask, dict[str, Reply]]:
        """Ask members for nothing but what they open; nobody is charged."""
        ask = self.asking.ask("close", cohort, publish=publish)
        return ask, self.send(ask)

    def send(
        self, ask: Ask, dealt: Mapping[str, Mapping[str, bytes]] | None = None
    ) -> dict[str, Reply]:
        """Send each member its ask and return the replies that hold what was asked for.

        Parameters
        ----------
        ask : Ask
            For the whole cohort.
        dealt : dict of str to dict of str to bytes, optional
            In a large cohort, what each member's neighbours sealed to it.
        """
        cohort, asks = ask.call.cohort, self.asking.each(ask)
        if dealt is not None:
            asks = {n: one.model_copy(update={"dealt": dealt[n]}) for n, one in asks.items()}
        answers = self._exchange.send(asks, self._timeout_s)
        keys = {name: self._enrolment.roster.key_of(name) for name in answers}
        replies = {
            name: answer
            for name, answer in answers.items()
            if isinstance(answer, Reply) and fits(answer, ask, name, self._at.plan, keys[name])
        }
        strange = {
            name: answer if isinstance(answer, Refusal) else MISFIT
            for name, answer in answers.items()
            if name not in replies
        }
        for name in self._enrolment.restored([reply.account for reply in replies.values()]):
            del replies[name]
        self._enrolment.note(strange)
        self._enrolment.lost([name for name in cohort if name not in answers])
        self.asking.note(replies)
        unopened = {name for name, answer in strange.items() if answer.cause in ("key", "peer")}
        self._refused = (ask.call.digest, len(unopened), len(unopened | replies.keys()))
        return replies

    def nobody_opens(self, ask: Ask) -> bool:
        """Tell whether too many of a whole cohort refused a sum for good for it to be settled.

        At most T members opened it then, among them those on whose account the others refuse.
        Whoever is silent may have opened it, and could never go back.
        """
        cohort, plan = frozenset(ask.call.cohort), self._at.plan
        holders = cohort <= set(self._at.entered) and len(cohort) >= plan.survivors
        digest, refused, answered = self._refused
        whole = digest == ask.call.digest and answered == len(cohort)
        few = answered - refused <= plan.colluders < refused
        return ask.pending is not None and holders and whole and few
