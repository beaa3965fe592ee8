"""Facts of a refund: Order Refunded with the order's own id, never negative revenue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.tracking import Event, track
from stripe_to_segment.stripe_side import charge as read
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import ChargeId, Currency, FullyRefunded, OrderId, RefundedTotal, Total
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["OrderRefunded", "given_back", "refunded"]


@track("Order Refunded", when="money is given back, in part or in full")
class OrderRefunded(Event):
    """Segment's own name. https://segment.com/docs/connections/spec/ecommerce/v2/#order-refunded."""

    order_id: OrderId
    total: Total = None
    currency: Currency = None
    charge_id: ChargeId
    refunded_total: RefundedTotal = None
    fully_refunded: FullyRefunded


def refunded(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """charge.refunded: this refund alone; the charge's running total tells one refund from the next."""
    charge, currency = event.object, text(event.object.get("currency"))
    amount, total = read.refunded_amount(charge, event.previous), read.refunded_total(charge)
    if not read.was_collected(charge) or (amount is not None and amount < 0):
        return
    told = OrderRefunded(
        order_id=_order_id(event, known),
        charge_id=text(charge.get("id")),
        fully_refunded=charge.get("refunded") is True,
        total=major(amount, currency),
        currency=currency and currency.upper(),
        refunded_total=major(total, currency),
    )
    yield Fact(told, f"{charge.get('id')}:{total}")


def given_back(event: StripeEvent) -> tuple[str, int] | None:
    """Lower-case currency and minor units, negative, that this refund takes off the lifetime value."""
    currency, amount = text(event.object.get("currency")), read.refunded_amount(event.object, event.previous)
    if currency is None or amount is None or amount < 0 or not read.was_collected(event.object):
        return None
    return currency, -amount


def _order_id(event: StripeEvent, known: Known) -> str | None:
    payment = read.payment_of(event.object)
    return read.invoice_of(event.object) or (known.orders.get(payment, payment) if payment else None)
