"""Readers of an Invoice and its lines.

https://docs.stripe.com/api/invoices/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side import invoice_payment
from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, listed, metadata_of, reference, text
from stripe_to_segment.stripe_side.lines import Line, read_line
from stripe_to_segment.stripe_side.money import Shares, shares_of

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = [
    "UNPAID",
    "InvoiceAmounts",
    "amounts_of",
    "bills_items_alone",
    "bills_no_period",
    "charged_at_once",
    "due_of",
    "lines_of",
    "paid_outside",
    "paid_parts_of",
    "payment_of",
    "payments_of",
    "subscription_metadata_of",
    "subscription_of",
    "unpaid_of",
]

# A card is charged within seconds after Stripe has finalized an invoice.
AT_ONCE = 60
# Open, or written off: parts may be paid, and the whole may be paid later. https://docs.stripe.com/invoicing/overview
UNPAID = ("open", "uncollectible")


@frozen
class InvoiceAmounts:
    """An invoice's amounts in minor units; `collected` is the amount paid, and `shares` are those in it."""

    total: int
    collected: int
    subtotal: int | None
    tax: int
    shipping: int
    discount: int

    @property
    def shares(self) -> Shares:
        """What of the amount collected is revenue, tax and shipping."""
        return shares_of(self.collected, self.total, self.tax, self.shipping)


def amounts_of(invoice: shapes.Invoice) -> InvoiceAmounts:
    """The amounts, from the fields in which this payload's version keeps tax, shipping and discounts."""
    total = integer(invoice.get("total")) or 0
    paid = integer(invoice.get("amount_paid"))
    if paid is None:
        # Before 2018 an invoice states only the amount due: the total less the part covered by the customer's balance.
        paid = integer(invoice.get("amount_due"))
    elif invoice.get("status") == "paid" or invoice.get("paid") is True:
        # The amount remaining on a paid invoice was paid outside Stripe (marked paid out of band).
        paid += max(integer(invoice.get("amount_remaining")) or 0, 0)
    overpaid = integer(invoice.get("amount_overpaid")) or 0
    if overpaid > 0 and paid is not None and not integer(invoice.get("amount_remaining")):
        # What was paid beyond the amount due is the customer's credit, and pays a later invoice.
        paid = max(paid, due_of(invoice) + overpaid)
    cost = invoice.get("shipping_cost")
    with_its_tax = integer(dig(cost, "amount_total"))
    if with_its_tax is None:
        shipping = integer(invoice.get("amount_shipping")) or 0
    else:
        shipping = max(with_its_tax - (integer(dig(cost, "amount_tax")) or 0), 0)
    return InvoiceAmounts(
        total=total,
        collected=total if paid is None else paid,
        subtotal=integer(invoice.get("subtotal")),
        tax=_tax(invoice),
        shipping=shipping,
        discount=_discount(invoice),
    )


def due_of(invoice: shapes.Invoice) -> int:
    """What the customer is to pay of it, in minor units: the total less what a balance covers."""
    due = integer(invoice.get("amount_due"))
    return (integer(invoice.get("total")) or 0) if due is None else due


def unpaid_of(invoice: shapes.Invoice) -> int | None:
    """The unpaid part of the amount due, in minor units; None where the payload does not state the amount due.

    Not read from `amount_remaining`, which old payloads lack.
    """
    due = integer(invoice.get("amount_due"))
    return None if due is None else max(due - (integer(invoice.get("amount_paid")) or 0), 0)


def _tax(invoice: shapes.Invoice) -> int:
    if isinstance(invoice.get("total_taxes"), list):
        return _sum_of(invoice["total_taxes"])
    stated = integer(invoice.get("tax"))
    if stated is not None:
        return stated
    total, without = integer(invoice.get("total")), integer(invoice.get("total_excluding_tax"))
    if isinstance(invoice.get("total_tax_amounts"), list) or total is None or without is None:
        return _sum_of(invoice.get("total_tax_amounts"))
    return total - without


def _discount(invoice: shapes.Invoice) -> int:
    subtotal, total = integer(invoice.get("subtotal")), integer(invoice.get("total"))
    stated = isinstance(invoice.get("total_discount_amounts"), list)
    if stated or not invoice.get("discount") or subtotal is None or total is None:
        return _sum_of(invoice.get("total_discount_amounts"))
    # Before 2020 no discount amount is stated, and tax was always added after the discount.
    return max(subtotal + _tax(invoice) - total, 0)


