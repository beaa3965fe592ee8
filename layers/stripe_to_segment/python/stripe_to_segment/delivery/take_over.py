"""Take over what was stored for a payment before its customer was known, into the record of the customer."""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.load import settle
from stripe_to_segment.delivery.payers import customer_of
from stripe_to_segment.delivery.persons import NO_TURN
from stripe_to_segment.mapping.orders import names_no_customer, orders_needed
from stripe_to_segment.state.profile import OUTDATED
from stripe_to_segment.state.store import Learnt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stripe_to_segment.delivery.persons import Turn
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Taken", "take_over"]


@dataclass(slots=True)
class Taken:
    """What customers' records take over in a batch.

    `marked` are the records that were taken over, to be written before these: a batch that met the same payment at the
    same time then fails, and finds the customer. `owned` are the payments with their owners, to be written after them,
    so that a record that could not be written takes over again. `busy` are the records that take over nothing yet,
    because another batch may be sending what is claimed there: each with that delivery and the end of its lease.
    `unreadable` are those that would take over what cannot be read: each with the reason and the item.
    """

    marked: list[Profile] = field(default_factory=list)
    owned: list[Learnt] = field(default_factory=list)
    busy: dict[str, tuple[str, int]] = field(default_factory=dict)
    unreadable: dict[str, tuple[str, str]] = field(default_factory=dict)

    def by(self, records: Collection[str]) -> Taken:
        """What these records take over."""
        if not self.marked:
            # True of most batches.
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


def take_over(events: Iterable[StripeEvent], memory: Memory, store: Store, turn: Turn = NO_TURN) -> Taken:
    """Move what arrived before its payment's customer was known into that customer's record.

    While nobody knows the customer, the record that keeps an invoice takes over those of its payments. Where there are
    none, nothing is read. It waits for the receipt of a batch that may be sending their calls: the receipt names calls
    that arrived, and is read with the record of the newest delivery alone.

    Raises StoreUnavailableError.
    """
    kept: dict[str, dict[str, list[Learnt]]] = {}
    for event in events:
        record, takes = event.profile_key, event.customer or names_no_customer(event)
        needed = orders_needed(event) if takes else []
        # The invoice behind a payment too, where its owner was read.
        needed = [*needed, *(memory.orders.get(f"{event.scope}:{order}", order) for order in needed)]
        for order in dict.fromkeys(needed):
            key = f"{event.scope}:{order}"
            owner = memory.owners.get(key, record)
            if owner != record and not customer_of(owner):
                # The order is the payment itself, until another event names its invoice.
                itself = Learnt("order", key, key.rpartition(":")[2], event.created, record)
                kept.setdefault(record, {}).setdefault(owner, []).append(memory.agreed(itself))
    taken = Taken()
    if not kept:
        return taken
    found, broken = _taken_over(kept, store)
    for record, owners in kept.items():
        if reasons := [(broken[owner], f"profile#{owner}") for owner in owners if owner in broken]:
            taken.unreadable[record] = reasons[0]
            continue
        scope, _, _ = record.rpartition(":")
        profile = memory.profiles[record]
        pending = turn.pending(found[owner] for owner in owners.keys() & found.keys())
        if pending:
            taken.busy[record] = next(iter(pending.items()))
            continue
        for owner in sorted(owners.keys() & found.keys()):
            taken.marked.append(found[owner].moved(record))
            taken.owned += owners[owner]
            memory.owners |= {fact.key: record for fact in owners[owner]}
            profile = profile.with_payments_of(found[owner])
            for payment in found[owner].payments:
                # The order that it paid may have become known since.
                order = memory.orders.get(f"{scope}:{payment}", payment)
                order = profile.order_paid_by(payment) or payment if order == payment else order
                guessed = profile.order_taken_for(payment) if order == payment else None
                profile = profile.with_guess(guessed, payment) if guessed else profile.with_paid(order, by=payment)
        moved = profile.paid != memory.profiles[record].paid
        memory.profiles[record] = replace(profile, shown=OUTDATED) if moved else profile
    return taken


def _taken_over(kept: Mapping[str, dict[str, list[Learnt]]], store: Store) -> tuple[dict[str, Profile], dict[str, str]]:
    """The records to take over, and why some cannot be read.

    One that another record without a customer has taken over leads to that record too.
    """
    found: dict[str, Profile] = {}
    broken: dict[str, str] = {}
    asked: set[str] = set()
    while unread := {owner for owners in kept.values() for owner in owners} - asked:
        read = store.load([("profile", key) for key in unread])
        settle(unread, read, store)
        asked |= unread
        found |= read.profiles
        broken |= {record: reason for (_, record), reason in read.unreadable.items()}
        for record, owners in kept.items():
            takers = {found[owner].moved_to for owner in owners.keys() & found.keys()} - {"", record}
            for taker in takers:
                if not customer_of(taker):
                    owners.setdefault(taker, [])
    return found, broken
