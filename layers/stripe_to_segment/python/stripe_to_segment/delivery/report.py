"""What the log and the metrics say of a batch: for each record its ids, its fate and the reason, nothing personal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Fate
from stripe_to_segment.observability import about, count, logger, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stripe_to_segment.delivery.record import Verdicts

__all__ = ["report", "summary"]

METRIC_OF = {
    Fate.DELIVERED: "EventsDelivered",
    Fate.IGNORED: "EventsSkipped",
    Fate.WAITING: "EventsHeld",
    Fate.RETRY: "EventsRetried",
    Fate.DEAD: "EventsDeadLettered",
}
# What is not tried, for somebody else has to be done first.
WAITS_FOR_OTHERS = frozenset({"circuit_open", "under_way"})
KEY_REASONS = frozenset({"http_401", "http_403", "no_write_key", "bad_write_key", "bad_secret"})


def report(verdicts: Sequence[Verdicts], now: float) -> None:
    """One line for each record that was tried, and the batch's counters; `now` is in epoch seconds."""
    for verdict in verdicts:
        _level(verdict)(f"event {verdict.fate}", extra=_fields(verdict))
    delivered = [verdict for verdict in verdicts if verdict.fate is Fate.DELIVERED]
    created = [verdict.event.created for verdict in delivered if verdict.event is not None]
    measure("DeliveryLatency", [max(now - moment, 0) for moment in created if moment])
    queued = [verdict.record.queued_at for verdict in verdicts if verdict.fate is Fate.RETRY]
    # Ours, because the queue's own ApproximateAgeOfOldestMessage leaves out what was received three times.
    waited = max((now - moment for moment in queued if moment), default=0.0)
    if waited > 0:
        measure("LongestWait", [waited])
    for fate, number in Counter(verdict.fate for verdict in verdicts).items():
        count(METRIC_OF[fate], number)
    for rung, number in Counter(verdict.rung for verdict in delivered if verdict.rung).items():
        count(f"Identity.{rung}", number)
    if rejected := sum(verdict.reason in KEY_REASONS for verdict in verdicts):
        count("WriteKeyRejected", rejected)
    if refused := sum(verdict.reference_refused for verdict in delivered):
        count("ReferencesRefused", refused)
    if unknown := sum(bool(verdict.unknown) for verdict in delivered):
        count("UnknownShapes", unknown)


def summary(verdicts: Sequence[Verdicts]) -> dict[str, object]:
    """What the batch's own line says: how many records, how many come again, and how many of these only wait."""
    waiting = Counter(verdict.reason for verdict in verdicts if _only_waits(verdict))
    again = sum(verdict.fate in {Fate.RETRY, Fate.WAITING} for verdict in verdicts)
    return {"records": len(verdicts), "again": again, **({"waiting": dict(waiting)} if waiting else {})}


def _only_waits(verdict: Verdicts) -> bool:
    return verdict.fate is Fate.WAITING or (verdict.fate is Fate.RETRY and verdict.reason in WAITS_FOR_OTHERS)


def _level(verdict: Verdicts) -> Callable[..., None]:
    if _only_waits(verdict):
        # Not even tried: a line each time would be most of what is logged. The batch's line counts them.
        return logger.debug
    return logger.error if verdict.fate in {Fate.RETRY, Fate.DEAD} else logger.info


def _fields(verdict: Verdicts) -> dict[str, object]:
    fields: dict[str, object] = {"message_id": verdict.record.id, "fate": verdict.fate}
    if verdict.record.received > 1:
        fields["received"] = verdict.record.received
    fields |= {name: said for name, said in (("reason", verdict.reason), ("detail", verdict.detail)) if said}
    if (event := verdict.event) is not None:
        fields |= about(event) | {"identity": verdict.rung}
    if verdict.calls:
        fields["calls"] = list(verdict.calls)
    if verdict.unknown:
        fields["unknown"] = list(verdict.unknown)
    return fields
