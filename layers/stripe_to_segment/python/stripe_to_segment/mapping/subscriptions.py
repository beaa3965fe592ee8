"""Facts of a subscription's life.

An update may state several facts; all that hold are given, in the catalog's order. `mrr_change` stands on exactly one
of them, so that its running sum over a subscription is the subscription's current mrr.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.plan import Name
from stripe_to_segment.profile import SubscriptionRecord
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import dig, integer, iso_time, text
from stripe_to_segment.stripe_side.money import major
from stripe_to_segment.stripe_side.mrr import MonthlyValue, monthly_value
from stripe_to_segment.stripe_side.subscription import (
    Item,
    cancellation_scheduled_for,
    currency_of,
    ended_at,
    items_before,
    items_of,
    started_at,
    status_of,
    trial_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.profile import Watermark
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = [
    "better_known",
    "created",
    "deleted",
    "paused",
    "record_of",
    "resumed",
    "trial_will_end",
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

# Statuses whose coming and going an event of its own tells, with its own mrr_change.
TOLD_APART = frozenset({"paused", "canceled"})

CANCELLED_BY = {
    "cancellation_requested": "customer",
    "payment_failed": "payment_failure",
    "payment_disputed": "dispute",
    "canceled_by_retention_policy": "retention_policy",
}


@dataclass(frozen=True, slots=True)
class _State:
    """A subscription at one moment: before the event, or after it."""

    subscription: JsonObject
    items: tuple[Item, ...]
    value: MonthlyValue

    @property
    def status(self) -> str | None:
        return status_of(self.subscription)

    @property
    def currency(self) -> str | None:
        return currency_of(self.subscription)

    @property
    def mrr(self) -> int | None:
        """Minor units."""
        return self.value.counted(self.status)

    @property
    def main(self) -> Item | None:
        """The item that names the plan: the first licensed one, else the first."""
        licensed = (item for item in self.items if not item.price.metered)
        return next(licensed, next(iter(self.items), None))

    @property
    def quantity(self) -> int | None:
        """Seats; a metered item has none."""
        return None if self.main is None or self.main.price.metered else self.main.quantity

    @property
    def terms(self) -> frozenset[tuple[object, ...]]:
        return frozenset((item.id, *item.terms) for item in self.items)

    @property
    def worth(self) -> str:
        """What the customer pays for and its monthly value, as a text that is the same for the same terms."""
        return f"{self.value.amount} {sorted(map(str, self.terms))}"


@asked_once
def _after(event: StripeEvent) -> _State:
    subscription = event.object
    if event.type.endswith(".deleted"):
        # The event is the end, even in a payload rendered a moment before the status changed.
        subscription = {**subscription, "status": "canceled"}
    items = items_of(subscription)
    return _State(subscription, items, monthly_value(subscription, items))


@asked_once
def _before(event: StripeEvent) -> _State:
    before = event.before
    items = items_before(event.object, event.previous, before)
    return _State(before, items, monthly_value(before, items))


def created(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.created."""
    state = _after(event)
    change = _change(event, known, 0, state.mrr)
    yield _fact(Name.SUBSCRIPTION_CREATED, event, state, known, "", {"mrr_change": major(change, state.currency)})
    if state.status == "trialing":
        yield _trial_fact(Name.TRIAL_STARTED, event, state, known)


