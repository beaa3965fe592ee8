"""Stripe's API shapes, and a subscription in each of them.

Which field stands where follows Stripe's changelog (https://docs.stripe.com/changelog): plans before 2020, plans and
prices since, periods on items, parents and pricing on invoices since 2025-03-31, coupons in `source` since 2025-09-30.
Additions reach old versions too, so one shape holds the old and the new fields at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulator.worth import Stated

if TYPE_CHECKING:
    from tests.simulator.terms import Coupon, Item, Price, Subscription

__all__ = ["SHAPES", "Rendering", "Shape"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """One API version's habits. `historic` payloads were stored before later additions reached old versions."""

    name: str
    version: str | None
    plans: bool = True
    prices: bool = True
    top_periods: bool = False
    item_periods: bool = False
    old_invoices: bool = False
    new_invoices: bool = False
    one_discount: bool = False
    many_discounts: bool = True
    coupon_in_source: bool = False
    refund_lists: bool = False
    historic: bool = False
    pauses: bool = True
    status_details: bool = False


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            "plan only",
            "2017-08-15",
            prices=False,
            top_periods=True,
            old_invoices=True,
            one_discount=True,
            many_discounts=False,
            refund_lists=True,
            historic=True,
            pauses=False,
        ),
        Shape(
            "plan and price",
            "2020-08-27",
            top_periods=True,
            old_invoices=True,
            one_discount=True,
            many_discounts=False,
            refund_lists=True,
            pauses=False,
        ),
        Shape("before basil", "2024-06-20", top_periods=True, old_invoices=True, one_discount=True),
        Shape("basil", "2025-04-30.basil", item_periods=True, new_invoices=True),
        Shape("clover", "2025-10-29.clover", item_periods=True, new_invoices=True, coupon_in_source=True),
        Shape(
            "endive",
            "2026-10-28.endive",
            item_periods=True,
            new_invoices=True,
            coupon_in_source=True,
            status_details=True,
        ),
        Shape(
            "both at once",
            None,
            top_periods=True,
            item_periods=True,
            old_invoices=True,
            new_invoices=True,
            one_discount=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """A shape with what varies inside a version.

    Parameters
    ----------
    shape
        The API version's habits.
    expands
        The plural `discounts` hold objects with their coupon; webhooks hold ids.
    keeps_plans
        Items carry `plan` beside `price`, as most payloads still do.
    names_items
        A plan change lists the old items; some old events list the plan and the quantity alone.
    whole_plans
        `previous_attributes.plan` is the whole old plan, as in Dashboard samples, not its changed keys.
    invoice_payments
        `invoice_payment.paid` is subscribed to (it exists since 2025-05-28).
    """

    shape: Shape
    expands: bool = False
    keeps_plans: bool = True
    names_items: bool = True
    whole_plans: bool = False
    invoice_payments: bool = True

    @property
    def stated(self) -> Stated:
        """Where payloads say what coupons take off; the singular `discount` never stood on items."""
        return Stated(self.shape.one_discount or self.expands, self.expands)

    def subscription(self, state: Subscription) -> Json:
        """The Subscription as a webhook shows it."""
        shape, single = self.shape, state.items[0] if len(state.items) == 1 else None
        start, end = min((item.period for item in state.items), key=lambda period: period[1])
        body: Json = {
            "id": state.id,
            "object": "subscription",
            "cancel_at_period_end": state.at_period_end,
            "canceled_at": state.asked_to_cancel,
            "created": state.start,
            "customer": state.customer,
            "default_payment_method": state.payment_method,
            "ended_at": state.ended,
            "items": {
                "object": "list",
                "data": [self._item(item, state.id) for item in (state.items[:1] if state.cut else state.items)],
                "has_more": state.cut,
                "total_count": len(state.items),
                "url": f"/v1/subscription_items?subscription={state.id}",
            },
            "latest_invoice": state.latest_invoice,
            "livemode": False,
            "metadata": dict(state.metadata),
            "status": state.status,
            "trial_end": state.trial and state.trial[1],
            "trial_start": state.trial and state.trial[0],
        }
        if shape.top_periods:
            body |= {"current_period_start": start, "current_period_end": end}
        if shape.plans and self.keeps_plans:
            body |= {
                "plan": None if single is None else self.plan(single.price),
                "quantity": None if single is None or single.price.metered else single.quantity,
            }
        if shape.one_discount:
            body["discount"] = next((self._discount(coupon, state) for coupon in state.coupons), None)
        if shape.many_discounts:
            body["discounts"] = self._discounts(state.coupons, state)
        if shape.historic:
            return body | {"start": state.start}
        if shape.status_details:
            body["status_details"] = _paused(state) if state.status == "paused" else None
        collection = state.collection and {"behavior": state.collection, "resumes_at": None}
        return body | {
            "billing_mode": {"type": "flexible" if state.flexible else "classic"},
            "cancel_at": state.cancels_at,
            "cancellation_details": {"comment": None, "feedback": state.feedback, "reason": state.reason},
            "currency": state.currency,
            "pause_collection": collection,
            "start_date": state.start,
        }

    def _item(self, item: Item, subscription: str) -> Json:
        body: Json = {
            "id": item.id,
            "object": "subscription_item",
            "created": 1_700_000_000,
            "metadata": {},
            "subscription": subscription,
        }
        if self.shape.plans and self.keeps_plans:
            body["plan"] = self.plan(item.price)
        if self.shape.prices:
            body["price"] = self.price(item.price)
        if not item.price.metered:
            body["quantity"] = item.quantity
        if self.shape.item_periods:
            body |= {"current_period_start": item.period[0], "current_period_end": item.period[1]}
        if self.shape.many_discounts:
            body["discounts"] = self._discounts(item.coupons, None)
        return body

    def price(self, price: Price) -> Json:
        """A Price, as since 2020."""
        body = {
            "id": price.id,
            "object": "price",
            "active": True,
            "billing_scheme": "tiered" if price.tiered else "per_unit",
            "currency": price.currency,
            "livemode": False,
            "lookup_key": None,
            "metadata": {},
            "nickname": price.nickname,
            "product": price.product,
            "recurring": {
                "interval": price.interval,
                "interval_count": price.every,
                "meter": None,
                "usage_type": "metered" if price.metered else "licensed",
            },
            "tiers_mode": "graduated" if price.tiered else None,
            "transform_quantity": price.package and {"divide_by": price.package[0], "round": price.package[1]},
            "type": "recurring",
        }
        return body | _amount("unit_amount", price)

    def plan(self, price: Price) -> Json:
        """The same as a Plan."""
        body = {
            "id": price.id,
            "object": "plan",
            "active": True,
            "billing_scheme": "tiered" if price.tiered else "per_unit",
            "currency": price.currency,
            "interval": price.interval,
            "interval_count": price.every,
            "livemode": False,
            "metadata": {},
            "nickname": price.nickname,
            "product": price.product,
            "tiers_mode": "graduated" if price.tiered else None,
            "transform_usage": price.package and {"divide_by": price.package[0], "round": price.package[1]},
            "usage_type": "metered" if price.metered else "licensed",
        }
        return body | _amount("amount", price)

    def _discounts(self, coupons: tuple[Coupon, ...], holder: Subscription | None) -> list[Any]:
        if not self.expands:
            return [coupon.discount for coupon in coupons]
        return [self._discount(coupon, holder) for coupon in coupons]

    def _discount(self, coupon: Coupon, holder: Subscription | None) -> Json:
        stated = {
            "id": coupon.id,
            "object": "coupon",
            "amount_off": coupon.amount,
            "currency": None if coupon.amount is None or holder is None else holder.currency,
            "duration": coupon.duration,
            "percent_off": None if coupon.percent is None else float(coupon.percent),
            "valid": True,
            **({} if coupon.product is None else {"applies_to": {"products": [coupon.product]}}),
        }
        body: Json = {"object": "discount", "end": None, "promotion_code": None, "start": 1_700_000_000}
        if not self.shape.historic:
            body["id"] = coupon.discount
        if self.shape.coupon_in_source:
            return body | {"source": {"type": "coupon", "coupon": stated}}
        return body | {"coupon": stated}


def _paused(state: Subscription) -> Json:
    return {"paused": {"type": "subscription", "subscription": {"type": state.pause}, "transitioned_at": state.start}}


def _amount(name: str, price: Price) -> Json:
    if price.tiered:
        return {name: None, f"{name}_decimal": None}
    whole = price.amount == price.amount.to_integral_value()
    return {name: int(price.amount) if whole else None, f"{name}_decimal": f"{price.amount.normalize():f}"}
