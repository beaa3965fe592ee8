"""Facts about a dispute, which names the payment and not the customer; its withdrawals lower the lifetime value.

https://docs.stripe.com/disputes
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact, worked_out_once
from stripe_to_segment.mapping.orders import guessed_for, may_be_of_another, order_behind
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.state.refund import Dispute
from stripe_to_segment.stripe_side import refund as read
from stripe_to_segment.stripe_side.fields import integer, iso_time, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        ChargeId,
        Currency,
        DisputeId,
        EvidenceDueBy,
        NetworkReasonCode,
        OfKnownPayment,
        OrderId,
        Reason,
        Status,
        Value,
    )
    from stripe_to_segment.state.payment import Payment
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "DisputeEscalated",
    "DisputeLost",
    "DisputeWon",
    "PaymentDisputed",
    "after_dispute",
    "disputed",
    "waits_for_its_payment",
]

WITHDRAWN, REINSTATED = "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"


@properties
class Disputed(Event):
    """What every event of a dispute states; `value` is at stake and was revenue once."""

    order_id: OrderId
    dispute_id: DisputeId
    charge_id: ChargeId
    value: Value = None
    currency: Currency = None
    reason: Reason = None
    status: Status = None
    network_reason_code: NetworkReasonCode = None
    of_known_payment: OfKnownPayment


@track("Payment Disputed", when="a customer disputes a payment with the bank, or a bank debit fails late")
class PaymentDisputed(Disputed):
    """Until the evidence is due it can be contested."""

    evidence_due_by: EvidenceDueBy = None


@track("Dispute Escalated", when="a bank's inquiry becomes a dispute, which withdraws the funds")
class DisputeEscalated(Disputed):
    """After Payment Disputed, which the inquiry was."""

    evidence_due_by: EvidenceDueBy = None


@track("Dispute Won", when="a dispute is closed in the merchant's favour")
class DisputeWon(Disputed):
    """The funds come back."""


@track("Dispute Lost", when="a dispute is closed in the customer's favour")
class DisputeLost(Disputed):
    """The funds are not returned."""


def disputed(event: StripeEvent[shapes.Dispute], known: Known) -> Iterator[Fact]:
    """The beginning of a dispute and its end, and an inquiry that becomes one: closed as an inquiry it has no end."""
    dispute_id, status = text(event.object.get("id")) or event.id, text(event.object.get("status"))
    due = iso_time(read.evidence_due_by(event.object))
    if event.type == "charge.dispute.created":
        yield Fact(replace(_about(PaymentDisputed, event, known), evidence_due_by=due), dispute_id)
    elif event.type == WITHDRAWN and read.was_inquiry(event.object, event.created):
        yield Fact(replace(_about(DisputeEscalated, event, known), evidence_due_by=due), dispute_id)
    elif event.type == "charge.dispute.closed" and status == "won":
        yield Fact(_about(DisputeWon, event, known), dispute_id)
    elif event.type == "charge.dispute.closed" and status == "lost":
        yield Fact(_about(DisputeLost, event, known), dispute_id)


def after_dispute(event: StripeEvent[shapes.Dispute], known: Known) -> tuple[str, Payment] | None:
    """The order and its payment after the event; None if the event withdraws or returns no funds.

    A dispute that an import lists in silence is stored in any case, so that the audit finds it.
    """
    dispute, dispute_id = event.object, text(event.object.get("id")) or event.id
    order, payment = _behind(event, known)
    before = payment.disputes.get(dispute_id)
    if before is not None and before.listed_at is None and before.as_of == event.created and event.type != REINSTATED:
        # Of the events of one second, that of the returned funds is the last.
        return order, payment
    # An inquiry that an import has listed may have become a dispute since.
    seen = before is not None and (before.withdrawn > 0 or before.listed_at is None)
    withdrawn = read.withdrawn(dispute)
    if event.type == WITHDRAWN:
        withdrawn = integer(dispute.get("amount")) if withdrawn is None else withdrawn
    elif event.type == REINSTATED:
        withdrawn = withdrawn or 0
    elif withdrawn is None and event.type == "charge.dispute.closed" and not seen:
        # For endpoints without the events of withdrawn and reinstated funds, the dispute's end states where they are.
        withdrawn = {"lost": integer(dispute.get("amount")), "won": 0}.get(text(dispute.get("status")) or "")
    if withdrawn is None and event.silent:
        # Also of an inquiry the record says that an import has listed it.
        withdrawn = 0
    guessed = guessed_for(event, known, order)
    if withdrawn is None:
        # Stored although no funds moved, so that the next event finds the payment; but a guess is stored nowhere else.
        return (order, payment) if event.customer is not None and not guessed else None
    moment = None if event.listing is None else event.listing.moment
    as_of, listed_at = (event.created if moment is None else moment), (moment if event.silent and not before else None)
    return order, payment.with_dispute(dispute_id, Dispute(withdrawn, as_of, guessed, listed_at))


def waits_for_its_payment(event: StripeEvent[shapes.Dispute], known: Known) -> bool:
    """Whether the payment, and with it the customer, is not known yet, or only amount and time match it to an order."""
    order, payment = _behind(event, known)
    return not payment.counted or may_be_of_another(event, known, order, payment)


@worked_out_once
def _behind(event: StripeEvent[shapes.Dispute], known: Known) -> tuple[str, Payment]:
    amount, dispute_id = integer(event.object.get("amount")) or 0, text(event.object.get("id")) or event.id
    return order_behind(event, known, amount, lambda payment: dispute_id in payment.disputes)


def _about[E: Disputed](declared: type[E], event: StripeEvent[shapes.Dispute], known: Known) -> E:
    """An event about this dispute; amounts in major units."""
    dispute = event.object
    order, payment = _behind(event, known)
    currency = text(dispute.get("currency"))
    return declared(
        order_id=order,
        dispute_id=text(dispute.get("id")),
        charge_id=read.charge_of(dispute),
        value=major(integer(dispute.get("amount")), currency),
        currency=currency and currency.upper(),
        reason=text(dispute.get("reason")),
        status=text(dispute.get("status")),
        network_reason_code=read.network_reason_code(dispute),
        of_known_payment=payment.counted,
    )
