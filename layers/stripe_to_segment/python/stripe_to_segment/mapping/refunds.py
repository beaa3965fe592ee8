"""Facts about a refund: Order Refunded with the order's own id, never negative revenue; and Refund Failed.

refund.created, .updated and .failed name the refund. charge.refunded does not since 2022-11-15, and is for endpoints
without the others: it waits for them, and both together state each refund once.
https://docs.stripe.com/refunds
"""

from __future__ import annotations

from copy import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact, worked_out_once
from stripe_to_segment.mapping.orders import charged_at_of, guessed_for, may_be_of_another, order_behind
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.state.refund import ANONYMOUS, Refund
from stripe_to_segment.stripe_side import charge as read_charge
from stripe_to_segment.stripe_side import refund as read
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import integer, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        ChargeId,
        Currency,
        FullyRefunded,
        OfKnownPayment,
        OrderId,
        Reason,
        RefundedTotal,
        RefundId,
        RevenueRefunded,
        Status,
        TaxRefunded,
        Total,
    )
    from stripe_to_segment.state.payment import Payment
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["OrderRefunded", "RefundFailed", "after_refund", "refunded", "waits_for_its_payment"]


@properties
class OfARefund(Event):
    """The properties of both events."""

    order_id: OrderId
    total: Total = None
    currency: Currency = None
    charge_id: ChargeId = None
    refund_id: RefundId = None
    reason: Reason = None
    revenue_refunded: RevenueRefunded = None
    tax_refunded: TaxRefunded = None
    of_known_payment: OfKnownPayment


@track("Order Refunded", when="a payment is refunded, in part or in full")
class OrderRefunded(OfARefund):
    """Segment's own name. https://segment.com/docs/connections/spec/ecommerce/v2/#order-refunded."""

    status: Status = None
    refunded_total: RefundedTotal = None
    fully_refunded: FullyRefunded = None


@track("Refund Failed", when="a refund that was sent fails or is cancelled")
class RefundFailed(OfARefund):
    """It takes an Order Refunded back, so its shares are negative."""


