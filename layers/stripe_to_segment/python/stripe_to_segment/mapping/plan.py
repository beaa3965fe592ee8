"""The tracking plan: every event name, property and trait, written down once and used by the mapper.

Names are Title Case, object and past-tense action; properties are snake_case; amounts are in major units.
https://segment.com/docs/connections/spec/ecommerce/v2/ and /spec/b2b-saas/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["EVENTS", "GROUP_TRAITS", "USER_TRAITS", "EventPlan", "Kind", "Name", "Property"]


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


class Kind(StrEnum):
    """How a value stands on the wire."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    STRINGS = "strings"
    PRODUCTS = "products"


@dataclass(frozen=True, slots=True)
class Property:
    """One property or trait: how it stands on the wire and what it means."""

    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One track event: when it is sent, which properties it always has and which it may have."""

    when: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def properties(self) -> tuple[str, ...]:
        """Every property, required ones first."""
        return (*self.required, *self.optional)


PROPERTIES: dict[str, Property] = {
    "after_trial": Property(Kind.BOOLEAN, "true for the first payment after a trial, where the trial's end is known"),
    "amount": Property(Kind.NUMBER, "what one billing period costs, in major units, before tax and discounts"),
    "attempt_count": Property(Kind.INTEGER, "how often collecting this invoice was tried"),
    "billing_period": Property(Kind.STRING, "month, year, week, day or a number of them: 3 months"),
    "billing_reason": Property(Kind.STRING, "Stripe's word for why the invoice exists"),
    "cancelled_by": Property(Kind.STRING, "customer, payment_failure, dispute or retention_policy"),
    "cancels_at": Property(Kind.TIME, "when the subscription will end by itself"),
    "changed": Property(Kind.STRINGS, "which of plan, quantity, billing_period, items, discount changed"),
    "charge_id": Property(Kind.STRING, "Stripe's charge"),
    "checkout_id": Property(Kind.STRING, "the Checkout Session"),
    "collection_behavior": Property(Kind.STRING, "what happens to invoices while collection is paused"),
    "converted": Property(Kind.BOOLEAN, "whether the trial became a paid subscription"),
    "coupon": Property(Kind.STRING, "the first coupon named"),
    "currency": Property(Kind.STRING, "ISO code in upper case"),
    "days_active": Property(Kind.INTEGER, "whole days from the subscription's start to its end"),
    "discount": Property(Kind.NUMBER, "discounts in major units"),
    "discounted": Property(Kind.BOOLEAN, "true where discounts are known by id only, so mrr is before discounts"),
    "feedback": Property(Kind.STRING, "the customer's choice in the cancellation form"),
    "fully_refunded": Property(Kind.BOOLEAN, "whether nothing of the charge is left"),
    "invoice_id": Property(Kind.STRING, "Stripe's invoice"),
    "mode": Property(Kind.STRING, "payment, subscription or setup"),
    "mrr": Property(Kind.NUMBER, "monthly recurring revenue of the subscription in major units"),
    "mrr_change": Property(Kind.NUMBER, "by how much this event changed the subscription's mrr"),
    "next_payment_attempt": Property(Kind.TIME, "when Stripe tries again"),
    "order_id": Property(Kind.STRING, "the invoice, or the payment intent where there is no invoice"),
    "payment_status": Property(Kind.STRING, "paid, unpaid or no_payment_required"),
    "plan": Property(Kind.STRING, "the plan's name: metadata, lookup key, nickname, product name or price id"),
    "previous_billing_period": Property(Kind.STRING, "billing_period before the change"),
    "previous_mrr": Property(Kind.NUMBER, "mrr before the change"),
    "previous_plan": Property(Kind.STRING, "plan before the change"),
    "previous_quantity": Property(Kind.INTEGER, "quantity before the change"),
    "price_id": Property(Kind.STRING, "Stripe's price"),
    "product_id": Property(Kind.STRING, "Stripe's product"),
    "products": Property(Kind.PRODUCTS, "the lines: product_id, name, price, quantity, coupon"),
    "quantity": Property(Kind.INTEGER, "seats or units of the plan"),
    "reason": Property(Kind.STRING, "why it ended or failed, in Stripe's words"),
    "recoverable": Property(Kind.BOOLEAN, "whether Stripe offers a recovery url"),
    "refunded_total": Property(Kind.NUMBER, "all refunds of the charge so far"),
    "resumes_at": Property(Kind.TIME, "when collection resumes by itself"),
    "revenue": Property(Kind.NUMBER, "collected less tax and shipping; on exactly one call for each payment"),
    "shipping": Property(Kind.NUMBER, "shipping without its tax"),
    "status": Property(Kind.STRING, "the subscription's status in Stripe"),
    "subscription_id": Property(Kind.STRING, "Stripe's subscription"),
    "subtotal": Property(Kind.NUMBER, "before discounts and tax"),
    "tax": Property(Kind.NUMBER, "tax in major units"),
    "total": Property(Kind.NUMBER, "collected (or given back) in major units"),
    "trial_end_date": Property(Kind.TIME, "end of the trial"),
    "trial_plan_name": Property(Kind.STRING, "the plan on trial"),
    "trial_start_date": Property(Kind.TIME, "start of the trial"),
    "value": Property(Kind.NUMBER, "what is at stake, in major units; never revenue"),
}

_SUBSCRIPTION = (
    "plan",
    "price_id",
    "product_id",
    "quantity",
    "billing_period",
    "amount",
    "currency",
    "mrr",
    "discounted",
)
_SUBSCRIBED = ("subscription_id", "status")
_CHANGE = (
    *_SUBSCRIPTION,
    "mrr_change",
    "previous_plan",
    "previous_mrr",
    "previous_quantity",
    "previous_billing_period",
    "changed",
)
_TRIAL = ("trial_start_date", "trial_end_date", "trial_plan_name")
_ORDER = ("subtotal", "tax", "shipping", "discount", "coupon", "products")
_INVOICED = (*_ORDER, "invoice_id", "billing_reason", "subscription_id", "plan", "price_id", "product_id", "quantity")


def _subscription(when: str, *extra: str) -> EventPlan:
    return EventPlan(when, _SUBSCRIBED, (*_SUBSCRIPTION, "mrr_change", *extra))


def _change(when: str) -> EventPlan:
    return EventPlan(when, _SUBSCRIBED, _CHANGE)


EVENTS: dict[Name, EventPlan] = {
    Name.CHECKOUT_COMPLETED: EventPlan(
        "a Checkout Session is completed",
        ("checkout_id",),
        (
            "mode",
            "payment_status",
            "value",
            "currency",
            "order_id",
            "subscription_id",
            "coupon",
            "discount",
            "tax",
            "shipping",
        ),
    ),
    Name.CHECKOUT_EXPIRED: EventPlan(
        "a Checkout Session expires unused", ("checkout_id",), ("mode", "value", "currency", "recoverable")
    ),
    Name.ORDER_COMPLETED: EventPlan(
        "a purchase is paid: a one-time Checkout, or a subscription's first invoice",
        ("order_id", "total", "revenue", "currency"),
        ("checkout_id", *_INVOICED),
    ),
    Name.PAYMENT_INFO_ENTERED: EventPlan("a Checkout Session in setup mode is completed", ("checkout_id",)),
    Name.PAYMENT_FAILED: EventPlan(
        "a payment fails",
        (),
        (
            "order_id",
            "checkout_id",
            "invoice_id",
            "subscription_id",
            "value",
            "currency",
            "attempt_count",
            "next_payment_attempt",
            "billing_reason",
        ),
    ),
    Name.PAYMENT_ACTION_REQUIRED: EventPlan(
        "the customer must confirm a payment",
        ("invoice_id",),
        ("order_id", "subscription_id", "value", "currency", "attempt_count", "billing_reason"),
    ),
    Name.SUBSCRIPTION_CREATED: _subscription("a subscription is created"),
    Name.TRIAL_STARTED: EventPlan("a trial begins", _SUBSCRIBED, (*_TRIAL, *_SUBSCRIPTION, "mrr_change")),
    Name.SUBSCRIPTION_ACTIVATED: _subscription("the first payment of a subscription goes through"),
    Name.SUBSCRIPTION_EXPIRED: _subscription("the first payment was never made"),
    Name.TRIAL_CONVERTED: EventPlan(
        "a trial becomes a paid subscription", _SUBSCRIBED, (*_TRIAL, *_SUBSCRIPTION, "mrr_change")
    ),
    Name.TRIAL_ENDED: EventPlan("a trial is over", (*_SUBSCRIBED, "converted"), (*_TRIAL, *_SUBSCRIPTION)),
    Name.SUBSCRIPTION_UPGRADED: _change("the plan's monthly value goes up"),
    Name.SUBSCRIPTION_DOWNGRADED: _change("the plan's monthly value goes down"),
    Name.SUBSCRIPTION_CHANGED: _change("the items differ at the same, or an unknown, monthly value"),
    Name.SUBSCRIPTION_CANCELLATION_SCHEDULED: _subscription(
        "a cancellation is scheduled", "cancels_at", "reason", "feedback", "cancelled_by"
    ),
    Name.SUBSCRIPTION_REACTIVATED: _subscription("a scheduled cancellation is taken back"),
    Name.SUBSCRIPTION_PAST_DUE: _subscription("a renewal could not be collected"),
    Name.SUBSCRIPTION_RECOVERED: _subscription("an overdue subscription is paid"),
    Name.SUBSCRIPTION_UNPAID: _subscription("all retries failed and the subscription stays open unpaid"),
    Name.SUBSCRIPTION_COLLECTION_PAUSED: _subscription("collection is paused", "collection_behavior", "resumes_at"),
    Name.SUBSCRIPTION_COLLECTION_RESUMED: _subscription("collection goes on"),
    Name.SUBSCRIPTION_CANCELLED: _subscription(
        "a subscription has ended", "reason", "feedback", "cancelled_by", "days_active"
    ),
    Name.SUBSCRIPTION_PAUSED: _subscription("a subscription is paused"),
    Name.SUBSCRIPTION_RESUMED: _subscription("a paused subscription goes on"),
    Name.TRIAL_ENDING_SOON: EventPlan("a trial ends in three days", _SUBSCRIBED, (*_TRIAL, *_SUBSCRIPTION)),
    Name.SUBSCRIPTION_UPDATE_APPLIED: _subscription("a pending update is paid and applied"),
    Name.SUBSCRIPTION_UPDATE_EXPIRED: _subscription("a pending update was not paid in time"),
    Name.SUBSCRIPTION_RENEWED: EventPlan(
        "a period's invoice is paid",
        ("order_id", "total", "revenue", "currency"),
        (*_INVOICED, "after_trial"),
    ),
    Name.INVOICE_PAID: EventPlan("any other invoice is paid", ("order_id", "total", "revenue", "currency"), _INVOICED),
    Name.ORDER_REFUNDED: EventPlan(
        "money is given back",
        ("order_id", "total", "currency"),
        ("charge_id", "refunded_total", "fully_refunded", "reason"),
    ),
    Name.CUSTOMER_DELETED: EventPlan("a customer is deleted in Stripe", ()),
}

USER_TRAITS: dict[str, Property] = {
    "address": Property(Kind.STRING, "the customer's address, only if allowed"),
    "billing_period": Property(Kind.STRING, "billing period of the largest live subscription"),
    "cancels_at": Property(Kind.TIME, "when the largest live subscription will end, null where it goes on"),
    "createdAt": Property(Kind.TIME, "when the customer was created in Stripe"),
    "currency": Property(Kind.STRING, "currency of mrr and lifetime_value"),
    "email": Property(Kind.STRING, "the customer's email, only if allowed"),
    "email_sha256": Property(Kind.STRING, "SHA-256 of the lower-case email, in its place where hashing is on"),
    "lifetime_value": Property(Kind.NUMBER, "collected less refunds, each payment counted once"),
    "mrr": Property(Kind.NUMBER, "monthly recurring revenue over all live subscriptions"),
    "name": Property(Kind.STRING, "the customer's name, only if allowed"),
    "phone": Property(Kind.STRING, "the customer's phone, only if allowed"),
    "plan": Property(Kind.STRING, "plan of the largest live subscription, null without one"),
    "plans": Property(Kind.STRINGS, "plans of all live subscriptions"),
    "stripe_customer_id": Property(Kind.STRING, "Stripe's customer"),
    "subscription_count": Property(Kind.INTEGER, "how many subscriptions are live"),
    "subscription_status": Property(Kind.STRING, "status of the largest live subscription, else of the last one"),
    "trial_ends_at": Property(Kind.TIME, "end of the running trial, null without one"),
}

GROUP_TRAITS: dict[str, Property] = {
    "currency": Property(Kind.STRING, "currency of mrr"),
    "mrr": Property(Kind.NUMBER, "monthly recurring revenue of the account"),
    "plan": Property(Kind.STRING, "plan of the largest live subscription"),
    "seats": Property(Kind.INTEGER, "quantity over all live subscriptions"),
    "stripe_customer_id": Property(Kind.STRING, "Stripe's customer"),
    "subscription_status": Property(Kind.STRING, "status of the largest live subscription"),
}
