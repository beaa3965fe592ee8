"""Facts of a subscription's life.

An update may state several facts; all that hold are given, in the catalog's order. `mrr_change` stands on exactly one
of them, so that its running sum over a subscription is the subscription's current mrr.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.mrr_changes import (
    change_of,
    counted,
    counted_by_update,
    ended_in_trial,
    lost_mrr,
    record_in,
)
from stripe_to_segment.mapping.plan import Name
from stripe_to_segment.mapping.subscription_state import after_of, before_of, plan_properties
from stripe_to_segment.stripe_side.fields import dig, integer, iso_time, text
from stripe_to_segment.stripe_side.money import major
from stripe_to_segment.stripe_side.subscription import cancellation_scheduled_for, ended_at, started_at, trial_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.subscription_state import State
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = [
    "MRR_BEARERS",
    "bearer_of",
    "created",
    "deleted",
    "paused",
    "resumed",
    "trial_will_end",
    "update_facts",
    "update_pending",
    "updated",
]

# The facts that may carry an update's mrr_change: the first of them that holds does. The last two do so only where
# nothing else tells of a change: a running subscription put on trial, a trial that ends unpaid.
MRR_BEARERS = (
    Name.SUBSCRIPTION_ACTIVATED,
    Name.TRIAL_CONVERTED,
    Name.SUBSCRIPTION_UPGRADED,
    Name.SUBSCRIPTION_DOWNGRADED,
    Name.SUBSCRIPTION_UNPAID,
    Name.SUBSCRIPTION_RECOVERED,
    Name.SUBSCRIPTION_CHANGED,
    Name.TRIAL_STARTED,
    Name.SUBSCRIPTION_PAST_DUE,
)
FALLBACK_BEARERS = frozenset({Name.TRIAL_STARTED, Name.SUBSCRIPTION_PAST_DUE})


CANCELLED_BY = {
    "cancellation_requested": "customer",
    "payment_failed": "payment_failure",
    "payment_disputed": "dispute",
    "canceled_by_retention_policy": "retention_policy",
}


def created(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.created."""
    state = after_of(event)
    fact = _fact(Name.SUBSCRIPTION_CREATED, event, state, known)
    yield _bearing(fact, change_of(event, known, 0, state.mrr), state)
    if state.status == "trialing":
        yield _trial_fact(Name.TRIAL_STARTED, event, state, known)


