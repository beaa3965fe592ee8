"""Segment's contract, rule by rule."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stripe_to_segment_tools.receiver.contract import Consequence, Request, check, violations

KEY = "k" * 32
NOW = datetime(2026, 11, 22, 7, 0, 0, 500_000, UTC)
BASIC = {
    "authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode(),
    "content-type": "application/json",
}


def track(**changes: Any) -> dict[str, Any]:
    call = {
        "type": "track",
        "event": "Order Completed",
        "userId": "u",
        "messageId": "m",
        "timestamp": "2026-11-22T06:59:00.000Z",
        "properties": {},
    }
    return {name: value for name, value in (call | changes).items() if value is not ...}


def request(*calls: Any, headers: dict[str, str] | None = None, **changes: Any) -> Request:
    message = {"batch": list(calls) or [track()], "sentAt": "2026-11-22T07:00:00.000Z", "writeKey": KEY} | changes
    body = json.dumps({name: value for name, value in message.items() if value is not ...}).encode()
    return Request(BASIC if headers is None else headers, body, NOW)


def test_a_good_request_has_no_violation() -> None:
    identify = track(type="identify", event=..., messageId="n", traits={"email": "a@b.c"})
    group = track(type="group", event=..., messageId="o", groupId="g", traits={})
    assert violations(request(track(), identify, group)) == []


@pytest.mark.parametrize(
    ("call", "message", "consequence"),
    [
        (track(event=...), "track without a text 'event'", Consequence.DROPPED_CALL),
        (track(event=""), "track without a text 'event'", Consequence.DROPPED_CALL),
        (track(type="group"), "group without a text 'groupId'", Consequence.DROPPED_CALL),
        (track(type="event"), "unknown type 'event'", Consequence.DROPPED_CALL),
        (track(type=["track"]), "unknown type ['track']", Consequence.DROPPED_CALL),
        (track(userId=...), "neither 'userId' nor 'anonymousId'", Consequence.DROPPED_CALL),
        (track(anonymousId=7), "'anonymousId' is not a text: 7", Consequence.TOLERATED),
        (track(messageId=...), "'messageId' is not a text: None", Consequence.TOLERATED),
        (track(messageId="m" * 101), "'messageId' has 101 characters, the limit is 100", Consequence.DROPPED_CALL),
        (track(timestamp=...), "no 'timestamp'", Consequence.TOLERATED),
        (
            track(timestamp=1795331171),
            "'timestamp' is not ISO 8601 UTC with milliseconds and Z: 1795331171",
            Consequence.TOLERATED,
        ),
        (
            track(timestamp="2026-11-22T06:59:00Z"),
            "'timestamp' is not ISO 8601 UTC with milliseconds and Z: '2026-11-22T06:59:00Z'",
            Consequence.TOLERATED,
        ),
        (
            track(timestamp="2026-13-22T06:59:00.000Z"),
            "'timestamp' is no point in time: '2026-13-22T06:59:00.000Z' (month must be in 1..12)",
            Consequence.TOLERATED,
        ),
        (track(properties=[]), "'properties' is not an object", Consequence.DROPPED_CALL),
        (
            track(integrations={"all": True}),
            "'integrations' has no 'All', but a name that differs in case: names are case-sensitive",
            Consequence.TOLERATED,
        ),
        ("call", "not a JSON object", Consequence.DROPPED_CALL),
    ],
)
def test_a_call_breaks_a_rule(call: Any, message: str, consequence: Consequence) -> None:
    verdict = check(request(call))
    assert [(v.message, v.consequence, v.index) for v in verdict.violations] == [(message, consequence, 0)]
    assert len(verdict.kept) == (consequence is Consequence.TOLERATED)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (request(headers={"content-type": "application/json"}), "no HTTP Basic write key: RudderStack reads no other"),
        (request(writeKey=...), "no 'writeKey' text in the body"),
        (request(writeKey="x" * 32), "the write keys of header and body differ"),
        (request(headers=BASIC | {"x-retry-count": "1"}), "X-Retry-Count is sent"),
        (
            request(headers=BASIC | {"content-type": "text/plain"}),
            "Content-Type is 'text/plain', not application/json",
        ),
        (
            request(headers=BASIC | {"authorization": "Basic " + base64.b64encode(KEY.encode()).decode()}),
            "the Authorization header is not Basic 'writeKey:' with the colon",
        ),
        (request(sentAt=...), "no 'sentAt'"),
        (
            request(sentAt="2026-11-22T06:50:00.000Z"),
            "'sentAt' is 600 s before its arrival: it is not this attempt's time",
        ),
    ],
)
def test_a_request_breaks_a_rule_that_segment_tolerates(wrong: Request, message: str) -> None:
    assert violations(wrong) == [message]
    assert len(check(wrong).kept) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"batch": [{"a": NaN}]}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert check(Request(BASIC, body, NOW)).refused


def compressed(plain: Request) -> Request:
    return Request({**plain.headers, "content-encoding": "gzip"}, gzip.compress(plain.body), plain.received_at)


def test_a_compressed_request_is_read_like_another() -> None:
    assert check(compressed(request())) == check(request())
    assert len(check(compressed(request())).kept) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (request(headers=BASIC | {"content-encoding": "gzip"}), "it is not gzip"),
        (
            Request(BASIC | {"content-encoding": "gzip"}, gzip.compress(request().body)[:-9], NOW),
            "its gzip data is incomplete",
        ),
        (Request(BASIC | {"content-encoding": "gzip"}, b"", NOW), "its gzip data is incomplete"),
        (request(headers=BASIC | {"content-encoding": "br"}), "not gzip"),
    ],
)
def test_a_request_that_cannot_be_unpacked_is_refused(wrong: Request, message: str) -> None:
    assert check(wrong).refused
    assert message in violations(wrong)[0]


def test_sizes_count_bytes_and_not_characters() -> None:
    fits = track(properties={"text": "é" * 15_900})
    assert violations(request(fits)) == []
    verdict = check(request(track(properties={"text": "é" * 16_100})))
    assert verdict.refused
    assert "the limit of a call is 32000" in str(verdict.violations[0])


def test_a_request_beyond_500_kb_is_refused() -> None:
    calls = [track(messageId=str(number), properties={"text": "x" * 30_000}) for number in range(17)]
    assert check(request(*calls)).refused
    assert check(compressed(request(*calls))).refused, "what counts is what it holds"
    assert not check(request(*calls[:16])).refused


def test_more_than_2500_calls_are_dropped_with_status_200() -> None:
    verdict = check(request(*[track(messageId=str(number)) for number in range(2_501)]))
    assert not verdict.refused
    assert verdict.kept == ()
    assert len(verdict.violations) == 1


def test_a_message_id_twice_in_a_request_is_kept_once() -> None:
    verdict = check(request(track(), track()))
    assert len(verdict.kept) == 1
    assert violations(request(track(), track())) == ["batch[1]: 'messageId' m occurs twice in one request"]


def test_a_clock_may_be_a_minute_off() -> None:
    early = Request(request().headers, request().body, NOW - timedelta(seconds=59))
    assert violations(early) == []
