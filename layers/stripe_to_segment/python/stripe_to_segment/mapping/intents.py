"""Facts about a PaymentIntent that belongs to no invoice and to no Checkout Session: it is the order itself.

Every payment has an intent, so most state no fact: the invoice or the session states the revenue. The intent names its
invoice or session (`payment_details.order_reference`, `invoice`), or another event does, or the Stripe API when asked;
until then the intent is held.
https://docs.stripe.com/payments/payment-intents
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.checkout import amounts_asked
from stripe_to_segment.mapping.facts import Fact, worked_out_once
from stripe_to_segment.mapping.orders import invoice_paid_by, paying_invoice
from stripe_to_segment.mapping.payments import OrderCompleted
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import payment_intent as read
from stripe_to_segment.stripe_side.fields import integer, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "after_capture",
    "invoice_behind",
    "invoice_paid_then",
    "paid_alone",
    "pays_no_invoice",
    "succeeded",
    "unclaimed",
    "waits_to_be_claimed",
]


def succeeded(event: StripeEvent[shapes.PaymentIntent], known: Known) -> Iterator[Fact]:
    """payment_intent.succeeded: Order Completed, unless an invoice or a session states it."""
    intent_id, payment = text(event.object.get("id")) or event.id, paid_alone(event, known)
    if payment is None:
        return
    amounts, currency = _received(event, known), payment.currency
    stated = OrderCompleted(
        order_id=intent_id,
        total=major(amounts.total, currency),
        revenue=major(amounts.revenue, currency),
        tax=major(amounts.tax, currency),
        shipping=major(amounts.shipping, currency),
        application_fee=major(amounts.fee, currency),
        currency=currency.upper() or None,
    )
    yield Fact(stated, intent_id)


@worked_out_once
def paid_alone(event: StripeEvent[shapes.PaymentIntent], known: Known) -> Payment | None:
    """The payment of an intent that belongs to nothing else; None where an invoice or a session states it."""
    return _payment(event, known) if unclaimed(event, known) and invoice_paid_then(event, known) is None else None


@worked_out_once
def invoice_paid_then(event: StripeEvent[shapes.PaymentIntent], known: Known) -> str | None:
    """The invoice with the same amount that was paid at the same time, for an intent that no object claims.

    None for that of a session, which is captured later, and where the Stripe API was asked: then it has no invoice.
    """
    listed = known.profile.payment(text(event.object.get("id")) or event.id)
    of_a_session = read.session_of(event.object) is not None or (listed is not None and listed.bill is not None)
    if of_a_session or known.invoice_payments is not None or pays_no_invoice(event) or not unclaimed(event, known):
        return None
    return paying_invoice(known.profile, _payment(event, known))


def pays_no_invoice(event: StripeEvent[shapes.PaymentIntent]) -> bool:
    """Whether an unclaimed intent pays no invoice: it would name it, as until 2025-03-31, or it has no customer."""
    return "invoice" in event.object or event.customer is None


def _payment(event: StripeEvent[shapes.PaymentIntent], known: Known) -> Payment:
    intent_id, amounts = text(event.object.get("id")) or event.id, _received(event, known)
    return Payment(
        text(event.object.get("currency")) or "",
        counted=True,
        total=amounts.total,
        revenue=amounts.revenue,
        tax=amounts.tax,
        paid_at=event.created,
        stated_by=intent_id,
        intent=intent_id,
    )


@worked_out_once
def _received(event: StripeEvent[shapes.PaymentIntent], known: Known) -> read.Received:
    """The amounts received, with the tax and shipping of the session whose payment was captured later, or is read.

    They count pro rata where less than the session's total was captured.
    """
    amounts, listed = read.received(event.object), known.profile.payment(text(event.object.get("id")) or event.id)
    asked, total = None if listed is None else listed.bill, amounts.total
    if asked is None and known.session is not None:
        asked = amounts_asked(known.session)
    if asked is None or total is None or amounts.tax is not None or amounts.shipping is not None:
        return amounts
    shares = asked.shares(min(total, asked.total))
    tax = None if asked.tax is None else shares.tax
    return amounts._replace(revenue=total - shares.tax - shares.shipping, tax=tax, shipping=shares.shipping)


def after_capture(event: StripeEvent[shapes.PaymentIntent], known: Known) -> tuple[str, Payment] | None:
    """payment_intent.amount_capturable_updated: the payment after one of several captures; None if none brought money.

    The last capture makes the intent succeed, which states the payment. https://docs.stripe.com/payments/multicapture
    """
    intent_id, received = text(event.object.get("id")) or event.id, integer(event.object.get("amount_received"))
    listed = known.profile.payment(intent_id)
    if not received or invoice_behind(event, known) or (listed is not None and listed.complete):
        return None
    begun = listed or Payment(text(event.object.get("currency")) or "", paid_at=event.created, intent=intent_id)
    return intent_id, begun.with_captured(received)


def waits_to_be_claimed(event: StripeEvent[shapes.PaymentIntent], known: Known) -> bool:
    """Whether a session or an invoice may still claim the payment; one of the same amount and time has not done so.

    A session whose payment is captured later has to come first too: it states the tax.
    """
    intent_id = text(event.object.get("id")) or event.id
    listed = known.profile.payment(intent_id)
    settled = listed is not None and (listed.bill is not None or (listed.counted and not listed.capturing))
    return not (settled or known.profile.has_taken(intent_id)) and unclaimed(event, known)


def unclaimed(event: StripeEvent[shapes.PaymentIntent], known: Known) -> bool:
    """Whether no known object claims the payment; an intent that was sent as an order stays one."""
    intent_id = text(event.object.get("id")) or event.id
    if invoice_behind(event, known):
        return False
    counted = known.profile.payment(intent_id)
    if counted is not None and not counted.capturing and (counted.counted or counted.stated_by):
        return counted.stated_by == intent_id
    return read.session_of(event.object) is None or read.captured_by_hand(event.object)


def invoice_behind(event: StripeEvent[shapes.PaymentIntent], known: Known) -> str | None:
    """The invoice that the intent pays, named by the intent, by the stored order, or by the Stripe API."""
    return read.invoice_of(event.object) or invoice_paid_by(text(event.object.get("id")) or event.id, known)
