"""One user may be several Stripe customers, and pay as a guest too: what is remembered of the person.

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

# No user has so many customers, but an id that stands for everybody ("admin", "n/a") soon has: only these are listed.
MOST_RECORDS = 500
# So many customers of one user are summed up, by one BatchGetItem more; of more of them each tells of itself.
MOST_SIBLINGS = 100


@dataclass(frozen=True, slots=True)
class Person:
    """What is remembered of one user.

    `records` are the keys of the customers' records that are tied to the user, at most MOST_RECORDS; `marked` are those
    of them that know that they share the user. Guests' payments are in neither. The opt-out is None where nobody said
    anything of it; `as_of` is the epoch second as of which it is true. `unreadable` says why a person that is there
    cannot be read, empty where it can.
    """

    records: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()
    opted_out: bool | None = None
    as_of: int = 0
    unreadable: str = ""


def person_key(event: StripeEvent, user_id: str, settings: Settings) -> str:
    """The key of a user's person, which holds no more of the id than a digest.

    An opt-out outlives all else that is known of somebody, so its key must not tell who that was. Users of connected
    accounts are the platform's where the settings say so.
    """
    account = event.account if settings.connect_users == "own" else None
    # Who writes the prefix by himself means the same user, for it goes out once.
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
    """The record once it has heard what another record of the person says of an opt-out; the newest word counts."""
    told = profile.told.get("opted_out")
    if person.opted_out is None or (told is not None and told >= person.as_of):
        return profile
    return replace(profile, opted_out=person.opted_out, told={**profile.told, "opted_out": person.as_of})
