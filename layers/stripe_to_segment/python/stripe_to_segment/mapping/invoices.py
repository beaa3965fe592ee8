"""Facts about an invoice, which states the revenue of every payment with an invoice."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, TypedDict

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.failures import PaymentFailed, Unpaid, fact_of
from stripe_to_segment.mapping.invoice_payments import bill_of, with_its_payments
from stripe_to_segment.mapping.orders import attachable, same_payment, went_back_before
from stripe_to_segment.mapping.payments import OrderCompleted, Paid
from stripe_to_segment.mapping.products import bought
from stripe_to_segment.mapping.subscriptions.known_later import by_invoice
from stripe_to_segment.mapping.subscriptions.trials import TrialConverted
from stripe_to_segment.mapping.tracking import always, properties, track
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import invoice as read
from stripe_to_segment.stripe_side.discount import coupon_code
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import dig, integer, iso_time, text
from stripe_to_segment.stripe_side.invoice_payment import payment_of
from stripe_to_segment.stripe_side.money import Shares, major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        AfterTrial,
        Currency,
        InvoiceId,
        Plan,
        PriceId,
        ProductId,
        Quantity,
        Revenue,
        Total,
    )
    from stripe_to_segment.state.subscription import SubscriptionRecord
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.lines import Line
    from stripe_to_segment.stripe_side.price import Price

__all__ = [
    "InvoicePaid",
    "PaymentActionRequired",
    "SubscriptionRenewed",
    "billed_plan",
    "collected",
    "lines_of",
    "paid",
    "payment_action_required",
    "payment_failed",
    "payments_of",
    "stated_by_intent",
    "waits_for_its_payments",
]

DAY = 86_400


@properties
class PaidByInvoice(Paid):
    """The properties of every paid invoice."""

    total: Total = always()
    revenue: Revenue = always()
    currency: Currency = always()
    invoice_id: InvoiceId = always()


@track("Subscription Renewed", when="a period's invoice is paid")
class SubscriptionRenewed(PaidByInvoice):
    """Also with a total of 0, where a balance or a coupon has paid the renewal."""

    after_trial: AfterTrial = None


@track("Invoice Paid", when="any other invoice is paid")
class InvoicePaid(PaidByInvoice):
    """Manual invoices, prorations, thresholds."""


@track("Payment Action Required", when="the customer must confirm a payment")
class PaymentActionRequired(Unpaid):
    """Each attempt is one."""

    invoice_id: InvoiceId = always()


@asked_once
def lines_of(event: StripeEvent[shapes.Invoice]) -> tuple[Line, ...]:
    """The lines of an event's invoice."""
    return read.lines_of(event.object)


@asked_once
def _amounts_of(event: StripeEvent[shapes.Invoice]) -> read.InvoiceAmounts:
    return read.amounts_of(event.object)


def paid(event: StripeEvent[shapes.Invoice], known: Known) -> Iterator[Fact]:
    """invoice.paid: Order Completed for a first invoice, Subscription Renewed for a period's, else Invoice Paid."""
    invoice = event.object
    reason = text(invoice.get("billing_reason"))
    brought_about = by_invoice(event, known)[1]
    yield from brought_about
    if reason == "subscription_cycle":
        converts = any(isinstance(fact.event, TrialConverted) for fact in brought_about)
        after_trial = True if converts else _follows_trial(invoice, known)
        yield Fact(replace(_paid(SubscriptionRenewed, event, known), after_trial=after_trial), f"{invoice.get('id')}")
    elif _amounts_of(event).collected > 0:
        declared = OrderCompleted if reason == "subscription_create" else InvoicePaid
        yield Fact(_paid(declared, event, known), f"{invoice.get('id')}")


def payment_failed(event: StripeEvent[shapes.Invoice], known: Known) -> Iterator[Fact]:
    """invoice.payment_failed, once for each attempt."""
    next_attempt = iso_time(integer(event.object.get("next_payment_attempt")))
    failed = replace(_unpaid(PaymentFailed, event.object), next_payment_attempt=next_attempt)
    yield fact_of(failed, event, known)


def payment_action_required(event: StripeEvent[shapes.Invoice], _: Known) -> Iterator[Fact]:
    """invoice.payment_action_required, once for each attempt."""
    invoice = event.object
    attempt = f"{invoice.get('id')}:{integer(invoice.get('attempt_count'))}:{event.created}"
    yield Fact(_unpaid(PaymentActionRequired, invoice), attempt)


@asked_once
def collected(event: StripeEvent[shapes.Invoice]) -> Payment | None:
    """The payment of this invoice; None if it names no currency."""
    currency, amounts = text(event.object.get("currency")), _amounts_of(event)
    invoice_id, asked = text(event.object.get("id")) or "", bill_of(event.object)
    if currency is None:
        return None
    return Payment(
        currency,
        counted=True,
        total=amounts.collected,
        revenue=amounts.shares.revenue,
        tax=amounts.shares.tax,
        paid_at=event.created,
        stated_by=invoice_id,
        # What nothing has paid through Stripe is its own payment.
        intent=read.payment_of(event.object) or (invoice_id if read.paid_outside(event.object) else ""),
        # What was overpaid has paid nothing of it.
        bill=asked if 0 < asked.due < amounts.collected else None,
    )


def payments_of(event: StripeEvent[shapes.Invoice], known: Known) -> list[str]:
    """The payment intents that paid the invoice, as it lists them itself, or the Stripe API, if asked."""
    asked = map(payment_of, known.invoice_payments or ())
    return [*read.payments_of(event.object), *filter(None, asked)]


