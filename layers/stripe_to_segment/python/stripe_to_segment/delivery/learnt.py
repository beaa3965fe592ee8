"""The facts that events teach later events: orders with the records of their customers, names, coupons."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.payers import payment_key
from stripe_to_segment.mapping.orders import names_no_customer
from stripe_to_segment.state.store import Learnt
from stripe_to_segment.stripe_side.fields import integer, reference, text
from stripe_to_segment.stripe_side.invoice_payment import amount_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stripe_to_segment.mapping.translate import Translation
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["learnt_from", "named_once"]


def learnt_from(event: StripeEvent, translation: Translation, owners: Mapping[str, str]) -> list[Learnt]:
    """The orders, product names and coupons of an event; `owners` are the records of those who paid the orders."""
    learnt = (("order", translation.orders), ("product", translation.product_names), ("coupon", translation.coupons))
    return [
        Learnt(
            kind,
            f"{event.scope}:{key}",
            value,
            event.created,
            _payer(event, value, owners, translation) if kind == "order" else event.profile_key,
        )
        for kind, values in learnt
        for key, value in values.items()
    ]


def _payer(event: StripeEvent, order: str, owners: Mapping[str, str], translation: Translation) -> str:
    """The record of the customer who paid an order; empty while it is unknown.

    An event that joins an invoice with its payment does not name the customer; the stored order may. Refunds of an
    unknown payment, and a part of an invoice, are kept in a record of their own until the customer is known.
    """
    kept = order in translation.profile.payments
    joins = names_no_customer(event) and event.type == "invoice_payment.paid" and not kept
    return owners.get(f"{event.scope}:{order}", "") if joins else event.profile_key


def named_once(learnt: Sequence[Learnt], events: Collection[StripeEvent]) -> list[Learnt]:
    """The facts, with one order for an invoice that one payment of the same batch has paid as a whole.

    An invoice's order says whose it is, for payments that do not name the customer. Here the order of the payment says
    it, and the invoice gets no other payment. It saves a write for most invoices.
    """
    amounts = {
        f"{event.scope}:{text(event.object.get('id'))}": amount
        for event in events
        if event.type == "invoice.paid" and (amount := integer(event.object.get("amount_paid")))
    }
    if not amounts:
        return [*learnt]
    invoices = {fact.key: fact for fact in learnt if fact.kind == "order" and fact.key in amounts and fact.owner}
    payments = {
        payment_key(event): invoice
        for event in events
        if event.type == "invoice_payment.paid"
        and (invoice := invoices.get(f"{event.scope}:{reference(event.object.get('invoice'))}"))
        and amounts[invoice.key] == amount_of(event.object)
    }
    named = {
        fact.key: replace(fact, owner=invoice.owner)
        for fact in learnt
        if fact.kind == "order"
        and (invoice := payments.get(fact.key))
        and (fact.value, fact.owner or invoice.owner) == (invoice.value, invoice.owner)
    }
    needless = {payments[key].key for key in named}
    return [
        named.get(fact.key, fact) if fact.kind == "order" else fact
        for fact in learnt
        if fact.kind != "order" or fact.key not in needless
    ]
