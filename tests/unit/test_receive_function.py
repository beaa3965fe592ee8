"""The receive function as Lambda runs it: what it answers, queues, asks for and says."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment.key_shapes import LOCAL_SECRET, SAMPLE_SECRET
from stripe_to_segment_tools.samples.files import api_gateway_request
from stripe_to_segment_tools.samples.signing import sign
from tests.door.door import PRIVATE, SECRET, Door, open_door
from tests.unit.edges import a_signing_secret
from tests.unit.shapes import a_customer, an_event

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW, OTHER, FORGED = (a_signing_secret(name) for name in ("new", "other", "forged"))
# At least this many, and more where the profile asks for more.
MANY = settings(max_examples=3 * settings().max_examples)


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door() as door:
        yield door


def body_of(kind: str = "customer.updated", **more: Any) -> bytes:
    """An event as Stripe writes it, with private things in it."""
    customer = a_customer(email=f"{PRIVATE}@example.com", name=f"Zoë {PRIVATE} 🦊")
    return json.dumps(an_event(kind, customer, **more).body, indent=2, ensure_ascii=False).encode()


# --- Queued ---


def test_the_exact_bytes_are_queued(door: Door) -> None:
    body = body_of()
    assert door.send(api_gateway_request(body, SECRET, int(time.time()))) == (200, {"received": True})
    assert [text.encode() for text in door.queued] == [body]


def test_a_base64_request_is_queued_as_the_bytes_it_stands_for(door: Door) -> None:
    body = body_of()
    assert door.post(body, base64=True) == 200
    assert [text.encode() for text in door.queued] == [body]


@pytest.mark.parametrize("name", ["Stripe-Signature", "STRIPE-SIGNATURE", "stripe-signature"])
def test_the_header_may_come_in_any_case(door: Door, name: str) -> None:
    request = api_gateway_request(body_of(), SECRET, int(time.time()))
    request["headers"][name] = request["headers"].pop("stripe-signature")
    assert door.send(request)[0] == 200


def test_an_event_with_characters_that_sqs_refuses_is_queued(door: Door) -> None:
    body = body_of(note="\uffff\ufffe")
    assert door.post(body) == 200
    assert json.loads(door.queued[0]) == json.loads(body)


def test_two_events_make_two_messages(door: Door) -> None:
    assert [door.post(body_of()), door.post(body_of())] == [200, 200]
    assert len(door.queued) == 2


def test_if_the_queue_refuses_stripe_is_asked_to_retry(door: Door) -> None:
    door.sqs.broken.add("send_message")
    status, answer = door.send(api_gateway_request(body_of(id="evt_1"), SECRET, int(time.time())))
    assert (status, answer) == (503, {"error": "the event was not queued: ServiceUnavailable"})
    (line,) = door.spoken.lines
    assert (line["level"], line["outcome"], line["reason"], line["event_id"]) == (
        "ERROR",
        "unready",
        "queue_refused",
        "evt_1",
    )
    door.sqs.broken.clear()
    assert door.post(body_of(id="evt_1")) == 200
    assert len(door.queued) == 1


# --- Not queued ---


@pytest.mark.parametrize(
    ("body", "environment", "told"),
    [
        (body_of("account.updated"), {}, "no mapping for account.updated"),
        (body_of(account="acct_1"), {}, "CONNECT_EVENTS is refuse"),
        (body_of(livemode=True), {"STRIPE_MODE": "test"}, "STRIPE_MODE is test"),
    ],
    ids=["type", "connected account", "mode"],
)
def test_an_unwanted_event_is_acknowledged_counted_and_not_queued(
    body: bytes, environment: dict[str, str], told: str
) -> None:
    with open_door(**environment) as door:
        status, answer = door.send(api_gateway_request(body, SECRET, int(time.time())))
    assert (status, list(answer), door.queued) == (200, ["ignored"], [])
    assert told in answer["ignored"]
    assert door.spoken.metrics == {"EventsIgnored": 1}
    assert told in door.spoken.lines[0]["message"], "the log says what to change in Stripe or here"


@pytest.mark.parametrize(
    "spoil",
    [
        {"headers": {}},
        {"headers": {"stripe-signature": "t=1,v1=0"}},
        {"headers": {"stripe-signature": "é"}},
        {"headers": None},
        {"body": "{}"},
        {"body": None},
        {"body": 7},
        {"isBase64Encoded": True},
    ],
)
def test_a_forged_request_is_refused_and_nothing_queued(door: Door, spoil: dict[str, Any]) -> None:
    status, answer = door.send({**api_gateway_request(body_of(), SECRET, int(time.time())), **spoil})
    assert (status, list(answer), door.queued) == (400, ["error"], [])
    assert door.spoken.lines[0]["level"] == "WARNING"
    assert door.spoken.metrics["RequestsRefused"] == 1


@pytest.mark.parametrize(
    ("secret", "age", "counted"),
    [(OTHER, 0, True), (SECRET, 400, True), (SECRET, -400, True), (None, 0, False)],
)
def test_only_refusals_that_a_wrong_secret_or_clock_explains_count_for_the_alarm(
    door: Door, secret: str | None, age: int, *, counted: bool
) -> None:
    request = api_gateway_request(body_of(), secret or SECRET, int(time.time()) - age)
    if secret is None:
        del request["headers"]["stripe-signature"]
    assert door.send(request)[0] == 400
    assert door.spoken.metrics == {"RequestsRefused": 1} | ({"SignaturesRefused": 1} if counted else {})


@pytest.mark.parametrize("age", [310, -310])
def test_an_old_request_is_refused(door: Door, age: int) -> None:
    assert door.send(api_gateway_request(body_of(), SECRET, int(time.time()) - age))[0] == 400
    assert door.queued == []


def test_an_event_too_large_for_the_queue_is_refused_with_its_id_in_the_log(door: Door) -> None:
    assert door.post(body_of(id="evt_1", filling="x" * 1_100_000)) == 413
    assert (door.spoken.lines[0]["reason"], door.spoken.lines[0]["event_id"]) == ("too_large", "evt_1")


@pytest.mark.parametrize("text", ["{}", '{"stripe_signing_secrets": []}', "no JSON", None])
def test_without_a_secret_nothing_is_accepted_and_stripe_is_asked_to_retry(door: Door, text: str | None) -> None:
    door.secrets.text = text
    assert door.post(body_of()) == 503
    assert door.queued == []
    assert door.spoken.metrics == {"NotReady": 1}


# --- The secret ---


def test_the_secret_is_read_once_for_many_events(door: Door) -> None:
    for _ in range(20):
        assert door.post(body_of()) == 200
        door.now += 1
    assert door.secrets.calls == 1


def test_a_rotation_with_two_live_secrets_loses_no_event(door: Door) -> None:
    assert door.post(body_of(), SECRET) == 200
    door.rotate(NEW, SECRET)
    door.now += 60
    assert [door.post(body_of(), secret) for secret in (NEW, SECRET, NEW)] == [200] * 3
    assert door.secrets.calls == 2
    assert len(door.queued) == 4


def test_a_secret_filled_in_after_the_first_request_is_found(door: Door) -> None:
    door.rotate()
    assert door.post(body_of()) == 503
    door.rotate(SECRET)
    door.now += 30
    assert door.post(body_of()) == 200


def test_a_hundred_forged_requests_cost_one_refresh_at_most(door: Door) -> None:
    assert door.post(body_of()) == 200
    door.now += 60
    for _ in range(100):
        assert door.post(body_of(), FORGED) == 400
        door.now += 0.1
    assert door.secrets.calls == 2


def test_a_hundred_forged_requests_to_a_stack_without_a_secret_cost_few_reads(door: Door) -> None:
    door.secrets.text = None
    for _ in range(100):
        assert door.post(body_of(), FORGED) == 503
        door.now += 0.1
    assert door.secrets.calls <= 3


@pytest.mark.parametrize("text", [None, "no JSON"])
def test_a_correctly_signed_event_is_taken_while_the_secret_cannot_be_read_again(door: Door, text: str | None) -> None:
    """It was answered with 503 as soon as the cache was five minutes old and Secrets Manager failed once."""
    assert door.post(body_of()) == 200
    door.now += 600
    door.secrets.text = text
    assert [door.post(body_of()) for _ in range(5)] == [200] * 5
    assert door.spoken.metrics == {"SecretRefreshFailed": 1}
    assert door.post(body_of(), FORGED) == 400
    assert door.secrets.calls == 2, "nor does a forged request ask again at once"


def test_an_expired_signature_of_a_request_to_aws_loses_no_event(door: Door) -> None:
    door.secrets.failures = ["InvalidSignatureException"]
    assert door.post(body_of()) == 200


# --- Whose secret it is ---


@pytest.fixture
def by_mode(door: Door) -> Door:
    """The test endpoint's secret is SECRET, the live one's is NEW."""
    door.hold(stripe_test_signing_secrets=[SECRET], stripe_live_signing_secrets=[NEW])
    return door


def test_a_test_secret_cannot_sign_a_live_event(by_mode: Door) -> None:
    assert [by_mode.post(body_of(livemode=False)), by_mode.post(body_of(livemode=True), NEW)] == [200, 200]
    status, answer = by_mode.send(api_gateway_request(body_of(id="evt_1", livemode=True), SECRET, int(time.time())))
    assert status == 400
    assert answer["error"].startswith("a live event, but signed with a secret that is noted as one of test mode")
    assert len(by_mode.queued) == 2
    line = by_mode.spoken.lines[-1]
    assert (line["level"], line["reason"], line["event_id"]) == ("WARNING", "wrong_mode", "evt_1")
    assert by_mode.spoken.metrics == {"RequestsRefused": 1, "SignaturesRefused": 1, "WrongMode": 1}


def test_a_secret_that_was_moved_to_its_mode_is_found_soon(by_mode: Door) -> None:
    assert by_mode.post(body_of(livemode=True)) == 400
    by_mode.hold(stripe_live_signing_secrets=[SECRET])
    by_mode.now += 30
    assert by_mode.post(body_of(livemode=True)) == 200


@pytest.mark.parametrize("text", [SAMPLE_SECRET, LOCAL_SECRET, "whsec_…", "whsec_test"])
def test_on_aws_a_public_signing_secret_is_not_accepted(door: Door, text: str) -> None:
    door.hold(stripe_live_signing_secrets=[text])
    status, answer = door.send(api_gateway_request(body_of(livemode=True), text, int(time.time())))
    assert status == 503, "Stripe comes again, and finds the real one"
    assert answer["error"].startswith("the configured Stripe signing secret is ")
    assert door.queued == []
    first, second = door.spoken.lines
    assert list(first["refused"].values()) == [1]
    assert (second["level"], second["reason"]) == ("ERROR", "unusable_secret")
    assert text not in door.spoken.text.replace("whsec_ and", "")
    door.rotate(SECRET)
    door.now += 30
    assert door.post(body_of()) == 200


def test_a_sample_secret_beside_a_real_one_is_ignored(door: Door) -> None:
    door.rotate(SECRET, SAMPLE_SECRET)
    assert [door.post(body_of()), door.post(body_of(), SAMPLE_SECRET)] == [200, 400]
    assert door.spoken.lines[0]["refused"] == {"sample": 1}


@pytest.mark.parametrize("address", ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566"])
def test_on_the_local_stack_the_sample_secret_is_accepted(address: str) -> None:
    with open_door(AWS_ENDPOINT_URL=address) as door:
        door.rotate(SAMPLE_SECRET)
        assert door.post(body_of(), SAMPLE_SECRET) == 200


def test_an_endpoint_elsewhere_is_not_this_machine() -> None:
    with open_door(AWS_ENDPOINT_URL="https://vpce-1.execute-api.eu-central-1.vpce.amazonaws.com") as door:
        door.rotate(SAMPLE_SECRET)
        assert door.post(body_of(), SAMPLE_SECRET) == 503


# --- What is said ---


def test_the_log_has_ids_and_the_outcome() -> None:
    with open_door(CONNECT_EVENTS="accept") as door:
        door.post(body_of(id="evt_1", account="acct_1"))
    (line,) = door.spoken.lines
    said = {name: line[name] for name in line if name != "timestamp"}
    assert said == {
        "level": "INFO",
        "message": "event queued",
        "outcome": "queue",
        "event_id": "evt_1",
        "event_type": "customer.updated",
        "livemode": False,
        "account": "acct_1",
    }
    assert door.spoken.metrics == {}, "the queue counts what is sent to it, at no cost"


def test_no_body_no_header_and_no_secret_is_ever_logged(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    private = a_signing_secret("private", PRIVATE)
    door.rotate(private)
    body = body_of()
    forged = f'{{"name": "{PRIVATE}"'.encode()
    signed = api_gateway_request(body, private, int(time.time()))
    signed["headers"] |= {"authorization": PRIVATE, "user-agent": PRIVATE}
    for request in (
        signed,
        {**signed, "body": forged.decode()},
        {**signed, "isBase64Encoded": True},
        {**signed, "headers": {"stripe-signature": f"t=1,v1={PRIVATE}"}},
        {**signed, "headers": {"stripe-signature": f"t={PRIVATE},v1=0"}},
        api_gateway_request(forged, private, int(time.time())),
        api_gateway_request(body_of("account.updated"), private, int(time.time())),
        api_gateway_request(body_of(account="acct_1"), private, int(time.time())),
    ):
        door.send(request)
    door.sqs.broken.add("send_message")
    door.send(signed)
    door.secrets.text = PRIVATE
    door.now += 600
    door.send(signed)
    assert len(door.spoken.lines) == 11, "one for each request, and one of the secret that could not be read again"
    captured = capfd.readouterr()
    assert PRIVATE not in door.spoken.text + captured.out + captured.err


# --- Whatever comes ---

# Lone surrogates included: a JSON document can spell them.
TEXT = st.text(st.characters(codec=None))
HEADERS = st.none() | st.dictionaries(
    st.sampled_from(["stripe-signature", "Stripe-Signature", "host"]),
    TEXT | st.text("tv01=,9af ").map(lambda text: f"t=1,v1={text}"),
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "headers": HEADERS,
        "body": st.none() | TEXT | st.binary().map(lambda raw: base64.b64encode(raw).decode()),
        "isBase64Encoded": st.booleans(),
        "version": st.just("2.0"),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
EVENTS = st.builds(
    lambda kind, changes: {**an_event(kind, a_customer()).body, **changes},
    st.sampled_from(["customer.updated", "account.updated"]),
    st.dictionaries(st.sampled_from(["id", "type", "created", "livemode", "account", "data", "object"]), JSON),
)


@MANY
@given(REQUESTS)
def test_no_unsigned_request_is_queued_and_none_raises_an_error(request_: dict[str, Any]) -> None:
    with open_door() as door:
        status, answer = door.send(request_)
    assert (status, list(answer), door.queued) == (400, ["error"], [])


@MANY
@given(st.binary() | st.text().map(str.encode) | (JSON | EVENTS).map(lambda value: json.dumps(value).encode()))
def test_no_signed_body_raises_an_error(body: bytes) -> None:
    now = int(time.time())
    request = {
        "headers": {"stripe-signature": sign(body, SECRET, now)},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    with open_door() as door:
        status, _ = door.send(request)
    assert status in {200, 400}
    assert [text.encode() for text in door.queued] in ([], [body])
    assert len(door.spoken.lines) == 1
