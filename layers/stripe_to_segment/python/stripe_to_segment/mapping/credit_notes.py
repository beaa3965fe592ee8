"""Facts of a credit note; what it gave back outside of Stripe lowers the lifetime value.

A refund that a credit note makes is told by the refund, credit to the customer's balance by what the next invoice
collects less: neither counts here. https://docs.stripe.com/api/credit_notes/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side.fields import integer, reference, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        CreditNoteId,
        Currency,
        InvoiceId,
        OrderId,
        OutOfBand,
        Reason,
        Value,
    )
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["CreditNoteIssued", "CreditNoteVoided", "after_credit_note", "credited"]


@properties
class Credited(Event):
    """What every credit note tells; `value` is its total, with tax."""

    order_id: OrderId
    invoice_id: InvoiceId
    credit_note_id: CreditNoteId
    value: Value = None
    out_of_band: OutOfBand = None
    currency: Currency = None
    reason: Reason = None


@track("Credit Note Issued", when="a credit note is issued for an invoice")
class CreditNoteIssued(Credited):
    """Before the payment it lowers what is due, after it something goes back."""


@track("Credit Note Voided", when="a credit note is voided")
class CreditNoteVoided(Credited):
    """It counts no more."""


def credited(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """credit_note.created and .voided."""
    note, currency = event.object, text(event.object.get("currency"))
    declared = CreditNoteVoided if event.type == "credit_note.voided" else CreditNoteIssued
    invoice = reference(note.get("invoice"))
    told = declared(
        order_id=invoice,
        invoice_id=invoice,
        credit_note_id=text(note.get("id")),
        value=major(integer(note.get("total")), currency),
        out_of_band=major(integer(note.get("out_of_band_amount")) or None, currency),
        currency=currency and currency.upper(),
        reason=text(note.get("reason")),
    )
    yield Fact(told, f"{note.get('id')}")


def after_credit_note(event: StripeEvent, known: Known) -> tuple[str, Payment] | None:
    """The invoice and its payment after the credit note; None where nothing went back outside of Stripe."""
    note = event.object
    invoice, amount = reference(note.get("invoice")), integer(note.get("out_of_band_amount"))
    note_id, currency = text(note.get("id")) or event.id, text(note.get("currency")) or ""
    if invoice is None or not amount:
        return None
    payment = known.profile.payment(invoice)
    if payment is None:
        # Counted by a former release, or too long ago to be listed: then the sum has more than what is listed.
        payment = Payment(currency, counted=amount <= known.profile.unlisted(currency))
    voided = event.type == "credit_note.voided" or note.get("status") == "void"
    return invoice, payment.with_credit(note_id, 0 if voided else amount)
