"""Questions to a refunded Charge.

https://docs.stripe.com/api/charges/object
"""

from __future__ import annotations

from stripe_to_segment.stripe_side.fields import JsonObject, integer, listed, reference, text

__all__ = ["invoice_of", "newest_refund", "payment_of", "refunded_amount", "refunded_total", "was_collected"]


def was_collected(charge: JsonObject) -> bool:
    """False for an authorisation that was given up: Stripe calls that a refund too, but no money ever came in.

    https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
    """
    # All three, since Stripe's own samples of refunded charges say `captured: false`.
    held = charge.get("captured") is False and charge.get("amount_captured") == 0
    return not (held and charge.get("amount_refunded") == charge.get("amount"))


def refunded_total(charge: JsonObject) -> int | None:
    """All refunds of this charge so far, in minor units."""
    return integer(charge.get("amount_refunded"))


def refunded_amount(charge: JsonObject, previous: JsonObject) -> int | None:
    """The refund alone, in minor units: `amount_refunded` is a running total.

    It is the difference to the total before. Where the event does not state that, the newest entry of the `refunds`
    list does (charges carry it until 2022-11-15); else the total can only be this refund.
    """
    total = refunded_total(charge)
    before = integer(previous.get("amount_refunded"))
    if total is not None and before is not None:
        return total - before
    newest = newest_refund(charge)
    return total if newest is None else integer(newest.get("amount"))


def newest_refund(charge: JsonObject) -> JsonObject | None:
    """The newest entry of the `refunds` list, None where the charge has none."""
    return max(listed(charge.get("refunds")), key=lambda refund: integer(refund.get("created")) or 0, default=None)


def invoice_of(charge: JsonObject) -> str | None:
    """The invoice the charge paid; gone since 2025-03-31, where the payment intent joins them."""
    return reference(charge.get("invoice"))


def payment_of(charge: JsonObject) -> str | None:
    """What the order behind the charge is known by: the payment intent or, where there is none, the charge itself."""
    return reference(charge.get("payment_intent")) or text(charge.get("id"))
