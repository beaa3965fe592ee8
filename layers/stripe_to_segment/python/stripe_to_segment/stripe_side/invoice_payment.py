"""Readers of an InvoicePayment, which joins an invoice and a payment of it or of a part of it.

https://docs.stripe.com/api/invoice-payment/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import hash_of, integer, reference

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["amount_of", "may_be_a_part", "payment_of"]


def amount_of(payment: shapes.InvoicePayment) -> int | None:
    """The amount received for this invoice, in minor units."""
    return integer(payment.get("amount_paid"))


def payment_of(payment: shapes.InvoicePayment) -> str | None:
    """The payment intent, the charge without one, or the record of a payment outside of Stripe."""
    paid_by = hash_of(payment.get("payment"))
    named = reference(paid_by.get("payment_intent")) or reference(paid_by.get("charge"))
    return named or reference(paid_by.get("payment_record"))


def may_be_a_part(payment: shapes.InvoicePayment) -> bool:
    """Whether the invoice may stay open after it; the payment that Stripe itself makes covers all that remains.

    https://docs.stripe.com/api/invoice-payment/object#invoice_payment_object-is_default
    """
    paid, asked = amount_of(payment), integer(payment.get("amount_requested"))
    return payment.get("is_default") is False or (paid is not None and asked is not None and paid < asked)
