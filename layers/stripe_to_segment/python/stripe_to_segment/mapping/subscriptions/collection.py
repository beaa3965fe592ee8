"""Paused and resumed collection of invoices, which the subscription's status does not show."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.common import Subscribed, event_with, key_of
from stripe_to_segment.mapping.tracking import track
from stripe_to_segment.stripe_side.fields import dig, integer, iso_time, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import CollectionBehavior, ResumesAt
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["SubscriptionCollectionPaused", "SubscriptionCollectionResumed", "collection_facts"]


@track("Subscription Collection Paused", when="collection is paused")
class SubscriptionCollectionPaused(Subscribed):
    """https://docs.stripe.com/billing/subscriptions/pause-payment."""

    collection_behavior: CollectionBehavior = None
    resumes_at: ResumesAt = None


@track("Subscription Collection Resumed", when="collection is resumed")
class SubscriptionCollectionResumed(Subscribed):
    """By itself, or by hand."""


def collection_facts(
    event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known
) -> Iterator[Fact]:
    """The facts of an update about `pause_collection`."""
    was, now = (state.subscription.get("pause_collection") for state in (before, after))
    if bool(was) == bool(now):
        return
    if now:
        stated = replace(
            event_with(SubscriptionCollectionPaused, event, after, known),
            collection_behavior=text(dig(now, "behavior")),
            resumes_at=iso_time(integer(dig(now, "resumes_at"))),
        )
        yield Fact(stated, key_of(event, event.created))
    else:
        yield Fact(event_with(SubscriptionCollectionResumed, event, after, known), key_of(event, event.created))
