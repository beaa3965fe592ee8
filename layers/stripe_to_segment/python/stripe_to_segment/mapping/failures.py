"""Payment Failed, once for each failed attempt at a payment: the events about one attempt are matched.

A Checkout Session, its invoice and the PaymentIntent all report that one bank debit failed, in any order and in any
number of batches. If there is an invoice, the invoice states the attempt, and the others only add the cause. If there
is none, the intent states it; for a bank debit that fails days after Checkout the session states it too, as the same
fact.

The intent says why, and no webhook of an invoice or a session does, so these wait for it.

The intent names the invoice or session that it pays (`stripe_side/payment_intent.py`), except in payloads of 2025 and
older ones of Checkout. Those are matched by the ids of the other objects, or by customer, amount and time, and the
first event states the attempt. Each kind of object reports an attempt once, so two reports of one kind are two
attempts.
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact, worked_out_once
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.state.failed_attempt import FailedAttempt
from stripe_to_segment.stripe_side import checkout as read_checkout
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import payment_intent as read_intent
from stripe_to_segment.stripe_side.failure import Failure, failure_of, only_type_of
from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        AttemptCount,
        BillingReason,
        CardBrand,
        CheckoutId,
        Currency,
        DeclineCode,
        FailureCode,
        FailureMessage,
        InvoiceId,
        NextPaymentAttempt,
        OrderId,
        PaymentMethodType,
        SubscriptionId,
        Value,
    )
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "PaymentFailed",
    "Unpaid",
    "attempt_of",
    "fact_of",
    "has_invoice",
    "intent_failed",
    "session_waits_for_the_cause",
    "waits_for_the_cause",
]

# The reports of one attempt come within seconds. Stripe retries after a day at the earliest, a customer maybe sooner.
SAME_PAYMENT_SECONDS = 3600
SAME_AMOUNT_SECONDS = 600

# Payment methods that succeed or fail days after the customer has left.
# https://docs.stripe.com/payments/payment-methods#payment-notification
DELAYED = frozenset(
    {
        "acss_debit",
        "au_becs_debit",
        "bacs_debit",
        "boleto",
        "customer_balance",
        "konbini",
        "multibanco",
        "nz_bank_account",
        "oxxo",
        "payto",
        "sepa_debit",
        "sofort",
        "us_bank_account",
    }
)


@properties
class Unpaid(Event):
    """The properties of every failed attempt."""

    order_id: OrderId
    invoice_id: InvoiceId = None
    subscription_id: SubscriptionId = None
    value: Value = None
    currency: Currency = None
    attempt_count: AttemptCount = None
    billing_reason: BillingReason = None


@track("Payment Failed", when="an attempt to pay an invoice, a Checkout Session or another payment intent fails")
class PaymentFailed(Unpaid):
    """One for each attempt, with the cause if Stripe states it."""

    checkout_id: CheckoutId = None
    next_payment_attempt: NextPaymentAttempt = None
    failure_code: FailureCode = None
    decline_code: DeclineCode = None
    failure_message: FailureMessage = None
    payment_method_type: PaymentMethodType = None
    card_brand: CardBrand = None


def intent_failed(event: StripeEvent[shapes.PaymentIntent], known: Known) -> Iterator[Fact]:
    """payment_intent.payment_failed, once for each attempt; the invoice states it where there is one."""
    intent, currency = event.object, text(event.object.get("currency"))
    attempt = attempt_of(event, known)
    if read_intent.invoice_of(intent) is None and not _is_the_invoices(attempt, event):
        failed = PaymentFailed(
            order_id=text(intent.get("id")),
            checkout_id=next((name for name in attempt.names if name.startswith("cs_")), None),
            value=major(integer(intent.get("amount")), currency),
            currency=currency and currency.upper(),
        )
        yield fact_of(failed, event, known)


def _is_the_invoices(attempt: FailedAttempt, event: StripeEvent[shapes.PaymentIntent]) -> bool:
    """Whether an invoice states this attempt, which waits for the cause, or has stated it before."""
    return "invoice" in attempt.stated_by and attempt.fact_key not in _stated(event).keys


def waits_for_the_cause(event: StripeEvent, known: Known) -> bool:
    """Whether the intent's event, which says why, is still to come: neither it nor the Stripe API has said it."""
    attempt = attempt_of(event, known)
    # A charge without an intent has no such event.
    said = attempt.why.code or attempt.why.decline_code or known.failed_intent is not None
    return not (said or "payment_intent" in attempt.stated_by or any(name.startswith("ch_") for name in attempt.names))


def session_waits_for_the_cause(event: StripeEvent[shapes.CheckoutSession], known: Known) -> bool:
    """The same for a session that states the failure."""
    return not has_invoice(event.object) and waits_for_the_cause(event, known)


def has_invoice(session: shapes.CheckoutSession) -> bool:
    """Whether an invoice states this session's payment: that of a subscription, or one of its own."""
    return read_checkout.mode_of(session) == "subscription" or read_checkout.invoice_of(session) is not None