def stated_by_intent(event: StripeEvent[shapes.Invoice], known: Known) -> str | None:
    """The payment intent that has stated this payment already, because no invoice claimed it in time.

    By amount and time, where neither the invoice nor its record names one, and the Stripe API was not asked.
    """
    payment = collected(event)
    if payment is None or not payment.total:
        return None
    known_by = read.payment_of(event.object) or ""
    stated = known.profile.payment(known_by) if known_by else None
    if stated is not None and stated.counted and stated.stated_by not in {"", text(event.object.get("id"))}:
        return known_by
    listed = known.profile.payment(text(event.object.get("id")) or "") or Payment(payment.currency)
    joined = any(not listed.took_for_its_own(name) for name in listed.rest_paid_by)
    if payment.intent or joined or known.invoice_payments is not None:
        return None
    return same_payment(known.profile, replace(payment, total=payment.total - listed.paid_in_parts.total), "pi_")


def waits_for_its_payments(event: StripeEvent[shapes.Invoice], known: Known) -> bool:
    """Whether it is to be seen what paid it: an order of the customer, or one of which money went back before.

    An order is then not stated again, and the invoice states the shares of revenue and tax in what went back.
    """
    payment = collected(event)
    if payment is None or payment.intent:
        return False
    invoice = text(event.object.get("id")) or event.id
    listed = known.profile.payment(invoice)
    if listed is not None and listed.complete:
        return False
    if went_back_before(known.profile, payment) or stated_by_intent(event, known):
        return True
    if read.charged_at_once(event.object):
        return False
    return attachable(known.profile, invoice, payment)


def _paid[E: Paid](declared: type[E], event: StripeEvent[shapes.Invoice], known: Known) -> E:
    """A payment with its amounts, and the subscription billed with its plan."""
    invoice = event.object
    amounts, lines, currency = _amounts_of(event), lines_of(event), text(invoice.get("currency"))
    total, shares = _not_yet_stated(event, known)
    return declared(
        order_id=text(invoice.get("id")),
        invoice_id=text(invoice.get("id")),
        total=major(total, currency),
        revenue=major(shares.revenue, currency),
        subtotal=major(amounts.subtotal, currency),
        tax=major(shares.tax, currency),
        shipping=major(shares.shipping, currency),
        discount=major(amounts.discount, currency),
        coupon=coupon_code(invoice),
        currency=currency and currency.upper(),
        billing_reason=text(invoice.get("billing_reason")),
        subscription_id=read.subscription_of(invoice),
        **bought(lines, currency, known, more=bool(dig(invoice, "lines", "has_more"))),
        **billed_plan(event, known),
    )


class BilledPlan(TypedDict, total=False):
    """The plan that a subscription's invoice bills, as properties."""

    plan: Plan
    price_id: PriceId
    product_id: ProductId
    quantity: Quantity


def billed_plan(event: StripeEvent[shapes.Invoice], known: Known) -> BilledPlan:
    """The plan that a subscription's invoice bills for a period; else empty.

    Stripe lists invoice items, such as a setup fee, before it, and perhaps what is free, and usage, which is of the
    period before. By the invoice alone, because the record may be older or newer. Since 2025-03-31 an invoice names its
    prices only by id; the subscription's record has their names.
    """
    subscription = read.subscription_of(event.object)
    periods = [line for line in lines_of(event) if line.price.id and not (line.of_item or line.proration)]
    if subscription is None or not periods:
        return {}
    main = min(periods, key=lambda line: (line.price.metered, -line.begins, line.price.unit_amount == 0))
    plan = _plan(main.price, known.profile.subscriptions.get(subscription), known)
    return {"plan": plan, "price_id": main.price.id, "product_id": main.price.product, "quantity": main.quantity}


def _not_yet_stated(event: StripeEvent[shapes.Invoice], known: Known) -> tuple[int, Shares]:
    """The part of what was collected that no other call has stated, and its shares, in minor units, at least 0."""
    amounts, invoice_id = _amounts_of(event), text(event.object.get("id")) or ""
    others = filter(None, [stated_by_intent(event, known)])
    listed = with_its_payments(event, known, *others).payment(invoice_id)
    if listed is None or not listed.counted:
        return amounts.collected, amounts.shares
    if listed.stated_by not in {"", invoice_id}:
        # The session stated it, or an old release noted that.
        return 0, Shares(0, 0, 0)
    paid = collected(event)
    stated = listed.stated_in_parts_of(0 if paid is None else paid.overpaid)
    return max(amounts.collected - stated.total, 0), amounts.shares.less(stated.shared, stated.revenue, stated.tax)


def _plan(price: Price, record: SubscriptionRecord | None, known: Known) -> str | None:
    remembered = record.plan if record is not None and record.price_id == price.id else None
    return price.label or remembered or plan_name(price, known)


def _unpaid[E: Unpaid](declared: type[E], invoice: shapes.Invoice) -> E:
    currency = text(invoice.get("currency"))
    return declared(
        order_id=text(invoice.get("id")),
        invoice_id=text(invoice.get("id")),
        subscription_id=read.subscription_of(invoice),
        value=major(read.unpaid_of(invoice), currency),
        currency=currency and currency.upper(),
        attempt_count=integer(invoice.get("attempt_count")),
        billing_reason=text(invoice.get("billing_reason")),
    )


def _follows_trial(invoice: shapes.Invoice, known: Known) -> bool | None:
    """True if the subscription's stored trial ended just before Stripe created this invoice.

    One that only moved the billing date was none.
    """
    record = known.profile.subscriptions.get(read.subscription_of(invoice) or "")
    made = integer(invoice.get("created"))
    if record is None or record.trial_end in {None, record.moved} or made is None:
        return None
    return True if 0 <= made - record.trial_end < DAY else None
