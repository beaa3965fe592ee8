"""When to try again: exponential backoff with full jitter, or the time that Segment named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.delivery.record import Verdicts
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
    """Seconds from which a pause is drawn after so many tries: exponential up to the cap, with full jitter.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    # Past 2^12 the cap holds anyway, and the power would only grow.
    return min(cap, base << min(max(tries, 1) - 1, 12))


def given_up(verdict: Verdicts, now: float) -> Verdicts:
    """A dead letter in place of what waits, where the queue would soon let go of it without a word.

    The reason is why it was not delivered to the end; the letter is kept for another fourteen days.
    """
    queued_at = verdict.record.queued_at
    waits = verdict.fate in {Fate.RETRY, Fate.WAITING}
    if not waits or not queued_at or now - queued_at < GIVE_UP_SECONDS:
        return verdict
    days = int((now - queued_at) // 86_400)
    return replace(verdict, fate=Fate.DEAD, detail=f"not delivered in {days} days. {verdict.detail}".strip())


def delay(verdict: Verdicts, settings: Settings, now: float, draw: Callable[[], float]) -> int:
    """Seconds until this record should be seen again; `now` is in epoch seconds.

    Nothing here depends on how often the record was received: waiting for an identity or for another batch counts as a
    receive, and is no failure.
    """
    queued_at = verdict.record.queued_at
    age = max(0, int(now - queued_at)) if queued_at else 0
    if verdict.fate is Fate.WAITING:
        # Each look costs a receive, so the looks grow rarer.
        return max(1, min(max(HOLD_SECONDS, age), settings.identity_hold_seconds, CAP_SECONDS))
    if verdict.reason == "under_way":
        return min(CAP_SECONDS, (verdict.wait or 0) + max(1, round(TURN_SECONDS * draw())))
    base, cap = settings.retry_base_seconds, settings.retry_cap_seconds
    if verdict.tries is None:
        # Nobody counted. Waiting as long again as it has waited doubles the pauses, too.
        span = min(cap, max(base, age))
    elif verdict.reason == "circuit_open":
        span = max(_span(verdict.tries, base, cap), min(cap, age, BACKLOG_SECONDS))
    else:
        span = _span(verdict.tries, base, cap)
    # Everybody told to wait the same time must not come back in the same second, nor for ever every few seconds.
    return min(CAP_SECONDS, (verdict.wait or 0) + max(1, round(span * draw())))