def fact_of(failed: PaymentFailed, event: StripeEvent, known: Known) -> Fact:
    """The fact of this attempt, with the cause if any event has stated it."""
    attempt = attempt_of(event, known)
    why = attempt.why if known.failed_intent is None else attempt.why.or_else(failure_of(known.failed_intent))
    failed = replace(
        failed,
        failure_code=why.code,
        decline_code=why.decline_code,
        failure_message=why.message,
        payment_method_type=why.payment_method_type,
        card_brand=why.card_brand,
    )
    return Fact(failed, attempt.fact_key)


@worked_out_once
def attempt_of(event: StripeEvent, known: Known) -> FailedAttempt:
    """The attempt that this event reports, joined with the reports of other events."""
    found = _stated(event)
    same = [attempt for attempt in known.profile.failed_attempts() if _same(attempt, found)]
    # An attempt with the same key comes first, then the nearest in time. An invoice may join a session to its intent.
    for attempt in sorted(same, key=lambda one: (not {*one.keys} & {*found.keys}, abs(one.at - found.at))):
        if _same(attempt, found):
            found = attempt.joined(found)
    return found


def _same(attempt: FailedAttempt, stated: FailedAttempt) -> bool:
    if {*attempt.keys} & {*stated.keys}:
        return True
    if {*attempt.stated_by} & {*stated.stated_by}:
        return False
    apart = abs(attempt.at - stated.at)
    if {*attempt.names} & {*stated.names}:
        return apart <= SAME_PAYMENT_SECONDS
    alike = stated.value is not None and (attempt.value, attempt.currency) == (stated.value, stated.currency)
    return alike and apart <= SAME_AMOUNT_SECONDS and (_may_be(attempt, stated) or _may_be(stated, attempt))


def _may_be(intent: FailedAttempt, other: FailedAttempt) -> bool:
    """Whether an intent that names no invoice can belong to an attempt that names no intent.

    An intent that names a session may be a subscription's first one: then the session has an invoice.
    """
    if intent.stated_by != ("payment_intent",) or any(name.startswith("in_") for name in intent.names):
        return False
    return not any(name.startswith("pi_") for name in other.names)


def _stated(event: StripeEvent) -> FailedAttempt:
    match event.type:
        case "invoice.payment_failed":
            return _of_invoice(event)
        case "payment_intent.payment_failed":
            return _of_intent(event)
        case _:
            return _of_session(event)


def _of_invoice(event: StripeEvent[shapes.Invoice]) -> FailedAttempt:
    # The key includes the time, because `attempt_count` counts Stripe's own retries, not those of the customer.
    invoice = event.object
    key = f"{invoice.get('id')}:{integer(invoice.get('attempt_count'))}:{event.created}"
    names = (text(invoice.get("id")), read_invoice.payment_of(invoice), read_invoice.subscription_of(invoice))
    attempt = _attempt(event, key, names, read_invoice.unpaid_of(invoice))
    # Ids in Stripe's payloads, objects where expanded; both fields are gone since 2025-03-31.
    intent = hash_of(invoice.get("payment_intent")) or {"latest_charge": invoice.get("charge")}
    return replace(attempt, why=failure_of(intent))


def _of_session(event: StripeEvent[shapes.CheckoutSession]) -> FailedAttempt:
    session = event.object
    names = (
        text(session.get("id")),
        read_checkout.invoice_of(session),
        read_checkout.payment_intent_of(session),
        reference(session.get("subscription")),
    )
    attempt = _attempt(event, f"{session.get('id')}", names, read_checkout.amounts_of(session).total)
    why = Failure(payment_method_type=only_type_of(session))
    return replace(attempt, fact_key="" if has_invoice(session) else attempt.fact_key, why=why)


def _of_intent(event: StripeEvent[shapes.PaymentIntent]) -> FailedAttempt:
    intent, why = event.object, failure_of(event.object)
    invoice, session = read_intent.invoice_of(intent), read_intent.session_of(intent)
    # Each attempt creates a charge of its own, unless it fails earlier.
    charge = text(dig(intent, "last_payment_error", "charge")) or reference(intent.get("latest_charge"))
    # Checkout ends when such a payment begins, so it fails at most once, and the session reports it too.
    once = session is not None and why.payment_method_type in DELAYED
    key = f"{session}" if once else f"{intent.get('id')}:{charge or ''}:{event.created}"
    attempt = _attempt(event, key, (text(intent.get("id")), invoice, session), integer(intent.get("amount")))
    return replace(attempt, fact_key=key if invoice is None else "", why=why)


def _attempt(event: StripeEvent, key: str, names: Iterable[str | None], value: int | None) -> FailedAttempt:
    kind, currency = event.type.rpartition(".")[0], text(event.object.get("currency"))
    return FailedAttempt(key, (key,), (kind,), tuple(filter(None, names)), event.created, value, currency)
