"""Every property and trait on the wire, each described once: its kind, its unit, what it means.

The mapper never reads this; the tracking plan (`stripe-to-segment plan`) and the tests, which hold every call against
it, do. Lists of values are given only for words of our own: a word of Stripe's passes through, and may be a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ADDRESS", "GROUP_TRAITS", "PRODUCT", "PROPERTIES", "USER_TRAITS", "Kind", "Property"]


class Kind(StrEnum):
    """How a value stands on the wire."""

    STRING = "string"
    MONEY = "money"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    CURRENCY = "currency"
    HASH = "hash"
    STRINGS = "strings"
    PRODUCTS = "products"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Property:
    """One property or trait. `signed` numbers may be negative, `nullable` traits null; `values` is a closed list."""

    kind: Kind
    meaning: str
    unit: str = ""
    signed: bool = False
    nullable: bool = False
    values: tuple[str, ...] = ()


def _text(meaning: str, *, nullable: bool = False, values: tuple[str, ...] = ()) -> Property:
    return Property(Kind.STRING, meaning, nullable=nullable, values=values)


def _money(meaning: str, *, signed: bool = False, nullable: bool = False) -> Property:
    return Property(Kind.MONEY, meaning, "major units", signed=signed, nullable=nullable)


def _count(meaning: str, unit: str = "") -> Property:
    return Property(Kind.INTEGER, meaning, unit)


def _flag(meaning: str) -> Property:
    return Property(Kind.BOOLEAN, meaning)


def _time(meaning: str, *, nullable: bool = False) -> Property:
    return Property(Kind.TIME, meaning, "ISO 8601, UTC", nullable=nullable)


PROPERTIES: dict[str, Property] = {
    "after_trial": _flag("true for the first payment after a trial, where the trial's end is known; else absent"),
    "amount": _money("what one billing period costs, before tax and discounts"),
    "attempt_count": _count("how often collecting this invoice was tried"),
    "billing_period": _text("month, year, week, day, or a number of them: 3 months"),
    "billing_reason": _text("why the invoice exists, in Stripe's word: subscription_create, subscription_cycle, …"),
    "cancelled_by": _text(
        "who or what ended it", values=("customer", "payment_failure", "dispute", "retention_policy")
    ),
    "cancels_at": _time("when the subscription will end by itself"),
    "changed": Property(
        Kind.STRINGS, "what changed", values=("plan", "quantity", "billing_period", "items", "discount")
    ),
    "charge_id": _text("Stripe's charge"),
    "checkout_id": _text("Stripe's Checkout Session"),
    "collection_behavior": _text("what happens to invoices while collection is paused, in Stripe's word"),
    "converted": _flag("whether the trial became a paid subscription"),
    "coupon": _text("the first coupon that is named"),
    "currency": Property(Kind.CURRENCY, "currency of every amount beside it", "ISO 4217, upper case"),
    "days_active": _count("from the subscription's start to its end", "whole days"),
    "discount": _money("what discounts took off"),
    "discounted": _flag("true where discounts are known by id only, so that mrr is before discounts; else absent"),
    "feedback": _text("the customer's choice in the cancellation form, in Stripe's word"),
    "fully_refunded": _flag("whether nothing of the charge is left"),
    "invoice_id": _text("Stripe's invoice"),
    "mode": _text("what the Checkout Session is for, in Stripe's word: payment, subscription or setup"),
    "mrr": _money("the subscription's monthly recurring revenue; absent where the payload cannot tell"),
    "mrr_change": _money("by how much this event changed the subscription's mrr", signed=True),
    "next_payment_attempt": _time("when Stripe tries again"),
    "order_id": _text("the invoice; the payment intent where there is none; a refund names that of its order"),
    "payment_status": _text("in Stripe's word: paid, unpaid or no_payment_required"),
    "plan": _text("the plan's name: metadata `plan`, lookup key, nickname, product name, else the price id"),
    "previous_billing_period": _text("billing_period before the change"),
    "previous_mrr": _money("mrr before the change"),
    "previous_plan": _text("plan before the change"),
    "previous_quantity": _count("quantity before the change"),
    "price_id": _text("Stripe's price"),
    "product_id": _text("Stripe's product"),
    "products": Property(Kind.PRODUCTS, "the lines: product_id, name, price, quantity, coupon"),
    "products_omitted": _count("how many products were left out because the call would be too large for Segment"),
    "quantity": _count("seats or units of the plan"),
    "reason": _text("why it ended, in Stripe's word: cancellation_requested, payment_failed, …"),
    "recoverable": _flag("whether Stripe offers a recovery url"),
    "refunded_total": _money("all refunds of the charge so far"),
    "resumes_at": _time("when collection resumes by itself"),
    "revenue": _money("collected less tax and shipping; on exactly one call for each payment"),
    "shipping": _money("shipping, without its tax"),
    "status": _text("the subscription's status in Stripe"),
    "subscription_id": _text("Stripe's subscription"),
    "subtotal": _money("before discounts and tax; negative where credits outweigh", signed=True),
    "tax": _money("tax", signed=True),
    "total": _money("collected; of a refund: given back"),
    "trial_end_date": _time("end of the trial"),
    "trial_plan_name": _text("the plan on trial"),
    "trial_start_date": _time("start of the trial"),
    "value": _money("what is at stake; never revenue"),
}

PRODUCT: dict[str, Property] = {
    "product_id": _text("Stripe's product, else the price"),
    "name": _text("the line's description, unless LineDescriptions is omit; else the plan's name"),
    "price": _money("of one", signed=True),
    "quantity": _count("how many"),
    "coupon": _text("the first coupon of the line"),
}

USER_TRAITS: dict[str, Property] = {
    "address": Property(Kind.ADDRESS, "the customer's address"),
    "billing_period": _text("billing period of the largest live subscription, null without one", nullable=True),
    "cancels_at": _time("when the largest live subscription will end, null where it goes on", nullable=True),
    "createdAt": _time("when the customer was created in Stripe"),
    "currency": Property(Kind.CURRENCY, "currency of mrr and lifetime_value", "ISO 4217, upper case"),
    "email": _text("the customer's email"),
    "email_sha256": Property(Kind.HASH, "SHA-256 of the lower-case email, in its place", "64 hex digits"),
    "lifetime_value": _money("collected less refunds, each payment counted once", signed=True),
    "mrr": _money("monthly recurring revenue over all live subscriptions, null once unknown", nullable=True),
    "name": _text("the customer's name"),
    "phone": _text("the customer's phone"),
    "plan": _text("plan of the largest live subscription, null without one", nullable=True),
    "plans": Property(Kind.STRINGS, "plans of all live subscriptions"),
    "stripe_customer_id": _text("Stripe's customer"),
    "subscription_count": _count("how many subscriptions are live"),
    "subscription_status": _text("status of the largest live subscription, else of the last one", nullable=True),
    "trial_ends_at": _time("end of the running trial, null without one", nullable=True),
}

ADDRESS: dict[str, Property] = {
    "street": _text("both lines of it"),
    "city": _text("city"),
    "state": _text("state or province"),
    "postalCode": _text("postal code"),
    "country": _text("two-letter country code"),
}

GROUP_TRAITS: dict[str, Property] = {
    "currency": Property(Kind.CURRENCY, "currency of mrr", "ISO 4217, upper case"),
    "mrr": _money("monthly recurring revenue of the account, null once unknown", nullable=True),
    "plan": _text("plan of the largest live subscription, null without one", nullable=True),
    "seats": _count("quantity over all live subscriptions"),
    "stripe_customer_id": _text("Stripe's customer"),
    "subscription_status": _text("status of the largest live subscription, else of the last one", nullable=True),
}