def _sum_of(entries: list[shapes.AmountEntry] | None) -> int:
    return sum(integer(entry.get("amount")) or 0 for entry in listed(entries))


def subscription_of(invoice: shapes.Invoice) -> str | None:
    """The subscription this invoice bills, or None for a one-off."""
    return (
        reference(dig(invoice, "parent", "subscription_details", "subscription"))
        or reference(invoice.get("subscription"))
        or next(filter(None, (_line_subscription(line) for line in listed(invoice.get("lines")))), None)
    )


def subscription_metadata_of(invoice: shapes.Invoice) -> dict[str, str]:
    """The subscription's metadata at the time the invoice was finalised; before 2023 on the subscription's lines."""
    of_parent = hash_of(invoice.get("parent")).get("subscription_details")
    if stated := metadata_of(of_parent) or metadata_of(invoice.get("subscription_details")):
        return stated
    lines = [line for line in listed(invoice.get("lines")) if line.get("type") == "subscription"]
    return metadata_of(lines[0]) if lines else {}


def bills_items_alone(invoice: shapes.Invoice) -> bool:
    """Whether all its lines are invoice items: it bills no period of the subscription."""
    lines = lines_of(invoice)
    return bool(lines) and all(line.of_item for line in lines) and dig(invoice, "lines", "has_more") is not True


def bills_no_period(invoice: shapes.Invoice) -> bool:
    """Whether an update has made it and it is over nothing before discounts, as that of a trial which begins then.

    One that ends a trial is over the first period, although a coupon or a balance may pay for it.
    """
    subtotal = integer(invoice.get("subtotal"))
    return invoice.get("billing_reason") == "subscription_update" and subtotal is not None and subtotal <= 0


def payment_of(invoice: shapes.Invoice) -> str | None:
    """The payment intent, or in old payloads the charge. Gone since 2025-03-31: `invoice_payment.paid` names it."""
    named = reference(invoice.get("payment_intent")) or reference(invoice.get("charge"))
    return named or next(iter(payments_of(invoice)), None)


def payments_of(invoice: shapes.Invoice) -> tuple[str, ...]:
    """The payment intents that have paid it, or the charges without one. Lists have them if expanded, events never.

    https://docs.stripe.com/api/invoices/object#invoice_object-payments
    """
    return tuple(found for one in paid_parts_of(invoice) if (found := invoice_payment.payment_of(one)))


def paid_parts_of(invoice: shapes.Invoice) -> list[shapes.InvoicePayment]:
    """What has paid it or a part of it, each with its amount, where the payload has that."""
    return [one for one in listed(invoice.get("payments")) if one.get("status") == "paid"]


def paid_outside(invoice: shapes.Invoice) -> bool:
    """Whether it was marked as paid and no payment through Stripe has paid any of it.

    https://docs.stripe.com/invoicing/dashboard/manage-invoices#out-of-band-payments
    """
    paid, outside = integer(invoice.get("amount_paid")) or 0, integer(invoice.get("amount_paid_off_stripe")) or 0
    elsewhere = paid <= outside and bool(paid or integer(invoice.get("amount_remaining")))
    return invoice.get("status") == "paid" and (elsewhere or invoice.get("paid_out_of_band") is True)


def charged_at_once(invoice: shapes.Invoice) -> bool:
    """Whether Stripe charged a subscription's invoice itself as soon as it was open, so that nothing else has paid it.

    https://docs.stripe.com/api/invoices/object#invoice_object-collection_method
    """
    if invoice.get("collection_method") != "charge_automatically":
        return False
    times, reason = invoice.get("status_transitions"), text(invoice.get("billing_reason")) or ""
    opened, paid = integer(dig(times, "finalized_at")), integer(dig(times, "paid_at"))
    return reason.startswith("subscription") and opened is not None and paid is not None and paid - opened <= AT_ONCE


def lines_of(invoice: shapes.Invoice) -> tuple[Line, ...]:
    """The lines in the payload (Stripe cuts the list at ten)."""
    return tuple(read_line(line) for line in listed(invoice.get("lines")))


def _line_subscription(line: shapes.Line) -> str | None:
    return reference(dig(line, "parent", "subscription_item_details", "subscription")) or reference(
        line.get("subscription")
    )
