"""A subscription at one moment, as far as an event shows it: before the event, or after it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.mrr import MonthlyValue, monthly_value
from stripe_to_segment.stripe_side.subscription import (
    Item,
    currency_of,
    items_before,
    items_complete,
    items_of,
    status_of,
)

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["State", "after_of", "before_of"]


# What the items and the monthly value of a subscription are read from.
PRICED = frozenset({"items", "plan", "price", "quantity", "discounts", "discount"})


@dataclass(frozen=True)
class State:
    """A subscription at one moment: before the event, or after it. No slots: what it works out once, it keeps."""

    subscription: JsonObject
    items: tuple[Item, ...]
    value: MonthlyValue

    @cached_property
    def status(self) -> str | None:
        """The status; an end is always canceled."""
        return status_of(self.subscription)

    @cached_property
    def currency(self) -> str | None:
        """The currency in lower case."""
        return currency_of(self.subscription)

    @property
    def mrr(self) -> int | None:
        """Minor units."""
        return self.value.counted(self.status)

    @cached_property
    def main(self) -> Item | None:
        """The item that names the plan: the first licensed one, else the first."""
        licensed = (item for item in self.items if not item.price.metered)
        return next(licensed, next(iter(self.items), None))

    @property
    def quantity(self) -> int | None:
        """Seats; a metered item has none."""
        return None if self.main is None or self.main.price.metered else self.main.quantity

    @property
    def amount(self) -> Decimal | None:
        """What the main item's billing period costs with all items of that period, in minor units; None if unknown."""
        if self.main is None or self.main.price.metered:
            return None
        costs = [
            None if item.price.unit_amount is None else item.price.unit_amount * item.price.units(item.quantity)
            for item in self.items
            if not item.price.metered and item.price.period == self.main.price.period
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal()) if len(known) == len(costs) and items_complete(self.subscription) else None

    @property
    def terms(self) -> frozenset[tuple[object, ...]]:
        """What the customer pays for, item by item."""
        return frozenset((item.id, *item.terms) for item in self.items)

    @property
    def worth(self) -> str:
        """What the customer pays for and its monthly value, as a text that is the same for the same terms."""
        return f"{self.value.amount} {sorted(map(str, self.terms))}"


@asked_once
def after_of(event: StripeEvent) -> State:
    """The subscription as the event leaves it."""
    subscription = event.object
    if event.type.endswith(".deleted"):
        # The event is the end, even in a payload rendered a moment before the status changed.
        subscription = {**subscription, "status": "canceled"}
    items = items_of(subscription)
    return State(subscription, items, monthly_value(subscription, items))


@asked_once
def before_of(event: StripeEvent) -> State:
    """The subscription as it was before an update, as far as `previous_attributes` tells."""
    before, after = event.before, after_of(event)
    if not event.previous.keys() & PRICED:
        # Most updates, and every other event, leave alone what the customer pays for.
        return State(before, after.items, after.value)
    items = items_before(event.object, event.previous, before)
    return State(before, items, monthly_value(before, items))
