"""Sending to Segment over real sockets: the form of a request, and every kind of answer, also none."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError, SSLError

from stripe_to_segment.http_session import http_session
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.segment_side.calls import MAX_CALL_BYTES, encode
from stripe_to_segment.segment_side.client import SegmentClient, batches
from stripe_to_segment_tools.receiver.behaviour import Behaviour, Mode
from stripe_to_segment_tools.receiver.runner import Receiver
from tests.unit.edges import Endpoint, a_call, reset, say, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from stripe_to_segment.segment_side.calls import Call
    from tests.unit.edges import Answering

KEY = "k" * 32
OK = say(200, b'{"success":true}')


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with http_session() as open_session:
        yield open_session


@pytest.fixture
def client(endpoint: Endpoint, session: requests.Session) -> SegmentClient:
    return SegmentClient(session, endpoint.url, KEY)


@pytest.fixture
def packing(endpoint: Endpoint, session: requests.Session) -> SegmentClient:
    """A client that compresses."""
    return SegmentClient(session, endpoint.url, KEY, compress=True)


def plenty() -> float:
    return 50.0


def send(client: SegmentClient, *calls: Call, seconds: float = 50.0) -> list[Answer]:
    """The answers to calls, in the order of the calls."""
    answers = client.send(calls, lambda: seconds)
    assert len(answers) == len(calls)
    return [answers[call.message_id] for call in calls]


def one(client: SegmentClient, seconds: float = 50.0) -> Answer:
    (answer,) = send(client, a_call(), seconds=seconds)
    return answer


# --- What is sent ---


def test_the_request_is_what_segment_reads(endpoint: Endpoint, client: SegmentClient) -> None:
    calls = [a_call(1), a_call(2, userId="Zoë 🦊")]
    before = datetime.now(UTC)
    assert [answer.meaning for answer in send(client, *calls)] == [Meaning.ACCEPTED] * 2
    (request,) = endpoint.requests
    assert request.path == "/v1/batch"
    assert request.body["batch"] == [call.body for call in calls]
    assert set(request.body) == {"batch", "sentAt", "writeKey"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", request.body["sentAt"])
    sent_at = datetime.fromisoformat(request.body["sentAt"])
    assert before - timedelta(milliseconds=1) <= sent_at <= datetime.now(UTC)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-strict-mode"] == "1"
    assert "x-retry-count" not in request.headers
    assert request.headers["user-agent"].startswith("stripe-to-segment/")


def test_the_key_is_in_header_and_body_because_receivers_differ(endpoint: Endpoint, client: SegmentClient) -> None:
    one(client)
    (request,) = endpoint.requests
    scheme, _, credentials = request.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials)) == ("Basic", f"{KEY}:".encode())
    assert request.body["writeKey"] == KEY


def test_nothing_is_compressed_by_default(endpoint: Endpoint, client: SegmentClient) -> None:
    send(client, *(a_call(number) for number in range(100)))
    (request,) = endpoint.requests
    assert "content-encoding" not in request.headers
    assert int(request.headers["content-length"]) == len(request.raw)


def test_a_compressed_request_says_the_same_in_fewer_bytes(endpoint: Endpoint, packing: SegmentClient) -> None:
    calls = [a_call(number, userId="Zoë 🦊") for number in range(100)]
    assert {answer.meaning for answer in send(packing, *calls)} == {Meaning.ACCEPTED}
    (request,) = endpoint.requests
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/json"
    assert int(request.headers["content-length"]) == len(request.raw)
    said = json.loads(gzip.decompress(request.raw))
    assert (said["batch"], said["writeKey"]) == ([call.body for call in calls], KEY)
    assert len(request.raw) < len(request.content) / 5


def test_sent_at_is_the_time_of_the_attempt(endpoint: Endpoint, client: SegmentClient) -> None:
    endpoint.answering = say(500)
    one(client)
    time.sleep(0.01)
    one(client)
    first, second = (request.body for request in endpoint.requests)
    assert first["sentAt"] < second["sentAt"]
    assert first["batch"] == second["batch"]


def test_the_connection_is_kept_between_requests(endpoint: Endpoint, client: SegmentClient) -> None:
    for _ in range(3):
        one(client)
    assert len({request.connection for request in endpoint.requests}) == 1


@pytest.mark.parametrize("kind", ["client", "packing"])
@pytest.mark.parametrize("ends", [write(b""), write(b"", reset)], ids=["closed", "reset"])
def test_a_kept_connection_that_died_is_replaced_at_once(
    endpoint: Endpoint, request: pytest.FixtureRequest, ends: Answering, kind: str
) -> None:
    """Three of them, one in each batch, opened the circuit for all batches, although Segment worked."""
    client: SegmentClient = request.getfixturevalue(kind)
    assert one(client).meaning is Meaning.ACCEPTED
    answers = [OK, ends]

    def in_turn(handler: BaseHTTPRequestHandler) -> None:
        answers.pop()(handler)

    endpoint.answering = in_turn
    assert one(client).meaning is Meaning.ACCEPTED
    _, cut, repeated = endpoint.requests
    assert cut.raw == repeated.raw, "word for word, so who took the first drops the second"
    assert cut.connection != repeated.connection


def test_a_kept_connection_of_tls_that_died_is_replaced_too() -> None:
    """In the middle of writing, TLS has another error for it. https://docs.python.org/3/library/ssl.html#ssl.SSLEOFError."""
    ended = SSLError(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
    pool = HTTPSConnectionPool("segment.test")
    dead = requests.exceptions.SSLError(MaxRetryError(pool, "/v1/batch", ended))
    with responses.RequestsMock() as mocked, http_session() as session:
        mocked.post("https://segment.test/v1/batch", body=dead)
        mocked.post("https://segment.test/v1/batch", json={"success": True})
        assert one(SegmentClient(session, "https://segment.test", KEY)).meaning is Meaning.ACCEPTED


def test_an_endpoint_that_cuts_every_connection_is_down(endpoint: Endpoint, client: SegmentClient) -> None:
    endpoint.answering = write(b"", reset)
    answer = one(client)
    assert (answer.meaning, answer.reason) == (Meaning.RETRY, "no_answer")
    assert len(endpoint.requests) == 2, "once again, no more"


def test_a_request_with_half_an_answer_is_not_repeated_at_once(endpoint: Endpoint, client: SegmentClient) -> None:
    endpoint.answering = write(HEAD + b'{"succ', reset)
    assert one(client).meaning is Meaning.RETRY
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("seconds", [60, -60], ids=["a minute later", "after the clock was set back"])
def test_a_connection_that_was_idle_for_a_minute_is_not_used_again(
    endpoint: Endpoint, client: SegmentClient, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """A NAT drops it silently, and the request waited ten seconds for an answer that could not come."""
    one(client)
    later = time.time() + seconds
    monkeypatch.setattr("stripe_to_segment.http_session.time.time", lambda: later)
    one(client)
    first, second = endpoint.requests
    assert first.connection != second.connection


@pytest.mark.parametrize("compress", [False, True])
def test_the_receiver_finds_nothing_wrong_with_a_full_batch(session: requests.Session, *, compress: bool) -> None:
    calls = [a_call(number, size=1000) for number in range(1200)]
    with Receiver(sources={"live": KEY}) as receiver:
        answers = send(SegmentClient(session, receiver.url, KEY, compress=compress), *calls)
        record = receiver.record
    assert {answer.meaning for answer in answers} == {Meaning.ACCEPTED}
    assert record.violations == []
    assert [request.calls for request in record.requests] == [474, 474, 252]
    assert [kept.call for kept in record.calls] == [call.body for call in calls]


def test_no_calls_make_no_request(endpoint: Endpoint, client: SegmentClient) -> None:
    assert client.send([], plenty) == {}
    assert endpoint.requests == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_json_number_makes_no_call(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode({"properties": {"revenue": value}})


# --- Limits ---


def test_a_request_holds_at_most_500_calls(endpoint: Endpoint, client: SegmentClient) -> None:
    send(client, *(a_call(number) for number in range(1001)))
    assert [len(request.body["batch"]) for request in endpoint.requests] == [500, 500, 1]


@pytest.mark.parametrize("kind", ["client", "packing"])
def test_a_request_holds_at_most_475000_bytes_whatever_the_answer(
    endpoint: Endpoint, request: pytest.FixtureRequest, kind: str
) -> None:
    send(request.getfixturevalue(kind), *(a_call(number, size=MAX_CALL_BYTES) for number in range(30)))
    sizes = [len(sent.content) for sent in endpoint.requests]
    assert len(sizes) == 3
    assert 440_000 < max(sizes) <= 475_000


def test_a_call_of_32000_bytes_goes_and_a_longer_one_is_refused_with_its_size(
    endpoint: Endpoint, client: SegmentClient
) -> None:
    largest, too_large, after = a_call(1, size=32_000), a_call(2, size=32_001), a_call(3)
    answers = send(client, largest, too_large, after)
    assert [answer.meaning for answer in answers] == [Meaning.ACCEPTED, Meaning.REFUSED, Meaning.ACCEPTED]
    assert (answers[1].reason, answers[1].detail) == ("too_large", "32001 bytes; Segment takes 32000")
    assert [call["messageId"] for call in endpoint.requests[0].body["batch"]] == [largest.message_id, after.message_id]


def test_the_size_of_a_request_is_counted_in_bytes(endpoint: Endpoint, client: SegmentClient) -> None:
    call = a_call(1, userId="🦊" * 8000)
    assert len(call.encoded.decode()) < 32_000 < len(call.encoded)
    assert send(client, call)[0].reason == "too_large"
    assert endpoint.requests == []


@given(st.lists(st.integers(200, 32_000), max_size=60) | st.lists(st.just(200), min_size=490, max_size=1100))
def test_batches_keep_the_order_and_lose_and_repeat_nothing(sizes: list[int]) -> None:
    calls = [a_call(number, size=size) for number, size in enumerate(sizes)]
    packed = list(batches(calls))
    assert list(itertools.chain(*packed)) == calls
    assert all(1 <= len(batch) <= 500 for batch in packed)
    filled = [sum(len(call.encoded) + 1 for call in batch) + 200 for batch in packed]
    assert all(size <= 475_000 for size in filled)
    for batch, size, following in zip(packed, filled, packed[1:], strict=False):
        assert len(batch) == 500 or size + len(following[0].encoded) + 1 > 475_000, "it could have taken one more"


# --- Refusals ---


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (say(400, b'{"success":false,"message":"no event"}'), "http_400"),
        (say(413), "http_413"),
        (say(422), "http_422"),
        (say(200, b'{"ok":false,"errors":["no event"]}'), "not_ok"),
        (say(200, b'{"success":false}'), "not_ok"),
    ],
)
@pytest.mark.parametrize("bad", [{0}, {99}, {37}, {0, 1}, {12, 13, 90}, set()])
def test_a_refused_request_is_halved_until_only_the_bad_calls_are_left_out(
    session: requests.Session, bad: set[int], answer: Answering, reason: str
) -> None:
    calls = [a_call(number) for number in range(100)]
    poison = {calls[number].message_id for number in bad}
    accepted: list[str] = []
    with Endpoint() as endpoint:

        def decide(handler: BaseHTTPRequestHandler) -> None:
            sent = [call["messageId"] for call in endpoint.requests[-1].body["batch"]]
            if poison.isdisjoint(sent):
                accepted.extend(sent)
                OK(handler)
            else:
                answer(handler)

        endpoint.answering = decide
        answers = send(SegmentClient(session, endpoint.url, KEY), *calls)
        requests_made = len(endpoint.requests)
    assert {number for number, given in enumerate(answers) if given.meaning is Meaning.REFUSED} == bad
    assert {given.reason for given in answers} == {"", reason} if bad else {""}
    assert accepted == [call.message_id for call in calls if call.message_id not in poison], "in order, each once"
    assert requests_made <= 1 + 14 * len(bad)


def test_a_call_that_is_refused_though_it_was_unpacked_is_found_by_halving(
    endpoint: Endpoint, packing: SegmentClient
) -> None:
    bad = a_call(2)

    def decide(handler: BaseHTTPRequestHandler) -> None:
        sent = [call["messageId"] for call in endpoint.requests[-1].body["batch"]]
        (say(400, b"Event is not a valid rudder event") if bad.message_id in sent else OK)(handler)

    endpoint.answering = decide
    answers = send(packing, a_call(1), bad, a_call(3))
    assert [answer.meaning for answer in answers] == [Meaning.ACCEPTED, Meaning.REFUSED, Meaning.ACCEPTED]


def test_halving_keeps_the_reason_for_the_bad_call_only(endpoint: Endpoint, client: SegmentClient) -> None:
    bad = a_call(2)

    def decide(handler: BaseHTTPRequestHandler) -> None:
        sent = [call["messageId"] for call in endpoint.requests[-1].body["batch"]]
        refused = say(400, b"Invalid JSON" if len(sent) == 1 else b"Request body is nil")
        (refused if bad.message_id in sent else OK)(handler)

    endpoint.answering = decide
    answers = send(client, a_call(1), bad, a_call(3))
    assert [answer.detail for answer in answers] == ["", "invalid_json", ""]


def test_halving_ends_when_the_time_does(endpoint: Endpoint, client: SegmentClient) -> None:
    endpoint.answering = say(400)
    left = iter([50.0, 50.0, 50.0])
    answers = client.send([a_call(number) for number in range(8)], lambda: next(left, 0.0))
    assert len(endpoint.requests) == 3
    assert {answer.meaning for answer in answers.values()} == {Meaning.RETRY}


def test_an_outage_in_the_middle_of_halving_keeps_the_rest_waiting(endpoint: Endpoint, client: SegmentClient) -> None:
    answering = [OK, say(503, Retry_After="7"), say(400)]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        answering.pop()(handler)

    endpoint.answering = answer
    answers = send(client, a_call(1), a_call(2))
    assert [answer.meaning for answer in answers] == [Meaning.RETRY, Meaning.ACCEPTED]
    assert answers[0].retry_after == 7


# --- Waiting ---


@pytest.mark.parametrize("status", [408, 410, 429, 460, 500, 502, 503, 504])
def test_an_outage_makes_every_call_wait_after_one_request(
    endpoint: Endpoint, client: SegmentClient, status: int
) -> None:
    endpoint.answering = say(status, b"<html>down</html>", Retry_After="11")
    answers = send(client, *(a_call(number) for number in range(10)))
    assert answers == [Answer(Meaning.RETRY, f"http_{status}", "", 11)] * 10
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key_makes_the_calls_wait(endpoint: Endpoint, client: SegmentClient, status: int) -> None:
    endpoint.answering = say(status, b'{"message":"bad key"}')
    assert [answer.meaning for answer in send(client, a_call(1), a_call(2))] == [Meaning.MISCONFIGURED] * 2
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [404, 405])
def test_a_404_makes_every_call_wait_after_one_request(endpoint: Endpoint, client: SegmentClient, status: int) -> None:
    """A proxy whose backend was away for a minute answered 404, and every event of that minute became a dead letter."""
    endpoint.answering = say(status, b"404 page not found")
    answers = send(client, *(a_call(number, 31_000) for number in range(20)))
    assert {(answer.meaning, answer.reason) for answer in answers} == {(Meaning.MISCONFIGURED, f"http_{status}")}
    assert "SEGMENT_ENDPOINT" in answers[0].detail
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("no", [say(415), say(400, b"Invalid JSON"), say(400, b'{"error":"error parsing message"}')])
def test_an_endpoint_that_does_not_decompress_makes_every_call_wait_after_one_request(
    endpoint: Endpoint, packing: SegmentClient, no: Answering
) -> None:
    """In the words of a server that follows the RFC, of RudderStack before 1.4, and of Jitsu before 2024."""
    endpoint.answering = no
    answers = send(packing, *(a_call(number, 31_000) for number in range(20)))
    assert {answer.meaning for answer in answers} == {Meaning.MISCONFIGURED}
    assert "COMPRESS_REQUESTS" in answers[0].detail
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_does_not_leak(
    endpoint: Endpoint, client: SegmentClient, status: int
) -> None:
    with Endpoint() as elsewhere:
        endpoint.answering = say(status, b"moved", Location=f"{elsewhere.url}/v1/batch")
        assert one(client).meaning is Meaning.MISCONFIGURED
        endpoint.answering = say(status, b"moved", Location="/v2/batch")
        assert one(client).meaning is Meaning.MISCONFIGURED
        assert elsewhere.requests == []
    assert [request.path for request in endpoint.requests] == ["/v1/batch", "/v1/batch"]


