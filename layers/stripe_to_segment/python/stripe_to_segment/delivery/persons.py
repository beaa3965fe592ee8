"""The persons of a batch: each customer's record is tied to its user, and learns the user's opt-out from the others.

A user with one customer, the usual case, costs one write when the two are tied, and no request afterwards. Only the
records of customers who share a user, and those of guests' payments, need the person to be read. When a guest's
payment states an opt-out, the records of the user's customers are marked as shared, so that they read it too.
"""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.identity import profile_key, with_person
from stripe_to_segment.state.person import MOST_SIBLINGS, Person, heard, person_key
from stripe_to_segment.state.store import OPT_OUT, Learnt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Persons"]


@dataclass(slots=True)
class Persons:
    """The persons of one batch, by key.

    `records` are the keys of the records in the batch for which a person is known. `ties` and `moves` are pairs of
    person and record: those tied by this batch, and those untied. `told_by_guests` are the persons for whom a guest's
    payment states an opt-out or its end.
    """

    settings: Settings
    known: dict[str, Person] = field(default_factory=dict)
    records: dict[str, set[str]] = field(default_factory=dict)
    ties: set[tuple[str, str]] = field(default_factory=set)
    moves: set[tuple[str, str]] = field(default_factory=set)
    told_by_guests: set[str] = field(default_factory=set)

    def meet(
        self, said: Iterable[tuple[StripeEvent, Stated]], memory: Memory, store: Store, now: float | None = None
    ) -> None:
        """Read the persons that these events are about, and tie customers that are not tied yet to them.

        The records in the memory then have their persons' opt-outs. Raises StoreUnavailableError.

        Parameters
        ----------
        said
            The events in their order, each with its statements about the person.
        memory, store
            The loaded records of the events' customers, and the store.
        now
            Epoch seconds; None where nothing may be written.
        """
        self._survey(said, memory)
        if now is None:
            self.ties.clear()
        elif self.ties:
            store.untie(self.moves)
            self.known |= store.tie(self.ties)
        unread = self.records.keys() - self.known.keys()
        if unread:
            self.known |= store.persons(unread)
        if now is not None:
            self._mark(memory, store, now)
        for person in self.records:
            self._tell(person, memory)
        self._read_siblings(memory, store)

    def siblings(self, event: StripeEvent, profile: Profile, stated: Stated, memory: Memory) -> tuple[Profile, ...]:
        """The other records of the event's user, with the changes that this batch has made so far."""
        user_id = stated.user_id or profile.user_id
        if user_id is None or not self.known:
            return ()
        person = self.known.get(person_key(event, user_id, self.settings), Person())
        if not 1 < len(person.records) <= MOST_SIBLINGS:
            return ()
        others = sorted(person.records - {profile.key})
        found = (memory.profiles.get(key) or memory.siblings.get(key) for key in others)
        return tuple(one for one in found if one is not None and one.user_id == user_id)

    def unreadable(self, record: str) -> str:
        """The reason why a record's person cannot be read; empty where it can be, or where it is not needed."""
        persons = (self.known.get(key, Person()) for key, records in self.records.items() if record in records)
        return next((person.unreadable for person in persons if person.unreadable), "")

    def after(
        self, event: StripeEvent, before: Profile, profile: Profile, memory: Memory
    ) -> tuple[Profile, Learnt | None]:
        """The record after an event, with its tie; an opt-out goes into the person and the person's other records.

        `before` is the record before the event.
        """
        if profile.user_id is None or not (self.ties or "opted_out" in profile.told):
            return profile, None
        key = person_key(event, profile.user_id, self.settings)
        person = self.known.get(key, Person(opted_out=before.opted_out))
        if (key, profile.key) in self.ties:
            profile = replace(profile, tied=True, shared=len(person.records) > 1 or key in self.told_by_guests)
        as_of = profile.told.get("opted_out")
        # An opt-out of this event, or an earlier one of the customer from before its user was known. A customer that
        # moves to another user takes none along.
        said = as_of is not None and (before.user_id is None or as_of != before.told.get("opted_out"))
        if as_of is None or not said or person.opted_out is profile.opted_out is False:
            return profile, None
        self.known[key] = replace(person, opted_out=profile.opted_out, as_of=as_of)
        self._tell(key, memory)
        return profile, Learnt(OPT_OUT, key, str(profile.opted_out).lower(), as_of, profile.key)

    def _survey(self, said: Iterable[tuple[StripeEvent, Stated]], memory: Memory) -> None:
        """Find the person of each event; an event may be found by what an earlier one of the batch states."""
        profiles = dict(memory.profiles)
        for event, stated in said:
            record = profile_key(event)
            before = profiles[record]
            profile = before
            if stated.user_id is not None and stated.user_id != before.user_id:
                profile = profiles[record] = with_person(before, stated, event.created)
            if profile.user_id is None:
                continue
            guest = event.customer is None
            if guest or profile.shared or not profile.tied:
                key = person_key(event, profile.user_id, self.settings)
                self.records.setdefault(key, set()).add(record)
                if not guest and not profile.tied:
                    self.ties.add((key, record))
                if guest and (stated.opted_out is not None or "opted_out" in profile.told):
                    self.told_by_guests.add(key)
            if before.tied and not profile.tied and before.user_id is not None:
                self.moves.add((person_key(event, before.user_id, self.settings), record))

    def _read_siblings(self, memory: Memory, store: Store) -> None:
        """Read the other records of users who have several, because their traits are over all of them."""
        persons = (self.known.get(key, Person()).records for key in self.records)
        keys = {record for records in persons if 1 < len(records) <= MOST_SIBLINGS for record in records}
        unread = keys - memory.profiles.keys()
        if unread:
            memory.siblings |= store.load(unread, (), ()).profiles

    def _mark(self, memory: Memory, store: Store, now: float) -> None:
        """Mark the records of customers who share a user; records tied by this batch are written with the batch."""
        tied = {record for _, record in self.ties}
        several = {key for key, _ in self.ties if len(self.known[key].records) > 1}
        unmarked = {
            key: self.known[key].records - self.known[key].marked - tied
            for key in sorted(several | (self.told_by_guests & self.known.keys()))
        }
        for key, records in unmarked.items():
            if not records:
                continue
            for record, version in store.share(key, records, now).items():
                if record in memory.profiles:
                    self.records[key].add(record)
                    # A later version is one that another batch wrote meanwhile: the save fails, and is made anew.
                    if version == memory.profiles[record].version + 1:
                        memory.profiles[record] = replace(memory.profiles[record], shared=True, version=version)

    def _tell(self, person: str, memory: Memory) -> None:
        for record in self.records.get(person, ()):
            memory.profiles[record] = heard(memory.profiles[record], self.known.get(person, Person()))
