"""What is kept of a customer's record when it is stored: what is new, live, or within the limits."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.state.profile import LEDGER_DAYS, TRACK, most
from stripe_to_segment.state.settle import with_sent, with_withheld
from stripe_to_segment.state.withheld import Why
from stripe_to_segment.stripe_side.fields import integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stripe_to_segment.state.profile import Profile

__all__ = ["ENDED", "PAYMENTS", "pruned"]

# Upper limits, of the newest, so that the record of the busiest customer stays below DynamoDB's 400 KB.
# A deduplication key has eight bytes, a subscription about 300. Stripe gives a customer 500 live ones.
LEDGER_KEYS, SUBSCRIPTIONS = 30_000, 900
# Of those that ended long ago, because an older event of one may still come: it must not begin anew.
ENDED = 20
# A payment has about 60 bytes. The sums keep payments that are no longer listed.
PAYMENTS = 500
# Of the tracks in the ledger that are older than LEDGER_DAYS the newest so many stay.
OLD_TRACKS = 1_000


def pruned(profile: Profile, today: int) -> Profile:
    """The record without what is older than LEDGER_DAYS and without what is beyond the limits.

    Live subscriptions stay.
    """
    oldest = today - LEDGER_DAYS
    changes: dict[str, Any] = {}
    if profile.ledger and (len(profile.ledger) > LEDGER_KEYS or min(profile.ledger.values()) < oldest):
        changes["ledger"] = _pruned_ledger(profile.ledger, oldest)
    if ended := [claim for claim in profile.claims.values() if claim.day < oldest]:
        over = [claim for claim in ended if not claim.given_up]
        tracks = {dedup_key for claim in over for dedup_key in claim.tracks}
        changes["claims"] = {dedup_key: claim for dedup_key, claim in profile.claims.items() if claim.day >= oldest}
        # Their receipt has expired before any batch read it.
        changes["sent"] = with_sent(profile, over, tracks - profile.ledger.keys())
        changes["withheld"] = with_withheld(profile, (claim for claim in ended if claim.given_up), Why.REFUSED)
    if profile.failed:
        # By the record's own time and not by the clock: a history may come long after it happened.
        attempts = [*profile.failed_attempts()]
        moments = [*(one.at for one in attempts), *(record.as_of[0] for record in profile.subscriptions.values())]
        kept = [one for one in attempts if one.at >= max(moments) - LEDGER_DAYS * 86_400]
        if len(kept) < len(attempts):
            changes["failed"] = tuple(one.written() for one in kept)
    if len(profile.subscriptions) > ENDED:
        ranked = most(profile.subscriptions, SUBSCRIPTIONS, lambda record: (record.live, record.as_of))
        changes["subscriptions"] = {
            key: record
            for place, (key, record) in enumerate(ranked.items())
            if place < ENDED or record.live or record.as_of[0] // 86_400 >= oldest
        }
    if len(profile.payments) > PAYMENTS:
        # An import lists old ones after new ones.
        newest = sorted(profile.payments.items(), key=lambda entry: integer(entry[1].get("paid_at")) or 0)[-PAYMENTS:]
        changes["payments"] = dict(newest)
    return replace(profile, **changes) if changes else profile


def _pruned_ledger(ledger: Mapping[str, int], oldest: int) -> Mapping[str, int]:
    """The keys from the oldest day on, and older ones of tracks; the newest first where there are too many."""
    kept = {dedup_key: day for dedup_key, day in ledger.items() if day % TRACK >= oldest}
    old = {dedup_key: day for dedup_key, day in ledger.items() if TRACK <= day < TRACK + oldest}
    return most({**kept, **most(old, OLD_TRACKS, int)}, LEDGER_KEYS, lambda day: day % TRACK)
