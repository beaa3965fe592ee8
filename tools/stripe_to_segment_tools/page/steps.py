"""The path of an event in steps: received, queued, each attempt, and where it is now. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.page.entry import Attempt, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from stripe_to_segment_tools.page.entry import Entry
    from stripe_to_segment_tools.page.webhook_proxy import SeenRequest

__all__ = ["steps_of"]

GOOD, BAD, SLOW, PLAIN = "good", "bad", "slow", "plain"
OK = range(200, 300)
# If there are many attempts, only the first and the last ones are shown.
FIRST, LAST = 4, 6


def steps_of(entry: Entry) -> list[dict[str, Any]]:
    """The steps, each with `name`, `text`, `tone` (good, bad, slow, plain) and `at`, or `next_at` for the next one."""
    steps = [*_happened(entry), *_now(entry)]
    if (left_out := len(steps) - FIRST - LAST) > 1:
        steps[FIRST:-LAST] = [_step(f"{left_out} steps more", "", PLAIN, None)]
    return steps


def _happened(entry: Entry) -> Iterator[dict[str, Any]]:
    if not entry.seen:
        yield _step("In the queue", "it did not come through this webhook address", PLAIN, entry.first_at)
    before: Attempt | None = None
    happened: list[SeenRequest | Attempt] = [*entry.seen, *entry.attempts]
    for each in sorted(happened, key=_when):
        if isinstance(each, Attempt):
            if before is not None and before.outcome == "dead" and before.message_id != each.message_id:
                yield _step("Redriven", "back in the events queue", PLAIN, None)
            yield _tried(each)
            before = each
        else:
            yield _received(each)
            if each.status in OK and not entry.ignored_because:
                yield _step("Queued", "in SQS, and Stripe has its answer", PLAIN, None)


def _when(each: SeenRequest | Attempt) -> datetime:
    return each.at if isinstance(each, Attempt) else each.received_at


def _received(seen: SeenRequest) -> dict[str, Any]:
    good = seen.status in OK
    text = f"answered {seen.status} in {seen.milliseconds} ms"
    return _step("Received", text if good else f"{text}: {seen.answer}", PLAIN if good else BAD, seen.received_at)


def _tried(attempt: Attempt) -> dict[str, Any]:
    why = attempt.why
    name = f"Attempt {attempt.number}"
    match attempt.outcome:
        case "delivered":
            done = f"{len(attempt.calls)} call{'' if len(attempt.calls) == 1 else 's'} accepted by Segment"
            return _step(f"{name}: delivered", done if attempt.calls else why or "nothing to send", GOOD, attempt.at)
        case "ignored":
            return _step(f"{name}: ignored", why, PLAIN, attempt.at)
        case "dead":
            return _step(f"{name}: dead-lettered", why, BAD, attempt.at)
        case "waiting":
            return _step(f"{name}: held back", why or "waits until the user is known", SLOW, attempt.at)
        case _:
            done = "deliver will try again" if attempt.tried else "put back"
            return _step(f"{name}: {done}", why, SLOW, attempt.at)


def _now(entry: Entry) -> Iterator[dict[str, Any]]:
    if entry.outcome is Stage.DEAD and entry.dead:
        yield _step("In the dead-letter queue", "until it is redriven", BAD, None)
    elif entry.outcome is Stage.IGNORED and not entry.attempts:
        yield _step("Ignored", entry.ignored_because, PLAIN, None)
    elif entry.outcome is Stage.WAITING and entry.next_at is not None:
        # Received again without a log line: the function is working on it now, or it died.
        received = max((message.receive_count for message in entry.queued), default=0)
        known = max((attempt.number for attempt in entry.attempts), default=0)
        text = "" if received <= known or not entry.attempts else f"attempt {received} is running"
        yield {**_step("Next attempt", text, SLOW, None), "next_at": entry.next_at.isoformat()}


def _step(name: str, text: str, tone: str, at: datetime | None) -> dict[str, Any]:
    return {"name": name, "text": text, "tone": tone, "at": at and at.isoformat()}
