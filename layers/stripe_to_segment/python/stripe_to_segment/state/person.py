"""The person: one user, who may be several Stripe customers and also pay as a guest.

https://docs.stripe.com/payments/checkout/guest-customers
"""

from __future__ import annotations

import hashlib
from collections import Counter
from copy import replace
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.event import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["MOST_RECORDS", "MOST_SIBLINGS", "Person", "heard", "over_all", "person_key", "user_digest"]

# A person lists at most this many records. No real user has so many customers, but a placeholder id such as "admin" or
# "n/a" soon has.
MOST_RECORDS = 500
# The traits of a user sum up at most this many other records, read with one more BatchGetItem. Where there are more,
# each customer's calls show that customer alone.
MOST_SIBLINGS = 100


@dataclass(frozen=True, slots=True)
class Person:
    """One user across all of the user's customers.

    `records` are the keys of the user's customer records, at most MOST_RECORDS; `marked` are those that carry the mark
    `shared`. Neither holds payments of guests. `opted_out` is None where no event stated it; `as_of` is the epoch
    second as of which it is true. `unreadable` is the reason why a stored person cannot be read, empty where it can be.
    """

    records: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()
    opted_out: bool | None = None
    as_of: int = 0
    unreadable: str = ""


def person_key(event: StripeEvent, user_id: str, settings: Settings) -> str:
    """The key of a user's person: the scope and a digest of the user's id.

    An opt-out outlives everything else that is stored about a user, so its key must not reveal the id. By the setting
    ConnectUsers, a connected account's users are its own or the platform's.
    """
    account = event.account if settings.connect_users == "own" else None
    # An id that already has the account's prefix is the same user: the calls carry the prefix only once.
    user = user_id.removeprefix(f"{account}:") if account else user_id
    return f"{scope_of(account, livemode=event.livemode)}:{user_digest(user)}"


def user_digest(user_id: str) -> str:
    """The first 32 hex digits of the SHA-256 of a user's id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:32]


def over_all(profile: Profile, siblings: Iterable[Profile]) -> Profile:
    """The record with the subscriptions and payments of the same user's other records, for the traits of the person."""
    subscriptions, paid = dict(profile.subscriptions), Counter(profile.paid)
    for sibling in siblings:
        subscriptions |= sibling.subscriptions
        paid.update(sibling.paid)
    return replace(profile, subscriptions=subscriptions, paid=dict(paid))


def heard(profile: Profile, person: Person) -> Profile:
    """The record with the person's opt-out, unless the record has a newer statement about it."""
    told = profile.told.get("opted_out")
    if person.opted_out is None or (told is not None and told >= person.as_of):
        return profile
    return replace(profile, opted_out=person.opted_out, told={**profile.told, "opted_out": person.as_of})