def updated(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.updated: every fact its `previous_attributes` state."""
    before, after = _before(event), _after(event)
    facts = _update_facts(event, before, after, known)
    change = _change(event, known, *_counted_by_update(before, after))
    bearer = _bearer(facts, change)
    for fact in facts:
        if fact is bearer:
            yield replace(fact, properties={**fact.properties, "mrr_change": major(change, after.currency)})
        else:
            yield fact


def _update_facts(event: StripeEvent, before: _State, after: _State, known: Known) -> list[Fact]:
    return [
        *_status_facts(event, before, after, known),
        *_plan_facts(event, before, after, known),
        *_cancellation_facts(event, before, after, known),
        *_dunning_facts(event, before, after, known),
        *_collection_facts(event, before, after, known),
    ]


def _bearer(facts: list[Fact], change: int | None) -> Fact | None:
    """The fact that carries an update's mrr_change."""
    bearer = next((fact for name in MRR_BEARERS for fact in facts if fact.name is name), None)
    idle = bearer is not None and bearer.name in FALLBACK_BEARERS and not change
    return None if change is None or idle else bearer


def _counted(event: StripeEvent, known: Known) -> tuple[int | None, int | None]:
    """The mrr before and after this event in minor units, as far as the change is this event's to tell."""
    after = _after(event)
    if event.type.endswith(".updated"):
        return _counted_by_update(_before(event), after)
    if event.type.endswith(".paused"):
        return _lost_mrr(event, after, _record_before(event, known)), 0
    return 0, after.mrr


def _counted_by_update(before: _State, after: _State) -> tuple[int | None, int | None]:
    # The pause, the resumption and the end count the status; what is left is the plan under one status.
    status = before.status if TOLD_APART & {before.status, after.status} else after.status
    return before.mrr, after.value.counted(status)


def _change(event: StripeEvent, known: Known, was: int | None, now: int | None) -> int | None:
    """By how many minor units this event changed the mrr, less what an end that arrived before it has told."""
    if was is None or now is None:
        return None
    record = _record(event, known)
    if record is None or record.lost is None or not _knows_better(event, record, was, now):
        return now - was
    # The end took away what was believed then, and from now on it took away what this event says.
    return now - was + record.lost - now


def _knows_better(event: StripeEvent, record: SubscriptionRecord, was: int, now: int) -> bool:
    """Whether this event comes after what the end of its subscription went by, of one second by what it follows."""
    moment = _moment(event)
    return moment > record.lost_as_of or (moment == record.lost_as_of and was == record.lost != now)


def _moment(event: StripeEvent) -> Watermark:
    return (event.created, 0 if event.type.endswith(".created") else 1)


def _status_facts(event: StripeEvent, before: _State, after: _State, known: Known) -> Iterator[Fact]:
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


def _plan_facts(event: StripeEvent, before: _State, after: _State, known: Known) -> Iterator[Fact]:
    old, new = before.value.amount, after.value.amount
    differs = before.terms != after.terms
    if old is not None and new is not None and old != new:
        name = Name.SUBSCRIPTION_UPGRADED if new > old else Name.SUBSCRIPTION_DOWNGRADED
    elif differs:
        name = Name.SUBSCRIPTION_CHANGED
    else:
        return
    was, now = _plan_properties(before, known), _plan_properties(after, known)
    changed = [field for field in ("plan", "quantity", "billing_period") if was[field] != now[field]]
    if {item.id for item in before.items} != {item.id for item in after.items} or (differs and not changed):
        changed.append("items")
    if not changed:
        changed.append("discount")
    previous = {f"previous_{field}": was[field] for field in ("plan", "mrr", "quantity", "billing_period")}
    # A script may change one subscription twice in a second: what changed tells the two apart.
    once = f"{event.created}:{before.worth}>{after.worth}"
    yield _fact(name, event, after, known, once, {**previous, "changed": changed})


def _cancellation_facts(event: StripeEvent, before: _State, after: _State, known: Known) -> Iterator[Fact]:
    was, now = (cancellation_scheduled_for(state.subscription) for state in (before, after))
    if ended_at(after.subscription) is not None or (was is None) == (now is None):
        return
    if now is not None:
        properties = {"cancels_at": iso_time(now or None), **_why(after.subscription)}
        yield _fact(Name.SUBSCRIPTION_CANCELLATION_SCHEDULED, event, after, known, f"{event.created}", properties)
    else:
        yield _fact(Name.SUBSCRIPTION_REACTIVATED, event, after, known, f"{event.created}")


def _dunning_facts(event: StripeEvent, before: _State, after: _State, known: Known) -> Iterator[Fact]:
    was, now = before.status, after.status
    if was == now:
        return
    if now == "past_due":
        yield _fact(Name.SUBSCRIPTION_PAST_DUE, event, after, known, f"{event.created}")
    elif was in {"past_due", "unpaid"} and now == "active":
        yield _fact(Name.SUBSCRIPTION_RECOVERED, event, after, known, f"{event.created}")
    elif now == "unpaid":
        yield _fact(Name.SUBSCRIPTION_UNPAID, event, after, known, f"{event.created}")


def _collection_facts(event: StripeEvent, before: _State, after: _State, known: Known) -> Iterator[Fact]:
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
    state = _after(event)
    end, start = ended_at(event.object) or event.created, started_at(event.object)
    record = _record(event, known)
    lost = _lost_mrr(event, state, record)
    properties = {
        **_why(event.object),
        "days_active": None if start is None else max(end - start, 0) // 86_400,
        "mrr_change": None if lost is None else major(-lost, state.currency),
    }
    yield _fact(Name.SUBSCRIPTION_CANCELLED, event, state, known, "", properties)
    if _ended_in_trial(event, record):
        yield _trial_fact(Name.TRIAL_ENDED, event, state, known, converted=False)


def _record(event: StripeEvent, known: Known) -> SubscriptionRecord | None:
    return known.profile.subscriptions.get(text(event.object.get("id")) or "")


def _record_before(event: StripeEvent, known: Known) -> SubscriptionRecord | None:
    """The record, unless it is of something newer: then it does not know what counted before this event."""
    record = _record(event, known)
    return None if record is not None and record.as_of > _moment(event) else record


def _ended_in_trial(event: StripeEvent, record: SubscriptionRecord | None) -> bool:
    """Whether the end came in a trial or, as where no payment method was given, with the end of it."""
    if record is not None and record.status == "trialing":
        return True
    trial_end = trial_of(event.object)[1]
    return trial_end is not None and trial_end >= (ended_at(event.object) or event.created)


def _lost_mrr(event: StripeEvent, state: _State, record: SubscriptionRecord | None) -> int | None:
    """The mrr that an end or a pause takes away, in minor units.

    The event does not tell what counted before; the record does. Without one, a subscription that was not in trial is
    taken to have counted, and a pause to have followed a trial, the only way Stripe has into it.
    """
    if record is not None and record.status not in TOLD_APART:
        return record.mrr
    if record is not None and record.status == "paused" and state.status == "paused":
        return state.value.counted(record.was)
    if record is not None and record.lost is not None:
        return record.lost
    return 0 if _ended_in_trial(event, record) or state.status == "paused" or record is not None else state.value.amount


def paused(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.paused: a trial ended without a payment method."""
    state, change = _after(event), _change(event, known, *_counted(event, known))
    properties = {"mrr_change": major(change, state.currency)}
    yield _fact(Name.SUBSCRIPTION_PAUSED, event, state, known, f"{event.created}", properties)


def resumed(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.resumed."""
    state = _after(event)
    properties = {"mrr_change": major(_change(event, known, 0, state.mrr), state.currency)}
    yield _fact(Name.SUBSCRIPTION_RESUMED, event, state, known, f"{event.created}", properties)


def trial_will_end(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.trial_will_end, three days before the end (or at once for a shorter trial)."""
    yield _trial_fact(Name.TRIAL_ENDING_SOON, event, _after(event), known)


def update_pending(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.pending_update_applied and .pending_update_expired."""
    applied = event.type.endswith("_applied")
    name = Name.SUBSCRIPTION_UPDATE_APPLIED if applied else Name.SUBSCRIPTION_UPDATE_EXPIRED
    yield _fact(name, event, _after(event), known, f"{event.created}")


def record_of(event: StripeEvent, known: Known, *, rank: int) -> SubscriptionRecord:
    """What to remember of the subscription after this event."""
    state, remembered = _after(event), _record(event, known)
    was = status_of(event.before)
    if was == state.status and remembered is not None:
        was = remembered.status if remembered.status != state.status else remembered.was
    ends = event.type.endswith(".deleted")
    as_of = (event.created, rank)
    return replace(
        _snapshot(state, as_of, known),
        came_from=_snapshot(_before(event), as_of, known).digest,
        was=was,
        lost=_lost_mrr(event, state, remembered) if ends else None,
        lost_as_of=_told_until(remembered) if ends else (0, 0),
    )


def _told_until(remembered: SubscriptionRecord | None) -> Watermark:
    """Up to which event an end knew what counted before it; the same end seen a second time knows no more."""
    if remembered is None:
        return (0, 0)
    return remembered.as_of if remembered.lost is None else remembered.lost_as_of


def _snapshot(state: _State, as_of: Watermark, known: Known) -> SubscriptionRecord:
    main = state.main
    return SubscriptionRecord(
        as_of=as_of,
        status=state.status,
        plan=None if main is None else plan_name(main.price, known),
        mrr=state.mrr,
        currency=state.currency,
        period=None if main is None else main.price.period,
        quantity=state.quantity,
        trial_end=trial_of(state.subscription)[1],
        cancels_at=cancellation_scheduled_for(state.subscription),
    )


def better_known(event: StripeEvent, known: Known, record: SubscriptionRecord) -> SubscriptionRecord:
    """The record of an ended subscription after an event from before its end: what the end took away, corrected."""
    was, now = _counted(event, known)
    if record.lost is None or was is None or now is None or event.type.endswith(".deleted"):
        return record
    if not _knows_better(event, record, was, now):
        return record
    change = _change(event, known, was, now)
    if change and event.type.endswith(".updated"):
        facts = _update_facts(event, _before(event), _after(event), known)
        if _bearer(facts, change) is None:
            # Nothing told of the correction, so the next event that knows better has to make it.
            return record
    return replace(record, lost=now, lost_as_of=_moment(event))


def _plan_properties(state: _State, known: Known) -> dict[str, Any]:
    main = state.main
    if main is None:
        return dict.fromkeys(("plan", "quantity", "billing_period", "mrr"))
    price = main.price
    amount = None if price.unit_amount is None or price.metered else price.unit_amount * price.units(main.quantity)
    mrr = major(state.mrr, state.currency)
    return {
        "plan": plan_name(price, known),
        "price_id": price.id,
        "product_id": price.product,
        "quantity": state.quantity,
        "billing_period": price.period,
        "amount": major(amount, state.currency),
        "currency": state.currency and state.currency.upper(),
        "mrr": mrr,
        "discounted": True if state.value.gross and mrr is not None else None,
    }


def _fact(  # noqa: PLR0913, PLR0917 - the one place where a subscription fact is put together
    name: Name,
    event: StripeEvent,
    state: _State,
    known: Known,
    once: str = "",
    more: dict[str, Any] | None = None,
) -> Fact:
    """A fact about this subscription; `once` tells the times apart for what can happen more than once."""
    subscription_id = text(event.object.get("id")) or event.id
    properties = {"subscription_id": subscription_id, "status": state.status, **_plan_properties(state, known)}
    return Fact(name, f"{subscription_id}:{once}", {**properties, **(more or {})})


def _trial_fact(name: Name, event: StripeEvent, state: _State, known: Known, *, converted: bool | None = None) -> Fact:
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
