"""Readers of a Customer, and of the personal traits in events.

https://docs.stripe.com/api/customers/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import JsonObject, hash_of, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["PERSONAL", "business_name_of", "carried_traits", "email_of", "personal_traits"]

PERSONAL = ("email", "name", "phone", "address")
# What an invoice copies of its Customer.
COPIES = {
    "email": "customer_email",
    "name": "customer_name",
    "phone": "customer_phone",
    "address": "customer_address",
}


def personal_traits(event: StripeEvent, wanted: Collection[str] = PERSONAL) -> JsonObject:
    """The wanted ones of email, name, phone and address, from a Customer or a session's `customer_details`.

    Under Segment's names: https://segment.com/docs/connections/spec/identify/#traits
    """
    return _traits(_source_of(event), wanted)


def carried_traits(event: StripeEvent, wanted: Collection[str] = PERSONAL) -> JsonObject:
    """The same of every object that names its customer: an invoice copies them, a payment has an address for receipts.

    The name and address on a card are the payer's and are not used.
    """
    body = event.object
    if "customer_email" in body and not event.type.startswith("checkout.session."):
        return _traits({name: body.get(copy) for name, copy in COPIES.items()}, wanted)
    found = personal_traits(event, wanted)
    receipts = text(body.get("receipt_email"))
    return {"email": receipts} if receipts and not found else found


def business_name_of(event: StripeEvent, customer: shapes.Customer | None = None) -> str | None:
    """The name of the customer's business, as a Customer or a Checkout Session states it, since 2025-10-29.

    `customer` is the Customer read from the Stripe API.
    """
    body = event.object
    holders = (body, body.get("customer_details"), body.get("collected_information"), body.get("customer"), customer)
    for holder in holders:
        if isinstance(holder, dict) and (name := text(holder.get("business_name"))):
            return name
    return None


def _traits(source: JsonObject, wanted: Collection[str]) -> JsonObject:
    readers = READERS.items() if source else ()
    return {name: value for name, read in readers if name in wanted and (value := read(source.get(name)))}


def email_of(event: StripeEvent) -> str | None:
    """The email address that a customer or a session carries."""
    return text(_source_of(event).get("email"))


def _source_of(event: StripeEvent) -> JsonObject:
    if event.type.startswith("checkout.session."):
        return hash_of(event.object.get("customer_details")) or {"email": event.object.get("customer_email")}
    return event.object if event.type in {"customer.created", "customer.updated"} else {}


def _address(given: object) -> dict[str, str]:
    address: shapes.Address = hash_of(given)
    street = ", ".join(filter(None, (text(address.get("line1")), text(address.get("line2")))))
    reserved = {
        "street": street,
        "city": text(address.get("city")),
        "state": text(address.get("state")),
        "postalCode": text(address.get("postal_code")),
        "country": text(address.get("country")),
    }
    return {name: value for name, value in reserved.items() if value}


READERS: Mapping[str, Callable[[object], object]] = {"email": text, "name": text, "phone": text, "address": _address}
