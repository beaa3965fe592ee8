"""Checkout Sessions in each of Stripe's shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulator.bills import shipping_of

if TYPE_CHECKING:
    from tests.simulator.shapes import Rendering
    from tests.simulator.worth import Bill

__all__ = ["Session"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """A Checkout Session; `bill` is None where nothing was for sale."""

    id: str
    mode: str
    customer: str | None
    currency: str
    bill: Bill | None
    status: str = "complete"
    payment_status: str = "paid"
    intent: str | None = None
    invoice: str | None = None
    subscription: str | None = None
    reference: str | None = None
    email: str = "jo@example.com"

    def render(self, rendering: Rendering) -> Json:
        """The Session as a webhook shows it; its line items are never in there."""
        bill = self.bill
        taxed = bill.goods_tax if bill and bill.inclusive else 0
        details = bill and {
            "amount_discount": bill.discount,
            "amount_shipping": bill.shipping,
            "amount_tax": bill.tax,
        }
        body: Json = {
            "id": self.id,
            "object": "checkout.session",
            "amount_subtotal": bill and bill.goods + taxed + bill.discount,
            "amount_total": bill and bill.total,
            "client_reference_id": self.reference,
            "currency": None if bill is None else self.currency,
            "customer": self.customer,
            "customer_details": {"email": self.email, "name": "Jo Example", "phone": None, "address": None},
            "livemode": False,
            "metadata": {},
            "mode": self.mode,
            "payment_intent": self.intent,
            "payment_status": self.payment_status,
            "setup_intent": "seti_1" if self.mode == "setup" else None,
            "status": self.status,
            "subscription": self.subscription,
            "total_details": details,
        }
        if rendering.shape.name != "plan and price" or self.invoice:
            # Fields of 2022; before, shipping stood among the details only, and no session had an invoice of its own.
            body |= {"invoice": self.invoice, "shipping_cost": bill and shipping_of(bill)}
        if rendering.shape.item_periods:
            body |= {"discounts": [], "presentment_details": None, "customer_account": None}
        return body
