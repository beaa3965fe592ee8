"""The beginning and the end of a subscription, its pauses, and its pending updates."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.cancellations import Ending, with_reason
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange, Subscribed, bearing, event_with, key_of
from stripe_to_segment.mapping.subscriptions.mrr_changes import OPENING, change_of, ended_in_trial, record_then
from stripe_to_segment.mapping.subscriptions.plan_changes import corrected_mrr
from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.mapping.subscriptions.trials import conversion, trial_ended, trial_started
from stripe_to_segment.mapping.tracking import properties, track
from stripe_to_segment.state.person import over_all
from stripe_to_segment.stripe_side.fields import dig, text
from stripe_to_segment.stripe_side.money import major
from stripe_to_segment.stripe_side.subscription import ended_at, started_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import DaysActive, Reason
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "SubscriptionActivated",
    "SubscriptionCancelled",
    "SubscriptionCreated",
    "SubscriptionExpired",
    "SubscriptionImported",
    "SubscriptionPaused",
    "SubscriptionResumed",
    "SubscriptionUpdateApplied",
    "SubscriptionUpdateExpired",
    "beginning_facts",
    "created",
    "deleted",
    "ended",
    "imported",
    "paused",
    "resumed",
    "update_pending",
]


@track("Subscription Imported", when="a subscription that is older than the stack is seen for the first time")
class SubscriptionImported(BearsMrrChange):
    """Its mrr_change is the opening balance: the mrr before the first event seen of it."""


@track("Subscription Created", when="a subscription is created, paid or not yet")
class SubscriptionCreated(BearsMrrChange):
    """While the first payment is missing it counts 0."""


@track("Subscription Activated", when="the first payment of a subscription succeeds")
class SubscriptionActivated(BearsMrrChange):
    """After it was created as incomplete."""


@track("Subscription Expired", when="the first payment was never made")
class SubscriptionExpired(Subscribed):
    """It never counted."""


@properties
class Ended(Ending):
    """The reason, and the days since the start."""

    days_active: DaysActive = None


@track("Subscription Cancelled", when="a subscription has ended")
class SubscriptionCancelled(BearsMrrChange, Ended):
    """For any reason."""


@track(
    "Subscription Paused",
    when="a subscription is paused: after a trial without a payment method or a failed payment, or on request",
)
class SubscriptionPaused(BearsMrrChange):
    """The status is paused, which is different from paused collection."""

    reason: Reason = None


@track("Subscription Resumed", when="a paused subscription is resumed")
class SubscriptionResumed(BearsMrrChange):
    """It counts again."""


@track("Subscription Update Applied", when="a pending update is paid and applied")
class SubscriptionUpdateApplied(Subscribed):
    """https://docs.stripe.com/billing/subscriptions/pending-updates."""


@track("Subscription Update Expired", when="a pending update was not paid in time")
class SubscriptionUpdateExpired(Subscribed):
    """The subscription stays as it was."""


def imported(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """The facts before those of the event itself: an opening balance, or a change that no call has stated yet."""
    change, record = change_of(event, known), record_then(event, known)
    if change.missed and record is not None:
        subscription = text(event.object.get("id")) or event.id
        person = over_all(known.profile, known.others)
        yield corrected_mrr(person, subscription, record, record, event.created)
    if not change.imported:
        return
    before = before_of(event, known)
    opening = major(change.opening, before.currency)
    stated = replace(
        event_with(SubscriptionImported, event, before, known),
        mrr=opening,
        mrr_change=opening,
        mrr_movement=OPENING if opening else None,
    )
    yield Fact(stated, key_of(event))


def created(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.created."""
    yield from imported(event, known)
    state = after_of(event, known)
    yield bearing(Fact(event_with(SubscriptionCreated, event, state, known), key_of(event)), event, known)
    if state.on_trial:
        yield trial_started(event, state, known)
    yield from conversion(event, known)


def beginning_facts(
    event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known
) -> Iterator[Fact]:
    """The facts of an update about a first payment."""
    if before.status != "incomplete":
        return
    if after.status in {"active", "trialing"}:
        yield Fact(event_with(SubscriptionActivated, event, after, known), key_of(event))
    if after.status == "incomplete_expired":
        yield Fact(event_with(SubscriptionExpired, event, after, known), key_of(event))


def deleted(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.deleted: the end, for any reason."""
    yield from imported(event, known)
    state = after_of(event, known)
    yield bearing(ended(event, known), event, known)
    converted = [*conversion(event, known)]
    yield from converted
    if not converted and ended_in_trial(event, known):
        yield trial_ended(event, state, known, trial=state.trial)


def ended(event: StripeEvent[shapes.Subscription], known: Known) -> Fact:
    """The end, without what it changes."""
    end, start = ended_at(event.object) or event.created, started_at(event.object)
    stated = with_reason(event_with(SubscriptionCancelled, event, after_of(event, known), known), event.object)
    days = None if start is None else max(end - start, 0) // 86_400
    return Fact(replace(stated, days_active=days), key_of(event))


def paused(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.paused; `status_details` says why, since 2026-10-28."""
    yield from imported(event, known)
    reason = text(dig(event.object, "status_details", "paused", "subscription", "type"))
    stated = replace(event_with(SubscriptionPaused, event, after_of(event, known), known), reason=reason)
    yield bearing(Fact(stated, key_of(event, event.created)), event, known)
    yield from conversion(event, known)


def resumed(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.resumed."""
    yield from imported(event, known)
    stated = event_with(SubscriptionResumed, event, after_of(event, known), known)
    yield bearing(Fact(stated, key_of(event, event.created)), event, known)
    yield from conversion(event, known)


def update_pending(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.pending_update_applied and .pending_update_expired."""
    applied = event.type.endswith("_applied")
    declared: type[Subscribed] = SubscriptionUpdateApplied if applied else SubscriptionUpdateExpired
    yield Fact(event_with(declared, event, after_of(event, known), known), key_of(event, event.created))
