"""Facts of a Checkout Session; it states revenue only where no invoice will."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.plan import Name
from stripe_to_segment.mapping.products import products_of
from stripe_to_segment.stripe_side import checkout as read
from stripe_to_segment.stripe_side.discount import coupon_code
from stripe_to_segment.stripe_side.fields import reference, text
from stripe_to_segment.stripe_side.lines import read_line
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["async_payment_failed", "async_payment_succeeded", "collected", "completed", "expired", "is_order"]


def completed(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """checkout.session.completed: always Checkout Completed; an order once it is paid without an invoice."""
    session = event.object
    amounts, currency = read.amounts_of(session), text(session.get("currency"))
    key = f"{session.get('id')}"
    yield Fact(
        Name.CHECKOUT_COMPLETED,
        key,
        {
            "checkout_id": text(session.get("id")),
            "mode": read.mode_of(session),
            "payment_status": text(session.get("payment_status")),
            "value": major(amounts.total, currency),
            "currency": currency and currency.upper(),
            "order_id": read.order_id_of(session) if read.names_its_order(session) else None,
            "subscription_id": reference(session.get("subscription")),
            "coupon": coupon_code(session),
            "discount": major(amounts.discount, currency),
            "tax": major(amounts.tax, currency),
            "shipping": major(amounts.shipping, currency),
        },
    )
    yield from _order(event, known)
    if read.mode_of(session) == "setup":
        yield Fact(Name.PAYMENT_INFO_ENTERED, key, {"checkout_id": text(session.get("id"))})


def async_payment_succeeded(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """checkout.session.async_payment_succeeded: the bank debit or voucher came through."""
    yield from _order(event, known)


def async_payment_failed(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """checkout.session.async_payment_failed."""
    session = event.object
    amounts, currency = read.amounts_of(session), text(session.get("currency"))
    properties = {
        "checkout_id": text(session.get("id")),
        "order_id": read.order_id_of(session),
        "subscription_id": reference(session.get("subscription")),
        "value": major(amounts.total, currency),
        "currency": currency and currency.upper(),
    }
    yield Fact(Name.PAYMENT_FAILED, f"{session.get('id')}", properties)


def expired(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """checkout.session.expired; the recovery url holds a token, so only whether there is one is said."""
    session = event.object
    currency = text(session.get("currency"))
    properties = {
        "checkout_id": text(session.get("id")),
        "mode": read.mode_of(session),
        "value": major(read.amounts_of(session).total, currency),
        "currency": currency and currency.upper(),
        "recoverable": read.has_recovery_url(session),
    }
    yield Fact(Name.CHECKOUT_EXPIRED, f"{session.get('id')}", properties)


def is_order(event: StripeEvent) -> bool:
    """Whether this event states a paid one-time purchase that no invoice will state."""
    settled = event.type.endswith(".async_payment_succeeded") or read.is_settled(event.object)
    return settled and read.takes_the_money(event.object)


def collected(event: StripeEvent) -> tuple[str, int] | None:
    """Lower-case currency and minor units that this session, paid without an invoice, adds to the lifetime value."""
    session, currency = event.object, text(event.object.get("currency"))
    total = read.amounts_of(session).total
    if not is_order(event):
        return None
    return None if currency is None or total is None else (currency, total)


def _order(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """The order, under the same key whichever event states it first."""
    session = event.object
    if not is_order(event):
        return
    amounts, currency = read.amounts_of(session), text(session.get("currency"))
    total = amounts.total
    revenue = None if total is None else total - (amounts.tax or 0) - (amounts.shipping or 0)
    yield Fact(
        Name.ORDER_COMPLETED,
        f"{session.get('id')}",
        {
            "order_id": read.order_id_of(session),
            "checkout_id": text(session.get("id")),
            "total": major(total, currency),
            "revenue": major(revenue, currency),
            "subtotal": major(amounts.subtotal, currency),
            "tax": major(amounts.tax, currency),
            "shipping": major(amounts.shipping, currency),
            "discount": major(amounts.discount, currency),
            "coupon": coupon_code(session),
            "currency": currency and currency.upper(),
            # The event has no line items; they are known only where a Stripe API key lets them be read.
            "products": products_of(map(read_line, known.line_items), currency, known),
        },
    )
