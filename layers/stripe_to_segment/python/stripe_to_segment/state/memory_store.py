"""The store in memory, which obeys the same conditions as the StateTable, for tests and for `explain`."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StoreConflictError
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.person import MOST_RECORDS, NEW_PERSON, Person
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.state.prune import pruned
from stripe_to_segment.state.store import DAY, OPT_OUT, Learnt, Memory, each_once

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stripe_to_segment.state.claim import Receipt

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store in dicts."""

    def __init__(self) -> None:
        self.profiles: dict[str, Profile] = {}
        self.learnt: dict[tuple[str, str], Learnt] = {}
        self.last_circuits: dict[str, Circuit] = {}
        self.known_receipts: dict[str, Receipt] = {}
        self.known_persons: dict[str, Person] = {}

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Load the items with these kinds and keys."""
        memory = Memory()
        for kind, key in keys:
            if kind == "profile" and key in self.profiles:
                memory.profiles[key] = self.profiles[key]
            elif kind == "circuit":
                memory.circuits |= self.circuits([key])
            elif kind == "order":
                memory.asked.add(key)
            if (fact := self.learnt.get((kind, key))) is not None:
                memory.as_of[kind, key] = fact.as_of
                memory.learnt(kind)[key] = fact.value
                if kind == "order" and fact.owner:
                    memory.owners[key] = memory.stored_owners[key] = fact.owner
                if kind == "order" and not fact.names_another:
                    memory.alone.add(key)
        return memory

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write records whose version is still the one read."""
        errors: dict[str, Exception] = {}
        for fact in each_once(learnt):
            if fact.kind == OPT_OUT:
                self._learn_opt_out(fact)
                continue
            known = self.learnt.get((fact.kind, fact.key))
            if fact.kind == "order":
                mine = known is None or fact.may_own_after(known.owner)
                missed = known is not None and fact.missed(known.value)
                if mine and not (missed and fact.names_another):
                    self.learnt[fact.kind, fact.key] = fact.over(known)
                if missed or not mine:
                    errors |= dict.fromkeys(filter(None, (fact.key, fact.owner)), StoreConflictError(fact.key))
            elif known is None or known.as_of <= fact.as_of:
                self.learnt[fact.kind, fact.key] = fact
        for profile in profiles:
            stored = self.profiles.get(profile.key)
            if (stored.version if stored else 0) != profile.version:
                errors[profile.key] = StoreConflictError(profile.key)
            elif profile.key not in errors:
                kept = pruned(profile, int(now) // DAY)
                self.profiles[profile.key] = replace(kept, version=profile.version + 1)
        return errors

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """The receipts of these deliveries; one without a receipt is left out."""
        return {name: self.known_receipts[name] for name in deliveries if name in self.known_receipts}

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:  # noqa: ARG002 - nothing expires here
        """Write the receipt of a delivery."""
        self.known_receipts[delivery] = receipt

    def circuits(self, names: Collection[str]) -> dict[str, Circuit]:
        """The stored state of these circuits."""
        return {name: self.last_circuits.get(name, Circuit()) for name in names}

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:  # noqa: ARG002 - nothing expires here
        """Write a circuit if the stored one is still `seen`."""
        if self.last_circuits.get(name, Circuit()) != seen:
            return False
        self.last_circuits[name] = circuit
        return True

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """The stored persons with these keys."""
        return {key: self.known_persons[key] for key in keys if key in self.known_persons}

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Add records to their persons, given as pairs of person and record; returns the persons afterwards."""
        for key, record in pairs:
            person = self.known_persons.get(key, NEW_PERSON)
            if len(person.records) < MOST_RECORDS:
                self.known_persons[key] = replace(person, records=person.records | {record})
        return {key: self.known_persons[key] for key, _ in pairs}

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Remove records from their persons."""
        for key, record in pairs:
            if (person := self.known_persons.get(key)) is not None:
                left = replace(person, records=person.records - {record}, marked=person.marked - {record})
                self.known_persons[key] = left

    def claim(self, persons: Mapping[str, Person], delivery: str, lease_until: int) -> dict[str, Exception]:
        """Claim these persons for a delivery, if their version and records are still those read."""
        errors: dict[str, Exception] = {}
        for key, person in persons.items():
            known = self.known_persons.get(key, NEW_PERSON)
            if (known.version, known.records) != (person.version, person.records):
                errors[key] = StoreConflictError(key)
                continue
            self.known_persons[key] = replace(
                known,
                guests=person.guests,
                delivery=delivery,
                lease_until=lease_until,
                version=known.version + 1,
            )
        return errors

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:  # noqa: ARG002 - nothing expires here
        """Mark records as sharing their person, also those not written yet; returns their new versions."""
        for key in records:
            profile = self.profiles.get(key, Profile(key))
            self.profiles[key] = replace(profile, shared=True, version=profile.version + 1)
        known = self.known_persons[person]
        self.known_persons[person] = replace(known, marked=known.marked | {*records})
        return {key: self.profiles[key].version for key in records}

    def _learn_opt_out(self, fact: Learnt) -> None:
        known = self.known_persons.get(fact.key, NEW_PERSON)
        if known.opted_out is None or known.as_of <= fact.as_of:
            self.known_persons[fact.key] = replace(known, opted_out=fact.value == "true", as_of=fact.as_of)

    def bookmark(self, name: str) -> int | None:
        """The position of a repeated job in epoch seconds, None before its first run."""
        found = self.learnt.get(("bookmark", name))
        return None if found is None else found.as_of

    def put_bookmark(self, name: str, second: int, now: float) -> None:
        """Save the position of a repeated job; it never moves back."""
        self.save([], [Learnt("bookmark", name, str(second), second)], now)
