"""Facts about a Checkout Session, which states revenue only where no invoice does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.failures import PaymentFailed, fact_of, has_invoice
from stripe_to_segment.mapping.orders import attached_to, invoice_paid_by
from stripe_to_segment.mapping.payments import OrderCompleted
from stripe_to_segment.mapping.products import bought
from stripe_to_segment.mapping.tracking import Event, track
from stripe_to_segment.state.bill import Bill
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import checkout as read
from stripe_to_segment.stripe_side.discount import coupon_code
from stripe_to_segment.stripe_side.fields import reference, text
from stripe_to_segment.stripe_side.lines import read_line
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        CheckoutId,
        Coupon,
        Currency,
        Discount,
        Mode,
        OrderId,
        PaymentStatus,
        Recoverable,
        Shipping,
        SubscriptionId,
        Tax,
        Value,
    )
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "CheckoutCompleted",
    "CheckoutExpired",
    "PaymentInfoEntered",
    "amounts_asked",
    "async_payment_failed",
    "async_payment_succeeded",
    "bill_of",
    "collected",
    "completed",
    "expired",
    "is_order",
    "to_be_invoiced",
    "waits_for_its_invoice",
]


@track("Checkout Completed", when="a Checkout Session of any mode is completed")
class CheckoutCompleted(Event):
    """The session's amount is its `value`; it never states revenue."""

    checkout_id: CheckoutId
    mode: Mode
    payment_status: PaymentStatus = None
    value: Value = None
    currency: Currency = None
    order_id: OrderId = None
    subscription_id: SubscriptionId = None
    coupon: Coupon = None
    discount: Discount = None
    tax: Tax = None
    shipping: Shipping = None


@track("Checkout Expired", when="a Checkout Session expires unused")
class CheckoutExpired(Event):
    """The recovery URL holds a token, so the event only states whether there is one."""

    checkout_id: CheckoutId
    mode: Mode
    value: Value = None
    currency: Currency = None
    recoverable: Recoverable


@track("Payment Info Entered", when="a Checkout Session in setup mode is completed")
class PaymentInfoEntered(Event):
    """Segment's own name. https://segment.com/docs/connections/spec/ecommerce/v2/#payment-info-entered."""

    checkout_id: CheckoutId


def completed(event: StripeEvent[shapes.CheckoutSession], known: Known) -> Iterator[Fact]:
    """checkout.session.completed: always Checkout Completed, and an order if the session is paid without an invoice."""
    session = event.object
    amounts, currency = read.amounts_of(session), text(session.get("currency"))
    checkout_id, key = text(session.get("id")), f"{session.get('id')}"
    stated = CheckoutCompleted(
        checkout_id=checkout_id,
        mode=read.mode_of(session),
        payment_status=text(session.get("payment_status")),
        value=major(amounts.total, currency),
        currency=currency and currency.upper(),
        order_id=read.order_id_of(session) if read.names_its_order(session) else None,
        subscription_id=reference(session.get("subscription")),
        coupon=coupon_code(session),
        discount=major(amounts.discount, currency),
        tax=major(amounts.tax, currency),
        shipping=major(amounts.shipping, currency),
    )
    yield Fact(stated, key)
    yield from _order(event, known)
    if read.mode_of(session) == "setup":
        yield Fact(PaymentInfoEntered(checkout_id=checkout_id), key)


def async_payment_succeeded(event: StripeEvent[shapes.CheckoutSession], known: Known) -> Iterator[Fact]:
    """checkout.session.async_payment_succeeded: the bank debit or voucher succeeded."""
    yield from _order(event, known)


def async_payment_failed(event: StripeEvent[shapes.CheckoutSession], known: Known) -> Iterator[Fact]:
    """checkout.session.async_payment_failed, of a bank debit or voucher; the invoice states it where there is one."""
    session = event.object
    if has_invoice(session):
        return
    currency = text(session.get("currency"))
    failed = PaymentFailed(
        checkout_id=text(session.get("id")),
        order_id=read.order_id_of(session),
        subscription_id=reference(session.get("subscription")),
        value=major(read.amounts_of(session).total, currency),
        currency=currency and currency.upper(),
    )
    yield fact_of(failed, event, known)


def expired(event: StripeEvent[shapes.CheckoutSession], _: Known) -> Iterator[Fact]:
    """checkout.session.expired."""
    session = event.object
    currency = text(session.get("currency"))
    stated = CheckoutExpired(
        checkout_id=text(session.get("id")),
        mode=read.mode_of(session),
        recoverable=read.has_recovery_url(session),
        value=major(read.amounts_of(session).total, currency),
        currency=currency and currency.upper(),
    )
    yield Fact(stated, f"{session.get('id')}")


