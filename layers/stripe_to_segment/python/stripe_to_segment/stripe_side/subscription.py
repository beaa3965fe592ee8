"""Readers of a Subscription, in any shape that Stripe has given it since 2015.

https://docs.stripe.com/api/subscriptions/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, listed, text
from stripe_to_segment.stripe_side.price import Price, read_price

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment.stripe_side import shapes

__all__ = [
    "Item",
    "cancellation_scheduled_for",
    "counted_items",
    "created_at",
    "currency_of",
    "ended_at",
    "entries_of",
    "items_before",
    "items_complete",
    "items_of",
    "period_of",
    "started_at",
    "status_of",
    "trial_of",
]


@frozen
class Item:
    """One item of a subscription: a price and a quantity.

    `trial` is the start and end of a trial offer on this item alone, None without one.
    https://docs.stripe.com/billing/subscriptions/trials
    """

    id: str | None
    price: Price
    quantity: int
    discounts: tuple[object, ...] = ()
    trial: tuple[int | None, int | None] | None = None

    @property
    def terms(self) -> tuple[object, ...]:
        """The terms of this item, which a renewal leaves as they are: price, amount, quantity and interval."""
        price = self.price
        return (price.id, price.unit_amount, self.quantity, price.interval, price.interval_count)


def items_of(subscription: shapes.Subscription) -> tuple[Item, ...]:
    """The items, from any shape."""
    return tuple(map(_item, entries_of(subscription)))


def entries_of(subscription: shapes.Subscription) -> list[shapes.SubscriptionItem]:
    """The items as stated; for an old subscription without items, its own plan and quantity."""
    entries = listed(subscription.get("items"))
    if not entries and (subscription.get("plan") or subscription.get("price")):
        return [
            {
                "plan": subscription.get("plan"),
                "price": subscription.get("price"),
                "quantity": subscription.get("quantity"),
            }
        ]
    return [entry for entry in entries if not entry.get("deleted")]


def items_before(
    subscription: shapes.Subscription, previous: shapes.Subscription, before: shapes.Subscription
) -> tuple[Item, ...]:
    """The items before an update.

    Old API versions state a plan change only on the subscription (`previous_attributes.plan`, `.quantity`), while the
    items already show the new plan. Then the items before follow from the subscription's own plan.
    """
    if "items" in previous or not previous.keys() & {"plan", "price", "quantity"}:
        return tuple(map(_item, _whole(entries_of(before), entries_of(subscription))))
    now = items_of(subscription)
    # The subscription's own plan turns null when it gets a second item; before that it was the plan of its one item.
    if not now or (len(now) > 1 and not hash_of(previous.get("plan"))):
        return items_of(before)
    hidden = {"items", "price"} if "plan" in previous else {"items"}
    alone: Any = {key: value for key, value in before.items() if key not in hidden}
    if not (alone.get("plan") or alone.get("price")):
        return (_replace_quantity(now[0], before),)
    (item,) = items_of(alone) or now
    same = next((one for one in now if one.price.id == item.price.id), now[0])
    return (Item(same.id, item.price, item.quantity, same.discounts),)


def _whole(
    before: list[shapes.SubscriptionItem], now: list[shapes.SubscriptionItem]
) -> Iterator[shapes.SubscriptionItem]:
    """The items before, where an integration trimmed them to what changed: with the present price."""
    present = {entry.get("id"): entry for entry in now}
    for entry in before:
        trimmed = not (entry.get("price") or entry.get("plan"))
        yield {**present.get(entry.get("id"), {}), **entry} if trimmed else entry


def counted_items(items: Iterable[Item]) -> list[Item]:
    """The licensed items, without those on a trial offer unless all of them are."""
    licensed = [item for item in items if not item.price.metered]
    return [item for item in licensed if item.trial is None] or licensed


def items_complete(subscription: shapes.Subscription) -> bool:
    """Whether the payload holds every item; Stripe cuts the list at ten and says `has_more`."""
    return dig(subscription, "items", "has_more") is not True


def _item(entry: shapes.SubscriptionItem) -> Item:
    price, plan = entry.get("price"), entry.get("plan")
    # An id stands in place of the object where an integration trimmed the payload.
    price = {"id": price} if isinstance(price, str) else hash_of(price)
    plan = {"id": plan} if isinstance(plan, str) else hash_of(plan)
    quantity = integer(entry.get("quantity"))
    discounts, trial = entry.get("discounts"), hash_of(entry.get("current_trial"))
    return Item(
        id=text(entry.get("id")),
        price=read_price(price, plan),
        # A metered item has no quantity; a licensed one always does, and 1 is Stripe's default for it.
        quantity=1 if quantity is None else quantity,
        discounts=tuple(discounts) if isinstance(discounts, list) else (),
        trial=(integer(trial.get("start_date")), integer(trial.get("end_date"))) if trial else None,
    )


def _replace_quantity(item: Item, before: shapes.Subscription) -> Item:
    quantity = integer(before.get("quantity"))
    return Item(item.id, item.price, item.quantity if quantity is None else quantity, item.discounts)


def status_of(subscription: shapes.Subscription) -> str | None:
    """incomplete, incomplete_expired, trialing, active, past_due, canceled, unpaid or paused."""
    return text(subscription.get("status"))


def currency_of(subscription: shapes.Subscription) -> str | None:
    """The currency in lower case; old payloads state it only on the price or plan."""
    stated = text(subscription.get("currency"))
    return stated or next((item.price.currency for item in items_of(subscription) if item.price.currency), None)


def period_of(subscription: shapes.Subscription) -> tuple[int | None, int | None]:
    """Start and end of the current period in epoch seconds; since 2025-03-31 of the item whose period ends first."""
    on_items = [
        (integer(entry.get("current_period_start")), integer(entry.get("current_period_end")))
        for entry in listed(subscription.get("items"))
    ]
    known = [(start, end) for start, end in on_items if end is not None]
    if known:
        return min(known, key=lambda period: period[1])
    return integer(subscription.get("current_period_start")), integer(subscription.get("current_period_end"))


def trial_of(subscription: shapes.Subscription) -> tuple[int | None, int | None]:
    """Start and end of the trial in epoch seconds, also long after it is over."""
    return integer(subscription.get("trial_start")), integer(subscription.get("trial_end"))


def cancellation_scheduled_for(subscription: shapes.Subscription) -> int | None:
    """The scheduled end of the subscription in epoch seconds; None where no end is scheduled or it has ended already.

    Flexible billing sets `cancel_at`, `cancel_at_period_end` and `canceled_at` on a subscription that is still
    active, so `canceled_at` says nothing here.
    """
    if ended_at(subscription) is not None:
        return None
    cancel_at = integer(subscription.get("cancel_at"))
    if cancel_at is not None:
        return cancel_at
    if subscription.get("cancel_at_period_end") is not True:
        return None
    # 0 where the payload holds no period: an end is scheduled, at an unknown time.
    return period_of(subscription)[1] or 0


def ended_at(subscription: shapes.Subscription) -> int | None:
    """The time at which the subscription ended, in epoch seconds. `canceled_at` alone does not mean that it ended."""
    return integer(subscription.get("ended_at"))


def created_at(subscription: shapes.Subscription) -> int | None:
    """The time at which the subscription was created, in epoch seconds; its start may be earlier or later."""
    made = integer(subscription.get("created"))
    return started_at(subscription) if made is None else made


def started_at(subscription: shapes.Subscription) -> int | None:
    """The start of the subscription, in epoch seconds."""
    for field in ("start_date", "created", "start"):
        moment = integer(subscription.get(field))
        if moment is not None:
            return moment
    return None
