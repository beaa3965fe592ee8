"""What an event teaches beside its facts: the customer's record, product names, which order a payment belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping import checkout, failures, invoices, refunds
from stripe_to_segment.mapping.subscriptions.records import better_known, record_of
from stripe_to_segment.stripe_side import charge as read_charge
from stripe_to_segment.stripe_side import checkout as read_checkout
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import payment_method as read_payment_method
from stripe_to_segment.stripe_side.fields import hash_of, integer, reference, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "Lesson",
    "customer",
    "failure",
    "invoice",
    "invoice_payment",
    "nothing",
    "payment_method",
    "product",
    "refund",
    "session",
    "subscription",
]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is known after an event. `payment` counts once under its key; `changed` says that a trait did."""

    profile: Profile
    changed: bool = False
    payment: tuple[str, str, int] | None = None
    orders: Mapping[str, str] = field(default_factory=dict)
    product_names: Mapping[str, str] = field(default_factory=dict)


def nothing(_event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """An event that teaches nothing."""
    return Lesson(known.profile)


def subscription(event: StripeEvent, known: Known, rank: int) -> Lesson:
    """The newest state of a subscription, unless a newer one is known already."""
    subscription_id = text(event.object.get("id")) or event.id
    record = record_of(event, known, rank=rank)
    remembered = known.profile.subscriptions.get(subscription_id)
    if remembered is not None and remembered.newer_than(record):
        corrected = better_known(event, known, remembered)
        return Lesson(known.profile.with_subscription(subscription_id, corrected))
    if remembered is None or remembered.as_of == record.as_of:
        # Unknown so far, or this very event on a second attempt: the payload says what it was before.
        changed = record.came_from != record.digest
    else:
        changed = remembered.digest != record.digest
    return Lesson(known.profile.with_subscription(subscription_id, record), changed)


def session(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """A payment without an invoice, and for one with an invoice which order its payment intent belongs to."""
    intent, invoice_id = read_checkout.payment_intent_of(event.object), read_checkout.invoice_of(event.object)
    counted = checkout.collected(event)
    return Lesson(
        known.profile,
        payment=None if counted is None else (f"{event.object.get('id')}", *counted),
        orders={intent: invoice_id} if intent and invoice_id else {},
    )


def invoice(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """A payment by invoice; the payment intent, where it is named, may be all that a later refund names."""
    paid_by, invoice_id = read_invoice.payment_of(event.object), text(event.object.get("id"))
    counted = invoices.collected(event)
    return Lesson(
        known.profile,
        payment=None if counted is None else (f"{invoice_id}", *counted),
        orders={paid_by: invoice_id} if paid_by and invoice_id else {},
    )


def failure(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """A failed attempt at a payment, which other events state too."""
    return Lesson(known.profile.with_failed_attempt(failures.attempt_of(event, known.profile)))


def refund(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """Money given back."""
    counted = refunds.given_back(event)
    key = f"{event.object.get('id')}:{read_charge.refunded_total(event.object)}"
    return Lesson(known.profile, payment=None if counted is None else (key, *counted))


def invoice_payment(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """Which invoice a payment intent (or a charge without one) paid; invoices and charges name each other no longer.

    https://docs.stripe.com/api/invoice-payment/object
    """
    payment, invoice_id = hash_of(event.object.get("payment")), reference(event.object.get("invoice"))
    paid_by = reference(payment.get("payment_intent")) or reference(payment.get("charge"))
    return Lesson(known.profile, orders={paid_by: invoice_id} if paid_by and invoice_id else {})


def payment_method(event: StripeEvent, known: Known, rank: int) -> Lesson:
    """When a card expires; a card that is removed expires never more."""
    method_id, expiry = text(event.object.get("id")), read_payment_method.card_expiry_of(event.object)
    if event.customer is None or method_id is None or expiry is None:
        return Lesson(known.profile)
    there = None if event.type == "payment_method.detached" else expiry
    profile = known.profile.with_card(method_id, (event.created, rank), there)
    return Lesson(profile, profile.card_expires_at != known.profile.card_expires_at)


def product(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """The name people know a product by."""
    product_id, name = text(event.object.get("id")), text(event.object.get("name"))
    return Lesson(known.profile, product_names={product_id: name} if product_id and name else {})


def customer(event: StripeEvent, known: Known, _rank: int) -> Lesson:
    """When the customer was created; an update changes a trait only where it names one."""
    stated = integer(event.object.get("created"))
    profile = replace(
        known.profile,
        customer_created=known.profile.customer_created if stated is None else stated,
        deleted=known.profile.deleted or event.type == "customer.deleted",
    )
    # Events without `previous_attributes` (some integrations strip them) cannot rule a change out.
    return Lesson(profile, changed=not event.previous or bool(event.previous.keys() & TRAIT_FIELDS))


TRAIT_FIELDS = frozenset({"email", "name", "phone", "address", "metadata"})
