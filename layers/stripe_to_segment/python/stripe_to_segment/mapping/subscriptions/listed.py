"""A subscription that an import has listed: what is stored of it, its opening balance, and its end."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.common import bearing, event_with, key_of
from stripe_to_segment.mapping.subscriptions.lifecycle import SubscriptionImported, ended
from stripe_to_segment.mapping.subscriptions.mrr_changes import OPENING, change_of, ended_in_trial
from stripe_to_segment.mapping.subscriptions.records import record_in, record_of
from stripe_to_segment.mapping.subscriptions.state import after_of
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import SubscriptionRecord
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

# Stripe lists an event this long, so `backfill` brings it. https://docs.stripe.com/api/events/list
KEPT_BY_STRIPE_SECONDS = 30 * 86_400

__all__ = ["facts_of", "has_counted", "opened", "record_after_listing", "with_mrr_unsent"]


def facts_of(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """Subscription Imported with the opening balance; at level `history` also an end."""
    level = event.listing and event.listing.level
    if level is Level.HISTORY and event.type.endswith(".deleted"):
        # If events stated an mrr, the end lowers it, and its own event has to state that while it may still come.
        if not record_after_listing(event, known).counted:
            yield ended(event, known)
        elif _is_lost(event):
            yield bearing(ended(event, known), event, known)
    elif level is Level.OPENING and (record := _to_open(event, known)) is not None:
        state, opening = after_of(event, known), major(record.mrr, record.currency)
        fact = replace(
            event_with(SubscriptionImported, event, state, known),
            mrr=opening,
            mrr_change=opening,
            mrr_movement=OPENING if opening else None,
        )
        yield Fact(fact, key_of(event))


def record_after_listing(event: StripeEvent[shapes.Subscription], known: Known) -> SubscriptionRecord:
    """The record of the subscription after it was listed; a newer event keeps precedence.

    The mrr that was sent stays, so that the next event states the difference; if none was sent, the opening balance is
    due.
    """
    remembered, new = record_in(event, known), record_of(event, known)
    if remembered is not None and remembered.newer_than(new):
        return remembered
    if remembered is None or remembered.unsent:
        return replace(new, mrr_sent=new.mrr or 0, unsent=new.live)
    return replace(new, mrr_sent=remembered.counted, converted=remembered.converted, unopened=remembered.unopened)


def opened(event: StripeEvent[shapes.Subscription], known: Known) -> SubscriptionRecord:
    """The same, with its opening balance, or the change of its end, marked as sent if this event sends it."""
    if (record := _to_open(event, known)) is not None:
        return replace(record, unsent=False, unopened=record.mrr is None)
    record = record_after_listing(event, known)
    if not _is_lost(event):
        return record
    return replace(record, mrr_sent=record.counted + (change_of(event, known).amount or 0))


def with_mrr_unsent(after: Profile, before: Profile) -> Profile:
    """The record after an event of which nothing is sent: it states no mrr.

    Of a subscription of which nothing was ever sent, the opening balance is due.
    """
    subscriptions = dict(after.subscriptions)
    for name, record in after.subscriptions.items():
        was = before.subscriptions.get(name)
        if record is was:
            continue
        if was is None or was.unsent:
            subscriptions[name] = replace(record, mrr_sent=record.mrr or 0, unsent=record.live)
        elif record.counted != was.counted:
            subscriptions[name] = replace(record, mrr_sent=was.counted, apart=False, unopened=was.unopened)
    return replace(after, subscriptions=subscriptions)


def has_counted(event: StripeEvent[shapes.Subscription], known: Known) -> bool:
    """Whether the subscription has had an mrr, now or before it ended."""
    state = after_of(event, known)
    if event.type.endswith(".deleted"):
        return bool(state.value.amount) and not ended_in_trial(event, known)
    return bool(state.mrr) or state.has_counted


def _is_lost(event: StripeEvent[shapes.Subscription]) -> bool:
    """Whether the history of an import states the end of a subscription whose own event cannot come any more."""
    if event.listing is None or event.listing.level is not Level.HISTORY or not event.type.endswith(".deleted"):
        return False
    return event.listing.moment - event.created > KEPT_BY_STRIPE_SECONDS


def _to_open(event: StripeEvent[shapes.Subscription], known: Known) -> SubscriptionRecord | None:
    """The record whose opening balance this event sends; None if a newer event sends it."""
    if event.listing is None or event.listing.level is not Level.OPENING:
        return None
    remembered, record = record_in(event, known), record_after_listing(event, known)
    return record if record.unsent and record is not remembered else None
