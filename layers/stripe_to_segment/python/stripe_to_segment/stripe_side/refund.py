"""Readers of a Refund and of a Dispute, which name a charge and a payment intent, and mostly no customer.

https://docs.stripe.com/api/refunds/object and https://docs.stripe.com/api/disputes/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import dig, integer, listed, reference, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = [
    "charge_of",
    "evidence_due_by",
    "has_failed",
    "network_reason_code",
    "of_no_payment",
    "payment_of",
    "released",
    "was_inquiry",
    "withdrawn",
]

DAY = 86_400
# https://docs.stripe.com/api/refunds/object#refund_object-status
FAILED = frozenset({"failed", "canceled"})


def payment_of(refunded: shapes.Refund | shapes.Dispute) -> str | None:
    """The id under which its order is known: the payment intent or, where there is none, the charge."""
    return reference(refunded.get("payment_intent")) or charge_of(refunded)


def of_no_payment(refund: shapes.Refund) -> bool:
    """Whether it gives nothing of a payment back: money that a customer transferred beyond what was to be paid.

    https://docs.stripe.com/payments/customer-balance/refunding
    """
    return payment_of(refund) is None


def released(refund: shapes.Refund) -> bool:
    """Whether an authorisation has expired of which nothing was captured; until 2025-03-31 Stripe made a refund of it.

    https://docs.stripe.com/api/refunds/object#refund_object-reason
    """
    return text(refund.get("reason")) == "expired_uncaptured_charge"


def charge_of(refunded: shapes.Refund | shapes.Dispute) -> str | None:
    """The refunded or disputed charge."""
    return reference(refunded.get("charge"))


def has_failed(refund: shapes.Refund) -> bool:
    """Whether the money came back to the merchant: the refund failed or was cancelled."""
    return text(refund.get("status")) in FAILED


def evidence_due_by(dispute: shapes.Dispute) -> int | None:
    """The deadline for evidence, in epoch seconds; None where the bank takes none, which Stripe also writes as 0.

    https://docs.stripe.com/api/disputes/object#dispute_object-evidence_details-due_by
    """
    return integer(dig(dispute, "evidence_details", "due_by")) or None


def network_reason_code(dispute: shapes.Dispute) -> str | None:
    """The card network's own code; before 2024 at the top level, today with the payment method's details.

    https://docs.stripe.com/api/disputes/object#dispute_object-payment_method_details-card-network_reason_code
    """
    return text(dig(dispute, "payment_method_details", "card", "network_reason_code")) or text(
        dispute.get("network_reason_code")
    )


def was_inquiry(dispute: shapes.Dispute, withdrawn_at: int) -> bool:
    """Whether a bank's inquiry has become this dispute: its funds are withdrawn, by then, days after it was opened.

    Those of a dispute are withdrawn at once. https://docs.stripe.com/disputes/how-disputes-work#inquiries
    """
    opened = integer(dispute.get("created"))
    moments = (integer(entry.get("created")) for entry in listed(dispute.get("balance_transactions")))
    return opened is not None and min(filter(None, moments), default=withdrawn_at) - opened > DAY


def withdrawn(dispute: shapes.Dispute) -> int | None:
    """The amount that Stripe keeps back now, in minor units: the sum of the dispute's balance transactions.

    None where there are none. They are in the currency of the balance: where that is not the payment's, each moves the
    whole amount in dispute, there or back. https://docs.stripe.com/currencies/conversions
    """
    entries, whole = listed(dispute.get("balance_transactions")), integer(dispute.get("amount")) or 0
    moved = [(integer(entry.get("amount")) or 0, entry.get("currency")) for entry in entries]
    if any(currency != dispute.get("currency") for _, currency in moved):
        moved = [(-whole if amount < 0 else whole, currency) for amount, currency in moved]
    return -sum(amount for amount, _ in moved) if moved else None
