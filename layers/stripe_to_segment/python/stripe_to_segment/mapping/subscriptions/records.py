"""The record of a subscription after an event."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.facts import plan_name, worked_out_once
from stripe_to_segment.mapping.subscriptions.state import UNPAID_TRIAL, after_of, before_of, items_after
from stripe_to_segment.state.subscription import LISTED, SubscriptionRecord
from stripe_to_segment.stripe_side.discount import coupons_of
from stripe_to_segment.stripe_side.fields import hash_of, text
from stripe_to_segment.stripe_side.mrr import COUNTING, monthly_value
from stripe_to_segment.stripe_side.subscription import (
    cancellation_scheduled_for,
    created_at,
    currency_of,
    entries_of,
    items_complete,
    items_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import Watermark
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["moves_billing_date", "record_in", "record_of", "valued", "with_terms"]

# Seconds after the creation of a subscription within which its first trial may begin.
LATER = 86_400
RANKS = {"created": 0, "deleted": 2}


def moment_of(event: StripeEvent[shapes.Subscription]) -> Watermark:
    """The watermark of an event, to compare with those in a record.

    An object that was listed at a moment is older than what happened in the same second.
    """
    if event.listing is not None and event.type.endswith(".updated"):
        return (event.listing.moment, LISTED)
    return (event.created, RANKS.get(event.type.rpartition(".")[2], 1))


def record_in(event: StripeEvent[shapes.Subscription], known: Known) -> SubscriptionRecord | None:
    """The stored record of the event's subscription, None without one."""
    return known.profile.subscriptions.get(text(event.object.get("id")) or "")


@worked_out_once
def record_of(event: StripeEvent[shapes.Subscription], known: Known) -> SubscriptionRecord:
    """The record that this event alone states, without the sum of sent changes."""
    before, after, remembered = before_of(event, known), after_of(event, known), record_in(event, known)
    as_of = moment_of(event)
    return _snapshot(
        after,
        as_of,
        known,
        came_from=_snapshot(before, as_of, known).digest,
        basis=_basis(after),
        **_trials(event, before, after, remembered),
    )


def _snapshot(state: State, as_of: Watermark, known: Known, **more: Any) -> SubscriptionRecord:
    main = state.main
    return SubscriptionRecord(
        as_of=as_of,
        status=state.status,
        plan=None if main is None else plan_name(main.price, known),
        price_id=None if main is None else main.price.id,
        mrr=state.mrr,
        currency=state.currency,
        period=None if main is None else main.price.period,
        quantity=state.quantity,
        on_trial=state.on_trial,
        trial_end=state.trial[1],
        cancels_at=cancellation_scheduled_for(state.subscription),
        **more,
    )


def moves_billing_date(
    event: StripeEvent[shapes.Subscription], before: State, after: State, remembered: SubscriptionRecord | None
) -> bool:
    """Whether a trial only moves the billing date of a paying customer, as Stripe's own guide describes.

    https://docs.stripe.com/billing/subscriptions/billing-cycle#changing
    """
    if before.on_trial:
        start, end = before.trial
        if end is not None and remembered is not None and end in {remembered.moved, remembered.trialed}:
            return end == remembered.moved
        # The event of its start may still come.
        paying = remembered is not None and remembered.counts_before(event.created)
        if remembered is not None and not paying and remembered.is_of_trial(start, end, event.created):
            return False
        if paying or (remembered is not None and remembered.converted is not None):
            # A customer who pays, or has paid after a trial, does not get another one.
            return before.status == "trialing"
        if start is not None and remembered is not None and remembered.counts_nothing_before(start):
            return False
        # Without the event of its start: a first trial begins with the subscription.
        first = event.type.endswith(".created")
        return (
            not first
            and before.status == "trialing"
            and start is not None
            and not _begins_with_it(before.subscription, start)
        )
    # Who has a free plan and pays for usage gets a trial of another plan, and not of this one.
    pays = not before.for_nothing or (before.has_usage and before.bought == after.bought)
    return after.status == "trialing" and before.status in COUNTING and pays


def _begins_with_it(subscription: shapes.Subscription, start: int | None) -> bool:
    """Whether a trial of this start is the first one, which begins with the subscription."""
    made = created_at(subscription)
    return start is None or made is None or start - made <= LATER


