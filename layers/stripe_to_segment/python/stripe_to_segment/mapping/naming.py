"""The stored names that an event needs: of products whose price has no label, and of coupons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.invoices import lines_of
from stripe_to_segment.mapping.subscriptions.state import items_after, items_then
from stripe_to_segment.stripe_side.discount import coupon_from, ids_of, read_discounts
from stripe_to_segment.stripe_side.event import asked_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.stripe_side.discount import Coupon
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.price import Price

__all__ = ["coupons_needed", "coupons_stated", "names_needed", "products_needed"]


def products_needed(event: StripeEvent) -> list[str]:
    """Ids of products whose name is needed because the price has none of its own."""
    return _products(_nameless(event))


@asked_once
def names_needed(event: StripeEvent) -> list[str]:
    """Ids of these products, and of the prices that are named by their id alone: their own events have their names."""
    nameless = _nameless(event)
    return [price.id for price in nameless if price.id and price.by_id] + _products(nameless) if nameless else []


def _products(nameless: list[Price]) -> list[str]:
    return [price.product for price in nameless if price.product]


def _nameless(event: StripeEvent) -> list[Price]:
    if event.type.startswith("customer.subscription."):
        items = (*items_after(event), *items_then(event))
        prices = [item.price for item in items]
    elif event.type in {"invoice.paid", "invoice.upcoming"}:
        prices = [line.price for line in lines_of(event)]
    else:
        return []
    return [price for price in prices if not price.label]


@asked_once
def coupons_needed(event: StripeEvent) -> list[str]:
    """Ids of the coupons that the event names or states: no event states the products that a coupon is limited to."""
    before = [event.before] if event.about == "customer.discount" and event.previous else []
    return [coupon for one in (*_discounts_in(event), *before) if (coupon := ids_of(one)[1])]


def coupons_stated(event: StripeEvent, known: Mapping[str, str]) -> dict[str, str]:
    """The coupons that the event states, as written, by id, without those that are known, unless it has a newer one.

    Discounts of other customers may only name them: what is stated in an older API version is named in a newer one.
    """
    stated = read_discounts(_discounts_in(event)).coupons
    former = {name: coupon_from(written) for name, written in known.items()}
    return {
        coupon.id: coupon.written
        for coupon in stated
        if coupon.id and coupon.duration and _made(coupon) > _made(former.get(coupon.id))
    }


def _made(coupon: Coupon | None) -> int:
    return -1 if coupon is None else coupon.created or 0


def _discounts_in(event: StripeEvent) -> list[object]:
    body = event.object
    if event.about == "customer.discount":
        return [body]
    if event.about == "customer":
        return [body.get("discount")]
    if event.about == "customer.subscription":
        items = [one for item in items_after(event) for one in item.discounts]
        return [body.get("discount"), *(body.get("discounts") or ()), *items]
    return []
