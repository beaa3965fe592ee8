"""When to try again: exponential backoff with full jitter, or the time that Segment named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.verdicts import Fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.verdicts import Verdicts

__all__ = ["CAP_SECONDS", "backoff", "delay"]

CAP_SECONDS = 3600
HOLD_STEP_SECONDS = 5
# So many receives of its own count for a record that waits for others to try: a backlog must not spin either.
RECEIVES_THAT_COUNT = 4
# Another batch is mostly done within a second, and after a minute it cannot be alive any more.
UNDER_WAY_BASE_SECONDS, UNDER_WAY_CAP_SECONDS = 2, 60


def backoff(tries: int, base: int, cap: int, draw: Callable[[], float]) -> int:
    """Seconds after so many tries: full jitter over an exponentially growing span, up to the cap.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    # Past 2^12 the cap holds anyway, and the power would only grow.
    span = min(cap, base << min(max(tries, 1) - 1, 12))
    return max(1, round(span * draw()))


def delay(verdict: Verdicts, settings: Settings, draw: Callable[[], float]) -> int:
    """Seconds until this record should be seen again."""
    if verdict.fate is Fate.WAITING:
        # Most identities are a second away; for the others each look costs a receive, so the looks grow rarer.
        step = HOLD_STEP_SECONDS << min(max(verdict.record.received, 1) - 1, 12)
        return max(1, min(step, settings.identity_hold_seconds, CAP_SECONDS))
    tries = verdict.record.received
    if verdict.tries is not None:
        tries = max(verdict.tries, min(tries, RECEIVES_THAT_COUNT))
    base, cap = settings.retry_base_seconds, settings.retry_cap_seconds
    if verdict.reason == "under_way":
        base, cap = UNDER_WAY_BASE_SECONDS, UNDER_WAY_CAP_SECONDS
    pause = backoff(tries, base, cap, draw)
    # Everybody told to wait the same time must not come back in the same second, nor for ever every few seconds.
    return min(CAP_SECONDS, (verdict.wait or 0) + pause)
