"""The persons (users and groups) of a batch: ties each customer to its user and group, whose traits cover all of them.

A user or a group with one customer, the usual case, costs one write when the two are tied, and no request afterwards.
The person is read only for records of customers that share it, and for guests' payments. Only one batch at a time sends
calls of a shared person: it reads the person, then the other records, and claims the person before it writes and sends,
on the condition that no other batch claimed it or tied a record to it since. A batch waits while the claim of another
batch on the person has no receipt.
"""

from __future__ import annotations

import math
from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.identity import with_person
from stripe_to_segment.mapping.translate import event_dedup_key
from stripe_to_segment.state.claim import NO_CLAIM
from stripe_to_segment.state.person import (
    MOST_SIBLINGS,
    NEW_PERSON,
    Others,
    Person,
    group_key,
    person_key,
    with_opt_out_of,
)
from stripe_to_segment.state.store import OPT_OUT, Learnt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["NO_TURN", "Persons", "Turn"]

# The events of guests' payments.
PAYS = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded", "payment_intent.succeeded"})


@frozen
class Turn:
    """The batch, by the delivery id of its claims; `now` and `until` are in epoch seconds.

    `writes` is False if nothing may be written.
    """

    delivery: str
    now: float
    until: int
    writes: bool = True

    def pending(self, known: Iterable[Person | Profile]) -> dict[str, int]:
        """The deliveries of other batches that may be sending calls of these, each with the end of its lease."""
        return {
            one.delivery: one.lease_until
            for one in known
            if one.delivery not in {"", self.delivery} and one.lease_until > self.now
        }


# For callers that only read.
NO_TURN = Turn("", math.inf, 0, writes=False)


