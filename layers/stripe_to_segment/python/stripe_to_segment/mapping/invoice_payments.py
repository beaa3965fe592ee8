"""Facts about a payment of a part of an invoice: it states its share of the revenue, and invoice.paid the rest.

Most invoices are paid at once, by the payment that Stripe makes for them, which invoice.paid states. A payment that was
attached to an invoice may be a part; it waits to see whether it completes the invoice.
https://docs.stripe.com/invoicing/partial-payments
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.mapping.facts import Fact, worked_out_once
from stripe_to_segment.mapping.orders import payment_named
from stripe_to_segment.mapping.tracking import Event, track
from stripe_to_segment.state.bill import NOT_SENT, Bill, Part
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import invoice_payment as read
from stripe_to_segment.stripe_side.fields import reference, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        Currency,
        InvoiceId,
        InvoicePaymentId,
        OrderId,
        Revenue,
        Shipping,
        Tax,
        Total,
    )
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "InvoicePaymentReceived",
    "after_part",
    "bill_is_missing",
    "bill_of",
    "leaves_open",
    "received",
    "waits_for_its_invoice",
    "with_its_share",
]


@track("Invoice Payment Received", when="part of an invoice is paid, and the rest is open")
class InvoicePaymentReceived(Event):
    """One for each part; the event of the paid invoice states only the rest."""

    order_id: OrderId
    invoice_id: InvoiceId
    invoice_payment_id: InvoicePaymentId = None
    total: Total = None
    revenue: Revenue = None
    tax: Tax = None
    shipping: Shipping = None
    currency: Currency = None


class _Received(NamedTuple):
    """A part, the name under which it is listed, and its invoice's payment before it."""

    name: str
    part: Part
    order: str
    before: Payment


class _Shared(NamedTuple):
    """An order that has the whole of a payment which has paid this invoice too, without that; and that as a part."""

    order: str
    rest: Payment
    part: Part


def received(event: StripeEvent[shapes.InvoicePayment], known: Known) -> Iterator[Fact]:
    """invoice_payment.paid: nothing, unless its invoice stays open."""
    found = _part_of(event, known)
    if found is None or found.part.stated_by != event.id:
        return
    currency, part = found.before.currency, found.part
    shipping = None if part.revenue is None or part.tax is None else max(part.amount - part.revenue - part.tax, 0)
    stated = InvoicePaymentReceived(
        order_id=found.order,
        invoice_id=found.order,
        invoice_payment_id=text(event.object.get("id")),
        total=major(part.amount, currency),
        revenue=major(part.revenue, currency),
        tax=major(part.tax, currency),
        shipping=major(shipping, currency),
        currency=currency.upper() or None,
    )
    yield Fact(stated, text(event.object.get("id")) or found.name)


def after_part(event: StripeEvent[shapes.InvoicePayment], known: Known) -> tuple[str, Payment] | None:
    """The invoice and its payment after this part; None if this is not a part, or was sent before."""
    found = _part_of(event, known)
    if found is None or (found.name in found.before.parts and found.part.stated_by not in {event.id, NOT_SENT}):
        return None
    return found.order, found.before.with_part(found.name, found.part)


def with_its_share(event: StripeEvent[shapes.InvoicePayment], known: Known, profile: Profile) -> Profile:
    """The record after another order, which had the whole of this payment, has given this invoice its share.

    Once: from then on the invoice lists the part or, where it was paid as a whole before, is known to be paid by it.
    """
    listed, shared = known.profile.payment(_invoice_of(event)), _shared(event, profile)
    names = set() if listed is None else listed.paid_by
    if shared is None or names & {text(event.object.get("id")), payment_named(event)}:
        return profile
    return profile.with_payment(shared.order, shared.rest)


def waits_for_its_invoice(event: StripeEvent[shapes.InvoicePayment], known: Known) -> bool:
    """Whether invoice.paid may still state it with the whole, or the payer is not known yet."""
    found = _part_of(event, known)
    if found is None or found.name in found.before.parts or not found.part.stated_by:
        return False
    bill = found.before.bill
    return event.customer is None or bill is None or found.before.paid_in_parts.total + found.part.amount >= bill.due


def leaves_open(event: StripeEvent[shapes.InvoicePayment]) -> bool:
    """Whether this payment may be a part of its invoice."""
    return event.type == "invoice_payment.paid" and read.may_be_a_part(event.object)


def bill_is_missing(event: StripeEvent[shapes.InvoicePayment], profile: Profile) -> bool:
    """Whether the amounts of the invoice that this part pays are unknown."""
    listed = profile.payment(reference(event.object.get("invoice")) or "")
    return listed is None or not (listed.complete or listed.bill)


def bill_of(invoice: shapes.Invoice) -> Bill:
    """The amounts of an open invoice."""
    amounts = read_invoice.amounts_of(invoice)
    net = amounts.total - amounts.tax - amounts.shipping
    return Bill(read_invoice.due_of(invoice), amounts.total, net, amounts.tax)


def _listed_as(event: StripeEvent[shapes.InvoicePayment], payment: str, profile: Profile, before: Payment) -> str:
    """The name of this part: the payment's, or its own where the payment has paid a part of another order, too."""
    own, other = text(event.object.get("id")) or event.id, profile.other_paid_by(payment, _invoice_of(event))
    return own if own in before.parts or (other is not None and payment not in before.parts) else payment


def _shared(event: StripeEvent[shapes.InvoicePayment], profile: Profile) -> _Shared | None:
    """The share of this invoice in a payment that was stated as an order, and attached to another invoice first."""
    payment, amount = payment_named(event), read.amount_of(event.object)
    other = None if payment is None else profile.other_paid_by(payment, _invoice_of(event))
    listed = None if other is None else profile.payment(other)
    if payment is None or other is None or listed is None or not amount:
        return None
    part = listed.parts[payment]
    return None if part.stated_by or part.amount <= amount else _Shared(other, *listed.without_share(payment, amount))


def _invoice_of(event: StripeEvent[shapes.InvoicePayment]) -> str:
    return reference(event.object.get("invoice")) or ""


@worked_out_once
def _part_of(event: StripeEvent[shapes.InvoicePayment], known: Known) -> _Received | None:
    """The part that this event states, now or in an earlier attempt; None if the whole was stated before."""
    invoice_id, amount = reference(event.object.get("invoice")), read.amount_of(event.object)
    name = payment_named(event) or text(event.object.get("id")) or event.id
    if invoice_id is None or not amount or not leaves_open(event):
        return None
    profile = known.profile.with_paid(invoice_id, by=name)
    before = profile.payment(invoice_id) or Payment(text(event.object.get("currency")) or "", paid_at=event.created)
    sender = NOT_SENT if event.silent else event.id
    name = _listed_as(event, name, profile, before)
    if name in before.parts:
        part = before.parts[name]
        part = replace(part, stated_by=sender) if part.stated_by == NOT_SENT else part
        return _Received(name, part, invoice_id, before)
    if before.complete or (before.counted and before.total is None):
        return None
    if (shared := _shared(event, profile)) is not None:
        return _Received(name, shared.part, invoice_id, before)
    bill = before.bill or (bill_of(known.invoice) if known.invoice else None)
    if bill is None:
        return _Received(name, Part(amount, stated_by=sender), invoice_id, before)
    paid = before.paid_in_parts
    # The running sum is rounded, so that the parts of an invoice sum to its revenue and its tax.
    shares = bill.shares(paid.total + amount).less(paid.shared, paid.revenue, paid.tax)
    tax = None if bill.tax is None else shares.tax
    return _Received(name, Part(amount, shares.revenue, sender, tax), invoice_id, before)
