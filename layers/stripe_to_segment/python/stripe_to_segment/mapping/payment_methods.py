"""Facts about a customer's payment methods: added, updated, removed."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.tracking import Event, always, properties, track
from stripe_to_segment.stripe_side import payment_method as read
from stripe_to_segment.stripe_side.fields import iso_time, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        Automatic,
        CardBrand,
        CardExpiresAt,
        PaymentMethodId,
        PaymentMethodType,
    )
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["PaymentMethodAdded", "PaymentMethodRemoved", "PaymentMethodUpdated", "added", "removed", "updated"]


@properties
class OfPaymentMethod(Event):
    """The payment method without any number, not even the last digits."""

    payment_method_id: PaymentMethodId
    payment_method_type: PaymentMethodType = None
    card_brand: CardBrand = None
    card_expires_at: CardExpiresAt = None


@track("Payment Method Added", when="a payment method is attached to a customer")
class PaymentMethodAdded(OfPaymentMethod):
    """https://docs.stripe.com/payments/save-and-reuse."""


@track("Payment Method Updated", when="a customer's payment method changes, by hand or by the card network")
class PaymentMethodUpdated(OfPaymentMethod):
    """https://docs.stripe.com/payments/cards/overview#automatic-card-updates."""

    automatic: Automatic = always()


@track("Payment Method Removed", when="a payment method is detached from a customer")
class PaymentMethodRemoved(OfPaymentMethod):
    """It can never be used again."""


def added(event: StripeEvent[shapes.PaymentMethod], _: Known) -> Iterator[Fact]:
    """payment_method.attached."""
    yield from _fact(_about(PaymentMethodAdded, event), event)


def updated(event: StripeEvent[shapes.PaymentMethod], _: Known) -> Iterator[Fact]:
    """payment_method.updated, and payment_method.automatically_updated by the card's network."""
    automatic = event.type == "payment_method.automatically_updated"
    yield from _fact(replace(_about(PaymentMethodUpdated, event), automatic=automatic), event)


def removed(event: StripeEvent[shapes.PaymentMethod], _: Known) -> Iterator[Fact]:
    """payment_method.detached; the event's `previous_attributes` name the customer."""
    yield from _fact(_about(PaymentMethodRemoved, event), event)


def _about[E: OfPaymentMethod](declared: type[E], event: StripeEvent[shapes.PaymentMethod]) -> E:
    method = event.object
    return declared(
        payment_method_id=text(method.get("id")),
        payment_method_type=text(method.get("type")),
        card_brand=read.card_brand_of(method),
        card_expires_at=iso_time(read.card_expiry_of(method)),
    )


def _fact(stated: OfPaymentMethod, event: StripeEvent[shapes.PaymentMethod]) -> Iterator[Fact]:
    # A payment method without a customer is not a fact about a customer.
    if event.customer is not None:
        yield Fact(stated, f"{event.object.get('id')}:{event.created}")
