"""Scheduled and withdrawn cancellations, and the reasons for the end of a subscription."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, cast

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.subscriptions.common import Subscribed, event_with, key_of
from stripe_to_segment.mapping.tracking import properties, track
from stripe_to_segment.stripe_side.fields import dig, iso_time, reference, text
from stripe_to_segment.stripe_side.subscription import cancellation_scheduled_for, ended_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import CancelledBy, CancelsAt, Feedback, FeedbackOption, Reason
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "CancellationFeedbackGiven",
    "Ending",
    "SubscriptionCancellationScheduled",
    "SubscriptionReactivated",
    "cancellation_facts",
    "with_reason",
]

CANCELLED_BY = {
    "cancellation_requested": "customer",
    "payment_failed": "payment_failure",
    "payment_disputed": "dispute",
    "canceled_by_retention_policy": "retention_policy",
}


@properties
class Ending(Subscribed):
    """Reason and feedback; the comment is the customer's own text and is never sent."""

    reason: Reason = None
    feedback: Feedback = None
    feedback_option: FeedbackOption = None
    cancelled_by: CancelledBy = None


@track("Subscription Cancellation Scheduled", when="a cancellation is scheduled")
class SubscriptionCancellationScheduled(Ending):
    """The subscription continues until then."""

    cancels_at: CancelsAt = None


@track("Cancellation Feedback Given", when="a reason or feedback arrives after the cancellation")
class CancellationFeedbackGiven(Ending):
    """Another event states the cancellation itself, scheduled or at once."""


@track("Subscription Reactivated", when="a scheduled cancellation is revoked")
class SubscriptionReactivated(Subscribed):
    """The subscription continues."""


def cancellation_facts(
    event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known
) -> Iterator[Fact]:
    """The facts of an update about a cancellation, scheduled or done."""
    read = cancellation_scheduled_for if ended_at(after.subscription) is None else ended_at
    was, now = (read(state.subscription) for state in (before, after))
    if was is not None and now is not None and (why := _why(after.subscription)) != _why(before.subscription):
        # Customers mostly send the feedback form a moment after they cancel. What is taken back is no feedback.
        if any(new and new != old for new, old in zip(why, _why(before.subscription), strict=True)):
            given = with_reason(event_with(CancellationFeedbackGiven, event, after, known), after.subscription)
            # Who cancels again may give the same answer again.
            yield Fact(given, key_of(event, ":".join(filter(None, (str(event.created), *why)))))
        return
    if (was is None) == (now is None) or read is ended_at:
        return
    if now is not None:
        stated = with_reason(event_with(SubscriptionCancellationScheduled, event, after, known), after.subscription)
        yield Fact(replace(stated, cancels_at=iso_time(now or None)), key_of(event, event.created))
    else:
        yield Fact(event_with(SubscriptionReactivated, event, after, known), key_of(event, event.created))


def with_reason[E: Ending](stated: E, subscription: shapes.Subscription) -> E:
    """The event with the reason that Stripe knows."""
    details = subscription.get("cancellation_details")
    reason = text(dig(details, "reason"))
    given = replace(
        stated,
        reason=reason,
        feedback=text(dig(details, "feedback")),
        feedback_option=reference(dig(details, "feedback_option")),
        cancelled_by=CANCELLED_BY.get(reason or ""),
    )
    return cast("E", given)


def _why(subscription: shapes.Subscription) -> tuple[str | None, ...]:
    details = subscription.get("cancellation_details")
    return tuple(reference(dig(details, name)) for name in ("reason", "feedback", "feedback_option"))
