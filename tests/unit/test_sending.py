"""The write key of calls, and what happens without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from stripe_to_segment.delivery.sender import sender
from stripe_to_segment.secrets import Keys, SecretSource, read_keys
from stripe_to_segment.segment_side.answers import Meaning
from stripe_to_segment.settings import settings_from
from tests.unit.edges import Endpoint, Spoken, a_call, a_signing_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.segment_side.answers import Answer

pytestmark = pytest.mark.usefixtures("spoken")

LIVE, TEST = "l" * 32, "t" * 32


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


class Out:
    """The way out, with a secret that may change and a clock."""

    def __init__(self, endpoint: Endpoint, **secret: Any) -> None:
        self.secret = secret
        self.fetched = 0
        self.now = 0.0
        self.source = SecretSource(self._fetch, lambda: self.now)
        self._endpoint = endpoint

    def _fetch(self) -> Keys:
        self.fetched += 1
        return read_keys(json.dumps(self.secret) if "text" not in self.secret else str(self.secret["text"]))

    def send(self, *, livemode: bool, **given: str) -> Answer:
        """The answer that each of two calls gets."""
        settings = settings_from({"SEGMENT_ENDPOINT": self._endpoint.url, **given})
        calls = [a_call(1, userId="jo@example.com"), a_call(2)]
        with requests.Session() as session:
            answers = sender(settings, self.source, session, lambda: 50.0)(calls, livemode=livemode)
        assert list(answers) == [call.message_id for call in calls]
        assert len(set(answers.values())) == 1
        return answers[calls[0].message_id]


@pytest.mark.parametrize(("livemode", "key"), [(True, LIVE), (False, TEST)])
def test_each_mode_leaves_under_its_own_key(endpoint: Endpoint, livemode: bool, key: str) -> None:
    out = Out(endpoint, segment_write_key=LIVE, segment_test_write_key=TEST)
    assert out.send(livemode=livemode).meaning is Meaning.ACCEPTED
    assert [request.body["writeKey"] for request in endpoint.requests] == [key]


@pytest.mark.parametrize(("given", "coding"), [({}, None), ({"COMPRESS_REQUESTS": "on"}, "gzip")])
def test_another_endpoint_gets_compressed_requests_only_where_that_is_asked_for(
    endpoint: Endpoint, given: dict[str, str], coding: str | None
) -> None:
    assert Out(endpoint, segment_write_key=LIVE).send(livemode=True, **given).meaning is Meaning.ACCEPTED
    assert [request.headers.get("content-encoding") for request in endpoint.requests] == [coding]


def test_test_events_without_a_source_of_their_own_are_not_wanted(endpoint: Endpoint) -> None:
    answer = Out(endpoint, segment_write_key=LIVE).send(livemode=False)
    assert (answer.meaning, answer.reason) == (Meaning.UNWANTED, "no_test_write_key")
    assert endpoint.requests == []


@pytest.mark.parametrize(
    ("secret", "livemode", "named"),
    [
        ({}, True, "segment_write_key"),
        ({}, False, "segment_test_write_key"),
        ({"segment_test_write_key": TEST}, True, "segment_write_key"),
        ({"segment_write_key": " "}, True, "segment_write_key"),
    ],
)
def test_without_a_key_events_wait_with_a_clear_error(
    endpoint: Endpoint, spoken: Spoken, secret: dict[str, str], livemode: bool, named: str
) -> None:
    answer = Out(endpoint, **secret).send(livemode=livemode)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "no_write_key")
    assert answer.detail.startswith(f"{named} is empty")
    assert endpoint.requests == []
    (line,) = spoken.lines
    assert (line["level"], line["calls"]) == ("ERROR", 2)
    assert line["message"].startswith(f"{named} is empty")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("…", "segment_write_key is a placeholder"),
        ("has a space in the middle of it..", "segment_write_key is a placeholder"),
        ("YOUR_WRITE_KEY", "segment_write_key is a placeholder"),
        ("<write key>", "segment_write_key is a placeholder"),
        ("x" * 32, "segment_write_key is a placeholder"),
        ("sk_live_" + "4" * 24, "segment_write_key is a key of something else"),
        (a_signing_secret("pasted"), "segment_write_key is a key of something else"),
    ],
)
def test_an_invalid_write_key_is_not_sent_and_events_wait(endpoint: Endpoint, key: str, said: str) -> None:
    """Segment answers 200 to a placeholder and drops the event; and it would have received Stripe's own keys."""
    out = Out(endpoint, segment_write_key=key)
    answer = out.send(livemode=True)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "bad_write_key")
    assert answer.detail.startswith(said)
    assert key not in answer.detail
    assert endpoint.requests == []
    out.secret = {"segment_write_key": LIVE}
    out.now += 30
    assert out.send(livemode=True).meaning is Meaning.ACCEPTED, "the real one is found soon"


@pytest.mark.parametrize("key", ["keyId:keySecret", "1aBcDeFgHiJkLmNoPqRsTuVwXyZ", "s2s.abc.def", "k" * 32])
def test_keys_of_other_services_have_other_shapes(endpoint: Endpoint, key: str) -> None:
    assert Out(endpoint, segment_write_key=key).send(livemode=True).meaning is Meaning.ACCEPTED


@pytest.mark.parametrize("livemode", [True, False])
def test_a_key_that_was_just_filled_in_is_found(endpoint: Endpoint, livemode: bool) -> None:
    out = Out(endpoint)
    out.send(livemode=livemode)
    out.secret = {"segment_write_key": LIVE, "segment_test_write_key": TEST}
    out.now += 30
    assert out.send(livemode=livemode).meaning is Meaning.ACCEPTED


def test_a_missing_key_causes_few_reads_of_secrets_manager(endpoint: Endpoint) -> None:
    out = Out(endpoint)
    for _ in range(20):
        out.send(livemode=True)
    assert out.fetched == 1


def test_a_secret_that_cannot_be_read_makes_events_wait(endpoint: Endpoint) -> None:
    answer = Out(endpoint, text=f"{LIVE} is no JSON").send(livemode=True)
    assert (answer.meaning, answer.reason) == (Meaning.MISCONFIGURED, "bad_secret")
    assert LIVE not in repr(answer)


def test_log_mode_sends_nothing_and_logs_what_it_would_have_sent(endpoint: Endpoint, spoken: Spoken) -> None:
    out = Out(endpoint)
    assert out.send(livemode=True, DELIVERY_MODE="log").meaning is Meaning.ACCEPTED
    assert endpoint.requests == []
    assert out.fetched == 0, "nor does it need a secret"
    assert [(line["call"], line["event_name"]) for line in spoken.lines] == [("track", "Order Completed")] * 2
    assert [line["message_id"] for line in spoken.lines] == [a_call(1).message_id, a_call(2).message_id]
    assert "example.com" not in spoken.text
