"""What log and metrics say of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.delivery.record import Record, RecordOutcome, Status
from stripe_to_segment.delivery.report import report, summary
from stripe_to_segment.observability import observed
from tests.unit.shapes import NOW, a_customer, an_event

if TYPE_CHECKING:
    from tests.unit.edges import Spoken

pytestmark = pytest.mark.usefixtures("spoken")

EVENT = an_event("customer.updated", a_customer(), id="evt_1", account="acct_1", livemode=True)


def reported(*outcomes: RecordOutcome, now: float = NOW + 5) -> None:
    """Report as a handler does, which writes the metrics out when it returns."""

    @observed
    def handler(_event: object, _context: object) -> None:
        report(outcomes, now)

    handler({}, None)


def outcome(status: Status, reason: str = "", identity_source: str | None = "metadata") -> RecordOutcome:
    return RecordOutcome(
        Record("record-1", '{"secret": "body"}', 3),
        status,
        reason,
        "words",
        event=EVENT,
        calls=("identify", "Customer Deleted"),
        identity_source=identity_source,
        unknown=("object.shape",),
    )


def test_a_line_has_the_outcome_of_a_record_and_nothing_personal(spoken: Spoken) -> None:
    reported(outcome(Status.DELIVERED))
    (line,) = spoken.lines
    said = {name: line[name] for name in line if name != "timestamp"}
    assert said == {
        "level": "INFO",
        "message": "event",
        "received": 3,
        "outcome": "delivered",
        "detail": "words",
        "event_id": "evt_1",
        "event_type": "customer.updated",
        "account": "acct_1",
        "calls": ["identify", "Customer Deleted"],
        "identity": "metadata",
        "unknown": ["object.shape"],
    }
    assert "example.com" not in spoken.text
    assert "secret" not in spoken.text


@pytest.mark.parametrize("livemode", [True, False])
def test_only_the_line_of_a_test_event_says_its_mode(spoken: Spoken, livemode: bool) -> None:
    reported(replace(outcome(Status.DELIVERED), event=replace(EVENT, livemode=livemode)))
    assert spoken.lines[0].get("livemode", "left out") == ("left out" if livemode else False)


@pytest.mark.parametrize(
    ("status", "level", "metric"),
    [
        (Status.DELIVERED, "INFO", "EventsDelivered"),
        (Status.IGNORED, "INFO", "EventsSkipped"),
        (Status.WAITING, None, "EventsHeld"),
        (Status.RETRY, "ERROR", "EventsRetried"),
        (Status.DEAD, "ERROR", "EventsDeadLettered"),
    ],
)
def test_every_outcome_has_its_level_and_its_counter(
    spoken: Spoken, status: Status, level: str | None, metric: str
) -> None:
    reported(outcome(status), outcome(status))
    assert [line["level"] for line in spoken.lines] == ([level] * 2 if level else [])
    assert spoken.metrics[metric] == 2


def test_only_a_record_that_somebody_may_look_for_in_a_queue_is_named(spoken: Spoken) -> None:
    """Every line had the queue's id of its record, also where the record had left the queue for good."""
    unread = RecordOutcome(Record("record-2", "no JSON", 1), Status.IGNORED, "not_json")
    reported(*(outcome(status) for status in (Status.DELIVERED, Status.IGNORED, Status.RETRY, Status.DEAD)), unread)
    named = [line.get("message_id") for line in spoken.lines]
    assert named == [None, None, "record-1", "record-1", "record-2"]


def test_a_record_that_was_not_tried_is_counted_and_logged_only_at_debug(spoken: Spoken) -> None:
    waits = [outcome(Status.RETRY, reason) for reason in ("circuit_open", "under_way", "http_503")]
    reported(*waits, outcome(Status.WAITING, "held"))
    assert [line["reason"] for line in spoken.lines if line["level"] != "DEBUG"] == ["http_503"]
    assert spoken.metrics["EventsRetried"] == 3


