"""The queues: delays are set ten at a time, and undeliverable records are dead-lettered with their reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.delivery.queues import Queues
from stripe_to_segment.delivery.record import Record, RecordOutcome, Status
from stripe_to_segment.receiving.examine import MAX_EVENT_BYTES
from tests.unit.edges import Spoken, Sqs
from tests.unit.shapes import a_customer, an_event

pytestmark = pytest.mark.usefixtures("spoken")

EVENTS, DEAD_LETTERS = "https://sqs/events", "https://sqs/dead-letters"


@pytest.fixture
def sqs() -> Sqs:
    return Sqs()


@pytest.fixture
def queues(sqs: Any) -> Queues:
    return Queues(sqs, EVENTS, DEAD_LETTERS)


def dead(number: int = 1, body: str = "{}", *, reason: str = "http_400", detail: str = "") -> RecordOutcome:
    return RecordOutcome(Record(str(number), body), Status.DEAD, reason, detail)


@pytest.mark.parametrize(("records", "requests"), [(0, 0), (1, 1), (10, 1), (11, 2), (100, 10)])
def test_delays_are_set_ten_at_a_time(sqs: Sqs, queues: Queues, records: int, requests: int) -> None:
    delays = {f"handle_{number}": number for number in range(records)}
    queues.change_visibility(delays)
    assert sqs.visibility == delays
    assert sqs.calls == requests


def test_a_delay_that_cannot_be_set_only_lengthens_the_wait(sqs: Sqs, queues: Queues, spoken: Spoken) -> None:
    sqs.broken.add("change_message_visibility_batch")
    queues.change_visibility({f"handle_{number}": 5 for number in range(11)})
    assert [line["records"] for line in spoken.lines] == [10, 1]
    assert {line["reason"] for line in spoken.lines} == {"ServiceUnavailable"}


def test_a_record_that_is_gone_does_not_delay_the_others(sqs: Sqs, queues: Queues, spoken: Spoken) -> None:
    queues.change_visibility({"handle_1": 5, "expired": 5, "handle_2": 5})
    assert sqs.visibility == {"handle_1": 5, "handle_2": 5}
    assert [line["records"] for line in spoken.lines] == [1]


def test_a_dead_letter_is_the_raw_event_with_the_reason_on_it(sqs: Sqs, queues: Queues) -> None:
    event = an_event("customer.updated", a_customer(), id="evt_1", account="acct_1")
    raw = '{ "raw": "as it came"\n}'
    outcome = RecordOutcome(Record("record-1", raw), Status.DEAD, "http_400", "no event name", event=event)
    assert queues.dead_letter([outcome]) == {"record-1"}
    (sent,) = sqs.sent
    assert (sent["QueueUrl"], sent["MessageBody"]) == (DEAD_LETTERS, raw)
    assert {name: attribute["StringValue"] for name, attribute in sent["MessageAttributes"].items()} == {
        "reason": "http_400",
        "detail": "no event name",
        "event_id": "evt_1",
        "event_type": "customer.updated",
        "account": "acct_1",
        "source_message_id": "record-1",
    }


def test_a_record_that_could_not_be_read_has_no_event_attributes(sqs: Sqs, queues: Queues) -> None:
    queues.dead_letter([dead(reason="not_json")])
    assert set(sqs.sent[0]["MessageAttributes"]) == {"reason", "source_message_id"}


def test_a_failed_dead_letter_is_not_reported_as_dead_lettered(sqs: Sqs, queues: Queues, spoken: Spoken) -> None:
    sqs.broken.add("send_message")
    assert queues.dead_letter([dead(1), dead(2)]) == set()
    assert [(line["level"], line["message_id"]) for line in spoken.lines] == [("ERROR", "1"), ("ERROR", "2")]


def test_a_failed_dead_letter_does_not_delay_the_others(sqs: Sqs, queues: Queues) -> None:
    assert queues.dead_letter([dead(1), dead(2, "\0"), dead(3)]) == {"1", "3"}
    assert sqs.bodies(DEAD_LETTERS) == ["{}", "{}"]


def test_the_largest_accepted_event_can_be_dead_lettered(sqs: Sqs, queues: Queues) -> None:
    """Attributes count as part of a message: with them an event of just 1 MiB was refused, and tried for ever."""
    letters = "🦊" * 1000
    event = an_event(letters, a_customer(), id=letters, account=letters)
    outcome = RecordOutcome(Record(letters, "x" * MAX_EVENT_BYTES), Status.DEAD, letters, letters, event=event)
    assert queues.dead_letter([outcome])
    assert sqs.sent


@given(st.text(), st.text())
def test_any_answer_of_an_endpoint_allows_dead_lettering(reason: str, detail: str) -> None:
    """A control character in the endpoint's words made SQS refuse the dead letter: its record came back for ever."""
    sqs: Any = Sqs()
    outcome = dead(reason=reason, detail=detail)
    assert Queues(sqs, EVENTS, DEAD_LETTERS).dead_letter([outcome]) == {"1"}
