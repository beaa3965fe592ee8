"""Applied and removed discounts; their coupons are stored for subscriptions that only name the discount."""

from __future__ import annotations

import json
from copy import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.known_later import corrected
from stripe_to_segment.mapping.tracking import Event, properties, track
from stripe_to_segment.stripe_side.discount import Remembered, coupon_from, coupons_of, ids_of, read_discounts
from stripe_to_segment.stripe_side.fields import dig, integer, iso_time, reference, text
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
    from stripe_to_segment.stripe_side.discount import Coupon as ReadCoupon
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "DiscountApplied",
    "DiscountRemoved",
    "after_discount",
    "applied",
    "by_customer",
    "of_customer",
    "removed",
    "switched",
    "with_coupon_ahead",
    "with_own_of",
]

# The name in a record's `as_of` for the Customer's own discounts.
OWN = "own_discounts"
# Before the name of a discount of the Customer that ended in that second: no event of its beginning brings it back.
GONE = "ended "
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


@track("Discount Applied", when="a discount is applied to a customer or a subscription, or gets another coupon")
class DiscountApplied(Discounted):
    """The setting `MrrDiscounts` decides whether it lowers the mrr."""

    discount_ends_at: DiscountEndsAt = None


@track("Discount Removed", when="a discount is removed or ends, or gets another coupon")
class DiscountRemoved(Discounted):
    """https://docs.stripe.com/api/events/types#event_types-customer.discount.deleted."""


class Told(NamedTuple):
    """What somebody says of the Customer's own discount as of an epoch second.

    The Customer has `now`, and `gone` has ended, which is all that is said if it `ends`. What `begins` a discount is
    older than all else of its second, and what is `unsure` may be.
    """

    as_of: int
    now: Any = None
    gone: Any = None
    begins: bool = False
    ends: bool = False
    unsure: bool = False


