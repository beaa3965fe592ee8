"""What is remembered of the customers, payments and products that events speak of, read at once for many events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.identity import profile_key
from stripe_to_segment.lookups import products_named, what_stripe_told
from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.mapping.naming import orders_needed, products_needed
from stripe_to_segment.profile import Profile
from stripe_to_segment.stripe_side.fields import listed

if TYPE_CHECKING:
    from collections.abc import Collection

    from stripe_to_segment.identity import Stated
    from stripe_to_segment.memory import Memory, Store
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["known_to", "recall"]


def recall(events: Collection[StripeEvent], store: Store, circuits: Collection[str] = ()) -> Memory:
    """Everything kept that these events need; every customer has a record in it, a new one where none is kept.

    What the records claim is settled with the receipts of those who claimed it. The circuits are read along with them.

    Raises StoreUnavailableError.
    """
    keys = {profile_key(event) for event in events}
    orders = {f"{event.scope}:{intent}" for event in events for intent in orders_needed(event)}
    products = {f"{event.scope}:{product}" for event in events for product in products_needed(event)}
    memory = store.load(keys, orders, products, circuits)
    deliveries = {profile.delivery for profile in memory.profiles.values() if profile.delivery}
    receipts = store.receipts(deliveries) if deliveries else {}
    for key in keys:
        profile = memory.profiles.get(key, Profile(key))
        memory.profiles[key] = profile.settled(receipts.get(profile.delivery))
    return memory


def known_to(event: StripeEvent, memory: Memory, stated: Stated, settings: Settings) -> Known:
    """What of it one event's mapping needs, with what the event says of the person."""
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
        stated,
        settings.sends_line_descriptions,
    )