def refunded(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """refund.created, .updated, .failed and charge.refunded: the facts that this event states first."""
    order, payment, refund_id = _after(event, known)
    refund = payment.refunds.get(refund_id)
    if refund is None:
        return
    if refund.stated_by == event.id:
        yield Fact(_order_refunded(event, order, payment, refund_id, refund), _key_of(event, refund_id, payment))
    if refund.undone_by == event.id:
        yield Fact(_refund_failed(event, order, payment, refund_id, refund), refund_id)


def after_refund(event: StripeEvent, known: Known) -> tuple[str, Payment] | None:
    """The order, and its payment after the event; None if the event refunds nothing."""
    order, payment, refund_id = _after(event, known)
    return (order, payment) if refund_id else None


def waits_for_its_payment(event: StripeEvent, known: Known) -> bool:
    """Whether a later event may add data: the payment itself, or refund.created, which names the refund."""
    order, payment, refund_id = _after(event, known)
    refund = payment.refunds.get(refund_id)
    if refund is None or (refund.stated_by and event.id not in {refund.stated_by, refund.undone_by}):
        return False
    return not payment.counted or refund_id.startswith(ANONYMOUS) or may_be_of_another(event, known, order, payment)


@worked_out_once
def _after(event: StripeEvent, known: Known) -> tuple[str, Payment, str]:
    """The order, its payment after this event, and under which id the refund is listed, empty where there is none."""
    return _after_charge(event, known) if event.type.startswith("charge.") else _after_refund(event, known)


def _after_refund(event: StripeEvent[shapes.Refund], known: Known) -> tuple[str, Payment, str]:
    refund, refund_id = event.object, text(event.object.get("id")) or event.id
    amount = integer(refund.get("amount")) or 0
    order, payment = order_behind(
        event, known, amount, lambda payment: refund_id in _named(payment, refund_id, amount).refunds
    )
    payment = _named(payment, refund_id, amount)
    listed, failed = payment.refunds.get(refund_id), read.has_failed(refund)
    if read.released(refund):
        return order, payment, ""
    if listed is None:
        revenue, tax = (None, None) if failed else payment.shares(amount)
        # A refund that failed before any event stated it: no call states it, and none takes it back.
        stated_by, guessed = "" if failed or event.silent else event.id, guessed_for(event, known, order)
        new = Refund(amount, not failed, revenue, tax, stated_by=stated_by, named=guessed, listed_at=_listed_at(event))
        return order, payment.with_refund(refund_id, new), refund_id
    return order, payment.with_refund_seen_again(refund_id, _seen_again(listed, event, failed=failed)), refund_id


def _seen_again(listed: Refund, event: StripeEvent, *, failed: bool) -> Refund:
    """A refund that is listed already, after another event or an import states it.

    An import that sends nothing states nothing.
    """
    speaker = "" if event.silent else event.id
    if failed:
        unsent = listed.stands or (listed.stated_by and not listed.undone_by)
        return replace(listed, stands=False, undone_by=speaker) if unsent else listed
    # Only the first event of a refund states what an import has listed; a later one comes months afterwards.
    first = event.type == "refund.created" and listed.stands and not listed.stated_by
    return replace(listed, stated_by=speaker) if first else listed


def _listed_at(event: StripeEvent) -> int:
    return 0 if event.listing is None else event.listing.moment


def _after_charge(event: StripeEvent[shapes.Charge], known: Known) -> tuple[str, Payment, str]:
    charge = event.object
    amount, total = _refunded_by(event)
    order, payment = order_behind(
        event, known, amount or 0, lambda payment: _of_this_total(event, payment) or _to_be_totalled(event, payment)
    )
    if not read_charge.was_collected(charge) or (amount is not None and amount <= 0):
        return order, payment, ""
    if (listed_id := _of_this_total(event, payment)) is not None:
        return order, payment, listed_id
    if (listed_id := _to_be_totalled(event, payment)) is not None:
        listed = payment.refunds[listed_id]
        stated_by = listed.stated_by or (event.id if listed.stands else "")
        named = replace(listed, stated_by=stated_by, running_total=total or 0, totalled_by=event.id)
        return order, payment.with_refund(listed_id, named), listed_id
    revenue, tax = payment.shares(amount or 0)
    new = Refund(amount or 0, revenue=revenue, tax=tax, stated_by=event.id, running_total=total or 0)
    if guessed := guessed_for(event, known, order):
        new = replace(new, named=guessed, charged_at=charged_at_of(event) or 0)
    refund_id = _newest_id(event) or f"{ANONYMOUS}{_running(payment.refunds.values(), total)}"
    return order, payment.with_refund(refund_id, new), refund_id


def _of_this_total(event: StripeEvent[shapes.Charge], payment: Payment) -> str | None:
    """The listed refund that a charge.refunded states once more."""
    refund_id, (_, total) = _newest_id(event), _refunded_by(event)
    for listed_id, listed in payment.refunds.items():
        # After one that failed, the next may come to the same total.
        same_total = listed.stands and total and listed.running_total == total
        if event.id in {listed.stated_by, listed.totalled_by} or listed_id == refund_id or same_total:
            return listed_id
    return None


def _to_be_totalled(event: StripeEvent[shapes.Charge], payment: Payment) -> str | None:
    """The refund that refund.created stated, and whose charge.refunded this is.

    The next of the same amount is another refund, and so is one that came after an import.
    """
    if _newest_id(event) is not None:
        return None
    amount, _ = _refunded_by(event)
    for listed_id, listed in payment.refunds.items():
        later = listed.listed_at and event.created > listed.listed_at
        if listed.amount == amount and not listed.running_total and not later:
            return listed_id
    return None


def _newest_id(event: StripeEvent[shapes.Charge]) -> str | None:
    """The id of the refund, where the charge lists its refunds."""
    newest = read_charge.newest_refund(event.object)
    return text(newest.get("id")) if newest else None


@asked_once
def _refunded_by(event: StripeEvent[shapes.Charge]) -> tuple[int | None, int | None]:
    """What a charge.refunded gives back, and all that was given back of the charge, in minor units."""
    charge, previous = event.object, event.previous
    return read_charge.refunded_amount(charge, previous), read_charge.refunded_total(charge, previous)


def _named(payment: Payment, refund_id: str, amount: int) -> Payment:
    """With the refund under its own id, if a charge.refunded stated it without one."""
    if refund_id in payment.refunds:
        return payment
    nameless = next(
        (key for key, one in payment.refunds.items() if key.startswith(ANONYMOUS) and one.amount == amount), None
    )
    if nameless is None:
        return payment
    return replace(
        payment, refunds={refund_id if key == nameless else key: one for key, one in payment.refunds.items()}
    )


def _key_of(event: StripeEvent, refund_id: str, payment: Payment) -> str:
    """The fact's key; for an unknown id, the key that charge.refunded always had.

    The event may come again after another has named the refund: the key stays.
    """
    nameless = event.type.startswith("charge.") and not read_charge.newest_refund(event.object)
    if not nameless or payment.refunds[refund_id].totalled_by == event.id:
        return refund_id
    earlier = takewhile(lambda entry: entry[0] != refund_id, payment.refunds.items())
    return f"{event.object.get('id')}:{_running((one for _, one in earlier), _refunded_by(event)[1])}"


def _running(earlier: Iterable[Refund], total: int | None) -> str:
    """What distinguishes a refund with an unknown id: the charge's running total, and how many failed at that."""
    failed = sum(one.running_total == total and not one.stands for one in earlier)
    return f"{total}:{failed}" if failed else f"{total}"


def _order_refunded(event: StripeEvent, order: str, payment: Payment, refund_id: str, refund: Refund) -> OrderRefunded:
    of_charge = event.type.startswith("charge.")
    about, currency = event.object, payment.currency
    source = read_charge.newest_refund(about) or {} if of_charge else about
    # If several are listed at once, the sum at the time of each is unknown.
    whole = payment.counted and payment.total and (event.listing is None or len(payment.refunds) == 1)
    return OrderRefunded(
        order_id=order,
        charge_id=text(about.get("id")) if of_charge else read.charge_of(about),
        refund_id=None if refund_id.startswith(ANONYMOUS) else refund_id,
        reason=text(source.get("reason")),
        status=text(source.get("status")),
        total=major(_stated_amount(event, refund), currency or None),
        currency=currency.upper() or None,
        revenue_refunded=major(refund.revenue, currency),
        tax_refunded=major(refund.tax, currency),
        refunded_total=major(_refunded_by(event)[1] if of_charge else payment.refunded if whole else None, currency),
        fully_refunded=(
            about.get("refunded") is True if of_charge else payment.refunded >= (payment.total or 0) if whole else None
        ),
        of_known_payment=payment.counted,
    )


def _stated_amount(event: StripeEvent, refund: Refund) -> int | None:
    """The amount, None where the payload has none."""
    stated = event.object.get("amount_refunded" if event.type.startswith("charge.") else "amount")
    return None if integer(stated) is None else refund.amount


def _refund_failed(
    event: StripeEvent[shapes.Refund], order: str, payment: Payment, refund_id: str, refund: Refund
) -> RefundFailed:
    currency = payment.currency
    revenue, tax = (None if share is None else -share for share in (refund.revenue, refund.tax))
    return RefundFailed(
        order_id=order,
        charge_id=read.charge_of(event.object),
        refund_id=refund_id,
        reason=text(event.object.get("failure_reason")) or text(event.object.get("status")),
        total=major(refund.amount, currency),
        currency=currency.upper() or None,
        revenue_refunded=major(revenue, currency),
        tax_refunded=major(tax, currency),
        of_known_payment=payment.counted,
    )
