"""The tracking plan: every event, when it is sent and which properties it has; the mapper takes its names from here.

Names are Title Case, object and past-tense action; properties are snake_case and described in `properties.py`.
https://segment.com/docs/connections/spec/ecommerce/v2/ and /spec/b2b-saas/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["EVENTS", "EventPlan", "Name"]


class Name(StrEnum):
    """Every track event this pack sends."""

    CHECKOUT_COMPLETED = "Checkout Completed"
    CHECKOUT_EXPIRED = "Checkout Expired"
    CUSTOMER_DELETED = "Customer Deleted"
    INVOICE_PAID = "Invoice Paid"
    ORDER_COMPLETED = "Order Completed"
    ORDER_REFUNDED = "Order Refunded"
    PAYMENT_ACTION_REQUIRED = "Payment Action Required"
    PAYMENT_FAILED = "Payment Failed"
    PAYMENT_INFO_ENTERED = "Payment Info Entered"
    SUBSCRIPTION_ACTIVATED = "Subscription Activated"
    SUBSCRIPTION_CANCELLATION_SCHEDULED = "Subscription Cancellation Scheduled"
    SUBSCRIPTION_CANCELLED = "Subscription Cancelled"
    SUBSCRIPTION_CHANGED = "Subscription Changed"
    SUBSCRIPTION_COLLECTION_PAUSED = "Subscription Collection Paused"
    SUBSCRIPTION_COLLECTION_RESUMED = "Subscription Collection Resumed"
    SUBSCRIPTION_CREATED = "Subscription Created"
    SUBSCRIPTION_DOWNGRADED = "Subscription Downgraded"
    SUBSCRIPTION_EXPIRED = "Subscription Expired"
    SUBSCRIPTION_PAST_DUE = "Subscription Past Due"
    SUBSCRIPTION_PAUSED = "Subscription Paused"
    SUBSCRIPTION_REACTIVATED = "Subscription Reactivated"
    SUBSCRIPTION_RECOVERED = "Subscription Recovered"
    SUBSCRIPTION_RENEWED = "Subscription Renewed"
    SUBSCRIPTION_RESUMED = "Subscription Resumed"
    SUBSCRIPTION_UNPAID = "Subscription Unpaid"
    SUBSCRIPTION_UPDATE_APPLIED = "Subscription Update Applied"
    SUBSCRIPTION_UPDATE_EXPIRED = "Subscription Update Expired"
    SUBSCRIPTION_UPGRADED = "Subscription Upgraded"
    TRIAL_CONVERTED = "Trial Converted"
    TRIAL_ENDED = "Trial Ended"
    TRIAL_ENDING_SOON = "Trial Ending Soon"
    TRIAL_STARTED = "Trial Started"


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One track event: when it is sent, which properties it always has and which it may have."""

    when: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


_SUBSCRIBED = ("subscription_id", "status")
_PLAN = ("plan", "price_id", "product_id", "quantity", "billing_period", "amount", "currency", "mrr", "discounted")
_TRIAL = ("trial_start_date", "trial_end_date", "trial_plan_name")
_WHY = ("reason", "feedback", "cancelled_by")
_AMOUNTS = ("subtotal", "tax", "shipping", "discount", "coupon")
_INVOICE = ("order_id", "invoice_id", "total", "revenue", "currency")
_LINES = (
    "products",
    "products_omitted",
    "billing_reason",
    "subscription_id",
    "plan",
    "price_id",
    "product_id",
    "quantity",
)
_PREVIOUS = ("previous_plan", "previous_mrr", "previous_quantity", "previous_billing_period")


def _subscription(when: str, *more: str) -> EventPlan:
    return EventPlan(when, _SUBSCRIBED, (*_PLAN, *more))


def _change(when: str) -> EventPlan:
    return EventPlan(when, (*_SUBSCRIBED, "changed"), (*_PLAN, "mrr_change", *_PREVIOUS))


