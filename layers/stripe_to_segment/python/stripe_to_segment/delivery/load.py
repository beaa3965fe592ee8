"""Load what is remembered of the customers, payments and products in a batch of events, in one read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.mapping.identity import profile_key
from stripe_to_segment.mapping.lookups import failed_intent, products_named, what_stripe_told
from stripe_to_segment.mapping.naming import coupons_needed, orders_needed, products_needed
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import listed

if TYPE_CHECKING:
    from collections.abc import Collection

    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["fits", "keys_of", "known_to", "recall", "unreadable"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys under which the data that one event needs is stored: its customer's record, orders, and so on."""

    record: str
    orders: tuple[str, ...]
    products: tuple[str, ...]
    coupons: tuple[str, ...]

    @property
    def fit(self) -> bool:
        """Whether DynamoDB takes all of them."""
        return all(fits(key) for key in (self.record, *self.orders, *self.products, *self.coupons))


def fits(text: str) -> bool:
    """Whether a text can be a key of the StateTable.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys
    """
    return len(text.encode()) <= MAX_KEY_BYTES


# DynamoDB takes 2,048; the rest is for the kind before it.
MAX_KEY_BYTES = 2_000


@asked_once
def keys_of(event: StripeEvent) -> Keys:
    """The keys that one event needs."""
    prefix = f"{event.scope}:"
    return Keys(
        profile_key(event),
        tuple(prefix + order for order in orders_needed(event)),
        tuple(prefix + product for product in products_needed(event)),
        tuple(prefix + coupon for coupon in coupons_needed(event)),
    )


def recall(events: Collection[StripeEvent], store: Store, circuits: Collection[str] = ()) -> Memory:
    """Load all stored data that these events need; a customer without a record gets a new one.

    `unreadable` names the items that exist and cannot be read.

    Claims in the records are settled with the receipts of their deliveries. The circuits are read along with them.

    Raises StoreUnavailableError.
    """
    needed = [keys_of(event) for event in events]
    keys = {each.record for each in needed}
    orders = {order for each in needed for order in each.orders}
    products = {product for each in needed for product in each.products}
    memory = store.load(keys, orders, products, circuits, {coupon for each in needed for coupon in each.coupons})
    deliveries = {profile.delivery for profile in memory.profiles.values() if profile.delivery}
    receipts = store.receipts(deliveries) if deliveries else {}
    for key in keys:
        profile = memory.profiles.get(key, Profile(key))
        receipt = receipts.get(profile.delivery)
        if receipt is not None and receipt.unreadable:
            memory.unreadable["profile", key] = receipt.unreadable
        else:
            memory.profiles[key] = profile.settled(receipt)
    return memory


def unreadable(event: StripeEvent, memory: Memory) -> str:
    """The reason why an item that this event needs cannot be read; empty if all of them can."""
    if not memory.unreadable:
        return ""
    keys = keys_of(event)
    kinds = (("profile", (keys.record,)), ("order", keys.orders), ("product", keys.products), ("coupon", keys.coupons))
    needed = ((kind, key) for kind, found in kinds for key in found)
    return next((memory.unreadable[each] for each in needed if each in memory.unreadable), "")


def known_to(event: StripeEvent, memory: Memory, stated: Stated, settings: Settings) -> Known:
    """The part of it that one event's mapping needs, with what the event states about the person."""
    prefix = f"{event.scope}:"
    return Known(
        memory.profiles[profile_key(event)],
        {
            product: memory.product_names[prefix + product]
            for product in products_named(event, memory)
            if prefix + product in memory.product_names
        },
        {intent: memory.orders[prefix + intent] for intent in orders_needed(event) if prefix + intent in memory.orders},
        what_stripe_told(event, memory, "customer", event.customer),
        listed(what_stripe_told(event, memory, "line_items", event.object.get("id"))),
        failed_intent(event, memory),
        stated,
        settings.sends_line_descriptions,
        {
            coupon: memory.coupons[prefix + coupon]
            for coupon in coupons_needed(event)
            if prefix + coupon in memory.coupons
        },
        settings.mrr_discounts,
    )
