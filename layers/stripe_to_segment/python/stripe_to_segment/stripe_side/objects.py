"""The kinds of Stripe's objects: the names of their events, their lists in the API, and the lookups made of them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OBJECTS", "Lookup", "StripeObject"]


@frozen
class StripeObject:
    """One kind of object, by its name in the field `object`.

    `about` is the beginning of its events' types, `permission` Stripe's name for a restricted key's right to read it.
    `listing` is the query that lists all of them, None where no import reads them. `lookups` hold, by kind, the rest of
    the address and the seconds for which an answer is cached.
    """

    name: str
    about: str
    permission: str
    listing: str | None = None
    lookups: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of the objects in the API, as https://docs.stripe.com/api lists it."""
        return f"/v1/{self.name.replace('.', '/')}s"


# All that an event of a subscription leaves out; Stripe expands four levels at most.
_EXPANDED = "&".join(
    f"expand[]={field}"
    for field in (
        "discounts.source.coupon.applies_to",
        "discounts.source.coupon.currency_options",
        "items.data.discounts",
        "items.data.price.tiers",
        "items.data.price.currency_options",
    )
)

# In the order of an import: objects that others refer to come first, and objects that claim a payment come before it.
_ROWS = (
    StripeObject("product", "product", "Products", "", {"product": ("/{id}", 600)}),
    # Tiers and amounts in other currencies are in no event, and in a list only where they are expanded.
    StripeObject(
        "price",
        "price",
        "Prices",
        "expand[]=data.tiers&expand[]=data.currency_options",
        # Tiers of one more currency, deeper than any list expands them.
        {"currency_tiers": ("/{id}?expand[]=currency_options.{currency}.tiers", 3600)},
    ),
    # What a coupon takes off never changes.
    StripeObject(
        "coupon",
        "coupon",
        "Coupons",
        "expand[]=data.applies_to&expand[]=data.currency_options",
        {"coupon": ("/{id}?expand[]=applies_to&expand[]=currency_options", 3600)},
    ),
    # A merchant may set a customer's metadata a moment after the lookup.
    StripeObject(
        "customer", "customer", "Customers", "expand[]=data.discount.source.coupon", {"customer": ("/{id}", 10)}
    ),
    StripeObject("payment_method", "payment_method", "Payment Methods"),
    StripeObject(
        "subscription",
        "customer.subscription",
        "Subscriptions",
        # An id does not say what a discount takes off, and a deleted coupon is on no list.
        "status=all&expand[]=data.discounts.source.coupon&expand[]=data.items.data.discounts",
        # For its prices and coupons, which never change; which of them it has does.
        {"subscription_terms": (f"/{{id}}?{_EXPANDED}", 60)},
    ),
    # The API has no list of discounts: it returns each with the object that it is a discount on.
    StripeObject("discount", "customer.discount", ""),
    # No event says what paid it. Whose it is and what it asks for do not change.
    StripeObject("invoice", "invoice", "Invoices", "expand[]=data.payments", {"invoice": ("/{id}", 3600)}),
    # A session's lines never change, and once its payment has succeeded neither do its amounts.
    StripeObject(
        "checkout.session",
        "checkout.session",
        "Checkout Sessions",
        "",
        {"line_items": ("/{id}/line_items?limit=100", 3600), "paid_session": ("?payment_intent={id}&limit=1", 60)},
    ),
    StripeObject(
        "invoice_payment",
        "invoice_payment",
        "Invoices",
        lookups={
            # By its invoice: the open payment is the one that failed. https://docs.stripe.com/api/invoice-payment/list
            "failed_payment": ("?invoice={id}&status=open&limit=1&expand[]=data.payment.payment_intent", 10),
            # All that paid an invoice.
            "invoice_paid_by": ("?invoice={id}&status=paid&limit=100", 60),
            # By its intent.
            "invoice_payments": ("?payment[type]=payment_intent&payment[payment_intent]={id}&status=paid&limit=1", 60),
        },
    ),
    # Neither who pays changes, nor why the debit of a session has failed, which ends with it.
    StripeObject("payment_intent", "payment_intent", "Payment Intents", "", {"payment_intent": ("/{id}", 3600)}),
    StripeObject("charge", "charge", "Charges and Refunds", ""),
    StripeObject("refund", "refund", "Charges and Refunds", ""),
    StripeObject("dispute", "charge.dispute", "Disputes", ""),
    StripeObject("credit_note", "credit_note", "Credit Notes", ""),
    StripeObject("event", "", "Events"),
    StripeObject("webhook_endpoint", "", "Webhook Endpoints"),
)
OBJECTS = {each.name: each for each in _ROWS}
_LOOKUPS = {kind: (each.path + rest, seconds) for each in _ROWS for kind, (rest, seconds) in each.lookups.items()}


class Lookup(NamedTuple):
    """One read from the Stripe API: a kind of lookup, and the id of its object; of some kinds also a currency."""

    kind: str
    id: str
    livemode: bool
    account: str | None
    currency: str = ""

    @property
    def path(self) -> str:
        """The address to read."""
        # Merchants choose the ids of their products, and an id must not lead to another path.
        return _LOOKUPS[self.kind][0].format(id=quote(self.id, safe=""), currency=quote(self.currency, safe=""))

    @property
    def cache_seconds(self) -> float:
        """The seconds for which an answer is cached."""
        return _LOOKUPS[self.kind][1]
