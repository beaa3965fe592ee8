"""Readers of a PaymentIntent.

https://docs.stripe.com/api/payment_intents/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, reference, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["Received", "captured_by_hand", "invoice_of", "received", "session_of"]


class Received(NamedTuple):
    """Amounts in minor units: `total` is the captured amount with tips; tax and shipping are None where not stated.

    `revenue` is the total less tax and shipping, which count 0 where they are not stated.
    """

    total: int | None
    revenue: int | None
    tax: int | None
    shipping: int | None
    fee: int | None


def received(intent: shapes.PaymentIntent) -> Received:
    """The amounts received; tax and shipping are unknown where they are larger than the whole.

    A merchant states them, and may have Stripe not check them. Those of a partial capture are its own, because each
    capture states them anew, and Stripe sums those of several.
    https://docs.stripe.com/payments/payment-line-items/flexible-payment-scenarios
    """
    total = integer(intent.get("amount_received"))
    if total is None:
        total = integer(intent.get("amount"))
    tax = integer(dig(intent, "amount_details", "tax", "total_tax_amount"))
    shipping = integer(dig(intent, "amount_details", "shipping", "amount"))
    revenue = None if total is None else total - (tax or 0) - (shipping or 0)
    if revenue is not None and revenue < 0:
        tax, shipping, revenue = None, None, total
    return Received(total, revenue, tax, shipping, integer(intent.get("application_fee_amount")))


def invoice_of(intent: shapes.PaymentIntent) -> str | None:
    """The invoice that the intent pays: in `invoice` until 2025-03-31, in `order_reference` since late 2025, else None.

    https://docs.stripe.com/api/payment_intents/object#payment_intent_object-payment_details-order_reference
    """
    return reference(intent.get("invoice")) or _ordered(intent, "in_")


def session_of(intent: shapes.PaymentIntent) -> str | None:
    """The Checkout Session that the intent pays, None where the intent does not name it."""
    return _ordered(intent, "cs_")


def captured_by_hand(intent: shapes.PaymentIntent) -> bool:
    """Whether the merchant captures the money. Checkout then completes its session unpaid, and sends no later event.

    https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
    """
    options = hash_of(intent.get("payment_method_options")).values()
    return intent.get("capture_method") == "manual" or any(dig(one, "capture_method") == "manual" for one in options)


def _ordered(intent: shapes.PaymentIntent, prefix: str) -> str | None:
    # A merchant may write a reference of its own there; only Stripe's ids name a session or an invoice.
    named = text(dig(intent, "payment_details", "order_reference"))
    return named if named and named.startswith(prefix) else None
