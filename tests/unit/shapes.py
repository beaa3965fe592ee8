"""Stripe objects in the shapes Stripe has given them, small enough that a test shows what matters.

The complete bodies are in `events/`; these carry the fields that the readers look at, where each version puts them.
"""

from __future__ import annotations

import itertools
from typing import Any

from stripe_to_segment.stripe_side.event import StripeEvent, event_from

NOW = 1_795_000_000
DAY = 86_400

_numbers = itertools.count(1)


def an_event(kind: str, body: dict[str, Any], **more: Any) -> StripeEvent:
    """An event of a type around an object; `previous` are its `previous_attributes`."""
    previous = more.pop("previous", None)
    data: dict[str, Any] = {"object": body}
    if previous is not None:
        data["previous_attributes"] = previous
    envelope = {
        "id": f"evt_{next(_numbers):016d}",
        "object": "event",
        "api_version": None,
        "created": NOW,
        "data": data,
        "livemode": False,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    return event_from({**envelope, **more})


def a_price(amount: int | None = 2000, interval: str = "month", **more: Any) -> dict[str, Any]:
    """A recurring price in today's shape."""
    recurring = {"interval": interval, "interval_count": 1, "usage_type": "licensed", "meter": None}
    recurring |= more.pop("recurring", {})
    return {
        "id": "price_basic",
        "object": "price",
        "billing_scheme": "per_unit",
        "currency": "usd",
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": "prod_basic",
        "recurring": recurring,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": None if amount is None else str(amount),
    } | more


def a_plan(amount: int | None = 2000, interval: str = "month", **more: Any) -> dict[str, Any]:
    """The same as a Plan, all that subscriptions had before 2020."""
    return {
        "id": "plan_basic",
        "object": "plan",
        "amount": amount,
        "currency": "usd",
        "interval": interval,
        "interval_count": 1,
        "nickname": None,
        "product": "prod_basic",
        "usage_type": "licensed",
    } | more


def an_item(price: dict[str, Any] | None = None, quantity: int | None = 1, **more: Any) -> dict[str, Any]:
    """A subscription item in today's shape, with its own period."""
    return {
        "id": "si_basic",
        "object": "subscription_item",
        "current_period_start": NOW,
        "current_period_end": NOW + 30 * DAY,
        "discounts": [],
        "price": price or a_price(),
        "quantity": quantity,
    } | more


def a_subscription(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A subscription since 2025-03-31: periods on the items, discounts as a list."""
    return {
        "id": "sub_basic",
        "object": "subscription",
        "billing_mode": {"type": "flexible"},
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "created": NOW - 100 * DAY,
        "currency": "usd",
        "customer": "cus_basic",
        "discounts": [],
        "ended_at": None,
        "items": {"object": "list", "data": list(items) or [an_item()], "has_more": False},
        "metadata": {},
        "pause_collection": None,
        "start_date": NOW - 100 * DAY,
        "status": "active",
        "trial_end": None,
        "trial_start": None,
    } | more


def an_old_subscription(plan: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A subscription as before 2020: a plan and a quantity, one item that carries the plan, the period on top."""
    plan = plan or a_plan()
    quantity = more.get("quantity", 1)
    return {
        "id": "sub_old",
        "object": "subscription",
        "cancel_at_period_end": False,
        "canceled_at": None,
        "created": NOW - 100 * DAY,
        "current_period_start": NOW,
        "current_period_end": NOW + 30 * DAY,
        "customer": "cus_old",
        "discount": None,
        "ended_at": None,
        "items": {
            "object": "list",
            "data": [{"id": "si_old", "object": "subscription_item", "plan": plan, "quantity": quantity}],
            "has_more": False,
        },
        "metadata": {},
        "plan": plan,
        "quantity": quantity,
        "start": NOW - 100 * DAY,
        "status": "active",
        "trial_end": None,
        "trial_start": None,
    } | more


def an_invoice(**more: Any) -> dict[str, Any]:
    """A paid invoice since 2025-03-31: no charge, no payment intent, the subscription under `parent`."""
    total = more.get("total", 2000)
    return {
        "id": "in_basic",
        "object": "invoice",
        "amount_due": total,
        "amount_paid": total,
        "attempt_count": 1,
        "billing_reason": "subscription_create",
        "created": NOW,
        "currency": "usd",
        "customer": "cus_basic",
        "discounts": [],
        "lines": {
            "object": "list",
            "data": [
                {
                    "id": "il_basic",
                    "object": "line_item",
                    "amount": total,
                    "description": "1 x Basic (at $20.00 / month)",
                    "discounts": [],
                    "parent": {
                        "type": "subscription_item_details",
                        "subscription_item_details": {"proration": False, "subscription": "sub_basic"},
                    },
                    "pricing": {
                        "type": "price_details",
                        "price_details": {"price": "price_basic", "product": "prod_basic"},
                        "unit_amount_decimal": "2000",
                    },
                    "quantity": 1,
                }
            ],
            "has_more": False,
        },
        "metadata": {},
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": "sub_basic", "metadata": {}},
        },
        "status": "paid",
        "subtotal": total,
        "total": total,
        "total_discount_amounts": [],
        "total_taxes": [],
    } | more


def a_session(**more: Any) -> dict[str, Any]:
    """A completed one-time Checkout Session, paid, without an invoice."""
    return {
        "id": "cs_test_basic",
        "object": "checkout.session",
        "amount_subtotal": 5000,
        "amount_total": 5000,
        "client_reference_id": None,
        "currency": "usd",
        "customer": "cus_basic",
        "customer_details": {"email": "jo@example.com", "name": "Jo Example", "phone": None, "address": None},
        "discounts": [],
        "invoice": None,
        "metadata": {},
        "mode": "payment",
        "payment_intent": "pi_basic",
        "payment_status": "paid",
        "shipping_cost": None,
        "status": "complete",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    } | more


def a_charge(**more: Any) -> dict[str, Any]:
    """A charge, fully refunded."""
    return {
        "id": "ch_basic",
        "object": "charge",
        "amount": 5000,
        "amount_refunded": 5000,
        "currency": "usd",
        "customer": "cus_basic",
        "payment_intent": "pi_basic",
        "refunded": True,
    } | more


def an_intent(**more: Any) -> dict[str, Any]:
    """A payment intent that succeeded and says nothing of an order."""
    return {
        "id": "pi_basic",
        "object": "payment_intent",
        "amount": 5000,
        "amount_received": 5000,
        "currency": "usd",
        "customer": "cus_basic",
        "latest_charge": "ch_basic",
        "metadata": {},
        "status": "succeeded",
        "created": NOW,
    } | more


def a_refund(**more: Any) -> dict[str, Any]:
    """A refund of all of it, which names no customer."""
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 5000,
        "charge": "ch_basic",
        "payment_intent": "pi_basic",
        "currency": "usd",
        "reason": "requested_by_customer",
        "status": "succeeded",
        "metadata": {},
        "created": NOW,
    } | more


def a_dispute(**more: Any) -> dict[str, Any]:
    """A dispute about all of it, which names no customer."""
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 5000,
        "charge": "ch_basic",
        "payment_intent": "pi_basic",
        "currency": "usd",
        "reason": "fraudulent",
        "status": "needs_response",
        "evidence_details": {"due_by": NOW + 1_000_000},
        "payment_method_details": {"card": {"network_reason_code": "10.4"}, "type": "card"},
    } | more


def a_customer(**more: Any) -> dict[str, Any]:
    """A customer."""
    return {
        "id": "cus_basic",
        "object": "customer",
        "address": None,
        "created": NOW - 200 * DAY,
        "email": "jo@example.com",
        "metadata": {},
        "name": "Jo Example",
        "phone": None,
    } | more
