"""A subscription's failed payment, and the status changes that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange, event_with, key_of
from stripe_to_segment.mapping.tracking import track

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["SubscriptionPastDue", "SubscriptionRecovered", "SubscriptionUnpaid", "dunning_facts"]


@track("Subscription Past Due", when="a renewal could not be collected")
class SubscriptionPastDue(BearsMrrChange):
    """It still counts. It carries a change only if a trial ended unpaid."""


@track("Subscription Recovered", when="an overdue subscription is paid")
class SubscriptionRecovered(BearsMrrChange):
    """It carries a change if the subscription was unpaid before."""


@track("Subscription Unpaid", when="all retries failed and the subscription stays open unpaid")
class SubscriptionUnpaid(BearsMrrChange):
    """It no longer counts."""


def dunning_facts(event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known) -> Iterator[Fact]:
    """The facts of an update about payments, by its change of status."""
    was, now = before.status, after.status
    if was == now:
        return
    if now == "past_due":
        declared: type[BearsMrrChange] = SubscriptionPastDue
    elif was in {"past_due", "unpaid"} and now == "active":
        declared = SubscriptionRecovered
    elif now == "unpaid":
        declared = SubscriptionUnpaid
    else:
        return
    yield Fact(event_with(declared, event, after, known), key_of(event, event.created))
