"""Find who made a payment, for events that name no customer: refunds, disputes, payments of an invoice.

While nobody knows the customer, such events are stored in a record of the payment itself (`take_over.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.delivery.load import recall
from stripe_to_segment.mapping.invoice_payments import leaves_open
from stripe_to_segment.mapping.lookups import payer_from_api, payer_lookup
from stripe_to_segment.mapping.orders import names_no_customer, payment_named
from stripe_to_segment.stripe_side.fields import reference, text
from stripe_to_segment.stripe_side.invoice import payments_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["customer_of", "owned", "payment_key"]

# The prefixes of customers' ids, also where Stripe's accounts are customers; a guest's record has a payment's id.
CUSTOMERS = ("cus_", "acct_")
REFUNDS = ("refund.", "charge.")
PAYMENTS = ("payment_intent.", "checkout.session.")


def owned(
    events: Sequence[StripeEvent], memory: Memory, store: Store, reader: Reader | None = None
) -> Sequence[StripeEvent]:
    """The events; one that names no customer gets the customer who made its payment, where that is known.

    The records of these customers are loaded too. A batch in which every event names its customer costs no read. If the
    store does not know a customer, the reader, if there is one, asks Stripe.

    Raises StoreUnavailableError.
    """
    events = _moved_on(_paid_for(_of_customers(events, memory), memory, store, reader), memory, store)
    _read_owners(_unread_invoices(events, memory), memory, store)
    return events


def _of_customers(events: Sequence[StripeEvent], memory: Memory) -> Sequence[StripeEvent]:
    """The events; an intent or a session without a customer gets the one whom another event of the payment has named.

    Unless it has counted as a guest's payment.
    """
    nobodys = [event for event in events if event.customer is None and event.type.startswith(PAYMENTS)]
    guests = [event for event in nobodys if payment_named(event)]
    if not guests:
        return events
    payers, found = _payers(events, memory), dict[int, str]()
    for event in guests:
        named = customer_of(memory.owners.get(payment_key(event))) or customer_of(payers.get(payment_key(event)))
        if named and not _is_a_guests(event, memory):
            found[id(event)] = named
    return [event.belonging_to(found[id(event)]) if id(event) in found else event for event in events]


def _unread_invoices(events: Sequence[StripeEvent], memory: Memory) -> set[str]:
    """The invoices behind refunds and disputes of a customer whose record has not counted them.

    A part of such an invoice may be kept in a record of its own, which the customer then takes over.
    """
    refunds = [event for event in events if event.customer and event.type.startswith(REFUNDS)]
    links = _joined(events) if refunds else {}
    found: set[str] = set()
    for event in refunds:
        key, payment, record = payment_key(event), payment_named(event) or "", memory.profiles.get(event.profile_key)
        stored = {reference(event.object.get("invoice")), memory.orders.get(key)}
        stored |= {record.order_paid_by(payment)} if record is not None else set()
        counted = {order for order in stored if record is not None and record.has_counted(order or "")}
        found |= {f"{event.scope}:{order}" for order in stored - counted - {None, payment}}
        found |= {links[key]} if key in links else set()
    return found - memory.asked


def _read_owners(orders: set[str], memory: Memory, store: Store) -> None:
    """Load who paid these orders."""
    if orders:
        read = store.load([("order", key) for key in orders])
        memory.owners |= read.owners
        memory.stored_owners |= read.stored_owners
        memory.asked |= read.asked
        memory.alone |= read.alone
        memory.orders |= read.orders
        memory.unreadable |= read.unreadable


def _payers(events: Sequence[StripeEvent], memory: Memory) -> dict[str, str]:
    """The records of the customers whom these events name, by the payments and the invoices that they are about."""
    named = {
        f"{event.scope}:{about}": event.profile_key
        for event in events
        if event.customer
        for about in (payment_named(event), text(event.object.get("id")), *_listed_payments(event))
        if about
    }
    stored = {key: f"{key.rpartition(':')[0]}:{memory.orders[key]}" for key in named.keys() & memory.orders.keys()}
    paid = stored | _joined(events)
    return {invoice: named[payment] for payment, invoice in paid.items() if payment in named} | named


def _listed_payments(event: StripeEvent) -> tuple[str, ...]:
    """The payments of an invoice of an import: its list names them, events do not."""
    return payments_of(event.object) if event.type == "invoice.paid" else ()


def _paid_for(
    events: Sequence[StripeEvent], memory: Memory, store: Store, reader: Reader | None
) -> Sequence[StripeEvent]:
    """The events; those without a customer get the one who made their payment, or the record that keeps it."""
    without_customer = [event for event in events if names_no_customer(event)]
    payers = _payers(events, memory) if without_customer else {}
    nameless = [event for event in without_customer if _wants_owner(event, memory, payers)]
    if not nameless:
        return events
    # The order of a payment may be an invoice, and only the invoice's item may name the owner.
    paying = {payment_key(event): event.scope for event in nameless}
    others = {payment_key(event) for event in nameless if event.type != "invoice_payment.paid"}
    invoices = {key: invoice for key, invoice in _joined(events).items() if key in others} | {
        key: f"{scope}:{memory.orders[key]}" for key, scope in paying.items() if key in memory.orders
    }
    unread = {
        invoice
        for key, invoice in invoices.items()
        if invoice not in {key, *payers, *memory.asked} and not customer_of(memory.owners.get(key))
    }
    _read_owners(unread, memory, store)

    def paid_by(event: StripeEvent) -> str:
        key = payment_key(event)
        named = f"{event.scope}:{reference(event.object.get('invoice'))}"
        record = memory.profiles.get(event.profile_key)
        names = (key, invoices.get(key, named), named)
        owners = (found.get(each, "") for found in (memory.owners, payers) for each in names)
        return next(filter(None, map(customer_of, (record.moved_to if record is not None else "", *owners))), "")

    if reader is not None:
        unknown = (event for event in nameless if not paid_by(event) and not _is_a_guests(event, memory))
        wanted = dict.fromkeys(filter(None, map(payer_lookup, unknown)))
        memory.read.update(reader.read(wanted) if wanted else {})
    unowned = {id(event) for event in nameless}
    paid = [
        event.belonging_to(customer)
        if id(event) in unowned and (customer := paid_by(event) or payer_from_api(event, memory))
        else event
        for event in events
    ]
    return _kept_together(paid, memory)


def _moved_on(events: Sequence[StripeEvent], memory: Memory, store: Store) -> Sequence[StripeEvent]:
    """The events; those whose record another one has taken over get that one. All their records are loaded.

    The order that names the owner may have been read before the record was taken over, and the record afterwards.
    """
    _read_records(events, memory, store)
    return [_moved(event, memory, store) for event in events]


def _moved(event: StripeEvent, memory: Memory, store: Store) -> StripeEvent:
    """The event with the record that has taken over its own in the end.

    Records that lead in a circle are damaged; each stands for itself, as in an audit.
    """
    moved = event
    passed: set[str] = set()
    while (record := memory.profiles.get(moved.profile_key)) is not None and record.moved_to:
        if moved.profile_key in passed:
            return event
        passed.add(moved.profile_key)
        customer = customer_of(record.moved_to)
        moved = moved.belonging_to(customer) if customer else moved.kept_in(record.moved_to)
        _read_records([moved], memory, store)
    return moved


def _read_records(events: Sequence[StripeEvent], memory: Memory, store: Store) -> None:
    """Load the records that these events got, where they were not loaded before."""
    missing = [event for event in events if (event.payer or event.keeper) and event.profile_key not in memory.profiles]
    if missing:
        records = recall(missing, store)
        memory.profiles |= records.profiles
        memory.unreadable |= records.unreadable


def _joined(events: Iterable[StripeEvent]) -> dict[str, str]:
    """The invoice of each payment of which these events say what it paid."""
    return {
        payment_key(event): f"{event.scope}:{reference(event.object.get('invoice'))}"
        for event in events
        if event.type == "invoice_payment.paid"
    }


def _kept_together(events: Sequence[StripeEvent], memory: Memory) -> Sequence[StripeEvent]:
    """The events; those that are about one invoice get one record while nobody knows its customer.

    A refund arrives under its payment, a part of an invoice under the invoice. What was stored first keeps the rest.
    """
    without_customer = [event for event in events if names_no_customer(event)]
    links = _joined(without_customer)

    def about(event: StripeEvent) -> str:
        key = payment_key(event)
        known = memory.orders.get(key)
        return links.get(key) or (f"{event.scope}:{known}" if known else key)

    def stored(event: StripeEvent) -> str:
        own = memory.profiles.get(event.profile_key)
        records = (memory.owners.get(about(event)), memory.owners.get(payment_key(event)), own.moved_to if own else "")
        return next((record for record in records if record and not customer_of(record)), "")

    keepers: dict[str, str] = {}
    for event in without_customer:
        keepers[about(event)] = keepers.get(about(event)) or stored(event)
    kept = {
        id(event): keepers[order] or order
        for event in without_customer
        if keepers[order := about(event)] or order != payment_key(event)
    }
    return [
        event if kept.get(id(event), event.profile_key) == event.profile_key else event.kept_in(kept[id(event)])
        for event in events
    ]


def _is_a_guests(event: StripeEvent, memory: Memory) -> bool:
    """Whether the payment is known to be that of a guest, who is no customer."""
    record = memory.profiles.get(event.profile_key)
    payment = None if record is None else record.payment(payment_named(event) or "")
    return payment is not None and payment.counted


def customer_of(record: str | None) -> str:
    """The customer whose record has this key; empty where the record is not a customer's."""
    owner = (record or "").rpartition(":")[2]
    return owner if owner.startswith(CUSTOMERS) else ""


def payment_key(event: StripeEvent) -> str:
    """The key under which the order of the event's payment is stored."""
    return f"{event.scope}:{payment_named(event)}"


def _wants_owner(event: StripeEvent, memory: Memory, payers: Mapping[str, str]) -> bool:
    """Whether the event needs its customer's record; `invoice_payment.paid` needs it where the owner is known.

    The record then knows what has paid the invoice, and takes no other payment of the same amount and time for that.
    A stored order does not mean that the record knows it: the order is written first, and the record's write may fail.
    """
    if event.type != "invoice_payment.paid" or leaves_open(event):
        return True
    invoice = f"{event.scope}:{reference(event.object.get('invoice'))}"
    about = (payment_key(event), invoice)
    return any(memory.owners.get(key) or key in payers for key in about)
