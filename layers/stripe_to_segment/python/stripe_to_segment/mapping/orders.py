"""Find the payment that an event is about among those in the customer's record."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side import charge as read_charge
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import invoice_payment as read_invoice_payment
from stripe_to_segment.stripe_side import refund as read_refund
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import integer, reference, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = [
    "attachable",
    "attached_to",
    "charged_at_of",
    "guessed_for",
    "invoice_paid_by",
    "matched_anew",
    "may_be_of_another",
    "names_no_customer",
    "order_behind",
    "orders_needed",
    "paying_invoice",
    "payment_named",
    "refunded_before",
    "same_payment",
    "went_back_before",
]

# Stripe creates a bank debit's charge when it requests the money, up to fourteen days before the payment succeeds.
# https://docs.stripe.com/payments/sepa-debit
LONGEST_DEBIT = 15 * 86_400
# Stripe creates payment_intent.succeeded and invoice.paid within a few seconds of each other.
SAME_MOMENT = 300
# What follows from one payment is mostly created within seconds of it.
SAME_SECONDS = 5


def names_no_customer(event: StripeEvent) -> bool:
    """Whether the event is about a payment and names no customer."""
    about_a_payment = event.type.startswith(("refund.", "charge.", "invoice_payment."))
    return about_a_payment and event.customer is None


@asked_once
def payment_named(event: StripeEvent) -> str | None:
    """The payment intent (or the charge without one) that the event's object is, or is about.

    A refund of no payment is about itself.
    """
    about = event.object
    if event.type.startswith("payment_intent."):
        return text(about.get("id"))
    if event.type.startswith("invoice_payment."):
        return read_invoice_payment.payment_of(about)
    if event.type.startswith("charge.") and about.get("object") != "dispute":
        return read_charge.payment_of(about)
    itself = text(about.get("id")) if event.type.startswith("refund.") else None
    return read_refund.payment_of(about) or itself


@asked_once
def orders_needed(event: StripeEvent) -> list[str]:
    """Payment intents (or charges without one) and invoices whose order is needed."""
    if event.type == "invoice_payment.paid":
        needed = [payment_named(event), reference(event.object.get("invoice"))]
    elif event.type == "invoice.paid":
        paid_by = read_invoice.payment_of(event.object) or text(event.object.get("id"))
        needed = [paid_by, *read_invoice.payments_of(event.object)]
    elif event.type in BILLED:
        # An event of a part may have come before the invoice's customer was known.
        needed = [text(event.object.get("id")), *read_invoice.payments_of(event.object)]
    else:
        needed = [payment_named(event)] if event.type.startswith(ABOUT_PAYMENTS) else []
    return [each for each in needed if each]


BILLED = frozenset({"invoice.finalized", "invoice.sent", "invoice.overdue"})
ABOUT_PAYMENTS = ("charge.", "checkout.session.", "payment_intent.", "refund.")


def invoice_paid_by(payment: str | None, known: Known) -> str | None:
    """The invoice that the event's payment intent paid, by the stored order or by the Stripe API, if asked."""
    if payment is None:
        return None
    remembered = known.orders.get(payment, payment)
    asked = next((reference(one.get("invoice")) for one in known.invoice_payments or ()), None)
    return remembered if remembered != payment else asked


def order_behind(
    event: StripeEvent, known: Known, amount: int, lists: Callable[[Payment], object]
) -> tuple[str, Payment]:
    """The order of a refund or dispute, and its payment; a new payment if none is listed.

    Parameters
    ----------
    event
        The event.
    known
        The customer's record, and the orders that are known by their payment.
    amount
        The amount given back in minor units.
    lists
        Whether a payment lists it already: one payment may have paid parts of several invoices.
    """
    currency = text(event.object.get("currency")) or ""
    charged = integer(event.object.get("amount")) if event.type == "charge.refunded" else None
    profile, payment = known.profile, payment_named(event) or event.id
    order = reference(event.object.get("invoice")) or known.orders.get(payment, payment)
    of_a_payment = not (event.type.startswith("refund.") and read_refund.of_no_payment(event.object))
    found = profile.payment(order)
    elsewhere = None if found is not None and lists(found) else _listing(profile, payment, order, lists)
    if elsewhere is not None:
        order, found = elsewhere
    elif found is None and order == payment and of_a_payment:
        order, found = (
            _taken_for(payment, profile) or _unlinked(event, profile, amount, currency, charged) or (order, None)
        )
        # The name of a payment that certainly paid it stays.
        if found is not None and (not found.intent or found.took_for_its_own(found.intent)):
            found = replace(found, intent=payment)
    if found is None:
        # An unlisted payment, of an old release or too long ago, is counted if the sum exceeds the listed payments.
        counted = of_a_payment and 0 < amount <= profile.unlisted(currency)
        found = Payment(currency, counted=counted, total=None if counted else charged, paid_at=_charged_at(event))
    if order != payment and not found.intent:
        # So that a batch which reads the record, and read the order before it was stored, knows the payment by it.
        found = replace(found, intent=payment)
    return order, found


