"""The stored record of a user or a group, which may have several Stripe customers; a user may also pay as a guest.

https://docs.stripe.com/payments/checkout/guest-customers
"""

from __future__ import annotations

import hashlib
from collections import Counter
from copy import replace
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.state.profile import UNSURE
from stripe_to_segment.stripe_side.event import scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "MOST_GUESTS",
    "MOST_RECORDS",
    "MOST_SIBLINGS",
    "NEW_PERSON",
    "NOBODY",
    "Others",
    "Person",
    "group_key",
    "over_all",
    "person_key",
    "user_digest",
    "with_opt_out_of",
]

# A person lists at most this many records. No real user has so many customers, but a placeholder id such as "admin" or
# "n/a" soon has.
MOST_RECORDS = 500
# The traits of a user sum up at most this many other records, read with one more BatchGetItem. Where there are more,
# each customer's calls show that customer alone.
MOST_SIBLINGS = 100
# The most payments as a guest that are listed with the rest of each; older ones stay in the sum only.
MOST_GUESTS = 500
OLDER = ""


@frozen
class Person:
    """The stored record of one user or one group.

    `records` are the keys of the customers' records that are tied to the user, at most MOST_RECORDS; `marked` are those
    that are marked as sharing the user. `guests` has the rest of each payment that the user made as a guest, by
    payment, in minor units by currency. The opt-out is None if no event stated it; `as_of` is the epoch second as of
    which it is true. `delivery` is the last claim on the person, which ends with its receipt or, without one, at the
    epoch second `lease_until`; each claim increases `version`. `unreadable` is the reason why a stored person cannot be
    read, empty if it can.
    """

    records: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()
    opted_out: bool | None = None
    as_of: int = 0
    unreadable: str = ""
    guests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    delivery: str = ""
    lease_until: int = 0
    version: int = 0

    @property
    def several(self) -> bool:
        """Whether no single record has all its data."""
        return len(self.records) > 1 or bool(self.guests)

    def with_guest(self, payment: str, left: Mapping[str, int]) -> Person:
        """With the rest of a payment as a guest."""
        guests = {**self.guests, payment: dict(left)}
        listed = [name for name in guests if name != OLDER]
        if len(listed) > MOST_GUESTS:
            older = Counter(guests.get(OLDER, {}))
            older.update(guests.pop(listed[0]))
            guests[OLDER] = dict(older)
        return replace(self, guests=guests)

    def without_guest(self, payment: str) -> Person:
        """Without a payment that belongs to another user."""
        return replace(self, guests={name: left for name, left in self.guests.items() if name != payment})

    def paid_as_guest(self, *, without: str = "") -> dict[str, int]:
        """The sum of the rests of the payments as a guest, without one of them."""
        total: Counter[str] = Counter()
        for name, left in self.guests.items():
            if name != without or not name:
                total.update(left)
        return dict(total)


# In place of a person of whom nothing is stored.
NEW_PERSON = Person()


@frozen
class Others:
    """A person's data beside one record: the other records, and the amounts paid as a guest, by currency."""

    id: str = ""
    siblings: tuple[Profile, ...] = ()
    guests: Mapping[str, int] = field(default_factory=dict)


NOBODY = Others()


def person_key(event: StripeEvent, user_id: str, settings: Settings) -> str:
    """The key of a user's person: the scope and a digest of the user's id.

    An opt-out outlives everything else that is stored about a user, so its key must not reveal the id. The setting
    ConnectUsers decides whether a connected account's users are its own or the platform's.
    """
    account = event.account if settings.connect_users == "own" else None
    # An id that already has the account's prefix is the same user: the calls carry the prefix only once.
    user = user_id.removeprefix(f"{account}:") if account else user_id
    return f"{scope_of(account, livemode=event.livemode)}:{user_digest(user)}"


def group_key(event: StripeEvent, group_id: str, settings: Settings) -> str:
    """The key of a group, as that of a user."""
    scope, _, digest = person_key(event, group_id, settings).rpartition(":")
    return f"{scope}:group-{digest}"


@lru_cache(maxsize=500)
def user_digest(user_id: str) -> str:
    """The first 32 hex digits of the SHA-256 of a user's id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:32]


def over_all(profile: Profile, others: Others) -> Profile:
    """The record with the subscriptions, payments and cards of the others, for the traits of the user or the group."""
    if not (others.siblings or others.guests):
        return profile
    subscriptions, cards, paid = dict(profile.subscriptions), dict(profile.cards), Counter(profile.paid)
    paid.update(others.guests)
    made = [profile.customer_created]
    shown, subscribed = profile.shown, profile.subscribed
    named = (profile.as_of.get("group_name", 0), profile.group_name)
    for sibling in others.siblings:
        subscriptions |= sibling.subscriptions
        cards |= sibling.cards
        paid.update(sibling.paid)
        made.append(sibling.customer_created)
        shown = shown or (sibling.shown and UNSURE)
        subscribed = subscribed or sibling.subscribed
        if sibling.group_name is not None:
            named = max(named, (sibling.as_of.get("group_name", 0), sibling.group_name), key=lambda name: name[0])
    return replace(
        profile,
        subscriptions=subscriptions,
        cards=cards,
        paid=dict(paid),
        customer_created=min((moment for moment in made if moment is not None), default=None),
        shown=shown,
        subscribed=subscribed,
        group_name=named[1],
    )


def with_opt_out_of(profile: Profile, person: Person) -> Profile:
    """The record with the person's opt-out, unless the record has a newer one."""
    known = profile.as_of.get("opted_out")
    if person.opted_out is None or (known is not None and known >= person.as_of):
        return profile
    return replace(profile, opted_out=person.opted_out, as_of={**profile.as_of, "opted_out": person.as_of})