def updated(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.updated: every fact its `previous_attributes` state."""
    before, after = before_of(event), after_of(event)
    facts = update_facts(event, before, after, known)
    change = change_of(event, known, *counted_by_update(before, after))
    bearer = bearer_of(facts, change)
    for fact in facts:
        yield _bearing(fact, change, after) if fact is bearer else fact


def update_facts(event: StripeEvent, before: State, after: State, known: Known) -> list[Fact]:
    """The facts an update states, in the catalog's order, before one of them is given the mrr_change."""
    return [
        *_status_facts(event, before, after, known),
        *_plan_facts(event, before, after, known),
        *_cancellation_facts(event, before, after, known),
        *_dunning_facts(event, before, after, known),
        *_collection_facts(event, before, after, known),
    ]


def bearer_of(facts: list[Fact], change: int | None) -> Fact | None:
    """The fact that carries an update's mrr_change."""
    bearer = next((fact for name in MRR_BEARERS for fact in facts if fact.name is name), None)
    idle = bearer is not None and bearer.name in FALLBACK_BEARERS and not change
    return None if change is None or idle else bearer


def _status_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    was, now = before.status, after.status
    if was == now:
        return
    if was == "incomplete" and now in {"active", "trialing"}:
        yield _fact(Name.SUBSCRIPTION_ACTIVATED, event, after, known)
    if was == "incomplete" and now == "incomplete_expired":
        yield _fact(Name.SUBSCRIPTION_EXPIRED, event, after, known)
    if now == "trialing":
        yield _trial_fact(Name.TRIAL_STARTED, event, after, known)
    if was == "trialing":
        if now == "active":
            yield _trial_fact(Name.TRIAL_CONVERTED, event, after, known)
        yield _trial_fact(Name.TRIAL_ENDED, event, after, known, converted=now == "active")


def _plan_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    old, new = before.value.amount, after.value.amount
    differs = before.terms != after.terms
    if old is not None and new is not None and old != new:
        name = Name.SUBSCRIPTION_UPGRADED if new > old else Name.SUBSCRIPTION_DOWNGRADED
    elif differs:
        name = Name.SUBSCRIPTION_CHANGED
    else:
        return
    was, now = plan_properties(before, known), plan_properties(after, known)
    changed = [field for field in ("plan", "quantity", "billing_period") if was[field] != now[field]]
    if {item.id for item in before.items} != {item.id for item in after.items} or (differs and not changed):
        changed.append("items")
    if not changed:
        changed.append("discount")
    previous = {f"previous_{field}": was[field] for field in ("plan", "mrr", "quantity", "billing_period")}
    # A script may change one subscription twice in a second: what changed tells the two apart.
    once = f"{event.created}:{before.worth}>{after.worth}"
    yield _fact(name, event, after, known, once, {**previous, "changed": changed})


def _cancellation_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    was, now = (cancellation_scheduled_for(state.subscription) for state in (before, after))
    if ended_at(after.subscription) is not None or (was is None) == (now is None):
        return
    if now is not None:
        properties = {"cancels_at": iso_time(now or None), **_why(after.subscription)}
        yield _fact(Name.SUBSCRIPTION_CANCELLATION_SCHEDULED, event, after, known, f"{event.created}", properties)
    else:
        yield _fact(Name.SUBSCRIPTION_REACTIVATED, event, after, known, f"{event.created}")


def _dunning_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    was, now = before.status, after.status
    if was == now:
        return
    if now == "past_due":
        yield _fact(Name.SUBSCRIPTION_PAST_DUE, event, after, known, f"{event.created}")
    elif was in {"past_due", "unpaid"} and now == "active":
        yield _fact(Name.SUBSCRIPTION_RECOVERED, event, after, known, f"{event.created}")
    elif now == "unpaid":
        yield _fact(Name.SUBSCRIPTION_UNPAID, event, after, known, f"{event.created}")


def _collection_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    was, now = (state.subscription.get("pause_collection") for state in (before, after))
    if bool(was) == bool(now):
        return
    if now:
        properties = {
            "collection_behavior": text(dig(now, "behavior")),
            "resumes_at": iso_time(integer(dig(now, "resumes_at"))),
        }
        yield _fact(Name.SUBSCRIPTION_COLLECTION_PAUSED, event, after, known, f"{event.created}", properties)
    else:
        yield _fact(Name.SUBSCRIPTION_COLLECTION_RESUMED, event, after, known, f"{event.created}")


def deleted(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.deleted: the end, whatever led to it."""
    state = after_of(event)
    end, start = ended_at(event.object) or event.created, started_at(event.object)
    record = record_in(event, known)
    days = None if start is None else max(end - start, 0) // 86_400
    fact = _fact(Name.SUBSCRIPTION_CANCELLED, event, state, known, "", {**_why(event.object), "days_active": days})
    lost = lost_mrr(event, state, record)
    yield _bearing(fact, None if lost is None else -lost, state)
    if ended_in_trial(event, record):
        yield _trial_fact(Name.TRIAL_ENDED, event, state, known, converted=False)


def paused(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.paused: a trial ended without a payment method."""
    state, change = after_of(event), change_of(event, known, *counted(event, known))
    yield _bearing(_fact(Name.SUBSCRIPTION_PAUSED, event, state, known, f"{event.created}"), change, state)


def resumed(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.resumed."""
    state = after_of(event)
    fact = _fact(Name.SUBSCRIPTION_RESUMED, event, state, known, f"{event.created}")
    yield _bearing(fact, change_of(event, known, 0, state.mrr), state)


def trial_will_end(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.trial_will_end, three days before the end (or at once for a shorter trial)."""
    yield _trial_fact(Name.TRIAL_ENDING_SOON, event, after_of(event), known)


def update_pending(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.pending_update_applied and .pending_update_expired."""
    applied = event.type.endswith("_applied")
    name = Name.SUBSCRIPTION_UPDATE_APPLIED if applied else Name.SUBSCRIPTION_UPDATE_EXPIRED
    yield _fact(name, event, after_of(event), known, f"{event.created}")


def _fact(  # noqa: PLR0913, PLR0917 - the one place where a subscription fact is put together
    name: Name,
    event: StripeEvent,
    state: State,
    known: Known,
    once: str = "",
    more: dict[str, Any] | None = None,
) -> Fact:
    """A fact about this subscription; `once` tells the times apart for what can happen more than once."""
    subscription_id = text(event.object.get("id")) or event.id
    properties = {"subscription_id": subscription_id, "status": state.status, **plan_properties(state, known)}
    return Fact(name, f"{subscription_id}:{once}", {**properties, **(more or {})})


def _bearing(fact: Fact, change: int | None, state: State) -> Fact:
    """The fact with the event's mrr_change."""
    properties = {**fact.properties, "mrr_change": major(change, state.currency)}
    return replace(fact, properties=properties)


def _trial_fact(name: Name, event: StripeEvent, state: State, known: Known, *, converted: bool | None = None) -> Fact:
    start, end = trial_of(event.object)
    more = {
        "trial_start_date": iso_time(start),
        "trial_end_date": iso_time(end),
        "trial_plan_name": None if state.main is None else plan_name(state.main.price, known),
        "converted": converted,
    }
    # By its end too: a trial may be extended, and later ones may keep the first one's start.
    return _fact(name, event, state, known, f"{start or ''}:{end or ''}", more)


def _why(subscription: JsonObject) -> dict[str, Any]:
    """Reason and feedback; the comment is the customer's own words and stays here."""
    details = subscription.get("cancellation_details")
    reason = text(dig(details, "reason"))
    return {
        "reason": reason,
        "feedback": text(dig(details, "feedback")),
        "cancelled_by": CANCELLED_BY.get(reason or ""),
    }
