"""A purchase that has paid several invoices: what it has paid of each, as the records of their payments keep it.

It was stated as an order before it was attached to an invoice. https://docs.stripe.com/api/invoices/attach_payment
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.state.bill import Part
from stripe_to_segment.stripe_side.money import pro_rata

if TYPE_CHECKING:
    from stripe_to_segment.state.payment import Payment

__all__ = ["split", "with_share", "without_share"]


def without_share(invoice: Payment, purchase: str, amount: int) -> tuple[Payment, Part]:
    """Without an amount of a purchase that is a part here, and that as a part: it has paid another invoice."""
    part = invoice.parts[purchase]

    def share(of: int | None) -> int | None:
        return None if of is None else pro_rata(of, amount, part.amount)

    revenue, tax = share(part.revenue), share(part.tax)
    left = replace(part, amount=part.amount - amount, revenue=_less(part.revenue, revenue), tax=_less(part.tax, tax))
    others = {name: one for name, one in invoice.parts.items() if name != purchase}
    rest = replace(
        invoice,
        total=_less(invoice.total, amount),
        revenue=_less(invoice.revenue, revenue),
        tax=_less(invoice.tax, tax),
        parts=others | ({purchase: left} if left.amount else {}),
    )
    return _paid_as_a_whole(rest), Part(amount, revenue, part.stated_by, tax)


def with_share(invoice: Payment, own: str, share: Part) -> Payment:
    """With what a purchase has paid of it; one that an import has listed is counted when it is stated here."""
    if share.stated_by:
        return replace(invoice, further_intents=(*invoice.further_intents, own))
    if invoice.complete:
        return replace(invoice, parts={**invoice.parts, own: share})
    return invoice.with_part(own, share)


def split(invoice: Payment, purchase: str, own: str, amount: int) -> Payment:
    """With a purchase that is a part here as two: what it has paid of this invoice, under a name of its own."""
    without, share = without_share(invoice, purchase, amount)
    after = replace(invoice, parts={**without.parts, own: share})
    if purchase not in without.parts:
        return after
    beyond = replace(without.parts[purchase], beyond=True)
    after = replace(after, parts={**after.parts, purchase: beyond})
    if invoice.bill is None or not invoice.complete:
        return after
    due = invoice.bill.due
    asked = invoice.bill.shares(due).revenue + (beyond.revenue or 0)
    return replace(
        after,
        total=max(invoice.total or 0, max(due, after.paid_in_parts.total) + beyond.amount),
        revenue=None if invoice.revenue is None else max(invoice.revenue, asked),
    )


def _paid_as_a_whole(invoice: Payment) -> Payment:
    """With what its bill asks for, if it was paid: others have paid what the listed parts have not."""
    if invoice.bill is None or not invoice.complete or (invoice.total or 0) >= invoice.bill.due:
        return invoice
    asked = invoice.bill.shares(invoice.bill.due)
    return replace(
        invoice,
        total=invoice.bill.due,
        revenue=None if invoice.revenue is None else max(invoice.revenue, asked.revenue),
        tax=None if invoice.tax is None else max(invoice.tax, asked.tax),
    )


def _less(whole: int | None, given: int | None) -> int | None:
    return None if whole is None or given is None else whole - given
