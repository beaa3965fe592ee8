"""Applied and removed discounts; their coupons are stored for subscriptions that only name the discount."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.known_later import corrected
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.stripe_side.discount import coupon_from, coupons_of, ids_of, read_discounts
from stripe_to_segment.stripe_side.fields import integer, iso_time, reference, text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import (
        AmountOff,
        Coupon,
        Currency,
        DiscountEndsAt,
        DiscountId,
        Duration,
        PercentOff,
        PromotionCode,
        SubscriptionId,
    )
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "DiscountApplied",
    "DiscountRemoved",
    "after_discount",
    "applied",
    "by_customer",
    "changed",
    "of_customer",
    "removed",
]

# The name in a record's `as_of` for the Customer's own discounts.
OWN = "own_discounts"
# The fields that name what a discount is on, where that is not the Customer. https://docs.stripe.com/api/discounts/object
HOLDERS = ("subscription", "subscription_item", "invoice", "invoice_item", "checkout_session")


@properties
class Discounted(Event):
    """The discount, with the coupon's content if this or an earlier payload states it."""

    discount_id: DiscountId
    coupon: Coupon = None
    promotion_code: PromotionCode = None
    percent_off: PercentOff = None
    amount_off: AmountOff = None
    currency: Currency = None
    duration: Duration = None
    subscription_id: SubscriptionId = None


@track("Discount Applied", when="a discount is applied to a customer or a subscription")
class DiscountApplied(Discounted):
    """The setting `MrrDiscounts` decides whether it lowers the mrr."""

    discount_ends_at: DiscountEndsAt = None


@track("Discount Removed", when="a discount is removed or ends")
class DiscountRemoved(Discounted):
    """https://docs.stripe.com/api/events/types#event_types-customer.discount.deleted."""


def applied(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """customer.discount.created."""
    stated = _stated(DiscountApplied, event, known)
    yield Fact(replace(stated, discount_ends_at=iso_time(integer(event.object.get("end")))), _key(event))
    yield from changed(event, known)


def removed(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """customer.discount.deleted."""
    yield Fact(_stated(DiscountRemoved, event, known), _key(event))
    yield from changed(event, known)


def changed(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """customer.discount.updated, and corrections of an mrr that any discount event makes possible."""
    yield from corrected(event, after_discount(event, known), known)[1]


def after_discount(event: StripeEvent[shapes.Discount], known: Known) -> Profile:
    """The record with the discount's coupon, and with the Customer's own discounts."""
    body = named(event.object, event.customer)
    discount = ids_of(body)[0]
    if discount is None:
        return known.profile
    profile = known.profile
    if any(body.get(name) for name in HOLDERS):
        return profile.with_discounts(coupons_of([body]), known.coupons)
    # A Customer has one discount at most: a new one takes the place of the last.
    ended = event.type.endswith(".deleted")
    own = tuple(one for one in profile.own_discounts if one != discount) if ended else (discount,)
    return _with_own(profile, own, coupons_of([body]), event.created, known)


def of_customer(event: StripeEvent[shapes.Customer], known: Known) -> Iterator[Fact]:
    """customer.created and .updated: corrections of an mrr that the Customer's own discount makes possible."""
    yield from by_customer(event, known.profile, known)[1]


def by_customer(event: StripeEvent[shapes.Customer], profile: Profile, known: Known) -> tuple[Profile, list[Fact]]:
    """The record with the Customer's own discount, and the facts that it makes possible.

    The subscriptions of a deleted Customer have ended.
    """
    if "discount" not in event.object or event.type.endswith(".deleted"):
        return profile, []
    own = event.object.get("discount")
    own = named(own, event.customer) if isinstance(own, dict) else own
    discount = reference(own)
    after = _with_own(profile, () if discount is None else (discount,), coupons_of(None, own), event.created, known)
    return (profile, []) if after is profile else corrected(event, after, known)


def named(discount: shapes.Discount, customer: str | None) -> shapes.Discount:
    """The discount with an id: until 2020-08-27 it had none, and a Customer's own is named after the Customer."""
    return discount if discount.get("id") or any(map(discount.get, HOLDERS)) else {**discount, "id": customer}


def _with_own(profile: Profile, own: tuple[str, ...], coupons: Mapping[str, str], as_of: int, known: Known) -> Profile:
    """The record with the ids of the Customer's own discounts as of an epoch second, unless newer ones are known.

    And with their coupons: a discount may get another one, and until 2020-08-27 all of a Customer had one name.
    """
    late = profile.as_of.get(OWN, 0) > as_of
    stated = {name: one for name, one in coupons.items() if not (late and name in profile.discounts)}
    profile = profile.with_discounts(stated, known.coupons)
    if late or (own == profile.own_discounts and not (own or coupons or OWN in profile.as_of)):
        return profile
    return replace(profile, own_discounts=own, as_of={**profile.as_of, OWN: as_of})


def _key(event: StripeEvent[shapes.Discount]) -> str:
    return ids_of(event.object)[0] or event.id


def _stated[E: Discounted](declared: type[E], event: StripeEvent[shapes.Discount], known: Known) -> E:
    body = event.object
    discount, coupon_id = ids_of(body)
    written = after_discount(event, known).discounts.get(discount or "")
    coupon = next(iter(read_discounts([body]).coupons), None) if written is None else coupon_from(written)
    return declared(
        discount_id=_key(event),
        coupon=coupon_id,
        promotion_code=reference(body.get("promotion_code")),
        percent_off=None if coupon is None else coupon.percent_off,
        amount_off=None if coupon is None else major(coupon.amount_off, coupon.currency),
        currency=None if coupon is None or coupon.currency is None else coupon.currency.upper(),
        duration=None if coupon is None else coupon.duration,
        subscription_id=text(reference(body.get("subscription"))),
    )
