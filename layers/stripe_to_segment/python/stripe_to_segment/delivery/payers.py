"""Find who made a payment, for events that name no customer: refunds, disputes, payments of an invoice.

Such events are stored in a record of the payment itself until its customer is known; the customer's record then takes
it over.
"""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.load import recall, settle
from stripe_to_segment.mapping.invoice_payments import leaves_open
from stripe_to_segment.mapping.lookups import payer_from_api, payer_lookup
from stripe_to_segment.mapping.orders import names_no_customer, orders_needed, payment_named
from stripe_to_segment.state.profile import OUTDATED
from stripe_to_segment.state.store import Learnt
from stripe_to_segment.stripe_side.fields import integer, reference, text
from stripe_to_segment.stripe_side.invoice_payment import amount_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Taken", "named_once", "owned", "take_over"]

# The prefixes of customers' ids, also where Stripe's accounts are customers; a guest's record has a payment's id.
CUSTOMERS = ("cus_", "acct_")


def owned(
    events: Sequence[StripeEvent], memory: Memory, store: Store, reader: Reader | None = None
) -> Sequence[StripeEvent]:
    """The events; one that names no customer gets the customer who made its payment, where that is known.

    The records of these customers are loaded too. A batch in which every event names its customer costs no read. If the
    store does not know a customer, the reader, if there is one, asks Stripe.

    Raises StoreUnavailableError.
    """
    nameless = [event for event in events if names_no_customer(event) and _wants_owner(event, memory)]
    if not nameless:
        return events
    payers = {
        f"{event.scope}:{about}": event.profile_key
        for event in events
        if event.customer
        for about in (payment_named(event), text(event.object.get("id")))
        if about
    }
    # The order of a payment may be an invoice, and only the invoice's item may name the owner.
    paying = {_key(event): event.scope for event in nameless}
    invoices = {key: invoice for key, invoice in _joined(events).items() if key in paying} | {
        key: f"{scope}:{memory.orders[key]}" for key, scope in paying.items() if key in memory.orders
    }
    unread = {invoice for key, invoice in invoices.items() if not _customer(memory.owners.get(key)) and invoice != key}
    if unread:
        read = store.load([("order", key) for key in unread])
        memory.owners |= read.owners
        memory.stored_owners |= read.stored_owners
        memory.asked |= read.asked
        memory.orders |= read.orders

    def paid_by(event: StripeEvent) -> str:
        key = _key(event)
        named = f"{event.scope}:{reference(event.object.get('invoice'))}"
        record = memory.profiles.get(event.profile_key)
        names = (key, invoices.get(key, named), named)
        owners = (found.get(each, "") for found in (memory.owners, payers) for each in names)
        return next(filter(None, map(_customer, (record.moved_to if record is not None else "", *owners))), "")

    if reader is not None:
        strangers = (event for event in nameless if not paid_by(event) and not _is_a_guests(event, memory))
        wanted = dict.fromkeys(filter(None, map(payer_lookup, strangers)))
        memory.read.update(reader.read(wanted) if wanted else {})
    unowned = {id(event) for event in nameless}
    paid = [
        event.belonging_to(customer)
        if id(event) in unowned and (customer := paid_by(event) or payer_from_api(event, memory))
        else event
        for event in events
    ]
    given = _kept_together(paid, memory)
    missing = [event for event in given if (event.payer or event.keeper) and event.profile_key not in memory.profiles]
    if missing:
        records = recall(missing, store)
        memory.profiles |= records.profiles
        memory.unreadable |= records.unreadable
    return given


def _joined(events: Iterable[StripeEvent]) -> dict[str, str]:
    """The invoice of each payment of which these events say what it paid."""
    return {
        _key(event): f"{event.scope}:{reference(event.object.get('invoice'))}"
        for event in events
        if event.type == "invoice_payment.paid"
    }


def _kept_together(events: Sequence[StripeEvent], memory: Memory) -> Sequence[StripeEvent]:
    """The events; those that are about one invoice get one record while nobody knows its customer.

    A refund arrives under its payment, a part of an invoice under the invoice. What was stored first keeps the rest.
    """
    strangers = [event for event in events if names_no_customer(event)]
    links = _joined(strangers)

    def about(event: StripeEvent) -> str:
        key = _key(event)
        known = memory.orders.get(key)
        return links.get(key) or (f"{event.scope}:{known}" if known else key)

    def stored(event: StripeEvent) -> str:
        own = memory.profiles.get(event.profile_key)
        records = (memory.owners.get(about(event)), memory.owners.get(_key(event)), own.moved_to if own else "")
        return next((record for record in records if record and not _customer(record)), "")

    keepers: dict[str, str] = {}
    for event in strangers:
        keepers[about(event)] = keepers.get(about(event)) or stored(event)
    kept = {
        id(event): keepers[order] or order
        for event in strangers
        if keepers[order := about(event)] or order != _key(event)
    }
    return [
        event if kept.get(id(event), event.profile_key) == event.profile_key else event.kept_in(kept[id(event)])
        for event in events
    ]


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
        _key(event): invoice
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


