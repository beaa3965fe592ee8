"""Questions to a PaymentIntent.

https://docs.stripe.com/api/payment_intents/object
"""

from __future__ import annotations

from stripe_to_segment.stripe_side.fields import JsonObject, dig, reference, text

__all__ = ["invoice_of", "session_of"]


def invoice_of(intent: JsonObject) -> str | None:
    """The invoice that it pays, where the intent says so: until 2025-03-31 itself, since late 2025 by its reference.

    https://docs.stripe.com/api/payment_intents/object#payment_intent_object-payment_details-order_reference
    """
    return reference(intent.get("invoice")) or _ordered(intent, "in_")


def session_of(intent: JsonObject) -> str | None:
    """The Checkout Session that it pays, where the intent says so."""
    return _ordered(intent, "cs_")


def _ordered(intent: JsonObject, prefix: str) -> str | None:
    # A merchant may write a reference of its own there; only Stripe's ids say whose the payment is.
    named = text(dig(intent, "payment_details", "order_reference"))
    return named if named and named.startswith(prefix) else None
