"""The kinds of Stripe's objects: what an event of one is called, how the API lists it, and what is looked up of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OBJECTS", "Lookup", "StripeObject"]


@dataclass(frozen=True, slots=True)
class StripeObject:
    """One kind of object, by its name in the field `object`.

    `about` is what the types of its events begin with, `permission` what Stripe calls a restricted key's right to it.
    `listing` is the query for all of them, None where no import reads them. `lookups` are by kind the rest of the
    address, and for how many seconds an answer holds.
    """

    name: str
    about: str
    permission: str
    listing: str | None = None
    lookups: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where the API has them, as https://docs.stripe.com/api lists it."""
        return f"/v1/{self.name.replace('.', '/')}s"


# In the order of an import: what others are about comes first, and what claims a payment before the payment.
_ROWS = (
    StripeObject("product", "product", "Products", "", {"product": ("/{id}", 600)}),
    # No event and no list has a price's tiers unless asked for them.
    StripeObject("price", "price", "Prices", "expand[]=data.tiers"),
    StripeObject("coupon", "coupon", "Coupons", ""),
    # A customer may get its metadata a moment after it was asked for.
    StripeObject("customer", "customer", "Customers", "", {"customer": ("/{id}", 10)}),
    StripeObject("payment_method", "payment_method", "Payment Methods"),
    StripeObject("subscription", "customer.subscription", "Subscriptions", "status=all"),
    # The API gives it with what it is a discount on.
    StripeObject("discount", "customer.discount", ""),
    # Whose it is and what it asks for do not change.
    StripeObject("invoice", "invoice", "Invoices", "", {"invoice": ("/{id}", 3600)}),
    StripeObject(
        "invoice_payment",
        "invoice_payment",
        "Invoices",
        lookups={
            # By its invoice: what is open of it is what failed. https://docs.stripe.com/api/invoice-payment/list
            "failed_payment": ("?invoice={id}&status=open&limit=1&expand[]=data.payment.payment_intent", 10),
            # By its intent.
            "invoice_payments": ("?payment[type]=payment_intent&payment[payment_intent]={id}&status=paid&limit=1", 60),
        },
    ),
    # A session's lines never change.
    StripeObject(
        "checkout.session",
        "checkout.session",
        "Checkout Sessions",
        "",
        {"line_items": ("/{id}/line_items?limit=100", 3600)},
    ),
    # Who pays does not change.
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
    """One look into the Stripe API: a kind of lookup, and the id of what it is about."""

    kind: str
    id: str
    livemode: bool
    account: str | None

    @property
    def path(self) -> str:
        """The address to read."""
        # Whoever makes a product chooses its id, and no id may lead to another path.
        return _LOOKUPS[self.kind][0].format(id=quote(self.id, safe=""))

    @property
    def cache_seconds(self) -> float:
        """For how long an answer holds."""
        return _LOOKUPS[self.kind][1]
