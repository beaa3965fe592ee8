"""Facts about an invoice between its creation and its payment, for accounts receivable and dunning.

None of them states revenue; the payment does. https://docs.stripe.com/invoicing/overview#invoice-lifecycle
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.invoices import billed_plan
from stripe_to_segment.mapping.tracking import Event, always, properties, track
from stripe_to_segment.stripe_side import invoice as read
from stripe_to_segment.stripe_side.fields import integer, iso_time, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        BillingReason,
        CollectionMethod,
        Currency,
        DaysOverdue,
        DueDate,
        InvoiceId,
        Plan,
        PriceId,
        ProductId,
        Quantity,
        RenewsAt,
        SubscriptionId,
        Value,
    )
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "InvoiceFinalized",
    "InvoiceOverdue",
    "InvoiceSent",
    "InvoiceVoided",
    "InvoiceWrittenOff",
    "RenewalUpcoming",
    "finalized",
    "overdue",
    "sent",
    "upcoming",
    "voided",
    "written_off",
]

DAY = 86_400


@properties
class Billed(Event):
    """The invoice, with its unpaid amount as `value`."""

    invoice_id: InvoiceId = always()
    subscription_id: SubscriptionId = None
    value: Value = None
    currency: Currency = None
    billing_reason: BillingReason = None
    collection_method: CollectionMethod = None
    due_date: DueDate = None


@track("Invoice Finalized", when="an invoice is final and waits for its payment")
class InvoiceFinalized(Billed):
    """Also an invoice of 0."""


@track("Invoice Sent", when="an invoice is sent to the customer by email")
class InvoiceSent(Billed):
    """Each time it is sent."""


@track("Invoice Overdue", when="an invoice is overdue, if an automation in Stripe reports it")
class InvoiceOverdue(Billed):
    """After as many days as the automation says. https://docs.stripe.com/billing/automations."""

    days_overdue: DaysOverdue = None


@track("Invoice Voided", when="an invoice is voided")
class InvoiceVoided(Billed):
    """https://docs.stripe.com/invoicing/overview#void."""


@track("Invoice Written Off", when="an invoice is marked as uncollectible")
class InvoiceWrittenOff(Billed):
    """It may still be paid. https://docs.stripe.com/invoicing/overview#uncollectible."""


@track("Renewal Upcoming", when="a subscription renews soon: as many days before as is set in Stripe")
class RenewalUpcoming(Event):
    """Before there is an invoice. https://docs.stripe.com/billing/subscriptions/webhooks#upcoming."""

    subscription_id: SubscriptionId = None
    renews_at: RenewsAt = None
    value: Value = None
    currency: Currency = None
    plan: Plan = None
    price_id: PriceId = None
    product_id: ProductId = None
    quantity: Quantity = None


def finalized(event: StripeEvent[shapes.Invoice], _: Known) -> Iterator[Fact]:
    """invoice.finalized, once for each invoice."""
    yield Fact(_billed(InvoiceFinalized, event), f"{event.object.get('id')}")


def sent(event: StripeEvent[shapes.Invoice], _: Known) -> Iterator[Fact]:
    """invoice.sent, which reminders repeat."""
    yield Fact(_billed(InvoiceSent, event), f"{event.object.get('id')}:{event.created}")


def overdue(event: StripeEvent[shapes.Invoice], _: Known) -> Iterator[Fact]:
    """invoice.overdue; an automation may send it again after some more days."""
    due = integer(event.object.get("due_date"))
    days = None if due is None else max(event.created - due, 0) // DAY
    stated = replace(_billed(InvoiceOverdue, event), days_overdue=days)
    yield Fact(stated, f"{event.object.get('id')}:{event.created}")


def voided(event: StripeEvent[shapes.Invoice], _: Known) -> Iterator[Fact]:
    """invoice.voided, once for each invoice."""
    yield Fact(_billed(InvoiceVoided, event), f"{event.object.get('id')}")


def written_off(event: StripeEvent[shapes.Invoice], _: Known) -> Iterator[Fact]:
    """invoice.marked_uncollectible, once for each invoice."""
    yield Fact(_billed(InvoiceWrittenOff, event), f"{event.object.get('id')}")


def upcoming(event: StripeEvent[shapes.Invoice], known: Known) -> Iterator[Fact]:
    """invoice.upcoming, once for each subscription and period, because the coming invoice has no id yet.

    https://docs.stripe.com/api/invoices/create_preview: its `period_end` is when the subscription renews.
    """
    invoice, currency = event.object, text(event.object.get("currency"))
    subscription, renewal = read.subscription_of(invoice), integer(invoice.get("period_end"))
    stated = RenewalUpcoming(
        subscription_id=subscription,
        renews_at=iso_time(renewal),
        value=major(integer(invoice.get("amount_due")), currency),
        currency=currency and currency.upper(),
        **billed_plan(event, known),
    )
    yield Fact(stated, f"{subscription or event.customer}:{renewal or event.created}")


def _billed[E: Billed](declared: type[E], event: StripeEvent[shapes.Invoice]) -> E:
    """An event about this invoice; amounts in major units."""
    invoice, currency = event.object, text(event.object.get("currency"))
    return declared(
        invoice_id=text(invoice.get("id")),
        subscription_id=read.subscription_of(invoice),
        value=major(read.unpaid_of(invoice), currency),
        currency=currency and currency.upper(),
        billing_reason=text(invoice.get("billing_reason")),
        collection_method=text(invoice.get("collection_method")),
        due_date=iso_time(integer(invoice.get("due_date"))),
    )