def _is_a_guests(event: StripeEvent, memory: Memory) -> bool:
    """Whether the payment is known to be that of a guest, who is no customer."""
    record = memory.profiles.get(event.profile_key)
    payment = None if record is None else record.payment(payment_named(event) or "")
    return payment is not None and payment.counted


@dataclass(slots=True)
class Taken:
    """What customers' records take over in a batch.

    `marked` are the records that were taken over, to be written before these: a batch that met the same payment at the
    same time then fails, and finds the customer. `owned` are the payments with their owners, to be written after them,
    so that a record that could not be written takes over again.
    """

    marked: list[Profile] = field(default_factory=list)
    owned: list[Learnt] = field(default_factory=list)

    def by(self, records: Collection[str]) -> Taken:
        """What these records take over."""
        if not self.marked:
            # As is usual.
            return self
        return Taken(
            [mark for mark in self.marked if mark.moved_to in records],
            [fact for fact in self.owned if fact.owner in records],
        )

    def parted(self, learnt: list[Learnt]) -> tuple[list[Learnt], list[Learnt]]:
        """What is written before the records, and what after them."""
        if not self.owned:
            return learnt, []
        after, last = {(fact.kind, fact.key) for fact in self.owned}, [*self.owned]
        first: list[Learnt] = []
        for fact in learnt:
            (last if (fact.kind, fact.key) in after else first).append(fact)
        return first, last


def take_over(events: Iterable[StripeEvent], memory: Memory, store: Store) -> Taken:
    """Move what arrived before its payment's customer was known into that customer's record.

    While nobody knows the customer, the record that keeps an invoice takes over those of its payments. Where there are
    none, nothing is read.

    Raises StoreUnavailableError.
    """
    kept: dict[str, dict[str, list[Learnt]]] = {}
    for event in events:
        record, takes = event.profile_key, event.customer or names_no_customer(event)
        for order in orders_needed(event) if takes else ():
            key = f"{event.scope}:{order}"
            owner = memory.owners.get(key, record)
            if owner != record and not _customer(owner):
                # The order is the payment itself, until another event names its invoice.
                itself = Learnt("order", key, key.rpartition(":")[2], event.created, record)
                kept.setdefault(record, {}).setdefault(owner, []).append(memory.agreed(itself))
    taken = Taken()
    if not kept:
        return taken
    every = {owner for owners in kept.values() for owner in owners}
    found = store.load([("profile", key) for key in every])
    settle(every, found, store)
    for record, owners in kept.items():
        scope, _, _ = record.rpartition(":")
        profile = memory.profiles[record]
        for owner in sorted(owners.keys() & found.profiles.keys()):
            taken.marked.append(found.profiles[owner].moved(record))
            taken.owned += owners[owner]
            memory.owners |= {fact.key: record for fact in owners[owner]}
            profile = profile.with_payments_of(found.profiles[owner])
            for payment in found.profiles[owner].payments:
                # The order that it paid may have become known since.
                profile = profile.with_paid(memory.orders.get(f"{scope}:{payment}", payment), by=payment)
        moved = profile.paid != memory.profiles[record].paid
        memory.profiles[record] = replace(profile, shown=OUTDATED) if moved else profile
    return taken


def _customer(record: str | None) -> str:
    """The customer whose record has this key; empty where the record is not a customer's."""
    owner = (record or "").rpartition(":")[2]
    return owner if owner.startswith(CUSTOMERS) else ""


def _key(event: StripeEvent) -> str:
    return f"{event.scope}:{payment_named(event)}"


def _wants_owner(event: StripeEvent, memory: Memory) -> bool:
    """Whether the event needs its customer's record; `invoice_payment.paid` needs it where the store knows the owner.

    A stored order does not mean that the record knows it: the order is written first, and the record's write may fail.
    """
    return event.type != "invoice_payment.paid" or leaves_open(event) or bool(memory.owners.get(_key(event)))
