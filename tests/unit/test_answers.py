"""The meaning of every answer to a batch, and that no personal data of an answer is kept."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.segment_side.answers import ERROR, KNOWN, NOT_OK, PAGE, Meaning, classify, retry_after_seconds

NOW = datetime(2026, 11, 18, 12, 0, 0, tzinfo=UTC)

RETRY = {408, 410, 421, 425, 429, 460} | set(range(500, 600)) - {501, 505}
MISCONFIGURED = {401, 402, 403, 404, 405, 407} | set(range(300, 400))


def meaning_of(status: int, body: bytes = b"") -> Meaning:
    return classify(status, body, None, NOW).meaning


def detail_of(answer: object, status: int = 400) -> str:
    return classify(status, json.dumps(answer).encode(), None, NOW).detail


def test_every_status_has_a_meaning() -> None:
    for status in range(200, 600):
        if status < 300:
            expected = Meaning.ACCEPTED
        elif status in MISCONFIGURED:
            expected = Meaning.MISCONFIGURED
        elif status in RETRY:
            expected = Meaning.RETRY
        else:
            expected = Meaning.REFUSED
        answer = classify(status, b"", None, NOW)
        assert answer.meaning is expected, status
        assert answer.reason == ("" if status < 300 else f"http_{status}")


@pytest.mark.parametrize("status", [400, 413, 422, 501, 505])
def test_a_call_that_is_never_accepted_is_refused(status: int) -> None:
    assert meaning_of(status, b'{"success":true}') is Meaning.REFUSED


@pytest.mark.parametrize(
    "body",
    [
        b'{"success":true}',
        b'{"ok":true,"okEvents":3}',
        b"ok",
        b'"OK"',
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"success":null,"ok":0}',
        b"[" * 100_000,
        b'{"success":fal',
    ],
    ids=["Segment", "Jitsu", "RudderStack", "a word", "empty", "null", "list", "bytes", "odd", "deep", "half"],
)
def test_a_2xx_without_an_error_means_accepted(body: bytes) -> None:
    assert meaning_of(200, body) is Meaning.ACCEPTED


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"ok":false,"receivedEvents":1,"okEvents":0,"errors":["Message ID: 1: event error: jo"]}', "invalid_event"),
        (b'{"success":false,"message":"jo.doe is malformed"}', "the answer says it is not ok"),
        (b'{"success":false}', "the answer says it is not ok"),
    ],
)
def test_a_200_that_says_not_ok_means_refused(status: int, body: bytes, detail: str) -> None:
    answer = classify(status, body, None, NOW)
    assert (answer.meaning, answer.reason, answer.detail) == (Meaning.REFUSED, "not_ok", detail)


def of_jitsu(*errors: str) -> bytes:
    """https://github.com/jitsucom/bulker/blob/main/ingest/router_batch_handler.go"""
    return json.dumps({"ok": False, "receivedEvents": 3, "okEvents": 3 - len(errors), "errors": errors}).encode()


@pytest.mark.parametrize(
    ("said", "meaning", "reason", "detail"),
    [
        ("error# x7Gq: producer error", Meaning.RETRY, "error_answer", "producer_error"),
        (
            "quota exceeded: billing quota exceeded, event throttled",
            Meaning.MISCONFIGURED,
            "error_answer",
            "quota_exceeded",
        ),
        ("no destinations found for stream: clx1", Meaning.MISCONFIGURED, "error_answer", "no_destinations"),
        ("event error: unknown event type", Meaning.REFUSED, "not_ok", "invalid_event"),
        ("event error: name 'quota exceeded'", Meaning.REFUSED, "not_ok", "invalid_event"),
        ("something new", Meaning.REFUSED, "not_ok", "the answer says it is not ok"),
    ],
)
def test_a_partial_answer_names_the_refused_calls_and_the_reasons(
    said: str, meaning: Meaning, reason: str, detail: str
) -> None:
    """An outage of Jitsu's queue, answered with 200, sent events to the dead-letter queue, and halving the batch sent
    the good ones again and again."""
    answer = classify(200, of_jitsu(f"Message ID: b: {said}"), None, NOW, ["a", "b", "c"])
    assert answer.meaning is Meaning.ACCEPTED
    ((message_id, named),) = answer.named.items()
    assert (message_id, named.meaning, named.reason, named.detail) == ("b", meaning, reason, detail)


@pytest.mark.parametrize(
    "errors",
    [
        ["Message ID: d: event error: x"],
        ["Message ID: b: event error: x", "and more"],
        ["b: event error: x"],
        [],
        [7],
    ],
    ids=["another's", "half of them", "no such words", "none", "no text"],
)
def test_an_answer_that_names_none_of_our_calls_applies_to_all_of_them(errors: list[object]) -> None:
    body = json.dumps({"ok": False, "errors": errors}).encode()
    answer = classify(200, body, None, NOW, ["a", "b", "c"])
    assert (answer.meaning, answer.reason, answer.named) == (Meaning.REFUSED, "not_ok", {})