def test_the_line_of_the_batch_counts_waiting_records() -> None:
    outcomes = [outcome(Status.RETRY, reason) for reason in ("circuit_open", "under_way", "under_way", "http_503")]
    assert summary([*outcomes, outcome(Status.WAITING, "held"), outcome(Status.DELIVERED)]) == {
        "records": 6,
        "again": 5,
        "waiting": {"circuit_open": 1, "under_way": 2, "held": 1},
    }
    assert summary([outcome(Status.DELIVERED)]) == {"records": 1, "again": 0}


def test_a_first_attempt_without_calls_has_a_short_line(spoken: Spoken) -> None:
    """Every byte is paid for: what is as it mostly is goes without saying."""
    reported(RecordOutcome(Record("record-1", "{}"), Status.DELIVERED, event=EVENT))
    assert not {"received", "calls", "identity", "service", "xray_trace_id", "location"} & set(spoken.lines[0])


def test_every_outcome_is_counted() -> None:
    assert set(Status) == {Status.DELIVERED, Status.IGNORED, Status.WAITING, Status.RETRY, Status.DEAD}


def test_the_identity_source_and_the_latency_are_measured_for_delivered_events(spoken: Spoken) -> None:
    reported(
        outcome(Status.DELIVERED),
        outcome(Status.DELIVERED, identity_source="unknown"),
        outcome(Status.DELIVERED, identity_source="unknown"),
    )
    assert spoken.metrics["Identity.metadata"] == 1
    assert spoken.metrics["Identity.unknown"] == 2
    assert spoken.metrics["DeliveryLatency"] == 15


def test_an_undelivered_event_has_no_latency(spoken: Spoken) -> None:
    reported(outcome(Status.RETRY), outcome(Status.WAITING), outcome(Status.DEAD))
    assert set(spoken.metrics) == {"EventsRetried", "EventsHeld", "EventsDeadLettered"}


def test_an_unknown_shape_is_counted(spoken: Spoken) -> None:
    reported(outcome(Status.DELIVERED), replace(outcome(Status.DELIVERED), unknown=()))
    assert spoken.metrics["UnknownShapes"] == 1


def test_the_longest_wait_is_that_of_the_oldest_record_that_is_retried(spoken: Spoken) -> None:
    records = [Record(str(age), "{}", 9, queued_at=NOW - age) for age in (10, 7200, 30)]
    delivered = replace(outcome(Status.DELIVERED), record=Record("old", "{}", 9, queued_at=NOW - 90_000))
    reported(*(RecordOutcome(record, Status.RETRY, "http_500") for record in records), delivered, now=NOW)
    assert spoken.metrics["LongestWait"] == 7200


def test_an_event_ahead_of_our_clock_took_no_time(spoken: Spoken) -> None:
    reported(outcome(Status.DELIVERED), now=NOW - 60)
    assert spoken.metrics["DeliveryLatency"] == 0


@pytest.mark.parametrize("reason", ["http_401", "http_403", "no_write_key", "bad_write_key", "bad_secret"])
def test_a_key_that_does_not_work_is_counted_for_the_alarm(spoken: Spoken, reason: str) -> None:
    reported(outcome(Status.RETRY, reason), outcome(Status.RETRY, "http_500"))
    assert spoken.metrics["WriteKeyRejected"] == 1


def test_a_record_without_an_event_is_reported_too(spoken: Spoken) -> None:
    reported(RecordOutcome(Record("record-1", "{"), Status.DEAD, "not_json", "the body is not JSON"))
    (line,) = spoken.lines
    assert (line["reason"], "event_id" in line) == ("not_json", False)


def test_a_large_batch_is_counted_in_full(spoken: Spoken) -> None:
    reported(*[outcome(Status.DELIVERED)] * 250)
    assert spoken.metrics["EventsDelivered"] == 250
    assert spoken.metrics["DeliveryLatency"] == 250 * 5
    assert max(map(len, spoken.values("DeliveryLatency"))) == 100, "CloudWatch takes no more values in one line"


def test_a_latency_is_rounded_to_a_tenth_of_a_second(spoken: Spoken) -> None:
    reported(outcome(Status.DELIVERED), now=NOW + 1.23456789)
    assert spoken.values("DeliveryLatency") == [[1.2]]