def _listing(
    profile: Profile, payment: str, order: str, lists: Callable[[Payment], object]
) -> tuple[str, Payment] | None:
    """Another order that the payment has paid, or seems to, and under which its refund or dispute was listed before."""
    taken_for = profile.order_taken_for(payment)
    others = [one for one in (*profile.orders_paid_by(payment), taken_for) if one and one != order]
    found = ((one, listed) for one in others if (listed := profile.payment(one)) is not None and lists(listed))
    return next(found, None)


def guessed_for(event: StripeEvent, known: Known, order: str) -> str:
    """The payment that the event names, if only amount and time match it to this order; else empty."""
    payment = payment_named(event) or event.id
    joined = {payment, known.orders.get(payment), reference(event.object.get("invoice"))}
    return "" if order in {*joined, *known.profile.orders_paid_by(payment)} else payment


def may_be_of_another(event: StripeEvent, known: Known, order: str, payment: Payment) -> bool:
    """Whether only amount and time match the event to this order, and the payment that it names is still to come."""
    guessed = guessed_for(event, known, order)
    return bool(guessed) and guessed not in payment.taken


def paying_invoice(profile: Profile, paid: Payment) -> str | None:
    """The invoice that an unclaimed intent has paid, by the same amount and time."""
    return same_payment(profile, paid, "in_")


def same_payment(profile: Profile, paid: Payment, prefix: str) -> str | None:
    """The order of a payment with the same amount and time, stated by an object with this prefix, or about to be.

    Of several the one that has this payment's name already, or else none; a name that was only guessed makes way last.
    """
    free: list[tuple[bool, bool, str]] = []
    for order, payment in profile.payments_like(paid, within=SAME_MOMENT, stated_by=prefix):
        names, own = payment.rest_paid_by, paid.intent or order
        if _differ_in_tax(paid, payment):
            continue
        if own in names or all(payment.took_for_its_own(name) for name in names):
            free.append((own not in names, bool(names), order))
    return min(free, key=lambda found: found[:2], default=(False, False, None))[2]


def _differ_in_tax(one: Payment, other: Payment) -> bool:
    """Whether both state a tax on the same total, and not the same one; few intents of an invoice state any."""
    return one.total == other.total and bool(one.tax and other.tax) and one.tax != other.tax


def attachable(profile: Profile, invoice: str, paid: Payment) -> bool:
    """Whether an order of the customer, or what another invoice left of one, may be attached to this invoice.

    Until the event that says so comes, nothing else does. https://docs.stripe.com/api/invoices/attach_payment
    """
    return any(
        written.get("counted", False)
        and written.get("currency") == paid.currency
        and order != invoice
        and (written.get("total") or 0) > 0
        and _has_purchase_before(paid.paid_at, order, written)
        for order, written in profile.payments.items()
    )


def _has_purchase_before(moment: int, order: str, written: JsonObject) -> bool:
    """Whether a listed payment was stated as an order before this moment.

    Or an order is a part of it, of which no event has said yet how much has paid that; it was paid before the invoice.
    """
    if order.startswith("in_"):
        parts = Payment.read(written).parts if "parts" in written else {}
        return any(not part.stated_by and not name.startswith("inpay_") for name, part in parts.items())
    purchase = str(written.get("stated_by", "")).startswith(("cs_", "pi_"))
    return purchase and int(written.get("paid_at", 0)) <= moment + SAME_MOMENT


def attached_to(profile: Profile, paid: Payment) -> bool:
    """Whether an invoice that was paid since may be one to which this payment, or a part of it, was attached."""
    return bool(paid.total) and any(
        written.get("counted", False)
        and written.get("currency") == paid.currency
        and written.get("stated_by", "").startswith("in_")
        and (written.get("total") or 0) > 0
        and written.get("paid_at", 0) >= paid.paid_at - SAME_SECONDS
        for written in profile.payments.values()
    )


def went_back_before(profile: Profile, paid: Payment) -> bool:
    """Whether money of a payment that no event has stated, of so much or less, went back after this one was paid.

    It may have gone back of this one. What went back earlier was of an older payment.
    """
    return any(
        not written.get("counted", False)
        and written.get("currency") == paid.currency
        and written.get("paid_at", 0) >= paid.paid_at - SAME_SECONDS
        and not order.startswith("in_")
        # One that is its own order is of no payment.
        and order not in written.get("refunds", ())
        and 0 < Payment.read(written).gone_back <= (paid.total or 0)
        for order, written in profile.payments.items()
    )


