"""The data that an event adds to the store beside its facts: to the customer's record, product names, and orders."""

from __future__ import annotations

from copy import replace
from dataclasses import field
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping import (
    checkout,
    credit_notes,
    disputes,
    failures,
    intents,
    invoice_payments,
    invoices,
    refunds,
)
from stripe_to_segment.mapping.naming import coupons_stated
from stripe_to_segment.mapping.orders import invoice_paid_by, paying_invoice, payment_named, refunded_before
from stripe_to_segment.mapping.subscriptions import listed
from stripe_to_segment.mapping.subscriptions.discounts import after_discount, by_customer
from stripe_to_segment.mapping.subscriptions.known_later import by_invoice, corrected
from stripe_to_segment.mapping.subscriptions.mrr_changes import change_of, has_counted, record_after
from stripe_to_segment.mapping.subscriptions.records import with_terms
from stripe_to_segment.mapping.subscriptions.trials import converts
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import checkout as read_checkout
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import invoice_payment as read_part
from stripe_to_segment.stripe_side import payment_method as read_payment_method
from stripe_to_segment.stripe_side.discount import read_coupon
from stripe_to_segment.stripe_side.fields import integer, reference, text
from stripe_to_segment.stripe_side.price import read_price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.bill import Bill
    from stripe_to_segment.state.failed_attempt import FailedAttempt
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "Counted",
    "Lesson",
    "bill",
    "capture",
    "coupon",
    "credit_note",
    "customer",
    "discount",
    "dispute",
    "failure",
    "invoice",
    "invoice_payment",
    "listed_subscription",
    "nothing",
    "payment_intent",
    "payment_method",
    "price",
    "product",
    "refund",
    "session",
    "subscription",
]


@frozen
class Counted:
    """A payment that counts once under all its ids, and the id of its order."""

    order: str
    payment: Payment
    keys: tuple[str, ...]


@frozen
class Lesson:
    """The knowledge after an event.

    `counted` is a payment that the event states, `moved` an order with its payment after a part payment, a refund or a
    dispute; `changed` says that a trait changed. `claimed` is a payment that is listed, not counted, while the event
    that states it waits: no other event takes it for an order of its own then. `attempt` is a failed one, which other
    events report too.
    """

    profile: Profile
    changed: bool = False
    counted: Counted | None = None
    moved: tuple[str, Payment] | None = None
    claimed: tuple[str, Payment] | None = None
    attempt: FailedAttempt | None = None
    orders: Mapping[str, str] = field(default_factory=dict)
    product_names: Mapping[str, str] = field(default_factory=dict)
    coupons: Mapping[str, str] = field(default_factory=dict)


