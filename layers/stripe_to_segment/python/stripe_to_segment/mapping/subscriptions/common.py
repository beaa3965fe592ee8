"""The common properties of facts about a subscription, and functions to make such facts."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.subscriptions.mrr_changes import change_of, movement
from stripe_to_segment.mapping.subscriptions.state import after_of
from stripe_to_segment.mapping.tracking import Event, properties
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        Amount,
        BillingPeriod,
        Currency,
        Mrr,
        MrrChange,
        MrrMovement,
        Plan,
        PriceId,
        ProductId,
        Quantity,
        Status,
        SubscriptionId,
    )
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["BearsMrrChange", "Subscribed", "bearing", "event_with", "key_of"]


@properties
class Subscribed(Event):
    """The subscription and its plan after the event."""

    subscription_id: SubscriptionId
    status: Status
    plan: Plan = None
    price_id: PriceId = None
    product_id: ProductId = None
    quantity: Quantity = None
    billing_period: BillingPeriod = None
    amount: Amount = None
    currency: Currency = None
    mrr: Mrr = None


@properties
class BearsMrrChange(Subscribed):
    """A fact that may carry the event's mrr_change; exactly one fact of an event does."""

    mrr_change: MrrChange = None
    mrr_movement: MrrMovement = None


def event_with[E: Subscribed](
    declared: type[E], event: StripeEvent[shapes.Subscription], state: State, known: Known
) -> E:
    """An event about this subscription with the common properties; amounts in major units."""
    subscription_id, main = text(event.object.get("id")) or event.id, state.main
    currency = state.currency and state.currency.upper()
    if main is None:
        return declared(subscription_id=subscription_id, status=state.status, currency=currency)
    return declared(
        subscription_id=subscription_id,
        status=state.status,
        plan=plan_name(main.price, known),
        price_id=main.price.id,
        product_id=main.price.product,
        quantity=state.quantity,
        billing_period=main.price.period,
        amount=major(state.amount, state.currency),
        currency=currency,
        mrr=major(state.mrr, state.currency),
    )


def key_of(event: StripeEvent[shapes.Subscription], once: object = "") -> str:
    """The key of a fact about this subscription; `once` distinguishes the times of a thing that can happen again."""
    return f"{text(event.object.get('id')) or event.id}:{once}"


def bearing(fact: Fact, event: StripeEvent[shapes.Subscription], known: Known) -> Fact:
    """The fact with the event's mrr_change and mrr_movement."""
    if not isinstance(fact.event, BearsMrrChange):
        return fact
    amount = major(change_of(event, known).amount, after_of(event, known).currency)
    return replace(fact, event=replace(fact.event, mrr_change=amount, mrr_movement=movement(event, known)))