def _trials(
    event: StripeEvent[shapes.Subscription], before: State, after: State, remembered: SubscriptionRecord | None
) -> dict[str, int | None]:
    """The record's fields about trials.

    An event after a trial states when it ended. It may come before the one that ended the trial early.
    """
    names = ("trial_start", "trialed", "converted", "moved")
    found: dict[str, int | None] = {} if remembered is None else {name: getattr(remembered, name) for name in names}
    start, end = after.trial if after.trial[1] is not None else before.trial
    if not (before.on_trial or after.on_trial):
        if remembered is None and end is not None and _begins_with_it(after.subscription, start):
            # No event has stated the trial of a subscription that is seen for the first time, but it may still convert.
            unpaid = UNPAID_TRIAL in {before.paused_because, after.paused_because}
            return {"trial_start": start, "trialed": end if unpaid else None}
        same = start is not None and start == found.get("trial_start")
        return found | ({"trialed": end} if same and remembered is not None and remembered.may_convert else {})
    if moves_billing_date(event, before, after, remembered):
        return found | {"moved": end}
    return found | {"trial_start": start, "trialed": end}


# The fields from which the monthly value is calculated.
OF_SUBSCRIPTION = ("currency", "discounts", "discount")
OF_ITEM = ("quantity", "discounts")
OF_PRICE = ("id", "product", "currency", "unit_amount", "unit_amount_decimal", "transform_quantity")
OF_RECURRING = ("interval", "interval_count", "usage_type")
OF_PLAN = ("id", "product", "currency", "amount", "amount_decimal", "transform_usage", *OF_RECURRING)


def _basis(state: State) -> Any:
    """The payload to calculate the mrr from while it counts."""
    body, counts = state.subscription, state.status in COUNTING and not state.on_trial
    if not counts or not items_complete(body) or any(item.price.tiered for item in state.items):
        return None
    return _only(OF_SUBSCRIPTION, body) | {
        "items": [_priced(item) for item in entries_of(body) if not item.get("current_trial")]
    }


def _priced(item: shapes.SubscriptionItem) -> JsonObject:
    stated = hash_of(item.get("price"))
    priced, price = _only(OF_ITEM, item), _only(OF_PRICE, stated)
    if "unit_amount_decimal" in price:
        # It says the same, and a record has one for each item.
        price.pop("unit_amount", None)
    if recurring := hash_of(stated.get("recurring")):
        return priced | {"price": price | {"recurring": _only(OF_RECURRING, recurring)}}
    return priced | {"price": price, "plan": _only(OF_PLAN, hash_of(item.get("plan")))}


def _only(names: tuple[str, ...], body: Mapping[str, object]) -> JsonObject:
    # Keep zeros: a quantity of 0 is known, not missing.
    return {name: value for name in names if (value := body.get(name)) or value == 0}


def valued(profile: Profile, known: Known, *, again: bool) -> Profile:
    """The record with the mrr of subscriptions whose value has become known, or `again` of all that count.

    Then it may also have become unknown.
    """
    terms = replace(known, profile=profile).terms
    found: dict[str, SubscriptionRecord] = {}
    for subscription, record in profile.subscriptions.items():
        if record.basis is not None and (again or record.mrr is None):
            amount = monthly_value(record.basis, items_of(record.basis), terms).amount
            if amount != record.mrr:
                found[subscription] = replace(record, mrr=amount)
    return replace(profile, subscriptions={**profile.subscriptions, **found}) if found else profile


def with_terms(profile: Profile, event: StripeEvent[shapes.Subscription], known: Known) -> Profile:
    """The record with the coupons that a subscription states, and without stored amounts that its prices state now."""
    body = event.object
    stated = {**known.api_terms.discounts, **coupons_of(body.get("discounts"), body.get("discount"))}
    for item in items_after(event):
        stated |= coupons_of(item.discounts)
    profile = profile.with_discounts(stated, known.coupons)
    if known.api_terms.amounts.items() - profile.amounts.items():
        profile = replace(profile, amounts={**profile.amounts, **known.api_terms.amounts})
    if profile.amounts:
        currency = currency_of(body)
        plain = {f"{item.price.id}:{currency}" for item in items_after(event) if item.price.currency == currency}
        if plain & profile.amounts.keys():
            kept = {name: amount for name, amount in profile.amounts.items() if name not in plain}
            profile = replace(profile, amounts=kept)
    return profile
