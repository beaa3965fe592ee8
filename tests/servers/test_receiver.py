"""The imitation of Segment answers as Segment does, and fails as its behaviour says."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from stripe_to_segment_tools.receiver import Behaviour, Mode, Receiver
from stripe_to_segment_tools.receiver.app import WrongKey

if TYPE_CHECKING:
    from collections.abc import Iterator

LIVE = "l" * 32


@pytest.fixture
def segment() -> Iterator[Receiver]:
    with Receiver(sources={"live": LIVE}) as receiver:
        yield receiver


def track(message_id: str, event: str = "Order Completed") -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "userId": "u",
        "messageId": message_id,
        "timestamp": "2026-11-22T07:00:00.000Z",
    }


def send(segment: Receiver, *calls: dict[str, Any], key: str = LIVE, timeout: float = 30) -> requests.Response:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"batch": list(calls), "sentAt": now, "writeKey": key}
    return requests.post(f"{segment.url}/v1/batch", json=body, auth=(key, ""), timeout=timeout)


def test_good_calls_are_kept_without_a_violation(segment: Receiver) -> None:
    answer = send(segment, track("a"), track("b"))
    assert answer.json() == {"success": True}
    assert [kept.call["messageId"] for kept in segment.record.calls] == ["a", "b"]
    assert segment.record.violations == []
    assert segment.record.requests[0].auth == "both"


def test_a_compressed_request_is_kept_too_and_its_size_is_that_on_the_wire(segment: Receiver) -> None:
    calls = [track(f"{number}") for number in range(20)]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = gzip.compress(json.dumps({"batch": calls, "sentAt": now, "writeKey": LIVE}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = requests.post(f"{segment.url}/v1/batch", data=body, headers=headers, auth=(LIVE, ""), timeout=30)
    assert answer.json() == {"success": True}
    assert [kept.call for kept in segment.record.calls] == calls
    assert segment.record.violations == []
    assert segment.record.requests[0].size == len(body)


def test_a_repeated_message_id_is_kept_once(segment: Receiver) -> None:
    send(segment, track("a"))
    send(segment, track("a"))
    assert len(segment.record.calls) == 1
    assert segment.record.requests[1].repeated == ("a",)
    assert segment.record.violations == []


def test_a_repeated_message_id_with_other_content_is_a_violation(segment: Receiver) -> None:
    send(segment, track("a"))
    send(segment, track("a", event="Order Refunded"))
    assert segment.record.violations == ["request 2: messageId a came before with other content"]


def test_a_wrong_key_is_answered_with_success_and_nothing_is_kept(segment: Receiver) -> None:
    assert send(segment, track("a"), key="x" * 32).status_code == 200
    assert segment.record.calls == []
    assert segment.record.requests[0].source is None


def test_a_wrong_key_is_refused_where_the_receiver_is_like_rudderstack() -> None:
    with Receiver(sources={"live": LIVE}, wrong_key=WrongKey.REFUSE) as segment:
        assert send(segment, track("a"), key="x" * 32).status_code == 401


def test_a_status_is_answered_the_chosen_number_of_times(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.STATUS, status=429, retry_after=2, times=2)
    answers = [send(segment, track("a")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "2"
    assert len(segment.record.calls) == 1


def test_a_behaviour_may_concern_one_event_only(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.STATUS, status=400, event="Order Refunded")
    assert send(segment, track("a")).status_code == 200
    assert send(segment, track("b"), track("c", event="Order Refunded")).status_code == 400
    assert [kept.call["messageId"] for kept in segment.record.calls] == ["a"]


def test_a_connection_is_cut_when_segment_is_down(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.DOWN)
    with pytest.raises(requests.ConnectionError, match=r"reset|aborted|disconnected"):
        send(segment, track("a"))
    assert segment.record.calls == []
    assert segment.record.requests[0].status is None


def test_half_an_answer_keeps_the_calls(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.PARTIAL)
    with pytest.raises(requests.RequestException):
        send(segment, track("a"))
    assert len(segment.record.calls) == 1


def test_a_slow_answer_comes_after_its_seconds(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.SLOW, seconds=0.3)
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        send(segment, track("a"), timeout=0.1)
    send(segment, track("b"))
    assert time.monotonic() - started >= 0.3


def test_jitsu_says_ok_false_for_the_calls_it_refuses(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.OK_FALSE, event="Order Refunded")
    answer = send(segment, track("a"), track("b", event="Order Refunded"))
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": False,
        "receivedEvents": 2,
        "okEvents": 1,
        "errors": ["configured to refuse b"],
    }


@pytest.mark.parametrize("wrong", [{"status": 99}, {"status": 600}, {"times": 0}, {"seconds": -1}])
def test_an_invalid_behaviour_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        Behaviour(Mode.STATUS, **wrong)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://localhost:3000/"},
        {"Host": "evil.example"},
    ],
)
def test_a_web_page_can_send_it_nothing(segment: Receiver, headers: dict[str, str]) -> None:
    """A page knows no write key, but where no source is named every key is good."""
    answer = requests.post(f"{segment.url}/v1/batch", data="{}", headers=headers, timeout=30)
    assert answer.status_code == 403
    assert segment.record.requests == []


@pytest.mark.parametrize("path", ["/_calls", "/_requests", "/_violations", "/_behaviour"])
def test_the_received_calls_have_no_address_on_the_network(segment: Receiver, path: str) -> None:
    """Every user of the machine could read the calls, and switch Segment off."""
    send(segment, track("a"))
    for method in ("GET", "PUT", "DELETE"):
        assert requests.request(method, f"{segment.url}{path}", timeout=30).status_code == 404
    assert len(segment.record.calls) == 1


def test_what_segment_cannot_read_is_answered_with_400(segment: Receiver) -> None:
    for body in (b"{", b"[]", b'{"batch": NaN}', b'{"batch": []}', b"\xff", b"[" * 100_000):
        answer = requests.post(f"{segment.url}/v1/batch", data=body, auth=(LIVE, ""), timeout=30)
        assert answer.status_code == 400, body[:20]
        assert json.loads(answer.text)["message"]
    assert segment.record.calls == []


def test_a_stopped_receiver_frees_its_port() -> None:
    with Receiver() as first:
        port = first.port
    with Receiver(port) as second:
        assert second.port == port


def test_a_port_in_use_is_reported_before_anything_runs(segment: Receiver) -> None:
    with pytest.raises(OSError, match="in use"):
        Receiver(segment.port)


def test_an_answer_takes_no_longer_because_its_connection_is_kept(segment: Receiver) -> None:
    """Head and body of an answer lay 40 ms apart, which is what an acknowledgement may be delayed."""
    with requests.Session() as session:
        session.get(f"{segment.url}/nothing", timeout=30)
        answers = (session.get(f"{segment.url}/nothing", timeout=30) for _ in range(50))
        # On a machine with other things to do most take longer, with the fault all of them.
        assert any(answer.elapsed.total_seconds() < 0.03 for answer in answers)


def test_calls_that_are_refused_for_good_are_remembered_with_the_answer(segment: Receiver) -> None:
    segment.record.behaviour = Behaviour(Mode.STATUS, 400, times=1)
    send(segment, track("a"))
    segment.record.behaviour = Behaviour(Mode.STATUS, 503, times=1)
    send(segment, track("b"))
    send(segment, track("c"))
    segment.record.behaviour = Behaviour(Mode.OK_FALSE, event="Order Completed", times=1)
    send(segment, track("d"), track("e", "Other"))
    refused = segment.record.refused_since(0)
    assert [(each.call["messageId"], each.request) for each in refused] == [("a", 1), ("d", 4)]
    assert [each.answer for each in refused] == ["400: configured to answer 400", "200: configured to refuse d"]
    assert segment.record.refused_since(1) == refused[1:]
    segment.record.clear()
    assert segment.record.refused_since(0) == []
