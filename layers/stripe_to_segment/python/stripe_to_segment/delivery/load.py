"""Load the stored data about the customers, payments and products in a batch of events, in one read."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.mapping.lookups import (
    coupons_known,
    failed_intent,
    joining,
    products_read,
    read_from_stripe,
    terms_from_api,
)
from stripe_to_segment.mapping.naming import coupons_needed, names_needed
from stripe_to_segment.mapping.orders import matched_anew, orders_needed
from stripe_to_segment.mapping.subscriptions.discounts import with_own_of
from stripe_to_segment.state.profile import new_profile
from stripe_to_segment.state.settle import settled
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import listed, reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.objects import Lookup

    class Reader(Protocol):
        """Reads objects from the Stripe API."""

        def read(self, wanted: Iterable[Lookup]) -> Mapping[Lookup, JsonObject]:
            """What could be read of this; it never raises."""


__all__ = ["Reader", "fits", "keys_of", "known_to", "recall", "settle", "storable", "unreadable"]


def fits(text: str) -> bool:
    """Whether a text is short enough for a key of the StateTable.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys
    """
    return len(text.encode()) <= MAX_KEY_BYTES


# DynamoDB takes 2,048 bytes; the rest is for the kind in front of the key.
MAX_KEY_BYTES = 2_000


@asked_once
def keys_of(event: StripeEvent) -> Collection[tuple[str, str]]:
    """The kinds and keys of the stored items that one event needs: its customer's record, orders, and so on."""
    needed = (("order", orders_needed(event)), ("product", names_needed(event)), ("coupon", coupons_needed(event)))
    return [("profile", event.profile_key)] + [(kind, f"{event.scope}:{id_}") for kind, ids in needed for id_ in ids]


def storable(event: StripeEvent) -> bool:
    """Whether DynamoDB takes all keys that the event needs."""
    return not [key for _, key in keys_of(event) if not fits(key)]


def recall(events: Collection[StripeEvent], store: Store, circuits: Collection[str] = ()) -> Memory:
    """Load all stored data that these events need; a customer without a record gets a new one.

    `unreadable` names the items that exist and cannot be read.

    Claims in the records are settled with the receipts of their deliveries. The circuits are read along with them.

    Raises StoreUnavailableError.
    """
    needed = {key for event in events for key in keys_of(event)}
    needed |= {("circuit", name) for name in circuits}
    memory = store.load(needed)
    settle({event.profile_key for event in events}, memory, store)
    named = {
        ("coupon", f"{event.scope}:{coupon}")
        for event in events
        if (profile := memory.profiles.get(event.profile_key)) is not None
        for coupon in profile.named_coupons
    }
    if named - needed:
        # Their own events may have stated their amounts since.
        stated = store.load(named - needed)
        memory.coupons.update(stated.coupons)
        memory.unreadable |= stated.unreadable
    return memory


def settle(keys: Collection[str], memory: Memory, store: Store) -> None:
    """Settle the claims in the records by their receipts, and give each key without an item a new record."""
    deliveries = {profile.delivery for profile in memory.profiles.values() if profile.delivery}
    receipts = store.receipts(deliveries) if deliveries else {}
    for key in keys:
        profile = memory.profiles.get(key) or new_profile(key)
        receipt = receipts.get(profile.delivery)
        if receipt is not None and receipt.unreadable:
            memory.unreadable["profile", key] = receipt.unreadable
        else:
            memory.profiles[key] = settled(profile, receipt)


def unreadable(event: StripeEvent, memory: Memory) -> tuple[str, str] | None:
    """The reason why an item that this event needs cannot be read, and the item; None if all of them can."""
    needed = itertools.chain(keys_of(event), _led_to(event, memory)) if memory.unreadable else ()
    return next(((memory.unreadable[key], "#".join(key)) for key in needed if key in memory.unreadable), None)


def _led_to(event: StripeEvent, memory: Memory) -> Iterator[tuple[str, str]]:
    """The items to which others led: the invoices of the event's payments, and the coupons that its record names."""
    keys = [f"{event.scope}:{payment}" for payment in orders_needed(event)]
    yield from (("order", f"{event.scope}:{memory.orders[key]}") for key in keys if key in memory.orders)
    if (record := memory.profiles.get(event.profile_key)) is not None:
        yield from (("coupon", f"{event.scope}:{coupon}") for coupon in record.named_coupons)


def known_to(event: StripeEvent, memory: Memory, stated: Stated, settings: Settings) -> Known:
    """The part of the memory that the mapping of one event needs, with the event's statements about the person."""
    prefix, profile, orders = f"{event.scope}:", memory.profiles[event.profile_key], dict[str, str]()
    for payment in orders_needed(event):
        stored = memory.orders.get(prefix + payment, payment)
        if stored == payment:
            # Another batch may have joined it with its invoice after its order was read, and before the record was.
            stored = profile.order_paid_by(payment) or payment
        if stored != payment or prefix + payment in memory.orders:
            orders[payment] = stored
        # Until 2025-03-31 a charge names its invoice; what came before it was stored under the payment.
        order = reference(event.object.get("invoice")) or stored
        if payment in profile.payments and order != payment:
            # The order is written first, by an event that names no customer, and the record may not know it yet.
            profile = profile.with_paid(order, by=payment)
        elif order == payment:
            profile = matched_anew(event, profile)
    profile = with_own_of(read_from_stripe(event, memory, "customer", event.customer), event, profile)
    return Known(
        profile,
        product_names={
            product: memory.product_names[prefix + product]
            for product in names_needed(event) + (products_read(event, memory) if memory.read else [])
            if prefix + product in memory.product_names
        },
        orders=orders,
        stated=stated,
        settings=settings,
        coupons=coupons_known(event, profile, memory),
        # An import lists an object together with what the API returns for it.
        **(_from_stripe(event, memory) if memory.read or event.listing is not None else {}),
    )


def _from_stripe(event: StripeEvent, memory: Memory) -> dict[str, Any]:
    """What was read from the Stripe API for the event, by the fields of Known."""
    object_id, (kind, about) = event.object.get("id"), joining(event)
    joined = listed(read := read_from_stripe(event, memory, kind, about))
    session = next(iter(joined), None) if kind == "paid_session" else None
    return {
        "customer": read_from_stripe(event, memory, "customer", event.customer),
        "line_items": listed(read_from_stripe(event, memory, "line_items", object_id)),
        # A session names its invoice as a payment of that does.
        "invoice_payments": None if read is None else joined,
        "session": session,
        "invoice": read_from_stripe(event, memory, "invoice", reference(event.object.get("invoice"))),
        "failed_intent": failed_intent(event, memory),
        "api_terms": terms_from_api(event, memory),
    }
