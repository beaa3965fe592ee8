"""Questions to a refunded Charge.

https://docs.stripe.com/api/charges/object
"""

from __future__ import annotations

from stripe_to_segment.stripe_side.fields import JsonObject, integer, listed, reference

__all__ = ["invoice_of", "payment_intent_of", "refunded_amount", "refunded_total"]


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
    refunds = listed(charge.get("refunds"))
    if refunds:
        newest = max(refunds, key=lambda refund: integer(refund.get("created")) or 0)
        return integer(newest.get("amount"))
    return total


def invoice_of(charge: JsonObject) -> str | None:
    """The invoice the charge paid; gone since 2025-03-31, where the payment intent joins them."""
    return reference(charge.get("invoice"))


def payment_intent_of(charge: JsonObject) -> str | None:
    """The payment intent, which the order behind the charge is known by."""
    return reference(charge.get("payment_intent"))
