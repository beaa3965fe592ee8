"""A small business from before the stack, made of sample events: what Stripe's lists show, and what comes next."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.samples.files import sample
from stripe_to_segment_tools.samples.freshen import freshen
from stripe_to_segment_tools.samples.stripe_lists import with_discounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ExistingBusiness", "existing_business"]

Json = dict[str, Any]

# What the lists show is what these events left: Ada pays 29.00 USD a month, Mori 4,980 JPY a month, Nordwind 1,200.00
# EUR a year less a tenth for ever, and Iris bought once and got back a part.
PAST = (
    "customer.updated",
    "customer.subscription.updated.trial_converted",
    "invoice.paid.subscription_cycle.after_trial",
    "invoice_payment.paid",
    "customer.created.jpy",
    "customer.subscription.created.jpy",
    "invoice.paid.subscription_create.jpy",
    "coupon.updated",
    "customer.discount.created",
    "customer.subscription.created.active",
    "invoice.paid.subscription_create",
    "invoice_payment.paid.subscription_create",
    "checkout.session.completed.subscription",
    "payment_intent.succeeded",
    "refund.created",
)
# Those of whom no sample is the Customer.
CUSTOMERS = {
    "cus_TgPpEOs2EIUklP": ("Nordwind Verlag GmbH", "buchhaltung@example.com"),
    "cus_UT7kun60ePONxZ": ("Iris Okafor", "iris@example.com"),
}
# Ada goes from the plan for 29.00 to the one for 79.00.
NEXT = "customer.subscription.updated.upgrade"
PAST_SECONDS = 10 * 86_400
# They are other people than those of the samples.
_THEIRS = re.compile(r'"(user|team)_(\d+)"')


@dataclass(frozen=True, slots=True)
class ExistingBusiness:
    """A business that was there before the stack.

    Attributes
    ----------
    objects
        What Stripe's lists show of it.
    event
        The first event after the import, of a subscription that was imported.
    mrr
        What each currency's subscriptions bring in a month, in major units, before that event.
    change
        What that event changes of it.
    lifetime_values
        What the customers have paid less what they got back, by currency, in major units.
    """

    objects: tuple[Json, ...]
    event: Json
    mrr: dict[str, float]
    change: dict[str, float]
    lifetime_values: dict[str, float]


def existing_business(now: int, seed: str) -> ExistingBusiness:
    """The business at a time in epoch seconds; the same seed gives the same ids."""
    past = freshen([*map(_of_others, PAST), *_customers()], now - PAST_SECONDS, seed=seed)
    (event,) = freshen([_of_others(NEXT)], now, seed=seed)
    return ExistingBusiness(
        tuple(_listed(past)),
        event,
        mrr={"USD": 29, "JPY": 4980, "EUR": 90},
        change={"USD": 50},
        lifetime_values={"USD": 109, "JPY": 4980, "EUR": 1285.2},
    )


def _of_others(name: str) -> Json:
    event: Json = json.loads(_THEIRS.sub(r'"\1_1\2"', sample(name).body.decode()))
    return event


def _customers() -> Iterator[Json]:
    for customer, (name, email) in CUSTOMERS.items():
        event = _of_others("customer.created")
        event["data"]["object"] |= {"id": customer, "name": name, "email": email}
        yield event


def _listed(events: Iterable[Json]) -> Iterator[Json]:
    """The objects as lists show them: with their discounts, coupons and payments, where events name only ids."""
    objects = [event["data"]["object"] for event in events]
    discounts = [one for one in objects if one["object"] == "discount"]
    payments = {one["invoice"]: one for one in objects if one["object"] == "invoice_payment"}
    for one in with_discounts(objects, discounts):
        if one["object"] == "invoice":
            paid = [payments[one["id"]]] if one["id"] in payments else []
            yield {**one, "payments": {"object": "list", "data": paid, "has_more": False}}
        elif one["object"] not in {"discount", "invoice_payment"}:
            yield one
