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
from stripe_to_segment.state import purchases
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
    "with_its_payments",
    "with_share",
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
    """An order that has a purchase which has paid another invoice too, without that; and that as a part."""

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


def with_its_payments(event: StripeEvent[shapes.Invoice], known: Known, *others: str) -> Profile:
    """The record once it is known which payments have paid an invoice: others, and those that it lists itself.

    An import lists them, and the Stripe API does, if asked: each with its share.
    """
    listed = [*read_invoice.paid_parts_of(event.object), *(known.invoice_payments or ())]
    profile, invoice = known.profile, text(event.object.get("id")) or event.id
    for payment in filter(None, (*others, *map(read.payment_of, listed))):
        profile = profile.with_paid(invoice, by=payment)
    for one in listed:
        profile = with_share(profile, one)
    return profile


def with_share(profile: Profile, paid: shapes.InvoicePayment) -> Profile:
    """The record after its invoice has got the share of this payment, once; from another order, if that has it."""
    invoice, own, amount = _invoice_of(paid), text(paid.get("id")) or "", read.amount_of(paid)
    listed, shared, payment = profile.payment(invoice), _shared(paid, profile), read.payment_of(paid) or ""
    if listed is not None and own in listed.paid_by:
        return profile
    if shared is not None:
        after = purchases.with_share(listed or Payment(shared.rest.currency, intent=payment), own, shared.part)
        return profile.with_payment(shared.order, shared.rest).with_payment(invoice, after)
    part = None if listed is None else listed.parts.get(payment)
    if listed is None or part is None or part.stated_by or part.beyond or not 0 < (amount or 0) <= part.amount:
        return profile
    return profile.with_payment(invoice, purchases.split(listed, payment, own, amount or 0))


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
    """The name of this part: the payment's, or its own where the payment has paid a part of another order, too.

    Also of one that an import lists, which is known not to be a purchase.
    """
    own, other = text(event.object.get("id")) or event.id, profile.other_paid_by(payment, _invoice_of(event.object))
    elsewhere = payment not in before.parts and (other is not None or event.silent)
    return own if own in before.parts or elsewhere else payment


def _shared(paid: shapes.InvoicePayment, profile: Profile) -> _Shared | None:
    """The share of this invoice in a purchase that was attached to another invoice first."""
    payment, amount = read.payment_of(paid), read.amount_of(paid)
    other = None if payment is None else profile.other_paid_by(payment, _invoice_of(paid))
    listed = None if other is None else profile.payment(other)
    if payment is None or other is None or listed is None or not amount or not _has(listed, payment, amount):
        return None
    return _Shared(other, *purchases.without_share(listed, payment, amount))


def _has(listed: Payment, payment: str, amount: int) -> bool:
    """Whether an order has so much of a purchase, and some money beside it."""
    part = listed.parts.get(payment)
    if part is None or part.stated_by not in {"", NOT_SENT}:
        return False
    beside = listed.complete or len(listed.parts) > 1
    return part.amount > amount or (beside and part.amount == amount)


def _invoice_of(paid: shapes.InvoicePayment) -> str:
    return reference(paid.get("invoice")) or ""


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
        return _known_part(event, _Received(name, before.parts[name], invoice_id, before), amount)
    if before.complete or (before.counted and before.total is None):
        return None
    if (shared := _shared(event.object, profile)) is not None:
        part = replace(shared.part, stated_by=sender) if shared.part.stated_by == NOT_SENT else shared.part
        return _Received(name, part, invoice_id, before)
    bill = before.bill or (bill_of(known.invoice) if known.invoice else None)
    if bill is None:
        return _Received(name, Part(amount, stated_by=sender), invoice_id, before)
    paid = before.paid_in_parts
    # The running sum is rounded, so that the parts of an invoice sum to its revenue and its tax.
    shares = bill.shares(paid.total + amount).less(paid.shared, paid.revenue, paid.tax)
    tax = None if bill.tax is None else shares.tax
    return _Received(name, Part(amount, shares.revenue, sender, tax), invoice_id, before)


def _known_part(event: StripeEvent[shapes.InvoicePayment], known: _Received, amount: int) -> _Received:
    """A part that is listed already; of a purchase that an import has listed, this event states what it has paid."""
    name, part, invoice, before = known
    if part.stated_by != NOT_SENT:
        return known
    sender = NOT_SENT if event.silent else event.id
    if part.amount <= amount:
        return _Received(name, replace(part, stated_by=sender), invoice, before)
    own = text(event.object.get("id")) or event.id
    after = purchases.split(before, name, own, amount)
    rest = replace(after, parts={key: one for key, one in after.parts.items() if key != own})
    return _Received(own, replace(after.parts[own], stated_by=sender), invoice, rest)
