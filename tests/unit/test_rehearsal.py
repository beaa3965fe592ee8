"""`make demo` notices everything that is not as it should be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stripe_to_segment_tools.local_stack.emulator import Message
from stripe_to_segment_tools.local_stack.rehearsal import Planned, Played, differences, settle
from stripe_to_segment_tools.local_stack.stack import Queued
from stripe_to_segment_tools.receiver import ReceivedRequest, Receiver

NOTHING = Queued((), ())


def track(message_id: str, event: str = "Order Completed", **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "messageId": message_id, "properties": properties}


def played(*arrived: dict[str, Any], expected: tuple[dict[str, Any], ...], status: int | None = 200) -> Played:
    return Played(Planned("invoice.paid", {}, "mapped", None, expected), status, "the answer", arrived, 0.1)


@pytest.fixture
def segment() -> Receiver:
    receiver = Receiver()
    receiver.stop()
    return receiver


def receive(segment: Receiver, *calls: dict[str, Any], violations: tuple[str, ...] = ()) -> None:
    request = ReceivedRequest(0, datetime.now(UTC), 1, len(calls), "both", "live", 200, violations=violations)
    segment.record.add(request, calls)


def test_calls_as_planned_have_no_problem(segment: Receiver) -> None:
    receive(segment, track("a", total=1))
    found = differences([played(track("a", total=1), expected=(track("a", total=1),))], NOTHING, segment)
    assert not found
    assert list(found) == []


@pytest.mark.parametrize(
    ("each", "problem"),
    [
        (played(expected=(track("a"),)), "missing: Order Completed"),
        (
            played(track("a", total=2), expected=(track("a", total=1),)),
            "other content: Order Completed at properties.total (2, expected 1)",
        ),
        (
            played(track("a"), expected=(track("a", total=1),)),
            "other content: Order Completed at properties.total (missing)",
        ),
        (
            played(track("a", total=1), expected=(track("a"),)),
            "other content: Order Completed at properties.total (not expected)",
        ),
        (played(expected=(), status=400), "answered 400: the answer"),
        (played(expected=(), status=None), "answered not at all: the answer"),
    ],
)
def test_a_difference_is_named(segment: Receiver, each: Played, problem: str) -> None:
    assert list(differences([each], NOTHING, segment)) == [f"invoice.paid: {problem}"]


def test_a_violation_of_the_contract_is_a_difference(segment: Receiver) -> None:
    receive(segment, violations=("no 'sentAt'",))
    assert list(differences([], NOTHING, segment)) == ["contract: request 1: no 'sentAt'"]


def test_a_call_that_no_event_should_become_is_a_difference(segment: Receiver) -> None:
    receive(segment, track("a"), track("b"), {"type": "identify", "messageId": "c"})
    found = differences([played(track("a"), expected=(track("a"),))], NOTHING, segment)
    assert list(found) == ["not expected: Order Completed b", "not expected: identify c"]


def test_a_call_that_comes_late_is_not_missing(segment: Receiver) -> None:
    receive(segment, track("a"))
    (settled,) = settle([played(expected=(track("a"),))], segment)
    assert settled.problems == []


def test_what_is_left_in_a_queue_is_a_difference(segment: Receiver) -> None:
    left = Message("m-1", "{}", {}, 3, 10.0)
    dead = Message("m-2", "{}", {"event_type": "t", "event_id": "evt_1", "reason": "r", "detail": "d"}, 1, 0.0)
    assert list(differences([], Queued((left,), (dead,)), segment)) == [
        "left in the events queue after 3 attempts: m-1",
        "dead letter: t evt_1: r (d)",
    ]