def applied(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """customer.discount.created."""
    yield Fact(_applied(event, known), _key(event.object, event))
    yield from _corrections(event, known)


def removed(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """customer.discount.deleted."""
    yield Fact(_stated(DiscountRemoved, event.object, event, known), _key(event.object, event))
    yield from _corrections(event, known)


def switched(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """customer.discount.updated: from one coupon to another."""
    was, now = ids_of(event.before), ids_of(event.object)
    if was != now:
        # A discount of its own has events of its own too; one that stays may get the same coupon again.
        once = f":{event.created}" if was[0] == now[0] else ""
        yield Fact(_stated(DiscountRemoved, event.before, event, known), _key(event.before, event) + once)
        yield Fact(_applied(event, known), _key(event.object, event) + once)
    yield from _corrections(event, known)


def _corrections(event: StripeEvent[shapes.Discount], known: Known) -> Iterator[Fact]:
    """Corrections of an mrr that any discount event makes possible."""
    yield from corrected(event, after_discount(event, known), known)[1]


def after_discount(event: StripeEvent[shapes.Discount], known: Known) -> Profile:
    """The record with the discount's coupon, and with the Customer's own discounts."""
    body, begins, ends = named(event.object, event.customer), *map(event.type.endswith, (".created", ".deleted"))
    if ids_of(body)[0] is None:
        return known.profile
    profile = known.profile
    if _is_held(body):
        coupons = coupons_of([body])
        if begins:
            return profile.with_discounts(_unknown(coupons, profile), known.coupons)
        return _without_former(profile, coupons).with_discounts(coupons, known.coupons)
    now, gone = (None, body) if ends else (body, None)
    return _with_own(profile, Told(event.created, now, gone, begins=begins, ends=ends), known.coupons)


def with_coupon_ahead(event: StripeEvent[shapes.Discount], profile: Profile) -> Profile:
    """The record with the coupon of a subscription's new discount, before the event of the discount is mapped.

    That event comes with those of the subscription, which has only the discount's id. It names no user: so it is mapped
    after the events that do, or waits for them.
    """
    if not _is_held(event.object):
        return profile
    return profile.with_discounts(_unknown(coupons_of([event.object]), profile), {})


def of_customer(event: StripeEvent[shapes.Customer], known: Known) -> Iterator[Fact]:
    """customer.created and .updated: corrections of an mrr that the Customer's own discount makes possible."""
    yield from by_customer(event, known.profile, known)[1]


def by_customer(event: StripeEvent[shapes.Customer], profile: Profile, known: Known) -> tuple[Profile, list[Fact]]:
    """The record with the Customer's own discount, and the facts that it or the return of an opted-out person allows.

    The subscriptions of a deleted Customer have ended.
    """
    if event.type.endswith(".deleted"):
        return profile, []
    after = _with_own_discount(event, profile, known)
    silent = any(record.ended_in_silence for record in profile.subscriptions.values())
    return corrected(event, after, known) if silent or after is not profile else (profile, [])


def _with_own_discount(event: StripeEvent[shapes.Customer], profile: Profile, known: Known) -> Profile:
    if "discount" not in event.object:
        return profile
    own, was = (named(holder.get("discount"), event.customer) for holder in (event.object, event.before))
    gone = was if "discount" in event.previous and reference(was) != reference(own) else None
    # An update of something else may be older or newer than a change of the discount within its second.
    begins = event.type.endswith(".created") or event.listing is not None
    unsure = begins or ("discount" not in event.previous and bool(event.previous))
    return _with_own(profile, Told(event.created, own, gone, begins=begins, unsure=unsure), known.coupons)


def with_own_of(customer: shapes.Customer | None, event: StripeEvent, profile: Profile) -> Profile:
    """The record with the own discount of a Customer that was read from the Stripe API, if it began before the event.

    Of a later one its own event tells.
    """
    if customer is None:
        return profile
    own = customer.get("discount")
    start = integer(dig(own, "start")) or 0
    if not isinstance(own, dict) or start > event.created:
        return profile
    return _with_own(profile, Told(start, named(own, event.customer), unsure=True), {})


def named(discount: Any, customer: str | None) -> Any:
    """The discount with an id: until 2020-08-27 it had none, and a Customer's own is named after the Customer."""
    if not isinstance(discount, dict) or discount.get("id") or _is_held(discount):
        return discount
    return {**discount, "id": customer}


def _is_held(discount: Mapping[str, Any]) -> bool:
    """Whether it is on something else than the Customer."""
    return any(map(discount.get, HOLDERS))


def _with_own(profile: Profile, told: Told, by_id: Mapping[str, str]) -> Profile:
    """The record with the Customer's own discount as told, unless a newer one is known.

    A Customer has one at most: a new one takes the place of the last. Those that began in one second and have not ended
    are all kept, the one that was told of last first.
    """
    as_of, now, gone, moment = told.as_of, told.now, told.gone, profile.as_of.get(OWN, 0)
    late = moment > as_of or (told.unsure and moment == as_of)
    coupons = coupons_of(None, now or gone)
    if late:
        coupons = {name: one for name, one in coupons.items() if name not in profile.discounts}
    elif told.begins and moment == as_of and not _follows_one_of_its_name(now, profile):
        coupons = _unknown(coupons, profile)
    else:
        profile = _without_former(profile, coupons)
    after, ended, nameless = profile.with_discounts(coupons, by_id), reference(gone), reference(dig(gone, "customer"))
    if late and gone and ended in profile.own_discounts and ended != nameless:
        # No id comes twice, so whatever is newer is about another discount.
        return replace(after, own_discounts=tuple(one for one in after.own_discounts if one != ended))
    if late or not (now or gone or OWN in profile.as_of):
        return after
    marks = {name: at for name, at in profile.as_of.items() if name.startswith(GONE) and at == as_of}
    marks |= {_mark(gone): as_of} if gone else {}
    kept = [one for one in profile.own_discounts if one != ended] if told.ends or moment == as_of else []
    if moment < as_of and nameless in {ended, *kept}:
        # It began in an API version where a discount has no id, and ended in one where it has, or the other way round.
        kept = []
    new = reference(now)
    own = (new, *kept) if new is not None and new not in kept and _mark(now) not in marks else tuple(kept)
    others = {name: at for name, at in after.as_of.items() if not name.startswith(GONE)}
    return replace(after, own_discounts=own, as_of={**others, **marks, OWN: as_of})


def _mark(discount: Any) -> str:
    """The name in a record's `as_of` of a discount that has ended: where it has no id of its own, by its start."""
    return f"{GONE}{reference(discount)} {dig(discount, 'start') or 0}"


def _follows_one_of_its_name(discount: Any, profile: Profile) -> bool:
    """Whether another one of its name has ended in this second, as of one Customer all have that had no id."""
    ended = f"{GONE}{reference(discount)} "
    return _mark(discount) not in profile.as_of and any(name.startswith(ended) for name in profile.as_of)


def _unknown(coupons: Mapping[str, str], profile: Profile) -> dict[str, str]:
    """Those of the coupons that another one has not replaced in their discount: the beginning may be told late."""
    known = {name: json.loads(written).get("id") for name, written in profile.discounts.items() if name in coupons}
    return {name: one for name, one in coupons.items() if known.get(name) in {None, json.loads(one).get("id")}}


def _without_former(profile: Profile, coupons: Mapping[str, str]) -> Profile:
    """The record without the coupons that these take the place of in their discount, whether they are known or not."""
    former = coupons.keys() - _unknown(coupons, profile).keys()
    kept = {name: written for name, written in profile.discounts.items() if name not in former}
    return replace(profile, discounts=kept) if former else profile


def _key(discount: shapes.Discount, event: StripeEvent[shapes.Discount]) -> str:
    return ids_of(discount)[0] or event.id


def _applied(event: StripeEvent[shapes.Discount], known: Known) -> DiscountApplied:
    stated = _stated(DiscountApplied, event.object, event, known)
    return replace(stated, discount_ends_at=iso_time(integer(event.object.get("end"))))


def _stated[E: Discounted](
    declared: type[E], discount: shapes.Discount, event: StripeEvent[shapes.Discount], known: Known
) -> E:
    coupon = _coupon_of(discount, event, known)
    return declared(
        discount_id=_key(discount, event),
        coupon=ids_of(discount)[1],
        promotion_code=reference(discount.get("promotion_code")),
        percent_off=None if coupon is None else coupon.percent_off,
        amount_off=None if coupon is None else major(coupon.amount_off, coupon.currency),
        currency=None if coupon is None or coupon.currency is None else coupon.currency.upper(),
        duration=None if coupon is None else coupon.duration,
        subscription_id=text(reference(discount.get("subscription"))),
    )


def _coupon_of(discount: shapes.Discount, event: StripeEvent[shapes.Discount], known: Known) -> ReadCoupon | None:
    """The coupon of the event's discount, after the event or before; a newer event may have named another one."""
    name, coupon_id = ids_of(discount)
    for profile in (after_discount(event, known), known.profile):
        written = profile.discounts.get(name or "")
        if written is not None and (found := coupon_from(written)) is not None and coupon_id in {None, found.id}:
            return found
    remembered = Remembered(coupons=frozenset(known.coupons.items()))
    return next(iter(read_discounts([discount], remembered=remembered).coupons), None)
