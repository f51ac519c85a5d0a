"""All opportunities, the largest amounts first, and what other agents say of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mesh_fl.agents.revenue.accounts import Accounts
from mesh_fl.agents.revenue.answer import Evidence, Opportunity
from mesh_fl.agents.revenue.months import day_name
from mesh_fl.agents.revenue.price_rise import price_rises, seat_rate_of
from mesh_fl.agents.revenue.receivables import overdue, recurring_work
from mesh_fl.agents.revenue.renewals import renewals
from mesh_fl.agents.revenue.unbilled import unbilled_seats, unbilled_work
from mesh_fl.agents.revenue.upsell import upsells
from mesh_fl.agents.revenue.wording import money
from mesh_fl.errors import MeshError
from mesh_fl.site import Ask

MOST_TOLD = 20
MOST_ASKED = 5
"""Opportunities of one kind that another agent is asked about."""

KINDS: tuple[Callable[[Accounts], Iterable[Opportunity]], ...] = (
    renewals,
    upsells,
    price_rises,
    unbilled_seats,
    unbilled_work,
    overdue,
    recurring_work,
)


def opportunities(accounts: Accounts) -> tuple[Opportunity, ...]:
    """Return all opportunities, the largest amounts first."""
    found = [one for kind in KINDS for one in kind(accounts) if one.amount > 0]
    return tuple(sorted(found, key=lambda one: (-one.amount, one.client_id, one.kind, one.action)))


@dataclass(frozen=True)
class Neighbours:
    """The other agents of this member, as far as they answer.

    Parameters
    ----------
    ask : callable
    day : int
        What now means.
    """

    ask: Ask
    day: int

    def enriched(self, found: Iterable[Opportunity]) -> Iterator[Opportunity]:
        """Yield opportunities with what others say of the first few of a kind."""
        asked = {"renewal": 0, "price rise": 0}
        for one in found:
            more: tuple[Evidence, ...] = ()
            if asked.get(one.kind, MOST_ASKED) < MOST_ASKED:
                asked[one.kind] += 1
                more = tuple(self._churn(one) if one.kind == "renewal" else self._percentile(one))
            yield one.model_copy(update={"evidence": (*one.evidence, *more)}) if more else one

    def _churn(self, renewal: Opportunity) -> Iterator[Evidence]:
        asked = {"client_id": renewal.client_id, "as_of": day_name(self.day)}
        told = self._told("health", asked)
        risk = told.get("churn_risk")
        if not isinstance(risk, float) or not _is_about_a_client(told):
            return
        yield Evidence(because="churn risk of the client, by agent health", value=risk)
        at_stake = money(renewal.amount, renewal.currency or "")
        yield Evidence(because=f"at stake: {at_stake} x that risk", value=renewal.amount * risk)

    def _percentile(self, rise: Opportunity) -> Iterator[Evidence]:
        asked = {"rate_per_seat": seat_rate_of(rise), "currency": rise.currency or ""}
        positions = self._told("market", asked).get("positions")
        for one in positions if isinstance(positions, list) else []:
            if not isinstance(one, Mapping) or one.get("figure") != "rate_per_seat":
                continue
            percentile = one.get("percentile")
            if isinstance(percentile, float):
                told = "its percentile in the network, by agent market: agreements of all types"
                yield Evidence(because=told, value=percentile)

    def _told(self, agent: str, fields: Mapping[str, object]) -> Mapping[str, object]:
        try:
            return self.ask(agent, fields)
        except MeshError:
            return {}


def _is_about_a_client(told: Mapping[str, object]) -> bool:
    """Tell whether health knew anything of the client: else its risk is anybody's."""
    reasons = told.get("reasons")
    if not isinstance(reasons, list):
        return False
    return any(isinstance(one, Mapping) and one.get("value") is not None for one in reasons)
