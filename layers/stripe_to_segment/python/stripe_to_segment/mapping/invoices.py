"""Facts of an invoice: the one place where a payment with an invoice states its revenue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.plan import Name
from stripe_to_segment.mapping.products import products_of
from stripe_to_segment.stripe_side import invoice as read
from stripe_to_segment.stripe_side.discount import coupon_code
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import integer, iso_time, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.lines import Line

__all__ = ["collected", "lines_of", "paid", "payment_action_required", "payment_failed"]

DAY = 86_400


@asked_once
def lines_of(event: StripeEvent) -> tuple[Line, ...]:
    """The lines of an event's invoice."""
    return read.lines_of(event.object)


@asked_once
def _amounts_of(event: StripeEvent) -> read.InvoiceAmounts:
    return read.amounts_of(event.object)


def paid(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """invoice.paid: Order Completed for a first invoice, Subscription Renewed for a period's, else Invoice Paid."""
    invoice = event.object
    reason = text(invoice.get("billing_reason"))
    amounts, lines = _amounts_of(event), lines_of(event)
    if reason == "subscription_cycle":
        name = Name.SUBSCRIPTION_RENEWED
    elif amounts.collected <= 0:
        return
    else:
        name = Name.ORDER_COMPLETED if reason == "subscription_create" else Name.INVOICE_PAID
    currency = text(invoice.get("currency"))
    properties = {
        "order_id": text(invoice.get("id")),
        "total": major(amounts.collected, currency),
        "revenue": major(amounts.revenue, currency),
        "subtotal": major(amounts.subtotal, currency),
        "tax": major(amounts.tax, currency),
        "shipping": major(amounts.shipping, currency),
        "discount": major(amounts.discount, currency),
        "coupon": coupon_code(invoice),
        "currency": currency and currency.upper(),
        "products": products_of(lines, currency, known),
        "invoice_id": text(invoice.get("id")),
        "billing_reason": reason,
        **_subscribed(invoice, lines, known),
        "after_trial": _follows_trial(invoice, known) if name is Name.SUBSCRIPTION_RENEWED else None,
    }
    yield Fact(name, f"{invoice.get('id')}", properties)


def payment_failed(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """invoice.payment_failed, once for each attempt.

    By its time too: `attempt_count` counts Stripe's own retries, not the customer's further attempts at paying.
    """
    attempt = integer(event.object.get("attempt_count"))
    properties = {
        **_unpaid(event.object),
        "attempt_count": attempt,
        "next_payment_attempt": iso_time(integer(event.object.get("next_payment_attempt"))),
    }
    yield Fact(Name.PAYMENT_FAILED, f"{event.object.get('id')}:{attempt}:{event.created}", properties)


def payment_action_required(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """invoice.payment_action_required, once for each attempt."""
    attempt = integer(event.object.get("attempt_count"))
    properties = {**_unpaid(event.object), "attempt_count": attempt}
    yield Fact(Name.PAYMENT_ACTION_REQUIRED, f"{event.object.get('id')}:{attempt}:{event.created}", properties)


def collected(event: StripeEvent) -> tuple[str, int] | None:
    """Lower-case currency and minor units that this invoice adds to the customer's lifetime value."""
    currency = text(event.object.get("currency"))
    return None if currency is None else (currency, _amounts_of(event).collected)


def _unpaid(invoice: JsonObject) -> dict[str, Any]:
    currency = text(invoice.get("currency"))
    return {
        "order_id": text(invoice.get("id")),
        "invoice_id": text(invoice.get("id")),
        "subscription_id": read.subscription_of(invoice),
        "value": major(integer(invoice.get("amount_due")), currency),
        "currency": currency and currency.upper(),
        "billing_reason": text(invoice.get("billing_reason")),
    }


def _subscribed(invoice: JsonObject, lines: Iterable[Line], known: Known) -> dict[str, Any]:
    """The subscription billed and its plan: that of the first line that is no proration.

    An invoice names its prices by id only since 2025-03-31; the subscription's record remembers what people call them.
    """
    subscription = read.subscription_of(invoice)
    if subscription is None:
        return {}
    line = next((line for line in lines if not line.proration and line.price.id), None)
    if line is None:
        return {"subscription_id": subscription}
    record = known.profile.subscriptions.get(subscription)
    remembered = record.plan if record is not None and record.price_id == line.price.id else None
    return {
        "subscription_id": subscription,
        "plan": line.price.label or remembered or plan_name(line.price, known),
        "price_id": line.price.id,
        "product_id": line.price.product,
        "quantity": line.quantity,
    }


def _follows_trial(invoice: JsonObject, known: Known) -> bool | None:
    """True where the remembered trial of the subscription ended just before Stripe made this invoice."""
    record = known.profile.subscriptions.get(read.subscription_of(invoice) or "")
    made = integer(invoice.get("created"))
    if record is None or record.trial_end is None or made is None:
        return None
    return True if 0 <= made - record.trial_end < DAY else None