@dataclass(slots=True)
class Persons:
    """The persons and groups of one batch, by key.

    `records` are the keys of the batch's records by person. `ties` and `moves` are pairs of person and record: newly
    tied, and no longer tied; `current` are the persons of each record after the batch. `guests` are the persons with a
    payment or an opt-out as a guest. `marked` are those of which a record is marked, because another batch may be about
    to list a guest's payment in them. `alone` says that no record shares a person with another record, a guest's
    payment or another batch, as is usual. `busy` is the delivery for which a record waits, `stale` are records that
    another batch wrote after they were read, `broken` those that cannot be read with the reason, and `leased` says that
    a person was claimed.
    """

    settings: Settings
    turn: Turn
    known: dict[str, Person] = field(default_factory=dict)
    records: dict[str, set[str]] = field(default_factory=dict)
    ties: set[tuple[str, str]] = field(default_factory=set)
    moves: set[tuple[str, str]] = field(default_factory=set)
    current: dict[str, set[str]] = field(default_factory=dict)
    guests: set[str] = field(default_factory=set)
    marked: set[str] = field(default_factory=set)
    alone: bool = True
    busy: dict[str, tuple[str, int]] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    leased: bool = False

    def meet(self, statements: Iterable[tuple[StripeEvent, Stated]], memory: Memory, store: Store) -> None:
        """Read the persons of these events, and tie their customers that are not tied yet.

        Afterwards the records in the memory have the opt-outs of their persons. Raises StoreUnavailableError.

        Parameters
        ----------
        statements
            The events in their order, each with its statements about the person.
        memory, store
            The stored data of the events' customers, and the store.
        """
        self._survey(statements, memory)
        if not self.records:
            return
        if not self.turn.writes:
            self.ties.clear()
        elif self.ties:
            self.known |= store.tie(self.ties)
        unread = self.records.keys() - self.known.keys()
        if unread:
            self.known |= store.persons(unread)
        for key, person in self.known.items():
            # Also records of the batch that were read before they were marked.
            self.records.setdefault(key, set()).update(person.records & memory.profiles.keys())
        shared = [key for key in self.records if self._is_summed_up(key) or self._person(key).delivery]
        self.alone = not (self.guests or self.moves or shared)
        if self.turn.writes and not self.alone:
            self._mark(memory, store, self.turn.now)
        for key in self.records:
            self._apply_opt_out(key, memory)
        if not self.alone:
            self._read_siblings(memory, store)

    def known_of(self, known: Known, event: StripeEvent, memory: Memory) -> Known:
        """The stored data for an event, with the other records of its user and group as this batch changed them."""
        before = known.profile
        if not self.records or (self.alone and not (before.tied or before.grouped)):
            return known
        after = with_person(before, known.stated, event.created)
        left_user, left_group = _left(event, before, after)
        own = before.key
        found: dict[str, Any] = {}
        if after.user_id is not None:
            key, user = person_key(event, after.user_id, self.settings), after.user_id
            found["others"] = self._others(key, own, user, lambda one: one.user_id == user, memory)
        if after.group_id is not None and event.customer is not None:
            key, group = group_key(event, after.group_id, self.settings), after.group_id
            found["group_others"] = self._others(key, own, group, lambda one: one.group_id == group, memory)
        if left_user:
            key = person_key(event, left_user, self.settings)
            if not self._person(key).opted_out:
                found["left_user"] = self._others(key, own, left_user, lambda one: one.user_id == left_user, memory)
        if left_group:
            key = group_key(event, left_group, self.settings)
            found["left_group"] = self._others(key, own, left_group, lambda one: one.group_id == left_group, memory)
        # A person with one record has the traits of that record.
        found = {name: rest for name, rest in found.items() if rest.siblings or rest.guests or name.startswith("left")}
        return replace(known, **found) if found else known

    def left(self) -> set[tuple[str, str]]:
        """The pairs of person and record that are no longer tied, without those that were tied again."""
        return {(key, one) for key, one in self.moves if one in self.current and key not in self.current[one]}

    def unreadable(self, record: str) -> tuple[str, str] | None:
        """The reason why the person of a record, or another record of the person, cannot be read, and which of them.

        None if all can be read. Without one the person's traits would lack an amount.
        """
        for key in (key for key, records in self.records.items() if record in records):
            person = self._person(key)
            if person.unreadable:
                return person.unreadable, f"person#{key}"
            for one in sorted(self.broken.keys() & person.records):
                return self.broken[one], f"profile#{one}"
        return None

    def after(
        self, event: StripeEvent, before: Profile, profile: Profile, memory: Memory
    ) -> tuple[Profile, Learnt | None]:
        """The record after an event, with its ties, and the opt-out to store for the person.

        The person's other records in the batch get the opt-out too. `before` is the record before the event.
        """
        if not (self.records or "opted_out" in profile.as_of):
            return profile, None
        profile = self._tied(event, before, profile)
        if profile.user_id is None:
            return profile, None
        as_of = profile.as_of.get("opted_out")
        # Stated by this event, or by the customer before its user was known. A customer that moves to another user
        # leaves the opt-out behind.
        if as_of is None or (before.user_id is not None and as_of == before.as_of.get("opted_out")):
            return profile, None
        key = person_key(event, profile.user_id, self.settings)
        person = self.known.get(key) or Person(opted_out=before.opted_out)
        if person.opted_out is profile.opted_out is False:
            return profile, None
        self.known[key] = replace(person, opted_out=profile.opted_out, as_of=as_of)
        self._apply_opt_out(key, memory)
        return profile, Learnt(OPT_OUT, key, str(profile.opted_out).lower(), as_of, profile.key)

    def claim(self, records: set[str], store: Store) -> dict[str, Exception]:
        """Claim the persons of these records that have several records; returns the errors by record."""
        wanted = {
            key: self._person(key)
            for key, members in self.records.items()
            if members & records and self._is_summed_up(key)
        }
        if not wanted:
            return {}
        errors = store.claim(wanted, self.turn.delivery, self.turn.until)
        self.leased = len(errors) < len(wanted)
        return {record: error for key, error in errors.items() for record in self.records[key] & records}

    def with_siblings[T](self, found: Mapping[str, T]) -> dict[str, T]:
        """The findings about records, extended to the other records of the same persons.

        Their calls show the same traits, so they must wait or fail together.
        """
        spread = dict(found)
        while spread:
            members = [
                records
                for key, records in self.records.items()
                if records & spread.keys() and not records <= spread.keys() and self._is_summed_up(key)
            ]
            if not members:
                break
            for records in members:
                one = next(spread[record] for record in sorted(records) if record in spread)
                spread |= {record: one for record in records if record not in spread}
        return spread

    def _person(self, key: str) -> Person:
        return self.known.get(key, NEW_PERSON)

    def _is_summed_up(self, key: str) -> bool:
        person = self._person(key)
        # A guest beside the only customer, or a customer that leaves the person.
        return (
            bool(person.guests)
            or key in self.marked
            or len(person.records | self.records[key]) > 1
            or key in {left for left, _ in self.moves}
        )

    def _tied(self, event: StripeEvent, before: Profile, profile: Profile) -> Profile:
        """The record with the keys of its user and its group."""
        keys: dict[str, str] = {}
        if profile.user_id is not None:
            keys["tied"] = person_key(event, profile.user_id, self.settings)
        if profile.group_id is not None:
            keys["grouped"] = group_key(event, profile.group_id, self.settings)
        self.current[profile.key] = {*keys.values()}
        new: dict[str, Any] = {name: True for name, key in keys.items() if (key, profile.key) in self.ties}
        if new:
            shared = any(self.known[key].several or key in self.guests for key in keys.values() if key in self.known)
            profile = replace(profile, **new, shared=profile.shared or shared)
        if event.customer is None and profile.paid and keys.get("tied") in self.records:
            profile = self._with_guest(event, before, profile, keys["tied"])
        return profile

    def _with_guest(self, event: StripeEvent, before: Profile, profile: Profile, key: str) -> Profile:
        """The guest's record, after the rest of its payment was listed in the person."""
        payment, person = profile.key.rpartition(":")[2], self._person(key)
        if before.user_id not in {None, profile.user_id}:
            former = person_key(event, before.user_id or "", self.settings)
            self.known[former] = self._person(former).without_guest(payment)
        if profile.tied and payment not in person.guests:
            # It is no longer listed, because newer payments replaced it, so its part of the sum stays unchanged.
            return profile
        self.known[key], self.alone = person.with_guest(payment, profile.paid), False
        return replace(profile, tied=True)

    def _survey(self, statements: Iterable[tuple[StripeEvent, Stated]], memory: Memory) -> None:
        """Find the persons of each event; later events use the statements of earlier ones."""
        profiles = dict(memory.profiles)
        for event, stated in statements:
            record = event.profile_key
            before = profile = profiles[record]
            if stated.user_id not in {None, before.user_id} or stated.group_id not in {None, before.group_id}:
                profile = profiles[record] = with_person(before, stated, event.created)
            if profile.user_id is not None:
                self._survey_user(event, stated, profile)
            if profile.group_id is not None and event.customer is not None and (profile.shared or not profile.grouped):
                key = group_key(event, profile.group_id, self.settings)
                self.records.setdefault(key, set()).add(record)
                if not profile.grouped:
                    self.ties.add((key, record))
            if before.tied or before.grouped or before.claims:
                for key in self._left_keys(event, before, profile):
                    self.records.setdefault(key, set()).add(record)
                    self.moves.add((key, record))

    def _survey_user(self, event: StripeEvent, stated: Stated, profile: Profile) -> None:
        guest, record = event.customer is None, profile.key
        if not (guest or profile.shared or not profile.tied):
            return
        key = person_key(event, profile.user_id or "", self.settings)
        self.records.setdefault(key, set()).add(record)
        if profile.shared:
            self.marked.add(key)
        if not guest and not profile.tied:
            self.ties.add((key, record))
        says = stated.opted_out is not None or "opted_out" in profile.as_of
        if guest and (says or event.type in PAYS or profile.paid):
            self.guests.add(key)

    def _left_keys(self, event: StripeEvent, before: Profile, after: Profile) -> Iterator[str]:
        user, group = _left(event, before, after)
        if user:
            yield person_key(event, user, self.settings)
        if group:
            yield group_key(event, group, self.settings)

    def _others(
        self, key: str, own: str, identifier: str, belongs: Callable[[Profile], bool], memory: Memory
    ) -> Others:
        person = self._person(key)
        records = sorted(person.records - {own}) if len(person.records) <= MOST_SIBLINGS else []
        found = (memory.profiles.get(record) or memory.siblings.get(record) for record in records)
        siblings = tuple(one for one in found if one is not None and belongs(one))
        guests = person.paid_as_guest(without=own.rpartition(":")[2]) if person.guests else {}
        return Others(identifier, siblings, guests)

    def _read_siblings(self, memory: Memory, store: Store) -> None:
        """Read the other records of persons with several: their traits cover all of them.

        Read after the persons, and with the batch's own records once more: a batch that wrote one since had to claim
        the person.
        """
        persons = {key: self._person(key) for key in self.records}
        claimed = {key: found for key, person in persons.items() if (found := self.turn.pending([person]))}
        # The receipts of their claims before the records: what a batch wrote before its receipt is then read with them.
        over = self._receipts_of(claimed, store)
        members = {key: person.records for key, person in persons.items() if len(person.records) <= MOST_SIBLINGS}
        wanted = {
            record
            for key, records in members.items()
            if self._is_summed_up(key)
            for record in records | self.records[key]
        }
        loaded = store.load([("profile", key) for key in wanted])
        self.broken |= {record: reason for (_, record), reason in loaded.unreadable.items()}
        read = loaded.profiles
        memory.siblings |= {record: profile for record, profile in read.items() if record not in memory.profiles}
        self.stale |= {
            record
            for record, profile in read.items()
            if record in memory.profiles and profile.version != memory.profiles[record].version
        }
        self.stale |= self.with_siblings(dict.fromkeys(self.stale, True)).keys()
        leased = {
            key: found
            for key in persons
            if (found := self.turn.pending(read[one] for one in members.get(key, ()) if one in read))
        }
        for pending, known in ((claimed, over), (leased, self._receipts_of(leased, store))):
            for key, found in pending.items():
                waits = {name: until for name, until in found.items() if name not in known}
                for record in self.records[key] if waits else ():
                    self.busy.setdefault(record, next(iter(waits.items())))

    @staticmethod
    def _receipts_of(pending: Mapping[str, Mapping[str, int]], store: Store) -> Mapping[str, object]:
        names = {name for found in pending.values() for name in found}
        return store.receipts(names) if names else {}

    def _mark(self, memory: Memory, store: Store, now: float) -> None:
        """Mark the records of customers who share a user; records tied by this batch are written with the batch."""
        tied = {record for _, record in self.ties}
        several = {key for key, _ in self.ties if len(self.known[key].records) > 1}
        unmarked = {
            key: self.known[key].records - self.known[key].marked - tied
            for key in sorted(several | (self.guests & self.known.keys()))
        }
        for key, records in unmarked.items():
            if not records:
                continue
            for record, version in store.share(key, records, now).items():
                if record in memory.profiles:
                    self.records[key].add(record)
                    if version == memory.profiles[record].version + 1:
                        memory.profiles[record] = replace(memory.profiles[record], shared=True, version=version)
                    else:
                        self.stale.add(record)

    def _apply_opt_out(self, person: str, memory: Memory) -> None:
        for record in self.records.get(person, ()):
            memory.profiles[record] = with_opt_out_of(memory.profiles[record], self._person(person))


def _left(event: StripeEvent, before: Profile, after: Profile) -> tuple[str, str]:
    """The user and the group that the record leaves with this event, now or in an earlier attempt; empty for none."""
    claim = before.claims.get(event_dedup_key(event), NO_CLAIM) if before.claims else NO_CLAIM
    user = before.user_id if before.tied and before.user_id not in {None, after.user_id} else claim.left_user
    group = before.group_id if before.grouped and before.group_id not in {None, after.group_id} else claim.left_group
    return ("" if user == after.user_id else user or "", "" if group == after.group_id else group or "")