def refunded_before(profile: Profile, paid: Payment) -> str | None:
    """The entry of refunds that came before this payment and that only amount and time match to it.

    Refunds that are known to be of an invoice are left out.
    """
    if not paid.total:
        return None
    alike = profile.payments_like(paid, counted=False, within=LONGEST_DEBIT)
    # A charge that was made after the invoice was paid has not paid it.
    made_before = paid.paid_at + SAME_MOMENT
    found = [
        (order, one)
        for order, one in alike
        if not (order.startswith("in_") or one.bill)
        and one.paid_at <= made_before
        # Of a session only the receipt, which follows at once; one that waits for others is an order of its own.
        and (not one.stated_by or abs(paid.paid_at - one.paid_at) <= SAME_MOMENT)
    ]
    return min(found, key=lambda entry: abs(paid.paid_at - entry[1].paid_at), default=(None, None))[0]


def matched_anew(event: StripeEvent, profile: Profile) -> Profile:
    """The record after the event's charge is matched to an order, or replaces one that was so with less certainty.

    Refunds of the replaced charge go to the order that matches it best among the others.
    """
    charged_at, charge = charged_at_of(event), payment_named(event)
    if charged_at is None or charge is None or profile.order_taken_for(charge):
        return profile
    total, currency = integer(event.object.get("amount")), text(event.object.get("currency"))
    if (listed := profile.payment(charge)) is not None:
        if listed.counted or listed.total is not None or listed.bill is not None:
            # Counted, matched before, or that of a session, which is captured later.
            return profile
        # Only a refund was known, which states nothing of its charge.
        listed = replace(listed, total=total, paid_at=charged_at)
        order, profile = _nearest(profile, listed), profile.with_payment(charge, listed)
        return profile.with_guess(order, charge) if order else profile
    order = _nearest(profile, Payment(currency or "", total=total, paid_at=charged_at), taken=True)
    taken = profile.payment(order) if order else None
    if order is None or taken is None or not taken.intent:
        return profile
    after = profile.without_guesses(order, by=charge)
    for other in sorted(taken.taken_for_its_own):
        listed = after.payment(other)
        better = listed and listed.total and _nearest(after, listed, without=order)
        after = after.with_guess(better, other) if better else after
    return after


def _nearest(profile: Profile, charge: Payment, *, taken: bool = False, without: str = "") -> str | None:
    """The invoice that a charge most likely paid: of its amount, paid after it was made, and the nearest in time.

    With `taken` also invoices that were matched to another charge by amount and time alone, if that charge is further
    from them.
    """
    found = [
        (abs(payment.paid_at - charge.paid_at), order)
        for order, payment in profile.payments_like(charge, counted=True, within=LONGEST_DEBIT, stated_by="in_")
        if order != without
        and payment.paid_at >= charge.paid_at - SAME_MOMENT
        and (not payment.intent or (taken and _is_nearer(charge, payment)))
    ]
    return min(found, default=(0, None))[1]


def _is_nearer(charge: Payment, payment: Payment) -> bool:
    """Whether a charge is nearer to a payment than every other charge that was matched by amount and time alone."""
    others = [one.charged_at for one in payment.refunds.values() if one.named]
    if not (payment.took_for_its_own(payment.intent) and others and all(others)):
        # Another charge certainly paid it, or the time of the other charge is unknown.
        return False
    return all(abs(payment.paid_at - charge.paid_at) < abs(payment.paid_at - other) for other in others)


def charged_at_of(event: StripeEvent) -> int | None:
    """The time of the charge, in epoch seconds, where the event's object is one."""
    return integer(event.object.get("created")) if event.type == "charge.refunded" else None


def _charged_at(event: StripeEvent) -> int:
    """The time at which the money was requested, in epoch seconds, as the event states it."""
    return charged_at_of(event) or event.created


def _taken_for(payment: str, profile: Profile) -> tuple[str, Payment] | None:
    order = profile.order_taken_for(payment)
    found = profile.payment(order) if order else None
    return (order, found) if order and found else None


def _unlinked(
    event: StripeEvent, profile: Profile, amount: int, currency: str, charged: int | None
) -> tuple[str, Payment] | None:
    """The invoice that this payment most likely paid, for endpoints without invoice_payment.paid, which joins the two.

    Since 2025-03-31 neither names the other. Matched by the amount, then by the time: a charge pays no invoice that was
    paid before it was made, and a refund is of none that was paid after it.
    """
    if charged is not None:
        order = _nearest(profile, Payment(currency, total=charged, paid_at=_charged_at(event)))
        found = profile.payment(order) if order else None
        return (order, found) if order and found else None
    entries = [
        (order, payment)
        for order, payment in profile.listed_payments()
        if payment.counted
        and payment.currency == currency
        and payment.stated_by.startswith("in_")
        and not payment.intent
        and (payment.total or 0) - payment.gone_back >= amount
        and payment.paid_at <= event.created
    ]
    return max(entries, key=lambda entry: (entry[1].total == amount, entry[1].paid_at), default=None)
