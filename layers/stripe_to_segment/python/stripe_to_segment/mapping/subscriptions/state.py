"""The state of a subscription before or after an event, as the event shows it."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen_with_cache
from stripe_to_segment.mapping.facts import worked_out_once
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import dig, text
from stripe_to_segment.stripe_side.mrr import COUNTING, MonthlyValue, Terms, monthly_value
from stripe_to_segment.stripe_side.subscription import (
    Item,
    counted_items,
    currency_of,
    items_before,
    items_complete,
    items_of,
    period_of,
    status_of,
    trial_of,
)

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["FAILED", "ON_REQUEST", "UNPAID_TRIAL", "State", "after_of", "before_of", "items_after", "items_then"]


# The fields from which the items and the monthly value of a subscription are read.
PRICED = frozenset({"items", "plan", "price", "quantity", "discounts", "discount"})
# The reasons of pauses, since 2026-10-28: on request, after a trial that nobody paid for, after a payment that was due.
# A `first_payment_failure` is that of a renewal.
# https://docs.stripe.com/changelog/endive/2026-09-30/pause-on-payment-failure
ON_REQUEST = "pause_requested"
UNPAID_TRIAL = "trial_end_without_payment_method"
FAILED = frozenset({"first_payment_failure", "final_payment_failure"})


@frozen_with_cache
class State:
    """The state of a subscription before or after an event."""

    subscription: shapes.Subscription
    items: tuple[Item, ...]
    value: MonthlyValue
    terms: Terms

    @cached_property
    def status(self) -> str | None:
        """The status; an end is always canceled."""
        return status_of(self.subscription)

    @cached_property
    def currency(self) -> str | None:
        """The currency in lower case."""
        return currency_of(self.subscription)

    @cached_property
    def paid_trial(self) -> tuple[int | None, int | None] | None:
        """Start and end of a paid trial, whose status is active; None without one, and where another item is paid for.

        https://docs.stripe.com/api/subscription_items/object
        """
        trials = [item.trial for item in counted_items(self.items) or self.items]
        return trials[0] if trials else None

    @property
    def on_trial(self) -> bool:
        """Whether it is on trial, free or paid."""
        return self.status == "trialing" or (self.status in COUNTING and self.paid_trial is not None)

    @property
    def trial(self) -> tuple[int | None, int | None]:
        """Start and end of the trial in epoch seconds, also long after a free one is over."""
        return self.paid_trial or trial_of(self.subscription)

    @property
    def paused_because(self) -> str | None:
        """The reason of a pause, since 2026-10-28."""
        reason = dig(self.subscription, "status_details", "paused", "subscription", "type")
        return text(reason) if self.status == "paused" else None

    @property
    def mrr(self) -> int | None:
        """The mrr in minor units; a trial counts 0, also a paid one."""
        return 0 if self.on_trial else self.value.counted(self.status)

    @property
    def has_counted(self) -> bool:
        """Whether it shows that it had an mrr before its status: unpaid, or paused, but not in or after a trial."""
        if self.value.amount == 0 or self.status != "paused":
            return self.value.amount != 0 and self.status == "unpaid"
        begun, trial_end = period_of(self.subscription)[0], self.trial[1]
        if trial_end is None or self.paused_because in FAILED:
            return self.paused_because != UNPAID_TRIAL
        return self.paused_because == ON_REQUEST and begun is not None and begun >= trial_end

    @property
    def for_nothing(self) -> bool:
        """Whether it is over nothing, as a free plan is. Metered usage is paid for, although no mrr counts it."""
        main = self.main
        return self.mrr == 0 and (main is None or not main.price.metered or main.price.unit_amount == 0)

    @property
    def has_usage(self) -> bool:
        """Whether metered usage of it costs something."""
        return any(item.price.metered and item.price.unit_amount != 0 for item in self.items)

    @cached_property
    def main(self) -> Item | None:
        """The item that names the plan: the first licensed one, if possible not a free one; without any, the first."""
        return min(self.items, key=lambda item: (item.price.metered, item.price.unit_amount == 0), default=None)

    @property
    def quantity(self) -> int | None:
        """Seats; a metered item has none."""
        return None if self.main is None or self.main.price.metered else self.main.quantity

    @property
    def amount(self) -> Decimal | None:
        """The cost of the main item's billing period, all items of that period included, in minor units, or None."""
        if self.main is None or self.main.price.metered:
            return None
        costs = [
            self.terms.cost(item.price, item.quantity, self.currency)
            for item in self.items
            if not item.price.metered and item.price.period == self.main.price.period
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal()) if len(known) == len(costs) and items_complete(self.subscription) else None

    @property
    def bought(self) -> frozenset[tuple[object, ...]]:
        """The terms of all items."""
        return frozenset((item.id, *item.terms) for item in self.items)

    @property
    def worth(self) -> str:
        """A text that is the same for the same terms and the same monthly value."""
        return f"{self.value.amount} {sorted(map(str, self.bought))}"


@worked_out_once
def after_of(event: StripeEvent[shapes.Subscription], known: Known) -> State:
    """The subscription after the event."""
    subscription, items = event.object, items_after(event)
    if event.type.endswith(".deleted"):
        # The event means the end, even if its payload was made a moment before the status changed.
        subscription = {**subscription, "status": "canceled"}
    return State(subscription, items, monthly_value(subscription, items, known.terms), known.terms)


@worked_out_once
def before_of(event: StripeEvent[shapes.Subscription], known: Known) -> State:
    """The subscription before an update, by its `previous_attributes`."""
    before, after = event.before, after_of(event, known)
    if not event.previous.keys() & PRICED:
        return State(before, after.items, after.value, known.terms)
    items = items_then(event)
    return State(before, items, monthly_value(before, items, known.terms), known.terms)


@asked_once
def items_after(event: StripeEvent[shapes.Subscription]) -> tuple[Item, ...]:
    """The items after the event."""
    return items_of(event.object)


@asked_once
def items_then(event: StripeEvent[shapes.Subscription]) -> tuple[Item, ...]:
    """The items before an update, which mostly does not change them."""
    if not event.previous.keys() & PRICED:
        return items_after(event)
    return items_before(event.object, event.previous, event.before)
