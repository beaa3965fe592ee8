"""When to try again: exponential backoff with full jitter, or the time that Segment named."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.settings import Settings

__all__ = ["CAP_SECONDS", "GIVE_UP_SECONDS", "delay", "given_up"]

CAP_SECONDS = 3600
# The queue keeps a record for 14 days. This is half a day less, in which it is surely received once more.
GIVE_UP_SECONDS = 27 * 43_200
# Most identities are a second away.
HOLD_SECONDS = 5
# Another batch is mostly done within a second.
TURN_SECONDS = 5
# What waits for others to try grows old meanwhile, and looks again more rarely: a backlog must not spin.
BACKLOG_SECONDS = 240


def _span(tries: int, base: int, cap: int) -> int:
    """The range in seconds from which the pause after a number of tries is drawn: exponential, capped, full jitter.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    # Past 2^12 the cap holds anyway, and the power would only grow.
    return min(cap, base << min(max(tries, 1) - 1, 12))


def given_up(outcome: RecordOutcome, now: float) -> RecordOutcome:
    """Dead-letter a waiting record that the queue would soon delete at the end of its retention.

    Its reason stays the one for which it waited; the dead letter is kept for another fourteen days.
    """
    queued_at = outcome.record.queued_at
    waits = outcome.status in {Status.RETRY, Status.WAITING}
    if not waits or not queued_at or now - queued_at < GIVE_UP_SECONDS:
        return outcome
    days = int((now - queued_at) // 86_400)
    return replace(outcome, status=Status.DEAD, detail=f"not delivered in {days} days. {outcome.detail}".strip())


def delay(outcome: RecordOutcome, settings: Settings, now: float, draw: Callable[[], float]) -> int:
    """Seconds until this record should be seen again; `now` is in epoch seconds.

    Nothing here depends on how often the record was received: waiting for an identity or for another batch counts as a
    receive, and is no failure.
    """
    queued_at = outcome.record.queued_at
    age = max(0, int(now - queued_at)) if queued_at else 0
    if outcome.status is Status.WAITING:
        # Each look costs a receive, so the looks grow rarer.
        for_payment = outcome.reason == Reason.WAITING_FOR_PAYMENT
        longest = settings.payment_hold_seconds if for_payment else settings.identity_hold_seconds
        return max(1, min(max(HOLD_SECONDS, age), longest, CAP_SECONDS))
    if outcome.reason == Reason.UNDER_WAY:
        return min(CAP_SECONDS, (outcome.wait or 0) + max(1, round(TURN_SECONDS * draw())))
    base, cap = settings.retry_base_seconds, settings.retry_cap_seconds
    if outcome.tries is None:
        # Nobody counted. Waiting as long again as it has waited doubles the pauses, too.
        span = min(cap, max(base, age))
    elif outcome.reason == Reason.CIRCUIT_OPEN:
        span = max(_span(outcome.tries, base, cap), min(cap, age, BACKLOG_SECONDS))
    else:
        span = _span(outcome.tries, base, cap)
    # Everybody told to wait the same time must not come back in the same second, nor for ever every few seconds.
    return min(CAP_SECONDS, (outcome.wait or 0) + max(1, round(span * draw())))