@pytest.mark.parametrize(
    "body",
    [b"<html>thanks</html>", b"\xef\xbb\xbf\r\n  <!DOCTYPE html><title>Wi-Fi</title>", b"<?xml version='1.0'?><no/>"],
)
def test_an_html_page_in_place_of_the_endpoint_accepted_nothing(body: bytes) -> None:
    """A captive portal's 200 counted as delivered, and what was sent meanwhile was lost."""
    answer = classify(200, body, None, NOW)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "html_answer")
    assert "SEGMENT_ENDPOINT" in answer.detail


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 407, 409, 422, 431, 451, 499, 501, 505])
def test_a_page_with_an_error_says_nothing_of_a_call(status: int) -> None:
    """A firewall's 406 dead-lettered every event, and of its 403 the write key was said to be wrong.

    So did the 501 of a server of files, which takes no POST.
    """
    answer = classify(status, b"\n<html><h1>Request blocked</h1></html>", None, NOW)
    assert (answer.meaning, answer.reason, answer.detail) == (Meaning.MISCONFIGURED, f"http_{status}", PAGE)


@pytest.mark.parametrize(("status", "meaning"), [(413, Meaning.REFUSED), (408, Meaning.RETRY), (429, Meaning.RETRY)])
def test_a_page_may_say_what_its_status_says(status: int, meaning: Meaning) -> None:
    assert meaning_of(status, b"<html>") is meaning


@pytest.mark.parametrize(
    "error",
    [
        {"error": "internal"},
        {"errors": [{"message": "x"}]},
        {"error": {"code": 7}},
        {"success": False, "error": "upstream unavailable"},
        {"ok": False, "error": {"code": 7}},
        {"status": "503"},
        {"code": "9" * 5000},
        [{"status": 200}, {"status": 500}],
    ],
)
def test_a_200_with_an_error_and_without_success_accepted_nothing(error: object) -> None:
    """It counted as delivered, and was lost; an outage that was told so filled the dead-letter queue."""
    answer = classify(200, json.dumps(error).encode(), None, NOW)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "error_answer")


@pytest.mark.parametrize(
    "said", [{"error": None}, {"errors": []}, {"error": "x", "ok": True}, {"success": True, "errors": ["x"]}]
)
def test_an_empty_error_or_one_beside_success_counts_as_accepted(said: dict[str, object]) -> None:
    assert meaning_of(200, json.dumps(said).encode()) is Meaning.ACCEPTED


def test_an_error_in_plain_words_is_known_by_them() -> None:
    assert meaning_of(200, b"max requests limit reached") is Meaning.RETRY


def test_a_rejected_key_makes_calls_wait_with_that_reason() -> None:
    answer = classify(401, b'{"message":"Invalid write key"}', None, NOW)
    assert (answer.reason, answer.detail) == ("http_401", "the write key was rejected")


@pytest.mark.parametrize(
    ("status", "meaning"), [(402, Meaning.MISCONFIGURED), (421, Meaning.RETRY), (425, Meaning.RETRY)]
)
def test_a_used_up_plan_and_a_request_for_another_attempt_lose_nothing(status: int, meaning: Meaning) -> None:
    """These were dead letters, although the same call is taken later."""
    assert meaning_of(status) is meaning


@pytest.mark.parametrize(("status", "body"), [(415, b""), (400, b"Invalid JSON")])
def test_the_refusal_of_a_compressed_request_names_the_setting(status: int, body: bytes) -> None:
    answer = classify(status, body, None, NOW, compressed=True)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, f"http_{status}")
    assert "COMPRESS_REQUESTS" in answer.detail
    plain = classify(status, body, None, NOW)
    assert plain.meaning is Meaning.REFUSED
    assert "COMPRESS_REQUESTS" not in plain.detail


@pytest.mark.parametrize("body", [b"", b'{"message":"malformed"}', b"Request neither has anonymousId nor userId"])
def test_a_compressed_request_that_was_read_may_still_be_refused(body: bytes) -> None:
    assert classify(400, body, None, NOW, compressed=True).meaning is Meaning.REFUSED


def test_a_redirect_asks_for_the_final_address() -> None:
    assert "SEGMENT_ENDPOINT" in classify(308, b"", None, NOW).detail


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("300", 300),
        ("301", 300),
        ("9" * 5000, 300),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), 300),
        ("Wed, 18 Nov 2026 12:00:20 -0000", 20),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Wed, 18 Nov 2026 99:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_five_minutes(value: str | None, seconds: int | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    "value", ["Wed, 18 Nov 99999999999999999999 12:00:00 GMT", "Wed, 18 Nov 2026 12:00:00 +99999999999999999999"]
)
def test_a_date_out_of_range_is_no_date(value: str) -> None:
    """The parser's OverflowError, which is no ValueError, went through and failed the whole batch."""
    assert retry_after_seconds(value, NOW) is None


