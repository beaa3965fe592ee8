"""What the log and the metrics say of a batch: for each record its ids, its fate and the reason, nothing personal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stripe_to_segment.observability import count, logger, measure
from stripe_to_segment.verdicts import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.verdicts import Verdicts

__all__ = ["report"]

METRIC_OF = {
    Fate.DELIVERED: "EventsDelivered",
    Fate.IGNORED: "EventsSkipped",
    Fate.WAITING: "EventsHeld",
    Fate.RETRY: "EventsRetried",
    Fate.DEAD: "EventsDeadLettered",
}
KEY_REASONS = frozenset({"http_401", "http_403", "no_write_key", "bad_write_key", "bad_secret"})


def report(verdicts: Iterable[Verdicts], now: float) -> None:
    """One line for each record, and the batch's counters; `now` is in epoch seconds."""
    fates: Counter[Fate] = Counter()
    rungs: Counter[str] = Counter()
    waited = 0.0
    for verdict in verdicts:
        fates[verdict.fate] += 1
        _level(verdict)(f"event {verdict.fate}", extra=_fields(verdict))
        if verdict.reason in KEY_REASONS:
            count("WriteKeyRejected")
        if verdict.fate is Fate.RETRY and verdict.record.queued_at is not None:
            waited = max(waited, now - verdict.record.queued_at)
        if verdict.fate is Fate.DELIVERED and verdict.event is not None:
            _measure_delivered(verdict, verdict.event, now)
            if verdict.rung:
                rungs[verdict.rung] += 1
    for fate, number in fates.items():
        count(METRIC_OF[fate], number)
    for rung, number in rungs.items():
        count(f"Identity.{rung}", number)
    if waited:
        # Ours, because the queue's own ApproximateAgeOfOldestMessage leaves out what was received three times.
        measure("LongestWait", waited)


def _level(verdict: Verdicts) -> Callable[..., None]:
    if verdict.reason == "circuit_open":
        # Not even tried: who tried has said why, and a line each time would be most of what an outage costs.
        return logger.debug
    return logger.error if verdict.fate in {Fate.RETRY, Fate.DEAD} else logger.info


def _fields(verdict: Verdicts) -> dict[str, object]:
    fields: dict[str, object] = {
        "message_id": verdict.record.id,
        "received": verdict.record.received,
        "fate": verdict.fate,
    }
    fields |= {name: said for name, said in (("reason", verdict.reason), ("detail", verdict.detail)) if said}
    if (event := verdict.event) is not None:
        fields |= {
            "event_id": event.id,
            "event_type": event.type,
            "livemode": event.livemode,
            "account": event.account,
            "calls": list(verdict.calls),
            "identity": verdict.rung,
        }
    if verdict.unknown:
        fields["unknown"] = list(verdict.unknown)
    return fields


def _measure_delivered(verdict: Verdicts, event: StripeEvent, now: float) -> None:
    if event.created:
        measure("DeliveryLatency", max(now - event.created, 0))
    if verdict.unknown:
        count("UnknownShapes")
