"""A customer's record once it is known what became of the calls that its delivery claimed."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.state.claim import Receipt
from stripe_to_segment.state.profile import TRACK, UNSURE
from stripe_to_segment.state.sums import Kind, added, worth_in
from stripe_to_segment.state.withheld import Why, Withheld, newest, withheld_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from stripe_to_segment.state.claim import Claim
    from stripe_to_segment.state.profile import Profile

__all__ = ["settled", "with_sent", "with_withheld", "withdrawn"]


def settled(profile: Profile, receipt: Receipt | None) -> Profile:
    """The record after the newest delivery, by its receipt, None where it left none.

    Calls that arrived move from the claims to the ledger. Traits and joins whose arrival is unknown count as not
    delivered.
    """
    if not profile.claims:
        return profile
    received = receipt or Receipt()
    over = received.arrived | received.unwanted
    new = {
        each: claim.day + (TRACK if each in claim.tracks else 0)
        for dedup_key, claim in profile.claims.items()
        for each in (dedup_key, *claim.tracks)
        if each in received.arrived
    }
    doubtful = [claim for dedup_key, claim in profile.claims.items() if dedup_key not in received.arrived]
    return replace(
        profile,
        sent=with_sent(profile, profile.claims.values(), new.keys() - profile.ledger.keys()),
        withheld=with_withheld(
            profile, (claim for key, claim in profile.claims.items() if key in received.unwanted), Why.NO_KEY
        ),
        ledger={**new, **profile.ledger},
        # Identify and group calls are always made anew.
        claims={
            dedup_key: replace(
                claim, shows=False, joins=False, given_up=claim.given_up or dedup_key in received.given_up
            )
            for dedup_key, claim in profile.claims.items()
            if dedup_key not in over
        },
        shown=UNSURE if any(claim.shows for claim in doubtful) else profile.shown,
        shown_group=UNSURE if any(claim.groups for claim in doubtful) else profile.shown_group,
        joined=profile.joined and not any(claim.joins for claim in doubtful),
        delivery="" if receipt else profile.delivery,
    )


def withdrawn(profile: Profile, dedup_key: str, why: Why) -> Profile:
    """The record without the claim of an event whose calls are no longer to be sent, for this reason.

    As it was, if a receipt is missing: then nobody knows whether they arrived.
    """
    claim = profile.claims.get(dedup_key)
    if claim is None or claim.given_up or profile.delivery:
        return profile
    left = {key: one for key, one in profile.claims.items() if key != dedup_key}
    withheld = with_withheld(profile, [claim], why)
    subscriptions = dict(profile.subscriptions)
    for key in withheld.keys() - profile.withheld.keys():
        one = Withheld.read(withheld[key])
        record = subscriptions.get(one.id)
        if one.worth.kind is Kind.MRR and record is not None:
            # Counted as it was claimed. The next call states it.
            subscriptions[one.id] = replace(record, mrr_sent=record.counted - one.worth.amount, apart=False)
    return replace(profile, claims=left, withheld=withheld, subscriptions=subscriptions)


def with_sent(profile: Profile, claims: Iterable[Claim], arrived: set[str]) -> Mapping[str, Sequence[int]]:
    """The sums with those claimed tracks that arrived; one that several events have claimed counts once.

    What a record has claimed that another has taken over counts there.
    """
    if profile.moved_to:
        return profile.sent
    counted: dict[str, tuple[str, str]] = {}
    for claim in claims:
        for place, (dedup_key, encoded) in enumerate(claim.tracks.items()):
            if dedup_key in arrived:
                counted.setdefault(dedup_key, (encoded, claim.kinds[place : place + 1]))
    if not counted:
        return profile.sent
    return added(profile.sent, filter(None, (worth_in(*each) for each in counted.values())))


def with_withheld(profile: Profile, claims: Iterable[Claim], why: Why) -> Mapping[str, Sequence[Any]]:
    """What is withheld, with the tracks of these claims, which do not count as arrived."""
    found = dict(profile.withheld)
    for claim in claims:
        for place, (dedup_key, encoded) in enumerate(claim.tracks.items()):
            one = None if dedup_key in profile.ledger else withheld_call(encoded, claim.kinds[place : place + 1], why)
            if one is not None:
                found[dedup_key] = one.written()
    return newest(found) if found else profile.withheld
