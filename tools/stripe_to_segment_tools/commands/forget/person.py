"""Find one person's data in the whole StateTable, and delete all of it except an opt-out."""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.state.person import user_digest
from stripe_to_segment.state.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stripe_to_segment.state.dynamodb import DynamoStore
    from stripe_to_segment.state.encoding import Kept
    from stripe_to_segment.state.person import Person

__all__ = ["Found", "Who", "erase", "find"]


# A user is the account (or `own`) and the id: an id is unique within one account, and the same in both modes.
type User = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Who:
    """The person to find, by one of these fields.

    `stripe_id` is a customer's id, or the payment's or session's of a guest. `email` is the SHA-256 of the address in
    hex. All of them belong to the connected `account`, empty for the stack's own. `platform` says that users of all
    accounts are the platform's (`ConnectUsers`).
    """

    stripe_id: str = ""
    user_id: str = ""
    email: str = ""
    account: str = ""
    platform: bool = False

    def is_in(self, profile: Profile) -> bool:
        """Whether a record is about this person."""
        if self.user_id:
            return self.user_of(profile) == self.user
        account, _, owner = profile.key.split(":", 2)
        return account == (self.account or "own") and (
            (bool(self.stripe_id) and self.stripe_id in {owner, _fallback_id(profile)})
            or (bool(self.email) and bool(profile.email) and self.email.startswith(profile.email))
        )

    @property
    def user(self) -> User:
        """The user to find, None if the person is named by another field."""
        return self._user(self.account or "own", self.user_id)

    def user_of(self, profile: Profile) -> User | None:
        """The user of a record, None where it is unknown."""
        account = profile.key.split(":", 1)[0]
        return None if profile.user_id is None else self._user(account, profile.user_id)

    def _user(self, account: str, user_id: str) -> User:
        return ("own", user_id) if self.platform else (account, user_id.removeprefix(f"{account}:"))


@dataclass(slots=True)
class Found:
    """What is kept of a person, by key: records of customers and guests' payments, orders, and the persons behind.

    `lists` are groups, and persons of whom some records stay, that list any of the records.
    """

    records: dict[str, Profile] = field(default_factory=dict)
    orders: set[str] = field(default_factory=set)
    persons: dict[str, Person] = field(default_factory=dict)
    lists: dict[str, Person] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        """The ids in events of this person: the user's, the customers', the guest payments'."""
        users = {record.user_id for record in self.records.values() if record.user_id}
        fallbacks = {fallback for record in self.records.values() if (fallback := _fallback_id(record))}
        return {key.split(":", 2)[2] for key in (*self.records, *self.orders)} | users | fallbacks

    @property
    def opted_out(self) -> int:
        """The number of opt-outs, which stay."""
        said = [each.opted_out for each in self.records.values()] + [each.opted_out for each in self.persons.values()]
        return said.count(True)


def find(who: Who, scan: Callable[[], Iterable[Kept]], *, siblings: bool = True) -> Found:
    """Scan the StateTable twice: the first scan finds the user, the second the user's other records.

    Parameters
    ----------
    who
        The person to find.
    scan
        Returns all items of the StateTable.
    siblings
        False leaves out the other customers and guest payments of the same user.
    """
    records = {each.key: each.profile for each in scan() if each.profile is not None and who.is_in(each.profile)}
    found = Found(records)
    users = {user for record in records.values() if siblings and (user := who.user_of(record))}
    persons = users | ({who.user} if who.user_id else set())
    digests = {(account, user_digest(user)) for account, user in persons}
    orders: dict[str, str] = {}
    nobodys: dict[str, Profile] = {}
    lists: dict[str, Person] = {}
    for each in scan():
        if each.profile is not None and who.user_of(each.profile) in users:
            found.records[each.key] = each.profile
        elif each.profile is not None and each.profile.user_id is None:
            nobodys[each.key] = each.profile
        elif each.person is not None and (each.key.split(":", 1)[0], each.key.rpartition(":")[2]) in digests:
            found.persons[each.key] = each.person
        elif each.person is not None:
            lists[each.key] = each.person
        elif each.kind == "order":
            orders[each.key] = each.owner
    # The record of a guest and its order both have the payment's id as key.
    found.orders = {key for key, owner in orders.items() if owner in found.records or key in found.records}
    # A refund or dispute that arrived before its payment has a record under the payment's id, without a customer.
    found.records |= {key: nobodys[key] for key in found.orders & nobodys.keys()}
    payments = {key.rpartition(":")[2] for key in found.records}
    found.lists = {
        key: person
        for key, person in (lists | found.persons).items()
        if person.records & found.records.keys() or person.guests.keys() & payments
    }
    return found


def erase(found: Found, store: DynamoStore, now: float) -> dict[str, Exception]:
    """Delete the items; returns the errors by key of records that an invocation wrote meanwhile.

    Opt-outs stay: for a record with its key, for a person under the digest of the user's id. `now` is in epoch
    seconds. Raises StoreUnavailableError.
    """
    for order in found.orders:
        store.delete("order", order)
    payments = {key.rpartition(":")[2] for key in found.records}
    errors: dict[str, Exception] = {}
    for key, person in (found.lists | found.persons).items():
        store.untie([(key, record) for record in person.records & found.records.keys()])
        guests = {name: left for name, left in person.guests.items() if name not in payments}
        gone = person.records <= found.records.keys() and not guests
        if person.opted_out is not True and gone and (key in found.persons or person.records):
            store.delete("person", key)
        elif guests != person.guests:
            errors |= store.claim({key: replace(person, guests=guests)}, "", 0)
    silent = [
        Profile(key, opted_out=True, as_of={"opted_out": record.as_of.get("opted_out", 0)}, version=record.version)
        for key, record in found.records.items()
        if record.opted_out
    ]
    errors |= store.save(silent, [], now)
    for key, record in found.records.items():
        if not record.opted_out:
            store.delete("profile", key)
    return errors


def _fallback_id(record: Profile) -> str:
    """The Stripe id that calls carried before the user was known, empty if none did."""
    account = record.key.split(":", 1)[0]
    return (record.fallback_id or "").removeprefix(f"{account}:")
