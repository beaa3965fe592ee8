"""Invoices, invoice payments and charges in each of Stripe's shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulator.shapes import Rendering
    from tests.simulator.terms import Price
    from tests.simulator.worth import Bill, Failure

__all__ = [
    "Charge",
    "Invoice",
    "Line",
    "render_charge",
    "render_failed_intent",
    "render_invoice",
    "render_invoice_payment",
    "shipping_of",
]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, in minor units."""

    description: str
    amount: int
    quantity: int | None
    price: Price | None = None
    proration: bool = False


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice at one moment; `charge` and `intent` are None where nothing was charged through Stripe."""

    id: str
    customer: str
    currency: str
    bill: Bill
    lines: tuple[Line, ...]
    reason: str
    made: int
    subscription: str | None = None
    metadata: Json | None = None
    paid: bool = False
    outside: bool = False
    counts_outside: bool = False
    charge: str | None = None
    intent: str | None = None
    attempts: int = 1
    coupon: str | None = None


def render_invoice(invoice: Invoice, rendering: Rendering) -> Json:
    """The Invoice as a webhook shows it."""
    bill, shape = invoice.bill, rendering.shape
    # Since 2025-03-31 `amount_paid` holds what was paid outside Stripe too.
    paid = bill.due if invoice.paid and (invoice.counts_outside or not invoice.outside) else 0
    gross = bill.goods + (bill.goods_tax if bill.inclusive else 0)
    body: Json = {
        "id": invoice.id,
        "object": "invoice",
        "amount_due": bill.due,
        "amount_paid": paid,
        "amount_remaining": bill.due - paid,
        "amount_shipping": bill.shipping,
        "attempt_count": invoice.attempts,
        "attempted": True,
        "billing_reason": invoice.reason,
        "collection_method": "send_invoice" if invoice.outside else "charge_automatically",
        "created": invoice.made,
        "currency": invoice.currency,
        "customer": invoice.customer,
        "discounts": ["di_of_the_invoice"] if invoice.coupon else [],
        "ending_balance": 0 if invoice.paid else None,
        "lines": {
            "object": "list",
            "data": [_line(line, number, invoice, rendering) for number, line in enumerate(invoice.lines)],
            "has_more": False,
        },
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None if invoice.paid else invoice.made + 259_200,
        "shipping_cost": shipping_of(bill),
        "starting_balance": -bill.balance,
        "status": "paid" if invoice.paid else "open",
        "subtotal": gross + bill.discount,
        "total": bill.total,
        "total_discount_amounts": [{"amount": bill.discount, "discount": "di_of_the_invoice"}] if bill.discount else [],
    }
    if shape.old_invoices:
        body |= {
            "charge": invoice.charge,
            "paid": invoice.paid,
            "paid_out_of_band": invoice.outside,
            "payment_intent": invoice.intent,
            "subscription": invoice.subscription,
            "subscription_details": {"metadata": invoice.metadata},
            "tax": bill.tax or None,
            "total_tax_amounts": [{"amount": one, "inclusive": bill.inclusive} for one in _taxes(bill)],
        }
    if shape.new_invoices:
        details = {"subscription": invoice.subscription, "metadata": invoice.metadata or {}}
        behavior = "inclusive" if bill.inclusive else "exclusive"
        body |= {
            "parent": invoice.subscription
            and {"type": "subscription_details", "quote_details": None, "subscription_details": details},
            "total_taxes": [
                {"amount": one, "tax_behavior": behavior, "type": "tax_rate_details"} for one in _taxes(bill)
            ],
        }
    if shape.historic:
        # Stored before 2018: neither a status nor what was paid of what was due.
        for later in ("status", "amount_paid", "amount_remaining", "payment_intent", "total_tax_amounts"):
            body.pop(later, None)
    return body


def _line(line: Line, number: int, invoice: Invoice, rendering: Rendering) -> Json:
    body: Json = {
        "id": f"il_{number}_{invoice.id}",
        "object": "line_item",
        "amount": line.amount,
        "currency": invoice.currency,
        "description": line.description,
        "discounts": [],
        "metadata": {},
        "quantity": line.quantity,
    }
    if rendering.shape.old_invoices:
        body |= {"proration": line.proration, "subscription": invoice.subscription}
        body["plan"] = None if line.price is None else rendering.plan(line.price)
        if rendering.shape.prices:
            body["price"] = None if line.price is None else rendering.price(line.price)
    if rendering.shape.new_invoices:
        details = {"proration": line.proration, "subscription": invoice.subscription}
        body["parent"] = {"type": "subscription_item_details", "subscription_item_details": details}
        body["pricing"] = line.price and {
            "type": "price_details",
            "price_details": {"price": line.price.id, "product": line.price.product},
            "unit_amount_decimal": None if line.price.tiered else f"{line.price.amount.normalize():f}",
        }
    return body


def _taxes(bill: Bill) -> list[int]:
    """The tax in two rates, as a state and a county levy it."""
    return [one for one in (bill.tax - bill.tax // 3, bill.tax // 3) if one]


def shipping_of(bill: Bill) -> Json | None:
    """The `shipping_cost` of an invoice or a session."""
    if not bill.shipping:
        return None
    gross = bill.shipping + bill.shipping_tax
    # An inclusive rate's subtotal has the tax in it.
    subtotal = gross if bill.inclusive else bill.shipping
    return {"amount_subtotal": subtotal, "amount_tax": bill.shipping_tax, "amount_total": gross, "shipping_rate": None}


def render_invoice_payment(invoice: Invoice) -> Json:
    """The InvoicePayment that joins an invoice and its payment intent; it names no customer."""
    return {
        "id": f"inpay_{invoice.id}",
        "object": "invoice_payment",
        "amount_paid": invoice.bill.due,
        "amount_requested": invoice.bill.due,
        "created": invoice.made,
        "currency": invoice.currency,
        "invoice": invoice.id,
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": invoice.intent},
        "status": "paid",
    }


def render_failed_intent(failure: Failure, rendering: Rendering, number: str) -> Json:
    """The PaymentIntent of a failed attempt; it names what it pays as its time does."""
    body: Json = {
        "id": failure.intent or f"pi_{number}",
        "object": "payment_intent",
        "amount": failure.amount,
        "amount_received": 0,
        "currency": failure.currency,
        "customer": failure.customer,
        "last_payment_error": {
            "charge": f"ch_{number}",
            "code": "debit_not_authorized",
            "decline_code": "generic_decline",
            "message": "The bank has refused the debit.",
            "payment_method": {"id": "pm_1", "object": "payment_method", "type": "sepa_debit"},
            "type": "card_error",
        },
        "latest_charge": f"ch_{number}",
        "livemode": False,
        "metadata": {},
        "payment_method_types": ["card", "sepa_debit"],
        "status": "requires_payment_method",
    }
    if rendering.shape.old_invoices:
        return body | {"invoice": failure.pays}
    return body | {"payment_details": {"customer_reference": None, "order_reference": failure.pays}}


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge, made at an epoch second, with the refunds made so far: when, and how much in minor units."""

    id: str
    customer: str | None
    currency: str
    amount: int
    intent: str | None
    invoice: str | None
    refunds: tuple[tuple[int, int], ...] = ()
    made: int = 0

    @property
    def refunded(self) -> int:
        return sum(amount for _, amount in self.refunds)


def render_charge(charge: Charge, rendering: Rendering) -> Json:
    """The Charge as a webhook shows it."""
    body: Json = {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount,
        "amount_refunded": charge.refunded,
        "captured": True,
        "created": charge.made,
        "currency": charge.currency,
        "customer": charge.customer,
        "livemode": False,
        "metadata": {},
        "paid": True,
        "payment_intent": charge.intent,
        "refunded": charge.refunded == charge.amount,
        "status": "succeeded",
    }
    if rendering.shape.old_invoices:
        body["invoice"] = charge.invoice
    if rendering.shape.refund_lists:
        body["refunds"] = {
            "object": "list",
            "data": [
                {"id": f"re_{number}_{charge.id}", "object": "refund", "amount": amount, "created": at}
                for number, (at, amount) in enumerate(charge.refunds)
            ][::-1],
            "has_more": False,
            "total_count": len(charge.refunds),
        }
    if rendering.shape.historic and charge.invoice:
        # Invoices were paid without payment intents until 2019.
        del body["payment_intent"]
    return body
