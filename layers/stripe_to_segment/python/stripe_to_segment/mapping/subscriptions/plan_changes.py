"""Changes of plan, quantity, period or discount."""

from __future__ import annotations

from copy import replace
from itertools import chain
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange, Subscribed, event_with, key_of
from stripe_to_segment.mapping.subscriptions.mrr_changes import OPENING, change_of, growth
from stripe_to_segment.mapping.tracking import always, properties, track
from stripe_to_segment.stripe_side.discount import ids_of
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        Changed,
        PreviousBillingPeriod,
        PreviousMrr,
        PreviousPlan,
        PreviousQuantity,
    )
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import SubscriptionRecord
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "SubscriptionChanged",
    "SubscriptionDowngraded",
    "SubscriptionUpgraded",
    "changed_otherwise",
    "corrected_mrr",
    "plan_facts",
]


@properties
class PlanChange(Subscribed):
    """The changed fields, and their previous values."""

    previous_plan: PreviousPlan = None
    previous_mrr: PreviousMrr = None
    previous_quantity: PreviousQuantity = None
    previous_billing_period: PreviousBillingPeriod = None
    changed: Changed = always()


@track("Subscription Upgraded", when="the plan's monthly value goes up")
class SubscriptionUpgraded(BearsMrrChange, PlanChange):
    """More seats are an upgrade too."""


@track("Subscription Downgraded", when="the plan's monthly value goes down")
class SubscriptionDowngraded(BearsMrrChange, PlanChange):
    """Fewer seats are a downgrade too."""


@track(
    "Subscription Changed",
    when="the items change and the monthly value stays the same or is unknown, or the mrr changes without them: by a "
    "discount, by a moved billing date, or as it becomes known",
)
class SubscriptionChanged(BearsMrrChange, PlanChange):
    """Neither an upgrade nor a downgrade."""


def plan_facts(event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known) -> Iterator[Fact]:
    """The facts of an update about the plan. A renewal lists the same terms again, which is not a change."""
    if (before.paid_trial is None) is not (after.paid_trial is None):
        # A paid trial's price is replaced by the plan's own, or replaces it, which is not a change of plan.
        return
    old, new = before.value.amount, after.value.amount
    # A discount with an unknown coupon was added or removed, or its coupon became known.
    differs = before.bought != after.bought or (old is None) is not (new is None)
    if old is None and new is None:
        # With an unknown discount, only the gross value shows whether the plan went up.
        old, new = before.value.gross, after.value.gross
    declared: type[PlanChange] = SubscriptionChanged
    if old is not None and new is not None and old != new:
        declared = SubscriptionUpgraded if new > old else SubscriptionDowngraded
    elif not differs:
        return
    was, now = event_with(Subscribed, event, before, known), event_with(declared, event, after, known)
    compared = {
        "plan": was.plan != now.plan,
        "quantity": was.quantity != now.quantity,
        "billing_period": was.billing_period != now.billing_period,
    }
    changed = [name for name, is_other in compared.items() if is_other]
    others = {item.id for item in before.items} != {item.id for item in after.items}
    if others or (before.bought != after.bought and not changed):
        changed.append("items")
    if not changed or _discounts_of(before) != _discounts_of(after):
        changed.append("discount")
    stated = replace(
        now,
        changed=changed,
        previous_plan=was.plan,
        previous_mrr=was.mrr,
        previous_quantity=was.quantity,
        previous_billing_period=was.billing_period,
    )
    # A script may change one subscription twice in a second: the terms distinguish the two changes.
    yield Fact(stated, key_of(event, f"{event.created}:{before.worth}>{after.worth}"))


def _discounts_of(state: State) -> set[tuple[str | None, str | None]]:
    """The ids of all discounts and of their coupons."""
    plural, single = state.subscription.get("discounts"), state.subscription.get("discount")
    own = [*plural, single] if isinstance(plural, list) else [single]
    return {ids_of(one) for one in chain(own, *(item.discounts for item in state.items)) if one}


def corrected_mrr(
    profile: Profile, subscription: str, record: SubscriptionRecord, before: SubscriptionRecord, created: int
) -> Fact:
    """A change that no event of the subscription stated.

    From the mrr that was sent, by the record `before`, to the record's mrr.
    """
    sent = before.counted
    change = (record.mrr or 0) - sent
    fact = SubscriptionChanged(
        subscription_id=subscription,
        status=record.status,
        plan=record.plan,
        price_id=record.price_id,
        quantity=record.quantity,
        billing_period=record.period,
        currency=record.currency and record.currency.upper(),
        mrr=major(record.mrr, record.currency),
        previous_mrr=major(sent, record.currency),
        # What was known changes by a discount alone.
        changed=["mrr" if before.mrr in {None, record.mrr} else "discount"],
        mrr_change=major(change, record.currency),
        mrr_movement=OPENING if before.unopened or before.unsent else growth(profile, subscription, sent, change),
    )
    return Fact(fact, f"{subscription}:{created}:{sent}>{record.mrr}")


def changed_otherwise(event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known) -> Fact:
    """An update that changes the mrr without any other fact, with the cause if it is known."""
    change, moved = change_of(event, known), before.on_trial is not after.on_trial
    reasons = {
        "billing_date": moved,
        "discount": event.previous.keys() & {"discount", "discounts"},
    }
    stated = replace(
        event_with(SubscriptionChanged, event, after, known),
        changed=[next((name for name, holds in reasons.items() if holds), "mrr")],
        previous_mrr=major(change.sent, after.currency),
    )
    # A moved date is stated also without a change of mrr, so its key does not depend on what was sent before.
    once = (
        f"{after.on_trial}:{(after if after.on_trial else before).trial[1]}" if moved else f"{change.sent}>{change.now}"
    )
    return Fact(stated, key_of(event, f"{event.created}:{once}"))
