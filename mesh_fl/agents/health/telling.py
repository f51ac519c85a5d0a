"""From what was found of a client and the model's answer to what people are told."""

from collections.abc import Mapping

from mesh_fl.agents.health.answer import ClientHealthAnswer, Reason, Recommendation
from mesh_fl.agents.health.client_answer import (
    ClientAnswer,
    Intervention,
    LastContact,
    Prediction,
    Saving,
)
from mesh_fl.agents.health.findings import Found
from mesh_fl.agents.health.history import DAY, day_of, moment_text
from mesh_fl.agents.health.revenue_at_risk import Stake, stakes_of
from mesh_fl.agents.health.terms import running
from mesh_fl.agents.health.windows import Known, NotKnownError
from mesh_fl.agents.health.wording import money, percent, plain

LEAST_ADVISED = 0.05
"""In log odds; less is no reason to do anything."""

NO_CLIENT = "no client_id was asked for"
NO_CONTACT = "table clients tells no contact with this client before that moment"


def tell(found: Found, answer: ClientHealthAnswer, faults: Mapping[str, str]) -> ClientAnswer:
    """Add what one's own tables tell to the answer by features."""
    known, request = found.known, found.request
    reasons = tuple(_as_measured(one, found.features.get(one.feature)) for one in answer.reasons)
    answer = answer.model_copy(update={"reasons": reasons})
    stakes, why_none = _stakes(known) if request.client_id else ((), NO_CLIENT)
    contact = last_contact(known)
    base = dict(answer)
    at_risk = tuple(one.at_risk(answer.churn_risk) for one in stakes)
    base["predictions"] = Prediction(**dict(answer.predictions), revenue_at_risk=at_risk or None)
    base["recommendations"] = tuple(_interventions(answer, stakes))
    base["unavailable"] = {
        **answer.unavailable,
        **({} if request.client_id else {"client_id": NO_CLIENT}),
        **({} if stakes else {"predictions.revenue_at_risk": why_none}),
        **({} if contact else {"last_contact": NO_CONTACT if request.client_id else NO_CLIENT}),
    }
    return ClientAnswer(
        **base,
        client_id=request.client_id or None,
        as_of=moment_text(known.at),
        last_contact=contact,
        caution=caution(known),
        rows_read={name: known.history.rows(name) for name in known.history.tables},
        missing=_missing(found, faults),
        ignored=found.ignored,
    )


def _as_measured(reason: Reason, measured: float | str | None) -> Reason:
    """Tell what was measured where it lies beyond the bound that counts in its place."""
    counts = reason.value
    if not (isinstance(measured, float | int) and isinstance(counts, float | int)):
        return reason
    shown, bound = plain(measured), plain(counts)
    if shown == bound:
        return reason
    words = reason.words.replace(f": {bound}", f": {shown}, which counts as {bound}", 1)
    return reason.model_copy(update={"value": float(measured), "words": words})


def caution(known: Known) -> str:
    """Say that no agreement runs: nobody trains on such clients, so the risk is that of others."""
    if not known.history.rows("agreements") or running(known.history, known.at).any():
        return ""
    return (
        f"none of its agreements runs on {day_of(known.at)}: by them it is no client any more, and "
        "the risk is that of a client like it that still is one; tell lost_at if it has left"
    )


def last_contact(known: Known) -> LastContact | None:
    """Return the last contact with the client's management, else with anybody there."""
    for column, with_management in (("last_exec_touch_at", True), ("last_touch_at", False)):
        moment = known.history.of_client(column)
        if moment == moment:
            return LastContact(days=(known.at - moment) / DAY, with_management=with_management)
    return None


def _stakes(known: Known) -> tuple[tuple[Stake, ...], str]:
    try:
        return stakes_of(known), ""
    except NotKnownError as error:
        return (), str(error)


def _missing(found: Found, faults: Mapping[str, str]) -> dict[str, str]:
    """Say why features are not known; a table that cannot be read is named for what it is."""
    absent = {f"there is no table {name}": fault for name, fault in faults.items()}
    return {
        name: absent.get(value, value)
        for name, value in found.features.items()
        if isinstance(value, str)
    }


def _interventions(answer: ClientHealthAnswer, stakes: tuple[Stake, ...]) -> list[Intervention]:
    reasons = {reason.feature: reason for reason in answer.reasons}
    return [
        Intervention(
            **dict(advice),
            value=_value(reasons[advice.feature]),
            because=reasons[advice.feature].words,
            expected_revenue_saved=tuple(_saving(one, answer.churn_risk, advice) for one in stakes),
        )
        for advice in answer.recommendations
        if advice.contribution >= LEAST_ADVISED
    ]


def _value(reason: Reason) -> float | None:
    return None if reason.value is None else float(reason.value)


def _saving(stake: Stake, risk: float, advice: Recommendation) -> Saving:
    amount = stake.amount * (risk - advice.risk_if_neutral)
    told = f"{money(stake.amount, stake.currency)} at stake x ({percent(risk)} - "
    told += f"{percent(advice.risk_if_neutral)}, were {advice.feature} typical) = "
    return Saving(
        amount=amount,
        currency=stake.currency or None,
        arithmetic=told + money(amount, stake.currency),
    )
