"""The log lines and metrics of a batch: for each record its ids, its status and the reason, nothing personal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.mapping.identity import IdentitySource
from stripe_to_segment.mapping.unknown_numbers import UNKNOWN_DISCOUNT, UNKNOWN_PRICE
from stripe_to_segment.observability import about, count, logger, measure
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.event import StripeEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stripe_to_segment.delivery.record import RecordOutcome

__all__ = ["report", "summary"]

METRIC_OF = {
    Status.DELIVERED: "EventsDelivered",
    Status.IGNORED: "EventsSkipped",
    Status.WAITING: "EventsHeld",
    Status.RETRY: "EventsRetried",
    Status.DEAD: "EventsDeadLettered",
}
# The reasons of records that were not tried, because another batch has to finish or probe first.
WAITS_FOR_OTHERS = frozenset({Reason.CIRCUIT_OPEN, Reason.UNDER_WAY})
# With these the record leaves the queue for good, so its id there is of no use.
DONE = frozenset({Status.DELIVERED, Status.IGNORED})
KEY_REASONS = frozenset(
    {Reason.HTTP_401, Reason.HTTP_403, Reason.NO_WRITE_KEY, Reason.BAD_WRITE_KEY, Reason.BAD_SECRET}
)


def report(outcomes: Sequence[RecordOutcome], now: float) -> None:
    """Log one line for each record that was tried, and count the batch; `now` is in epoch seconds."""
    outcomes = _without_imported(outcomes)
    for outcome in outcomes:
        # `outcome` says the rest: each byte of a line is paid for with every event.
        _level(outcome)("event", extra=_fields(outcome))
    delivered = [outcome for outcome in outcomes if outcome.status is Status.DELIVERED]
    created = [outcome.event.created for outcome in delivered if outcome.event is not None]
    measure("DeliveryLatency", [max(now - moment, 0) for moment in created if moment])
    queued = [outcome.record.queued_at for outcome in outcomes if outcome.status is Status.RETRY]
    # A metric of our own, because SQS's ApproximateAgeOfOldestMessage skips messages that were received three times.
    waited = max((now - moment for moment in queued if moment), default=0.0)
    if waited > 0:
        measure("LongestWait", [waited])
    for status, number in Counter(outcome.status for outcome in outcomes).items():
        count(METRIC_OF[status], number)
    for identity_source, number in Counter(
        outcome.identity_source for outcome in delivered if outcome.identity_source
    ).items():
        count(f"Identity.{identity_source}", number)
    if rejected := sum(outcome.reason in KEY_REASONS for outcome in outcomes):
        count("WriteKeyRejected", rejected)
    if refused := sum(outcome.reference_refused for outcome in delivered):
        count("ReferencesRefused", refused)
    if unknown := sum(bool({*outcome.unknown} - {UNKNOWN_DISCOUNT, UNKNOWN_PRICE}) for outcome in delivered):
        count("UnknownShapes", unknown)
    if unknown := sum(UNKNOWN_DISCOUNT in outcome.unknown for outcome in delivered):
        count("UnknownDiscounts", unknown)
    if unknown := sum(UNKNOWN_PRICE in outcome.unknown for outcome in delivered):
        count("UnknownPrices", unknown)


def summary(outcomes: Sequence[RecordOutcome]) -> dict[str, object]:
    """The fields of the batch's log line: the records, those that come again, and those of them that only wait."""
    waiting = Counter(outcome.reason for outcome in outcomes if _only_waits(outcome))
    again = sum(outcome.status in {Status.RETRY, Status.WAITING} for outcome in outcomes)
    return {"records": len(outcomes), "again": again, **({"waiting": dict(waiting)} if waiting else {})}


def _without_imported(outcomes: Sequence[RecordOutcome]) -> list[RecordOutcome]:
    """The outcomes without the objects of an import that are done, which only a metric counts: they may be millions."""
    left = [outcome for outcome in outcomes if outcome.status not in DONE or not _is_listed(outcome)]
    if imported := len(outcomes) - len(left):
        count("ObjectsImported", imported)
    return left


def _is_listed(outcome: RecordOutcome) -> bool:
    """Whether an import brought it; an object that states nothing has no event."""
    event = outcome.event
    return outcome.reason == Reason.LISTED or (isinstance(event, StripeEvent) and event.listing is not None)


def _only_waits(outcome: RecordOutcome) -> bool:
    return outcome.status is Status.WAITING or (outcome.status is Status.RETRY and outcome.reason in WAITS_FOR_OTHERS)


def _level(outcome: RecordOutcome) -> Callable[..., None]:
    if _only_waits(outcome):
        # A line for each record that was not tried would be most of the log. The batch's line counts them.
        return logger.debug
    return logger.error if outcome.status in {Status.RETRY, Status.DEAD} else logger.info


def _fields(outcome: RecordOutcome) -> dict[str, object]:
    fields: dict[str, object] = {"outcome": outcome.status}
    if outcome.event is None or outcome.status not in DONE:
        fields["message_id"] = outcome.record.id
    if outcome.record.received > 1:
        fields["received"] = outcome.record.received
    fields |= {name: said for name, said in (("reason", outcome.reason), ("detail", outcome.detail)) if said}
    if (event := outcome.event) is not None:
        fields |= about(event)
        # The usual source goes without saying.
        if outcome.identity_source != IdentitySource.REMEMBERED:
            fields["identity"] = outcome.identity_source
    if outcome.calls:
        fields["calls"] = list(outcome.calls)
    if outcome.unknown:
        fields["unknown"] = list(outcome.unknown)
    return fields
