"""Readers of a refunded Charge.

https://docs.stripe.com/api/charges/object
"""

from __future__ import annotations

from stripe_to_segment.stripe_side.fields import JsonObject, integer, listed, reference, text

__all__ = ["invoice_of", "newest_refund", "payment_of", "refunded_amount", "refunded_total", "was_collected"]


def was_collected(charge: JsonObject) -> bool:
    """Whether the charge collected money. A released authorisation did not, though Stripe calls its release a refund.

    https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
    """
    # All three are needed, because Stripe's own samples of refunded charges say `captured: false`.
    held = charge.get("captured") is False and charge.get("amount_captured") == 0
    return not (held and charge.get("amount_refunded") == charge.get("amount"))


def refunded_total(charge: JsonObject) -> int | None:
    """All refunds of this charge so far, in minor units."""
    return integer(charge.get("amount_refunded"))


def refunded_amount(charge: JsonObject, previous: JsonObject) -> int | None:
    """The amount of this refund alone, in minor units, because `amount_refunded` is a running total.

    It is the difference to the previous total. Where the event does not state that, it is the amount of the newest
    entry in the `refunds` list (which charges carry until 2022-11-15), else the total itself.
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
    """The invoice that the charge paid; gone since 2025-03-31, since when the payment intent joins the two."""
    return reference(charge.get("invoice"))


def payment_of(charge: JsonObject) -> str | None:
    """The id under which the charge's order is known: the payment intent or, where there is none, the charge itself."""
    return reference(charge.get("payment_intent")) or text(charge.get("id"))
