"""Which payment an event is about, among those that the customer's record lists."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import charge as read_charge
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import invoice_payment as read_invoice_payment
from stripe_to_segment.stripe_side import refund as read_refund
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import integer, reference, text

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "guessed_for",
    "names_no_customer",
    "order_behind",
    "orders_needed",
    "paying_invoice",
    "payment_named",
    "refunded_before",
    "same_payment",
]

# A bank debit's charge is made when the money is asked for, up to fourteen days before the payment succeeds.
# https://docs.stripe.com/payments/sepa-debit
LONGEST_DEBIT = 15 * 86_400
# Stripe creates payment_intent.succeeded and invoice.paid within a few seconds of each other.
SAME_MOMENT = 300


def names_no_customer(event: StripeEvent) -> bool:
    """Whether the event is about a payment and does not say whose it is."""
    about_a_payment = event.type.startswith(("refund.", "charge.dispute.", "invoice_payment."))
    return about_a_payment and event.customer is None


@asked_once
def payment_named(event: StripeEvent) -> str | None:
    """The payment intent (or the charge without one) that the event's object is, or is about."""
    about = event.object
    if event.type.startswith("payment_intent."):
        return text(about.get("id"))
    if event.type.startswith("invoice_payment."):
        return read_invoice_payment.payment_of(about)
    if event.type.startswith("charge.") and about.get("object") != "dispute":
        return read_charge.payment_of(about)
    return read_refund.payment_of(about)


def orders_needed(event: StripeEvent) -> list[str]:
    """Payment intents (or charges without one) and invoices whose order is needed."""
    if event.type == "invoice_payment.paid":
        needed = [payment_named(event), reference(event.object.get("invoice"))]
    elif event.type == "invoice.paid":
        needed = [read_invoice.payment_of(event.object) or text(event.object.get("id"))]
    else:
        needed = [payment_named(event)] if event.type.startswith(ABOUT_PAYMENTS) else []
    return [each for each in needed if each]


ABOUT_PAYMENTS = ("charge.", "checkout.session.", "payment_intent.", "refund.")


def order_behind(
    event: StripeEvent, known: Known, amount: int, currency: str, *, charged: int | None = None
) -> tuple[str, Payment]:
    """The order whose payment is given back or disputed, and that payment; a new one where none is listed.

    Parameters
    ----------
    event
        The event.
    known
        The customer's record, and the orders that are known by their payment.
    amount, currency
        What goes back, in minor units and lower case.
    charged
        How much was charged, in minor units, where the event says so.
    """
    profile, payment = known.profile, payment_named(event) or event.id
    order = reference(event.object.get("invoice")) or known.orders.get(payment, payment)
    found = profile.payment(order)
    if found is None and order == payment:
        order, found = (
            _paid_by(payment, profile) or _unlinked(event, profile, amount, currency, charged) or (order, None)
        )
        found = found and replace(found, intent=payment)
    if found is None:
        # Counted by a former release, or too long ago to be listed: then the sum has more than what is listed.
        counted = 0 < amount <= profile.unlisted(currency)
        found = Payment(currency, counted=counted, total=None if counted else charged, paid_at=_charged_at(event))
    return order, found


def guessed_for(event: StripeEvent, known: Known, order: str) -> str:
    """The payment that the event names, where nothing joins it and this order but its amount and time; else empty."""
    payment = payment_named(event) or event.id
    joined = {payment, known.orders.get(payment), reference(event.object.get("invoice"))}
    return "" if order in joined else payment


def paying_invoice(profile: Profile, paid: Payment) -> str | None:
    """The invoice that an intent, which nobody claims, has paid: of the same amount, at the same moment."""
    return same_payment(profile, paid, "in_")


def same_payment(profile: Profile, paid: Payment, prefix: str) -> str | None:
    """The order of a counted payment of that amount and moment which an object with that prefix stated."""
    alike = profile.payments_like(paid, counted=True, within=SAME_MOMENT, stated_by=prefix)
    return next((order for order, payment in alike if payment.intent in {"", paid.intent or order}), None)


def refunded_before(profile: Profile, paid: Payment) -> str | None:
    """What was refunded before the payment was known, where nothing joins the two: by its amount and time.

    What is known to be of an invoice is that one's.
    """
    if not paid.total:
        return None
    alike = profile.payments_like(paid, counted=False, within=LONGEST_DEBIT)
    return next((order for order, _ in alike if not order.startswith("in_")), None)


def _charged_at(event: StripeEvent) -> int:
    """When the money was asked for, in epoch seconds, as far as the event knows."""
    of_charge = event.type == "charge.refunded"
    return (integer(event.object.get("created")) if of_charge else None) or event.created


def _paid_by(payment: str, profile: Profile) -> tuple[str, Payment] | None:
    return next((entry for entry in profile.listed_payments() if entry[1].intent == payment), None)


def _unlinked(
    event: StripeEvent, profile: Profile, amount: int, currency: str, charged: int | None
) -> tuple[str, Payment] | None:
    """The invoice that was most likely paid so, where nothing joins invoices and payments (no invoice_payment.paid).

    Since 2025-03-31 neither names the other. By the amount, then by the time; one that came after the charge is none.
    """
    made, of_charge = _charged_at(event), charged is not None
    entries = [
        (order, payment)
        for order, payment in profile.listed_payments()
        if payment.counted
        and payment.currency == currency
        and payment.stated_by.startswith("in_")
        and not payment.intent
        and (payment.total == charged if charged is not None else (payment.total or 0) - payment.gone_back >= amount)
        and payment.paid_at <= (made + LONGEST_DEBIT if of_charge else event.created)
    ]
    if not entries:
        return None
    if of_charge:
        return min(entries, key=lambda entry: abs(entry[1].paid_at - made))
    return max(entries, key=lambda entry: (entry[1].total == amount, entry[1].paid_at))
