"""The beginning and the end of a subscription, its pauses, and its pending updates."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.cancellations import Ending, with_reason
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange, Subscribed, bearing, key_of, told_of
from stripe_to_segment.mapping.subscriptions.mrr_changes import change_of, counted, ended_in_trial, lost_mrr, record_in
from stripe_to_segment.mapping.subscriptions.state import after_of
from stripe_to_segment.mapping.subscriptions.trials import trial_ended, trial_started
from stripe_to_segment.mapping.tracking import properties, track
from stripe_to_segment.stripe_side.subscription import ended_at, started_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import DaysActive
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "SubscriptionActivated",
    "SubscriptionCancelled",
    "SubscriptionCreated",
    "SubscriptionExpired",
    "SubscriptionPaused",
    "SubscriptionResumed",
    "SubscriptionUpdateApplied",
    "SubscriptionUpdateExpired",
    "beginning_facts",
    "created",
    "deleted",
    "paused",
    "resumed",
    "update_pending",
]


@track("Subscription Created", when="a subscription is created, paid or not yet")
class SubscriptionCreated(BearsMrrChange):
    """What is not paid yet counts nothing."""


@track("Subscription Activated", when="the first payment of a subscription goes through")
class SubscriptionActivated(BearsMrrChange):
    """After it was created as incomplete."""


@track("Subscription Expired", when="the first payment was never made")
class SubscriptionExpired(Subscribed):
    """It never counted."""


@properties
class Ended(Ending):
    """Why, and after how long."""

    days_active: DaysActive = None


@track("Subscription Cancelled", when="a subscription has ended")
class SubscriptionCancelled(BearsMrrChange, Ended):
    """Whatever led to it."""


@track("Subscription Paused", when="a trial ended without a payment method")
class SubscriptionPaused(BearsMrrChange):
    """The status is paused; paused collection is another thing."""


@track("Subscription Resumed", when="a paused subscription goes on")
class SubscriptionResumed(BearsMrrChange):
    """It counts again."""


@track("Subscription Update Applied", when="a pending update is paid and applied")
class SubscriptionUpdateApplied(Subscribed):
    """https://docs.stripe.com/billing/subscriptions/pending-updates."""


@track("Subscription Update Expired", when="a pending update was not paid in time")
class SubscriptionUpdateExpired(Subscribed):
    """The subscription stays as it was."""


def created(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.created."""
    state = after_of(event)
    fact = Fact(told_of(SubscriptionCreated, event, state, known), key_of(event))
    yield bearing(fact, change_of(event, known, 0, state.mrr), state)
    if state.status == "trialing":
        yield trial_started(event, state, known)


def beginning_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    """What an update says of a first payment."""
    if before.status != "incomplete":
        return
    if after.status in {"active", "trialing"}:
        yield Fact(told_of(SubscriptionActivated, event, after, known), key_of(event))
    if after.status == "incomplete_expired":
        yield Fact(told_of(SubscriptionExpired, event, after, known), key_of(event))


def deleted(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.deleted: the end, whatever led to it."""
    state, record = after_of(event), record_in(event, known)
    end, start = ended_at(event.object) or event.created, started_at(event.object)
    told = with_reason(told_of(SubscriptionCancelled, event, state, known), event.object)
    days = None if start is None else max(end - start, 0) // 86_400
    lost = lost_mrr(event, state, record)
    yield bearing(Fact(replace(told, days_active=days), key_of(event)), None if lost is None else -lost, state)
    if ended_in_trial(event, record):
        yield trial_ended(event, state, known, converted=False)


def paused(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.paused: a trial ended without a payment method."""
    state, change = after_of(event), change_of(event, known, *counted(event, known))
    fact = Fact(told_of(SubscriptionPaused, event, state, known), key_of(event, event.created))
    yield bearing(fact, change, state)


def resumed(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.resumed."""
    state = after_of(event)
    fact = Fact(told_of(SubscriptionResumed, event, state, known), key_of(event, event.created))
    yield bearing(fact, change_of(event, known, 0, state.mrr), state)


def update_pending(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.pending_update_applied and .pending_update_expired."""
    applied = event.type.endswith("_applied")
    declared: type[Subscribed] = SubscriptionUpdateApplied if applied else SubscriptionUpdateExpired
    yield Fact(told_of(declared, event, after_of(event), known), key_of(event, event.created))