EVENTS: dict[Name, EventPlan] = {
    Name.CHECKOUT_COMPLETED: EventPlan(
        "a Checkout Session is completed, whatever it was for",
        ("checkout_id", "mode"),
        ("payment_status", "value", "currency", "order_id", "subscription_id", "coupon", "discount", "tax", "shipping"),
    ),
    Name.CHECKOUT_EXPIRED: EventPlan(
        "a Checkout Session expires unused", ("checkout_id", "mode", "recoverable"), ("value", "currency")
    ),
    Name.ORDER_COMPLETED: EventPlan(
        "a purchase is paid: a one-time Checkout, or a subscription's first invoice",
        ("order_id",),
        ("total", "revenue", "currency", "checkout_id", "invoice_id", *_AMOUNTS, *_LINES),
    ),
    Name.PAYMENT_INFO_ENTERED: EventPlan("a Checkout Session in setup mode is completed", ("checkout_id",)),
    Name.PAYMENT_FAILED: EventPlan(
        "a payment fails: each attempt at an invoice, or a Checkout's bank debit or voucher",
        ("order_id",),
        (
            *("checkout_id", "invoice_id", "subscription_id", "value", "currency"),
            *("attempt_count", "next_payment_attempt", "billing_reason"),
        ),
    ),
    Name.PAYMENT_ACTION_REQUIRED: EventPlan(
        "the customer must confirm a payment",
        ("order_id", "invoice_id"),
        ("subscription_id", "value", "currency", "attempt_count", "billing_reason"),
    ),
    Name.SUBSCRIPTION_CREATED: _subscription("a subscription is created, paid or not yet", "mrr_change"),
    Name.TRIAL_STARTED: EventPlan("a trial begins", _SUBSCRIBED, (*_TRIAL, *_PLAN, "mrr_change")),
    Name.SUBSCRIPTION_ACTIVATED: _subscription("the first payment of a subscription goes through", "mrr_change"),
    Name.SUBSCRIPTION_EXPIRED: _subscription("the first payment was never made"),
    Name.TRIAL_CONVERTED: EventPlan(
        "a trial becomes a paid subscription", _SUBSCRIBED, (*_TRIAL, *_PLAN, "mrr_change")
    ),
    Name.TRIAL_ENDED: EventPlan("a trial is over, converted or not", (*_SUBSCRIBED, "converted"), (*_TRIAL, *_PLAN)),
    Name.SUBSCRIPTION_UPGRADED: _change("the plan's monthly value goes up"),
    Name.SUBSCRIPTION_DOWNGRADED: _change("the plan's monthly value goes down"),
    Name.SUBSCRIPTION_CHANGED: _change("the items differ at the same, or an unknown, monthly value"),
    Name.SUBSCRIPTION_CANCELLATION_SCHEDULED: _subscription("a cancellation is scheduled", "cancels_at", *_WHY),
    Name.SUBSCRIPTION_REACTIVATED: _subscription("a scheduled cancellation is taken back"),
    Name.SUBSCRIPTION_PAST_DUE: _subscription("a renewal could not be collected", "mrr_change"),
    Name.SUBSCRIPTION_RECOVERED: _subscription("an overdue subscription is paid", "mrr_change"),
    Name.SUBSCRIPTION_UNPAID: _subscription("all retries failed and the subscription stays open unpaid", "mrr_change"),
    Name.SUBSCRIPTION_COLLECTION_PAUSED: _subscription("collection is paused", "collection_behavior", "resumes_at"),
    Name.SUBSCRIPTION_COLLECTION_RESUMED: _subscription("collection goes on"),
    Name.SUBSCRIPTION_CANCELLED: _subscription("a subscription has ended", *_WHY, "days_active", "mrr_change"),
    Name.SUBSCRIPTION_PAUSED: _subscription("a trial ended without a payment method", "mrr_change"),
    Name.SUBSCRIPTION_RESUMED: _subscription("a paused subscription goes on", "mrr_change"),
    Name.TRIAL_ENDING_SOON: EventPlan(
        "a trial ends in three days, or at once where it is shorter", _SUBSCRIBED, (*_TRIAL, *_PLAN)
    ),
    Name.SUBSCRIPTION_UPDATE_APPLIED: _subscription("a pending update is paid and applied"),
    Name.SUBSCRIPTION_UPDATE_EXPIRED: _subscription("a pending update was not paid in time"),
    Name.SUBSCRIPTION_RENEWED: EventPlan("a period's invoice is paid", _INVOICE, (*_AMOUNTS, *_LINES, "after_trial")),
    Name.INVOICE_PAID: EventPlan("any other invoice is paid", _INVOICE, (*_AMOUNTS, *_LINES)),
    Name.ORDER_REFUNDED: EventPlan(
        "money is given back, in part or in full",
        ("order_id", "charge_id", "fully_refunded"),
        ("total", "currency", "refunded_total"),
    ),
    Name.CUSTOMER_DELETED: EventPlan("a customer is deleted in Stripe", ()),
}
