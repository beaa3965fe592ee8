"""Readers of a Customer, and of the personal traits in events.

https://docs.stripe.com/api/customers/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import JsonObject, hash_of, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["PERSONAL", "email_of", "personal_traits"]

PERSONAL = ("email", "name", "phone", "address")


def personal_traits(event: StripeEvent) -> JsonObject:
    """email, name, phone and address under Segment's names, from a Customer or a session's `customer_details`.

    https://segment.com/docs/connections/spec/identify/#traits
    """
    source = _source_of(event)
    found: JsonObject = {name: text(source.get(name)) for name in ("email", "name", "phone")}
    found["address"] = _address(hash_of(source.get("address")))
    return {name: value for name, value in found.items() if value}


def email_of(event: StripeEvent) -> str | None:
    """The email address that a customer or a session carries."""
    return text(_source_of(event).get("email"))


def _source_of(event: StripeEvent) -> JsonObject:
    if event.type.startswith("checkout.session."):
        return hash_of(event.object.get("customer_details")) or {"email": event.object.get("customer_email")}
    return event.object if event.type in {"customer.created", "customer.updated"} else {}


def _address(address: JsonObject) -> dict[str, str]:
    street = ", ".join(filter(None, (text(address.get("line1")), text(address.get("line2")))))
    reserved = {
        "street": street,
        "city": text(address.get("city")),
        "state": text(address.get("state")),
        "postalCode": text(address.get("postal_code")),
        "country": text(address.get("country")),
    }
    return {name: value for name, value in reserved.items() if value}