@pytest.mark.parametrize("location", [b"http://[", b"\xff\xfe", b"http://[::1", b"//", b"http://a:b:c/", b""])
def test_a_redirect_to_nowhere_is_a_redirect(endpoint: Endpoint, client: SegmentClient, location: bytes) -> None:
    """`requests` parses the Location of a redirect that it does not follow; its ValueError failed the whole batch."""
    endpoint.answering = write(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
    assert one(client).meaning is Meaning.MISCONFIGURED


def test_a_key_left_from_an_example_waits_for_the_real_one(endpoint: Endpoint, session: requests.Session) -> None:
    """A write key of "…" raised UnicodeEncodeError, because no header can carry it, and the whole batch failed."""
    answer = one(SegmentClient(session, endpoint.url, "…"))
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "bad_write_key")
    assert endpoint.requests == []


def test_a_refused_connection_is_an_outage(session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    answer = one(SegmentClient(session, url, KEY))
    assert (answer.meaning, answer.reason, answer.detail) == (Meaning.RETRY, "no_answer", "ConnectionError")


def test_an_address_that_does_not_exist_is_an_outage(session: requests.Session) -> None:
    assert one(SegmentClient(session, "https://segment.invalid", KEY)).meaning is Meaning.RETRY


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answering",
    [
        write(b""),
        write(b"", reset),
        write(b"HTTP/1.1 200 "),
        write(b"HTTP/1.1 200 OK\r\nContent-Le"),
        write(b"HTTP/1.1 200 OK\r\nContent-Le", reset),
        write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDa"),
        write(HEAD + b'{"succ'),
        write(HEAD + b'{"succ', reset),
        write(HEAD),
        write(CHUNKED + b"5\r\n{"),
        write(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
        write(CHUNKED),
        write(b"hello\r\n\r\n"),
        write(b"\x16\x03\x01\x02\x00"),
        say(200, b"okok", Content_Encoding="gzip"),
        write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n"),
        write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    ],
    ids=[
        "closed",
        "reset",
        "half a line",
        "half a header",
        "reset in the head",
        "half a head of an answer without a body",
        "half a body",
        "reset in the body",
        "no body",
        "half a chunk",
        "no chunk",
        "no end",
        "no HTTP",
        "TLS",
        "not gzip",
        "too many headers",
        "too long a header",
    ],
)
def test_half_an_answer_counts_as_no_answer(endpoint: Endpoint, client: SegmentClient, answering: Answering) -> None:
    endpoint.answering = answering
    answers = send(client, a_call(1), a_call(2))
    assert [(answer.meaning, answer.reason) for answer in answers] == [(Meaning.RETRY, "no_answer")] * 2
    endpoint.answering = OK
    assert one(client).meaning is Meaning.ACCEPTED, "and the session is still good for the next one"


@pytest.mark.parametrize(
    "answering",
    [
        write(CHUNKED + b'10\r\n{"success":true}\r\n0\r\n\r\n'),
        write(b"HTTP/1.0 200 OK\r\n\r\nok"),
        write(b"HTTP/1.0 200 OK\r\n\r\n"),
        write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
        write(b"HTTP/1.1 204 No Content\r\n\r\n"),
        write(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b'{"success":true}'),
    ],
    ids=["chunked", "until closed", "empty until closed", "empty and closed", "without a body", "after a 100"],
)
def test_a_whole_answer_may_come_in_any_form(endpoint: Endpoint, client: SegmentClient, answering: Answering) -> None:
    """An empty answer that ended with its connection, as HTTP/1.0 has it, was taken for half of one: the endpoint got
    the calls again for 14 days, long after it had forgotten their messageIds.
    """
    endpoint.answering = answering
    assert one(client).meaning is Meaning.ACCEPTED


def test_a_partly_accepted_batch_sends_nothing_twice(session: requests.Session) -> None:
    """Halving the batch sent its good calls again, up to seven times, and Jitsu drops no repeats by itself."""
    calls = [a_call(number) for number in range(100)]
    bad, away = calls[7].message_id, calls[50].message_id
    with Endpoint() as endpoint:
        errors = [f"Message ID: {bad}: event error: x", f"Message ID: {away}: error# 1a: producer error"]
        endpoint.answering = say(200, json.dumps({"ok": False, "okEvents": 98, "errors": errors}).encode())
        answers = SegmentClient(session, endpoint.url, "key").send(calls, lambda: 60)
        assert len(endpoint.requests) == 1
    assert answers[bad].meaning is Meaning.REFUSED
    assert answers[away].meaning is Meaning.RETRY
    others = [answer for message_id, answer in answers.items() if message_id not in {bad, away}]
    assert len(others) == 98
    assert {answer.meaning for answer in others} == {Meaning.ACCEPTED}


def test_reading_an_endless_answer_stops(endpoint: Endpoint, client: SegmentClient) -> None:
    def gush(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 100_000)

    endpoint.answering = write(b"HTTP/1.1 200 OK\r\n\r\n", gush)
    answer = one(client)
    assert (answer.meaning, answer.reason, answer.detail) == (
        Meaning.RETRY,
        "no_answer",
        "the answer is longer than 1048576 bytes",
    )


def test_a_long_list_of_errors_is_still_understood(endpoint: Endpoint, client: SegmentClient) -> None:
    """Beyond 64 KiB an answer was cut, so that its `ok: false` could not be read and it passed for a yes."""
    errors = [f"call {number} has no event name, which it needs in order to be taken" for number in range(5000)]
    endpoint.answering = say(200, json.dumps({"ok": False, "errors": errors}).encode())
    assert one(client).reason == "not_ok"


def dripping(head: bytes, drop: bytes) -> Answering:
    def drip(connection: socket.socket) -> None:
        for _ in range(200):
            connection.sendall(drop)
            time.sleep(0.05)

    return write(head, drip)


@pytest.mark.parametrize(
    "answering",
    [
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        dripping(CHUNKED, b"1\r\nx\r\n"),
        dripping(CHUNKED + b"100\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1000\r\n\r\n", b"x"),
        dripping(b"", b"H"),
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", b"X: y\r\n"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        write(HEAD, lambda _: time.sleep(10)),
        write(b"", lambda _: time.sleep(10)),
    ],
    ids=[
        "length",
        "chunks",
        "one chunk",
        "until closed",
        "redirect",
        "status line",
        "header",
        "headers",
        "continue",
        "silent body",
        "silent",
    ],
)
def test_reading_a_slow_answer_stops_at_the_time_limit(
    endpoint: Endpoint, client: SegmentClient, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit held for each piece that came, not for the answer: a slow head or body outlasted the function."""
    monkeypatch.setattr("stripe_to_segment.segment_side.client.READ_SECONDS", 0.3)
    endpoint.answering = answering
    before = time.monotonic()
    answer = one(client)
    assert (answer.meaning, answer.reason) == (Meaning.RETRY, "no_answer")
    # The endpoint would take ten seconds.
    assert time.monotonic() - before < 5.0


def test_waiting_for_an_answer_ends_within_the_time_left(endpoint: Endpoint, client: SegmentClient) -> None:
    endpoint.answering = dripping(CHUNKED, b"1\r\nx\r\n")
    before = time.monotonic()
    assert one(client, seconds=4.5).meaning is Meaning.RETRY
    assert time.monotonic() - before < 4.5


@pytest.mark.parametrize("seconds", [2.9, 0.0, -5.0])
def test_without_time_no_request_is_sent(endpoint: Endpoint, client: SegmentClient, seconds: float) -> None:
    answer = one(client, seconds=seconds)
    assert (answer.meaning, answer.reason) == (Meaning.RETRY, "out_of_time")
    assert endpoint.requests == []


def test_what_was_not_sent_in_time_waits_while_the_rest_is_accepted(endpoint: Endpoint, client: SegmentClient) -> None:
    left = iter([50.0, 1.0])
    answers = client.send([a_call(number) for number in range(600)], lambda: next(left))
    assert [answer.meaning for answer in answers.values()] == [Meaning.ACCEPTED] * 500 + [Meaning.RETRY] * 100
    assert len(endpoint.requests) == 1


def test_an_answer_of_the_receiver_that_breaks_off_waits_and_the_repeat_is_the_same(session: requests.Session) -> None:
    call = a_call()
    with Receiver(sources={"live": KEY}) as receiver:
        client = SegmentClient(session, receiver.url, KEY)
        receiver.record.behaviour = Behaviour(Mode.PARTIAL, times=1)
        assert send(client, call)[0].meaning is Meaning.RETRY
        assert send(client, call)[0].meaning is Meaning.ACCEPTED
        assert [kept.call for kept in receiver.record.calls] == [call.body]
        assert receiver.record.violations == []


# --- Whatever comes ---


@given(
    st.integers(200, 599),
    st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps({"ok": False, "error": text}).encode()),
    st.dictionaries(
        st.sampled_from(["Retry-After", "Location", "Content-Encoding", "Set-Cookie"]),
        st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40),
    ),
)
def test_no_answer_raises_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    with responses.RequestsMock() as mocked, http_session() as session:
        mocked.post("https://segment.test/v1/batch", body, status=status, headers=headers)
        answer = one(SegmentClient(session, "https://segment.test", KEY))
    assert (answer.meaning is Meaning.ACCEPTED) <= (200 <= status < 300)
    assert KEY not in repr(answer)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda rest: b"HTTP/1.1 " + rest))
def test_no_bytes_raise_an_error(raw: bytes) -> None:
    with http_session() as session, Endpoint(write(raw)) as endpoint:
        assert one(SegmentClient(session, endpoint.url, KEY), seconds=3.0).meaning in set(Meaning)


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(f"https://{KEY}@segment.test refused"),
        requests.exceptions.SSLError(KEY),
        UnicodeError(KEY),
        OSError(KEY),
        RuntimeError(KEY),
    ],
)
def test_no_error_of_the_connection_is_raised_or_quoted(error: Exception) -> None:
    with responses.RequestsMock() as mocked, http_session() as session:
        mocked.post("https://segment.test/v1/batch", body=error)
        answer = one(SegmentClient(session, "https://segment.test", KEY))
    assert answer == Answer(Meaning.RETRY, "no_answer", type(error).__name__)


def test_the_clients_text_does_not_show_the_key(client: SegmentClient) -> None:
    assert KEY not in repr(client)


def test_after_a_429_the_other_requests_of_a_batch_are_not_sent(endpoint: Endpoint, client: SegmentClient) -> None:
    endpoint.answering = say(429)
    answers = send(client, *(a_call(number, 31_000) for number in range(20)))
    assert {answer.reason for answer in answers} == {"http_429"}
    assert len(endpoint.requests) == 1
