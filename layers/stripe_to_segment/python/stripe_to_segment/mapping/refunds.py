"""Facts of a refund: Order Refunded with the order's own id, never negative revenue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.plan import Name
from stripe_to_segment.stripe_side import charge as read
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["given_back", "refunded"]


def refunded(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """charge.refunded: this refund alone; the charge's running total tells one refund from the next."""
    charge, currency = event.object, text(event.object.get("currency"))
    amount, total = read.refunded_amount(charge, event.previous), read.refunded_total(charge)
    if not read.was_collected(charge) or (amount is not None and amount < 0):
        return
    properties = {
        "order_id": _order_id(event, known),
        "total": major(amount, currency),
        "currency": currency and currency.upper(),
        "charge_id": text(charge.get("id")),
        "refunded_total": major(total, currency),
        "fully_refunded": charge.get("refunded") is True,
    }
    yield Fact(Name.ORDER_REFUNDED, f"{charge.get('id')}:{total}", properties)


def given_back(event: StripeEvent) -> tuple[str, int] | None:
    """Lower-case currency and minor units, negative, that this refund takes off the lifetime value."""
    currency, amount = text(event.object.get("currency")), read.refunded_amount(event.object, event.previous)
    if currency is None or amount is None or amount < 0 or not read.was_collected(event.object):
        return None
    return currency, -amount


def _order_id(event: StripeEvent, known: Known) -> str | None:
    payment = read.payment_of(event.object)
    return read.invoice_of(event.object) or (known.orders.get(payment, payment) if payment else None)
