"""Facts about a credit note; the amount that it gives back outside of Stripe lowers the lifetime value.

A credit note's refund is stated by the refund, and its credit to the customer's balance lowers the next invoice, so
neither counts here. https://docs.stripe.com/api/credit_notes/object
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side.fields import integer, listed, reference, text
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
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["CreditNoteIssued", "CreditNoteVoided", "after_credit_note", "credited"]


@properties
class Credited(Event):
    """The properties of every credit note; `value` is its total, with tax."""

    order_id: OrderId
    invoice_id: InvoiceId
    credit_note_id: CreditNoteId
    value: Value = None
    out_of_band: OutOfBand = None
    currency: Currency = None
    reason: Reason = None


@track("Credit Note Issued", when="a credit note is issued for an invoice")
class CreditNoteIssued(Credited):
    """Before the payment it lowers the amount due, afterwards it gives money back."""


@track("Credit Note Voided", when="a credit note is voided")
class CreditNoteVoided(Credited):
    """It no longer counts."""


def credited(event: StripeEvent[shapes.CreditNote], _: Known) -> Iterator[Fact]:
    """credit_note.created and .voided. A list shows only the end of a voided note: it states both, each at its time."""
    voided = event.type == "credit_note.voided"
    if voided and event.listing is not None:
        yield replace(_credited(CreditNoteIssued, event), at=integer(event.object.get("created")))
    yield _credited(CreditNoteVoided if voided else CreditNoteIssued, event)


def _credited(declared: type[Credited], event: StripeEvent[shapes.CreditNote]) -> Fact:
    note, currency = event.object, text(event.object.get("currency"))
    invoice = reference(note.get("invoice"))
    stated = declared(
        order_id=invoice,
        invoice_id=invoice,
        credit_note_id=text(note.get("id")),
        value=major(integer(note.get("total")), currency),
        out_of_band=major(_outside(note) or None, currency),
        currency=currency and currency.upper(),
        reason=text(note.get("reason")),
    )
    return Fact(stated, f"{note.get('id')}")


def after_credit_note(event: StripeEvent[shapes.CreditNote], known: Known) -> tuple[str, Payment] | None:
    """The invoice and its payment after the credit note; None if it gives nothing back outside of Stripe."""
    note = event.object
    invoice, amount = reference(note.get("invoice")), _outside(note)
    note_id, currency = text(note.get("id")) or event.id, text(note.get("currency")) or ""
    if invoice is None or not amount:
        return None
    payment = known.profile.payment(invoice)
    if payment is None:
        # An unlisted payment, of an old release or too long ago, is counted if the sum exceeds the listed payments.
        payment = Payment(currency, counted=amount <= known.profile.unlisted(currency))
    voided = event.type == "credit_note.voided" or note.get("status") == "void"
    return invoice, payment.with_credit(note_id, 0 if voided else amount)


def _outside(note: shapes.CreditNote) -> int:
    """The amount given back outside of Stripe, in minor units, also by a refund that was only reported to Stripe.

    No event states such a refund; all others have events of their own.
    https://docs.stripe.com/api/credit_notes/object#credit_note_object-refunds-type
    """
    reported = [one for one in listed(note.get("refunds")) if one.get("type") == "payment_record_refund"]
    return (integer(note.get("out_of_band_amount")) or 0) + sum(
        integer(one.get("amount_refunded")) or 0 for one in reported
    )
