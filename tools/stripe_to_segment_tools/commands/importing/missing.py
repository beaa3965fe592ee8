"""How many of the subscriptions in Stripe a stack knows: if it lacks some, an import is due."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.event import owner_key, scope_of
from stripe_to_segment.stripe_side.fields import integer, reference

if TYPE_CHECKING:
    from stripe_to_segment.state.store import Store
    from stripe_to_segment.stripe_api.lists import Lists

__all__ = ["MOST", "Subscriptions", "subscriptions_known"]

# Ten requests: enough to see whether an import is due.
MOST = 1_000
# The events of a younger subscription may still be under way.
YOUNG_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The newest subscriptions in Stripe that have not ended, and those of them that the stack knows.

    `cut` says that Stripe may have more than these.
    """

    found: int
    known: int
    cut: bool = False

    @property
    def said(self) -> str:
        """The numbers in words."""
        if self.cut:
            return f"{self.known:,} of the newest {self.found:,} subscriptions in Stripe are known here"
        return f"{self.found:,} subscriptions in Stripe, {self.known:,} known here"


def subscriptions_known(lists: Lists, store: Store, *, livemode: bool) -> Subscriptions:
    """Compare Stripe's newest subscriptions, at most MOST, with the StateTable.

    Raises what `Lists.page` and the store raise.
    """
    old = time.time() - YOUNG_SECONDS
    newest = lists.current_subscriptions(MOST)
    found = [one for one in newest if (integer(one.get("created")) or 0) < old]
    scope = scope_of(None, livemode=livemode)
    records = {
        str(one["id"]): owner_key(scope, reference(one.get("customer")) or reference(one.get("customer_account")) or "")
        for one in found
    }
    profiles = store.load([("profile", key) for key in records.values()]).profiles
    known = sum(key in profiles and name in profiles[key].subscriptions for name, key in records.items())
    return Subscriptions(len(found), known, cut=len(newest) >= MOST)