def is_order(event: StripeEvent[shapes.CheckoutSession]) -> bool:
    """Whether this event states a paid one-time purchase, which no invoice states."""
    settled = event.type.endswith(".async_payment_succeeded") or read.is_settled(event.object)
    return settled and read.takes_the_money(event.object)


def collected(event: StripeEvent[shapes.CheckoutSession], known: Known) -> Payment | None:
    """The payment of a session that was paid without an invoice; None for any other session."""
    return _payment(event, counted=True) if is_order(event) and not _stated_by_invoice(event, known) else None


def to_be_invoiced(event: StripeEvent[shapes.CheckoutSession]) -> Payment | None:
    """The payment of a session that an invoice is still to state, not counted; None where there is none."""
    settled = event.type.endswith(".async_payment_succeeded") or read.is_settled(event.object)
    return _payment(event, counted=False) if settled and read.awaits_its_invoice(event.object) else None


def bill_of(event: StripeEvent[shapes.CheckoutSession]) -> Bill | None:
    """The amounts of a completed one-time session that is not paid yet; None for any other.

    If the merchant captures the money, the payment intent states the payment, and mostly neither tax nor shipping.
    """
    if is_order(event) or not read.takes_the_money(event.object):
        return None
    return amounts_asked(event.object)


def amounts_asked(session: shapes.CheckoutSession) -> Bill | None:
    """What a session asks for; None where it asks for nothing."""
    amounts = read.amounts_of(session)
    total, revenue = amounts.total, _revenue(amounts)
    return Bill(total, total, revenue, amounts.tax) if total and revenue is not None else None


def waits_for_its_invoice(event: StripeEvent[shapes.CheckoutSession], known: Known) -> bool:
    """Whether its payment may have been attached to an invoice that was paid since, which stated it.

    A session mostly comes before any such invoice, and then does not wait.
    """
    payment, intent = collected(event, known), read.payment_intent_of(event.object)
    listed = known.profile.payment(intent) if intent else None
    unstated = payment is not None and (listed is None or not listed.counted)
    return unstated and payment is not None and intent is not None and attached_to(known.profile, payment)


def _payment(event: StripeEvent[shapes.CheckoutSession], *, counted: bool) -> Payment | None:
    session, currency = event.object, text(event.object.get("currency"))
    amounts = read.amounts_of(session)
    if currency is None or amounts.total is None:
        return None
    return Payment(
        currency,
        counted=counted,
        total=amounts.total,
        revenue=_revenue(amounts),
        tax=amounts.tax,
        paid_at=event.created,
        stated_by=text(session.get("id")) or "",
        intent=read.payment_intent_of(session) or "",
    )


def _order(event: StripeEvent[shapes.CheckoutSession], known: Known) -> Iterator[Fact]:
    """The order, with the same key for every event that states it."""
    session = event.object
    if not is_order(event) or _stated_by_intent(event, known) or _stated_by_invoice(event, known):
        return
    amounts, currency = read.amounts_of(session), text(session.get("currency"))
    total = amounts.total
    revenue = _revenue(amounts)
    stated = OrderCompleted(
        order_id=read.order_id_of(session),
        checkout_id=text(session.get("id")),
        total=major(total, currency),
        revenue=major(revenue, currency),
        subtotal=major(amounts.subtotal, currency),
        tax=major(amounts.tax, currency),
        shipping=major(amounts.shipping, currency),
        discount=major(amounts.discount, currency),
        coupon=coupon_code(session),
        currency=currency and currency.upper(),
        # The event has no line items; they are known only if a Stripe API key allows reading them.
        **bought(map(read_line, known.line_items), currency, known),
    )
    yield Fact(stated, f"{session.get('id')}")


def _revenue(amounts: read.Amounts) -> int | None:
    return None if amounts.total is None else amounts.total - (amounts.tax or 0) - (amounts.shipping or 0)


def _stated_by_intent(event: StripeEvent[shapes.CheckoutSession], known: Known) -> bool:
    """Whether a payment intent has stated the order already, because no session claimed it in time."""
    intent = read.payment_intent_of(event.object)
    listed = known.profile.payment(intent) if intent else None
    return listed is not None and listed.counted and listed.stated_by == intent


def _stated_by_invoice(event: StripeEvent[shapes.CheckoutSession], known: Known) -> bool:
    """Whether the payment is known to be of an invoice that the session, in an old shape, does not name."""
    return invoice_paid_by(read.payment_intent_of(event.object), known) is not None
