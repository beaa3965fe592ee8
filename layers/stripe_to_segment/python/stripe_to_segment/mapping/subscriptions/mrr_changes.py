"""By how much an event changes a subscription's mrr, so that the running sum is its current mrr in any order.

An update states what was before it; an end and a pause do not, so what they take away is looked up in the record. Where
an end arrives before events that came before it, those that know better correct what it took away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.subscription import ended_at, trial_of

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.state.profile import SubscriptionRecord, Watermark
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "change_of",
    "counted",
    "counted_by_update",
    "ended_in_trial",
    "knows_better",
    "lost_mrr",
    "moment_of",
    "record_in",
]

# Statuses whose coming and going an event of its own tells, with its own mrr_change.
TOLD_APART = frozenset({"paused", "canceled"})
# So many seconds after a trial's end Stripe may get round to ending or pausing what nobody paid for.
LATE = 300
# And an hour where nothing is known to have come of the trial. Daily plans may convert and end within a day.
VERY_LATE = 3_600


def counted(event: StripeEvent, known: Known) -> tuple[int | None, int | None]:
    """The mrr before and after this event in minor units, as far as the change is this event's to tell."""
    after = after_of(event)
    if event.type.endswith(".updated"):
        return counted_by_update(before_of(event), after)
    if event.type.endswith(".paused"):
        return lost_mrr(event, after, _record_before(event, known)), 0
    return 0, after.mrr


def counted_by_update(before: State, after: State) -> tuple[int | None, int | None]:
    """The mrr before and after an update, in minor units, where pauses and ends tell of themselves."""
    # The pause, the resumption and the end count the status; what is left is the plan under one status.
    status = before.status if TOLD_APART & {before.status, after.status} else after.status
    return before.mrr, after.value.counted(status)


def change_of(event: StripeEvent, known: Known, was: int | None, now: int | None) -> int | None:
    """By how many minor units this event changed the mrr, less what an end that arrived before it has told."""
    if was is None or now is None:
        return None
    record = record_in(event, known)
    if record is None or record.lost is None or not knows_better(event, record, was, now):
        return now - was
    # The end took away what was believed then, and from now on it took away what this event says.
    return now - was + record.lost - now


def knows_better(event: StripeEvent, record: SubscriptionRecord, was: int, now: int) -> bool:
    """Whether this event comes after what the end of its subscription went by, of one second by what it follows."""
    moment = moment_of(event)
    return moment > record.lost_as_of or (moment == record.lost_as_of and was == record.lost != now)


def moment_of(event: StripeEvent) -> Watermark:
    """When an event happened, for comparison with the watermarks of a record."""
    return (event.created, 0 if event.type.endswith(".created") else 1)


def record_in(event: StripeEvent, known: Known) -> SubscriptionRecord | None:
    """What is remembered of the event's subscription."""
    return known.profile.subscriptions.get(text(event.object.get("id")) or "")


def _record_before(event: StripeEvent, known: Known) -> SubscriptionRecord | None:
    """The record, unless it is of something newer: then it does not know what counted before this event."""
    record = record_in(event, known)
    return None if record is not None and record.as_of > moment_of(event) else record


def ended_in_trial(event: StripeEvent, record: SubscriptionRecord | None) -> bool:
    """Whether the end came in a trial or, as where no payment method was given, with the end of it.

    A record may still be of the trial although it converted, a year ago: what tells is the trial's end.
    """
    in_trial = record is not None and record.status == "trialing"
    return _with_the_trial(event, late=VERY_LATE if in_trial else LATE)


def _with_the_trial(event: StripeEvent, late: int) -> bool:
    trial_end = trial_of(event.object)[1]
    return trial_end is not None and trial_end + late >= (ended_at(event.object) or event.created)


def lost_mrr(event: StripeEvent, state: State, record: SubscriptionRecord | None) -> int | None:
    """The mrr that an end or a pause takes away, in minor units.

    The event does not tell what counted before; the record does. Without one, a subscription that was not in trial is
    taken to have counted, and a pause to have followed a trial, the only way Stripe has into it.
    """
    if state.status == "paused" and _with_the_trial(event, late=LATE):
        # Whatever a record from before that trial says.
        return 0
    if record is not None and record.status not in TOLD_APART:
        return record.mrr
    if record is not None and record.status == "paused" and state.status == "paused":
        return state.value.counted(record.was)
    if record is not None and record.lost is not None:
        return record.lost
    return 0 if ended_in_trial(event, record) or state.status == "paused" or record is not None else state.value.amount
