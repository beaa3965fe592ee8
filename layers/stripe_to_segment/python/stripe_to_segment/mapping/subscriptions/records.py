"""What is remembered of a subscription after an event."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.facts import plan_name
from stripe_to_segment.mapping.subscriptions.mrr_changes import (
    change_of,
    counted,
    knows_better,
    lost_mrr,
    moment_of,
    record_in,
)
from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.mapping.subscriptions.updates import bearer_of, update_facts
from stripe_to_segment.state.profile import SubscriptionRecord
from stripe_to_segment.stripe_side.subscription import cancellation_scheduled_for, status_of, trial_of

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.state.profile import Watermark
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["better_known", "record_of"]


def record_of(event: StripeEvent, known: Known, *, rank: int) -> SubscriptionRecord:
    """What to remember of the subscription after this event."""
    state, remembered = after_of(event), record_in(event, known)
    was = status_of(event.before)
    if was == state.status and remembered is not None:
        was = remembered.status if remembered.status != state.status else remembered.was
    ends = event.type.endswith(".deleted")
    as_of = (event.created, rank)
    return _snapshot(
        state,
        as_of,
        known,
        came_from=_snapshot(before_of(event), as_of, known).digest,
        was=was,
        lost=lost_mrr(event, state, remembered) if ends else None,
        lost_as_of=_told_until(remembered) if ends else (0, 0),
    )


def _told_until(remembered: SubscriptionRecord | None) -> Watermark:
    """Up to which event an end knew what counted before it; the same end seen a second time knows no more."""
    if remembered is None:
        return (0, 0)
    return remembered.as_of if remembered.lost is None else remembered.lost_as_of


def _snapshot(state: State, as_of: Watermark, known: Known, **more: Any) -> SubscriptionRecord:
    main = state.main
    return SubscriptionRecord(
        as_of=as_of,
        status=state.status,
        plan=None if main is None else plan_name(main.price, known),
        price_id=None if main is None else main.price.id,
        mrr=state.mrr,
        currency=state.currency,
        period=None if main is None else main.price.period,
        quantity=state.quantity,
        trial_end=trial_of(state.subscription)[1],
        cancels_at=cancellation_scheduled_for(state.subscription),
        **more,
    )


def better_known(event: StripeEvent, known: Known, record: SubscriptionRecord) -> SubscriptionRecord:
    """The record of an ended subscription after an event from before its end: what the end took away, corrected."""
    was, now = counted(event, known)
    if record.lost is None or was is None or now is None or event.type.endswith(".deleted"):
        return record
    if not knows_better(event, record, was, now):
        return record
    change = change_of(event, known, was, now)
    if change and event.type.endswith(".updated"):
        facts = update_facts(event, before_of(event), after_of(event), known)
        if bearer_of(facts, change) is None:
            # Nothing told of the correction, so the next event that knows better has to make it.
            return record
    return replace(record, lost=now, lost_as_of=moment_of(event))