def nothing(_event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """An event that changes nothing in the store."""
    return Lesson(known.profile)


def subscription(event: StripeEvent[shapes.Subscription], known: Known, _rank: int) -> Lesson:
    """The state of a subscription, unless a newer one is known, and the mrr changes that were sent."""
    subscription_id = text(event.object.get("id")) or event.id
    record, changed = record_after(event, known)
    profile = known.profile
    profile = profile.with_subscription(subscription_id, record)
    if converts(record, profile.invoiced.get(subscription_id)):
        profile = profile.converted(subscription_id)
    elif subscription_id in profile.invoiced and not record.awaits_payment:
        profile = replace(profile, invoiced={k: v for k, v in profile.invoiced.items() if k != subscription_id})
    counted = max(record.counted, change_of(event, known).sent) > 0
    if not profile.subscribed and (counted or has_counted(event, known)):
        profile = replace(profile, subscribed=True)
    return Lesson(with_terms(profile, event, known), changed, coupons=coupons_stated(event, known.coupons))


def listed_subscription(event: StripeEvent[shapes.Subscription], known: Known, _rank: int) -> Lesson:
    """A subscription that an import has listed."""
    subscription_id = text(event.object.get("id")) or event.id
    profile = known.profile.with_subscription(subscription_id, listed.opened(event, known))
    if not profile.subscribed and listed.has_counted(event, known):
        profile = replace(profile, subscribed=True)
    return Lesson(with_terms(profile, event, known))


def discount(event: StripeEvent[shapes.Discount], known: Known, _rank: int) -> Lesson:
    """The coupon of a discount, and whether the discount is the Customer's own."""
    profile, _ = corrected(event, after_discount(event, known), known)
    changed = profile.subscriptions != known.profile.subscriptions
    return Lesson(profile, changed=changed, coupons=coupons_stated(event, known.coupons))


def coupon(event: StripeEvent[shapes.Coupon], known: Known, _rank: int) -> Lesson:
    """The amount or percentage of a coupon, for discounts that only name it."""
    read = read_coupon(event.object)
    return Lesson(known.profile, coupons={read.id: read.written} if read is not None and read.id else {})


def session(event: StripeEvent[shapes.CheckoutSession], known: Known, _rank: int) -> Lesson:
    """A payment without an invoice; the order of its payment intent, and the order's customer."""
    intent = read_checkout.payment_intent_of(event.object)
    invoice_id = read_checkout.invoice_of(event.object) or invoice_paid_by(intent, known)
    order, payment = read_checkout.order_id_of(event.object), checkout.collected(event, known)
    profile, to_come = known.profile, checkout.to_be_invoiced(event)
    if intent and invoice_id and invoice_id not in profile.orders_paid_by(intent):
        profile = profile.surely_paid(invoice_id, by=intent, listed=_to_come(event, intent))
    if intent and to_come is not None:
        invoice_id = invoice_id or paying_invoice(profile, to_come)
        listed = profile.payment(intent)
        if invoice_id is None and (listed is None or not listed.counted):
            # Listed already, so that no other event takes it for an order before its invoice comes.
            profile = profile.with_payment(intent, to_come if listed is None else to_come.joined(listed))
            profile = profile.regained(intent, intent)
    if intent and (asked := checkout.bill_of(event)) is not None:
        listed = profile.payment(intent) or Payment(text(event.object.get("currency")) or "", paid_at=event.created)
        if not listed.complete:
            profile = profile.with_payment(intent, replace(listed, bill=asked)).regained(intent, intent)
    keys = tuple(key for key in (text(event.object.get("id")), intent) if key)
    # A guest's record has the intent's own id.
    behind = invoice_id or (intent if event.customer is not None else None)
    return Lesson(
        profile.with_paid(invoice_id, by=intent) if intent and invoice_id else profile,
        counted=None if payment is None or order is None else Counted(order, payment, keys),
        claimed=_claimed(intent, payment, profile),
        orders={intent: behind} if intent and behind else {},
    )


def invoice(event: StripeEvent[shapes.Invoice], known: Known, _rank: int) -> Lesson:
    """A payment by invoice; its payment intent, if named, because a later refund may name only that."""
    paid_by, invoice_id = read_invoice.payment_of(event.object), text(event.object.get("id")) or event.id
    profile, _ = by_invoice(event, known)
    changed = profile.subscriptions != known.profile.subscriptions
    payment, intent = invoices.collected(event), invoices.stated_by_intent(event, known)
    listed = profile.payment(invoice_id)
    seen = listed is not None and (listed.counted or listed.paid_by or listed.refunds or listed.disputes)
    unseen = payment is not None and not (payment.intent or intent or seen)
    early = refunded_before(profile, payment) if unseen and payment is not None else None
    if early:
        profile = profile.with_guess(invoice_id, early)
    # A name that only amount and time gave stands in the record alone, which can take it back.
    guessed = {intent} - {paid_by, *invoices.payments_of(event, known)}
    if intent and guessed:
        profile = profile.with_guess(invoice_id, intent)
    paid_by = intent or paid_by
    # From now on the invoice states it.
    intents_paid = dict.fromkeys(each for each in (paid_by, *invoices.payments_of(event, known)) if each)
    profile = invoice_payments.with_its_payments(event, replace(known, profile=profile), *intents_paid)
    # A payment of several invoices counts once for each.
    elsewhere = any(one.startswith("in_") and one != invoice_id for one in profile.orders_paid_by(paid_by or ""))
    keys = (invoice_id, paid_by) if paid_by and not elsewhere else (invoice_id,)
    # If the invoice does not name its payment, invoice_payment.paid will, which names no customer.
    unnamed = read_invoice.payment_of(event.object) is None and payment is not None and payment.total
    owned = (
        {invoice_id: invoice_id} if unnamed and event.customer is not None and invoice_id not in known.orders else {}
    )
    return Lesson(
        profile,
        changed=changed,
        counted=None if payment is None else Counted(invoice_id, payment, keys),
        # With its amounts: a part of it that is stated meanwhile does not state its tax.
        claimed=_claimed(invoice_id, payment, known.profile, invoice_payments.bill_of(event.object)),
        orders=owned | dict.fromkeys(intents_paid.keys() - guessed, invoice_id),
    )


def _claimed(
    order: str | None, payment: Payment | None, profile: Profile, asked: Bill | None = None
) -> tuple[str, Payment] | None:
    """The payment of an event that waits, with what was asked for; None where the record has counted some of it."""
    listed = None if order is None else profile.payment(order)
    if order is None or payment is None or (listed is not None and listed.counted):
        return None
    waiting = replace(payment, counted=False, bill=asked)
    return order, waiting if listed is None else waiting.joined(listed)


def payment_intent(event: StripeEvent[shapes.PaymentIntent], known: Known, _rank: int) -> Lesson:
    """A payment without invoice and session, or the customer of a payment."""
    intent, invoice_id = text(event.object.get("id")) or event.id, intents.invoice_behind(event, known)
    if invoice_id is not None:
        profile, alone = known.profile, list[str]()
        if invoice_id not in profile.orders_paid_by(intent):
            # What the record knows already may be a guess, which no repetition of the event makes certain.
            received = integer(event.object.get("amount_received")) or 0
            profile, alone = profile.wholly_paid(invoice_id, by=intent, amount=received)
            profile = profile.surely_paid(invoice_id, by=intent, listed=_to_come(event, intent))
        # Also where it is stored: what came before the intent may have stored it without its customer.
        return Lesson(profile, orders={intent: invoice_id} | {one: one for one in alone})
    payment, guessed = intents.paid_alone(event, known), intents.invoice_paid_then(event, known)
    owned = event.customer is not None and (payment is not None or guessed is not None)
    return Lesson(
        known.profile if guessed is None else known.profile.with_taken(guessed, intent),
        counted=None if payment is None else Counted(intent, payment, (intent,)),
        # Of a guess only the customer is certain.
        orders={intent: intent} if owned else {},
    )


def _to_come(event: StripeEvent, intent: str) -> Payment | None:
    """The payment of an invoice that no event has stated yet."""
    currency = text(event.object.get("currency"))
    if currency is None or event.customer is None:
        return None
    return Payment(currency, paid_at=event.created, intent=intent)


def capture(event: StripeEvent[shapes.PaymentIntent], known: Known, _rank: int) -> Lesson:
    """What several captures of one payment have brought in so far, and whose it is."""
    moved, intent = intents.after_capture(event, known), text(event.object.get("id"))
    owned = moved is not None and event.customer is not None and intent is not None and intent not in known.orders
    return Lesson(known.profile, moved=moved, orders={intent: intent} if owned and intent else {})


def failure(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """A failed attempt at a payment, which other events report too."""
    attempt = failures.attempt_of(event, known)
    return Lesson(known.profile.with_failed_attempt(attempt), attempt=attempt)


def refund(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """A refund, and the customer who paid, whom the next event of the refund may not name."""
    return _moved(event, known, refunds.after_refund(event, known))


def dispute(event: StripeEvent[shapes.Dispute], known: Known, _rank: int) -> Lesson:
    """Funds that a dispute moves."""
    return _moved(event, known, disputes.after_dispute(event, known))


def _moved(event: StripeEvent, known: Known, moved: tuple[str, Payment] | None) -> Lesson:
    """The payment after a refund or dispute, and its order: the payment itself may come later than this event."""
    payment = payment_named(event)
    if moved is not None:
        unknown = not moved[1].counted
    else:
        # Facts that were sent for an unknown customer must be found when the customer becomes known.
        listed = known.profile.payment(payment or "")
        unknown = event.customer is None and (listed is None or not listed.counted)
    if payment is None:
        return Lesson(known.profile, moved=moved)
    if event.customer is None and not unknown:
        # What went back of a part of an invoice is kept with it; a batch that knows the customer has to find it there.
        parted = {} if moved is None or moved[0] == payment else {payment: moved[0]}
        return Lesson(known.profile, moved=moved, orders=parted)
    order = moved[0] if moved is not None and unknown else payment
    news = known.orders.get(payment) != order or unknown
    # Stored under the payment too, because the next event may name only the payment.
    return Lesson(known.profile, moved=moved, orders={order: order, payment: order} if news else {})


def credit_note(event: StripeEvent[shapes.CreditNote], known: Known, _rank: int) -> Lesson:
    """The amount that a credit note gave back outside of Stripe."""
    return Lesson(known.profile, moved=credit_notes.after_credit_note(event, known))


def invoice_payment(event: StripeEvent[shapes.InvoicePayment], known: Known, _rank: int) -> Lesson:
    """Which invoice a payment intent (or a charge without one) paid; invoices and charges name each other no longer.

    For a part of an invoice also the amount received. https://docs.stripe.com/api/invoice-payment/object
    """
    paid_by, invoice_id = payment_named(event), reference(event.object.get("invoice"))
    if not invoice_id:
        return Lesson(known.profile)
    profile, alone = known.profile, list[str]()
    if paid_by:
        profile, alone = profile.wholly_paid(invoice_id, by=paid_by, amount=read_part.amount_of(event.object) or 0)
        profile = profile.surely_paid(invoice_id, by=paid_by, listed=_to_come(event, paid_by))
        profile = invoice_payments.with_share(profile, event.object)
    moved = invoice_payments.after_part(event, known)
    orders = {paid_by: invoice_id} if paid_by and known.orders.get(paid_by) != invoice_id else {}
    orders |= {intent: intent for intent in alone}
    if event.customer is None and (moved is not None or profile.payment(invoice_id) is not None):
        # The invoice will name the customer; the payments of its parts, and what went back of it, are found then.
        orders[invoice_id] = invoice_id
    return Lesson(profile, moved=moved, orders=orders)


def bill(event: StripeEvent[shapes.Invoice], known: Known, _rank: int) -> Lesson:
    """The amounts of an unpaid invoice, because parts of it may be paid and do not state their tax."""
    invoice_id, found = text(event.object.get("id")), invoice_payments.bill_of(event.object)
    if invoice_id is None or text(event.object.get("status")) not in read_invoice.UNPAID or not found.due:
        return Lesson(known.profile)
    parts = dict.fromkeys(read_invoice.payments_of(event.object), invoice_id)
    listed = known.profile.payment(invoice_id) or Payment(text(event.object.get("currency")) or "")
    if listed.complete or listed.bill is not None:
        return Lesson(known.profile, orders=parts)
    # Its customer too, unless its one payment says it: the event of a part names no customer.
    in_parts = read_invoice.payment_of(event.object) is None or bool(integer(event.object.get("amount_paid")))
    owned = {invoice_id: invoice_id} if event.customer is not None and in_parts else {}
    return Lesson(known.profile.with_payment(invoice_id, replace(listed, bill=found)), orders=owned | parts)


def payment_method(event: StripeEvent[shapes.PaymentMethod], known: Known, rank: int) -> Lesson:
    """The expiry of a card, or its removal."""
    method_id, expiry = text(event.object.get("id")), read_payment_method.card_expiry_of(event.object)
    if event.customer is None or method_id is None or expiry is None:
        return Lesson(known.profile)
    there = None if event.type == "payment_method.detached" else expiry
    profile = known.profile.with_card(method_id, (event.created, rank), there)
    return Lesson(profile, profile.card_expires_at != known.profile.card_expires_at)


def product(event: StripeEvent[shapes.Product], known: Known, _rank: int) -> Lesson:
    """The name of a product."""
    product_id, name = text(event.object.get("id")), text(event.object.get("name"))
    return Lesson(known.profile, product_names={product_id: name} if product_id and name else {})


def price(event: StripeEvent[shapes.Price], known: Known, _rank: int) -> Lesson:
    """The name of a price, which an invoice names by its id alone; an empty one where it was taken away."""
    read = read_price(event.object, {})
    known_now = read.label or event.previous.keys() & LABELS
    return Lesson(known.profile, product_names={read.id: read.label or ""} if read.id and known_now else {})


def customer(event: StripeEvent[shapes.Customer], known: Known, _rank: int) -> Lesson:
    """The time at which the customer was created; an update changes a trait only if it names one."""
    stated = integer(event.object.get("created"))
    profile = replace(
        known.profile,
        customer_created=known.profile.customer_created if stated is None else stated,
        deleted=known.profile.deleted or event.type == "customer.deleted",
    )
    profile, _ = by_customer(event, profile, known)
    # Events without `previous_attributes` (some integrations strip them) cannot rule a change out.
    changed = not event.previous or bool(event.previous.keys() & TRAIT_FIELDS)
    changed = changed or profile.subscriptions != known.profile.subscriptions
    return Lesson(profile, changed=changed, coupons=coupons_stated(event, known.coupons))


# The fields from which a price has its name.
LABELS = frozenset({"nickname", "lookup_key", "metadata"})
TRAIT_FIELDS = frozenset({"email", "name", "phone", "address", "metadata"})
