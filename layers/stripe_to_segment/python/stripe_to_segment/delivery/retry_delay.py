"""The delay before a retry: exponential backoff with full jitter, or the time that Segment named."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.settings import Settings

__all__ = ["CAP_SECONDS", "GIVE_UP_SECONDS", "MOST_RECEIVES", "delay", "given_up"]

CAP_SECONDS = 3600
# The queue keeps a record for 14 days. This is half a day less, so that the record is received once more in time.
GIVE_UP_SECONDS = 27 * 43_200
# A little less than the receives after which the queue itself buries a record, without a reason: SQS counts roughly.
MOST_RECEIVES = 990
# The event that names the user mostly arrives within a second.
HOLD_SECONDS = 5
# Another batch is mostly done within a second.
TURN_SECONDS = 5
# The longer a record has waited for other batches, the later it comes again, up to this: a backlog must not spin.
BACKLOG_SECONDS = 240


def _span(tries: int, base: int, cap: int) -> int:
    """The range in seconds from which the pause after a number of tries is drawn: exponential, capped, full jitter.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    # At 2^12 the cap is long reached; without this limit the power would grow without end.
    return min(cap, base << min(max(tries, 1) - 1, 12))


def given_up(outcome: RecordOutcome, now: float) -> RecordOutcome:
    """Dead-letter a waiting record that the queue would soon delete at the end of its retention, or bury by its count.

    Its reason stays the one for which it waited; the dead letter is kept for another fourteen days.
    """
    record = outcome.record
    age = now - record.queued_at if record.queued_at else 0
    if outcome.status not in {Status.RETRY, Status.WAITING} or _is_left(record.received, age):
        return outcome
    after = f"{int(age // 86_400)} days" if age >= GIVE_UP_SECONDS else f"{record.received} receives"
    return replace(outcome, status=Status.DEAD, detail=f"not delivered in {after}. {outcome.detail}".strip())


def _is_left(received: int, age: float) -> bool:
    """Whether the queue keeps a record for another try."""
    return received < MOST_RECEIVES and age < GIVE_UP_SECONDS


def delay(outcome: RecordOutcome, settings: Settings, now: float, draw: Callable[[], float]) -> int:
    """Seconds until this record should be seen again; `now` is in epoch seconds.

    The number of receives plays no part until half of those that the queue allows are used up: SQS also counts the
    receives of a record that waits for an identity or for another batch, which are no failures.
    """
    queued_at = outcome.record.queued_at
    age = max(0, int(now - queued_at)) if queued_at else 0
    return max(_usual(outcome, age, settings, draw), _sparing(outcome.record.received, age))


def _sparing(received: int, age: int) -> int:
    """The pause with which the second half of the receives lasts until the record is given up.

    With a short RetryCapSeconds an outage of hours would use up all of them.
    """
    if received <= MOST_RECEIVES // 2:
        return 0
    left = max(MOST_RECEIVES - received, 1)
    return min(CAP_SECONDS, max(GIVE_UP_SECONDS - age, 0) // left)


def _usual(outcome: RecordOutcome, age: int, settings: Settings, draw: Callable[[], float]) -> int:
    if outcome.status is Status.WAITING:
        # Each check costs a receive, so the checks become rarer.
        for_payment = outcome.reason == Reason.WAITING_FOR_PAYMENT
        longest = settings.payment_hold_seconds if for_payment else settings.identity_hold_seconds
        return max(1, min(max(HOLD_SECONDS, age), longest, CAP_SECONDS))
    if outcome.reason == Reason.UNDER_WAY:
        return min(CAP_SECONDS, (outcome.wait or 0) + max(1, round(TURN_SECONDS * draw())))
    base, cap = settings.retry_base_seconds, settings.retry_cap_seconds
    if outcome.tries is None:
        # The number of tries is unknown. A pause as long as the record's age doubles the pauses, too.
        span = min(cap, max(base, age))
    elif outcome.reason == Reason.CIRCUIT_OPEN:
        span = max(_span(outcome.tries, base, cap), min(cap, age, BACKLOG_SECONDS))
    else:
        span = _span(outcome.tries, base, cap)
    # Records with the same Retry-After must not all come back in one second; and the pause still grows with the tries.
    return min(CAP_SECONDS, (outcome.wait or 0) + max(1, round(span * draw())))