@pytest.mark.parametrize(
    "said",
    [
        [{"error": "no such source"}],
        {"Error": "Unauthorized"},
        {"fault": {"faultstring": "Invalid ApiKey"}},
        {"status": "error", "message": "no"},
        {"statusCode": 401, "message": "Unauthorized"},
        {"code": 500, "message": "internal"},
    ],
)
def test_an_error_in_another_json_shape_is_still_an_error(said: object) -> None:
    """A gateway's `status: error`, or an error in a list, counted as accepted, and the events were lost."""
    answer = classify(200, json.dumps(said).encode(), None, NOW)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "error_answer")


@pytest.mark.parametrize("said", [{"success": "false"}, {"OK": False}, [{"Success": False}]])
def test_an_error_counts_however_it_is_written(said: object) -> None:
    assert classify(200, json.dumps(said).encode(), None, NOW).reason == "not_ok"


@pytest.mark.parametrize(
    "said",
    [
        {"success": True, "code": 4001},
        {"ok": "true", "errors": ["one was late"]},
        {"status": 200},
        {"status": "ok"},
        {"code": 0},
        {"errors": []},
        ["a", "b"],
        [],
        {"ok": [[[]]]},
    ],
)
def test_an_answer_without_an_error_means_accepted(said: object) -> None:
    assert classify(200, json.dumps(said).encode(), None, NOW).meaning is Meaning.ACCEPTED


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_retry_after_counts_for_every_status_that_waits(status: int) -> None:
    assert classify(status, b"", "12", NOW).retry_after == 12


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        # RudderStack answers in plain text, Jitsu in JSON.
        (400, b"Invalid JSON\n", "invalid_json"),
        (400, b"Request neither has anonymousId nor userId\n", "no_user_id"),
        (413, b"Request size exceeds max limit\n", "request_too_large"),
        (429, b"Max Requests Limit reached\n", "rate_limited"),
        (404, b"Source is disabled\n", "source_disabled"),
        (401, b'{"error":"error# 7: stream not found"}', "source_not_found"),
        (500, b'{"error":"error# 7: producer error"}', "producer_error"),
        (200, b'{"ok":false,"errors":["Message ID: 1: error# 7: quota exceeded"]}', "quota_exceeded"),
        (200, b'{"ok":false,"errors":["Message ID: 1: no destinations found for stream: s"]}', "no_destinations"),
    ],
)
def test_a_known_message_is_kept_as_its_code(status: int, body: bytes, code: str) -> None:
    assert classify(status, body, None, NOW).detail == code


@pytest.mark.parametrize(
    "said",
    [
        {"message": "traits.email jo.doe@example.com is invalid"},
        {"error": {"message": "the name Jo Doe is too long"}},
        {"errors": ["4242 Example Street"]},
        "<html>Jo Doe</html>",
        "jo doe " * 50_000,
    ],
)
@pytest.mark.parametrize("status", [400, 422, 429, 500])
def test_no_text_of_an_endpoint_is_kept(status: int, said: object) -> None:
    """An endpoint quotes the event that it refuses, and what is kept stands in logs and on dead letters."""
    assert detail_of(said, status) == ""


def test_a_long_answer_is_searched_quickly() -> None:
    """The pattern that looked for addresses took seven seconds over 60,000 letters in a row, and longer over more."""
    before = time.thread_time()
    assert detail_of({"message": "a" * 1_000_000}) == ""
    assert time.thread_time() - before < 1


@given(
    st.integers(100, 999),
    st.binary() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()),
    st.none() | st.text() | st.integers().map(str) | st.datetimes().map(format_datetime),
)
def test_every_answer_is_classified(status: int, body: bytes, retry_after: str | None) -> None:
    answer = classify(status, body, retry_after, NOW)
    assert (answer.meaning is Meaning.ACCEPTED) <= (200 <= status < 300)
    assert answer.retry_after is None or 0 <= answer.retry_after <= 300


@given(
    st.binary() | st.dictionaries(st.text(), st.text() | st.lists(st.text())).map(lambda v: json.dumps(v).encode()),
    st.sampled_from(range(200, 600)),
)
def test_only_words_of_this_package_are_kept_of_any_answer(body: bytes, status: int) -> None:
    nothing_said = classify(status, b"", None, NOW).detail
    assert classify(status, body, None, NOW).detail in {nothing_said, NOT_OK, PAGE, ERROR, *KNOWN.values()}
