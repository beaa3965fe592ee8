"""The answers of `receive`: 200, 400, 413 or 503 with a reason, and nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment.receiving.examine import MAX_EVENT_BYTES, Reply, body_of, examine, header_of, queueable
from stripe_to_segment.secrets import SigningSecrets
from stripe_to_segment.settings import settings_from
from stripe_to_segment.stripe_side.event import StripeEvent, parse_event
from stripe_to_segment_tools.samples.signing import sign
from tests.unit.shapes import NOW, a_customer, an_event

SECRET = "whsec_test"
SECRETS = SigningSecrets(unassigned=(SECRET,))
LIVE, TEST = "whsec_live", "whsec_sandbox"
BY_MODE = SigningSecrets(live=(LIVE,), test=(TEST,))
EVENT = an_event("customer.updated", a_customer())
BODY = json.dumps(EVENT.body, indent=2).encode()

# At least this many, and more where the profile asks for more.
MANY = settings(max_examples=3 * settings().max_examples)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
# Close enough to events that the reader gets past its first look.
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("evt_1") | JSON,
        "object": st.sampled_from(["event", "v2.core.event"]) | JSON,
        "type": st.sampled_from(["customer.updated", "invoice.paid", "account.updated"]) | JSON,
        "created": st.integers() | JSON,
        "livemode": st.booleans() | JSON,
        "account": st.none() | st.just("acct_1") | JSON,
        "data": st.fixed_dictionaries({"object": st.dictionaries(st.text(), JSON, max_size=3) | JSON}) | JSON,
    },
)
BODIES = st.binary() | st.text().map(str.encode) | (JSON | EVENTS).map(lambda value: json.dumps(value).encode())


def reply_to(body: bytes | None, **given: str) -> Reply:
    """The reply to a body with a good signature."""
    return examine(body, sign(body or b"", SECRET, NOW), SECRETS, settings_from(given), NOW)


def event_body(kind: str = "customer.updated", **more: Any) -> bytes:
    return json.dumps(an_event(kind, a_customer(), **more).body).encode()


def padded(size: int, letter: str = "x") -> bytes:
    """An event of exactly so many bytes."""
    missing = size - len(event_body(padding=""))
    count, rest = divmod(missing, len(letter.encode()))
    body = json.dumps(
        {**json.loads(event_body(padding="")), "padding": letter * count + "x" * rest}, ensure_ascii=False
    )
    assert len(body.encode()) == size
    return body.encode()


# --- Taken apart ---


@pytest.mark.parametrize("name", ["stripe-signature", "Stripe-Signature", "STRIPE-SIGNATURE", "sTrIpE-sIgNaTuRe"])
def test_a_header_is_found_in_whatever_case_it_came(name: str) -> None:
    assert header_of({"headers": {"host": "x", name: "t=1"}}, "stripe-signature") == "t=1"


@pytest.mark.parametrize("request_", [{}, {"headers": None}, {"headers": {}}, {"headers": {"stripe-signature": None}}])
def test_a_missing_header_is_none(request_: dict[str, Any]) -> None:
    assert header_of(request_, "stripe-signature") is None


def test_the_body_is_taken_to_the_byte() -> None:
    assert body_of({"body": "{ \r\n\u00e9 \U0001f98a}", "isBase64Encoded": False}) == "{ \r\né 🦊}".encode()


@given(st.binary())
def test_a_base64_body_is_taken_to_the_byte(body: bytes) -> None:
    assert body_of({"body": base64.b64encode(body).decode(), "isBase64Encoded": True}) == body


@pytest.mark.parametrize("body", ["=", "a", "a===", "YQ=", "Y Q==", "YQ==\n", "é", "{}", "-_-_", "\ud800"])
def test_broken_base64_is_no_body(body: str) -> None:
    assert body_of({"body": body, "isBase64Encoded": True}) is None


@pytest.mark.parametrize("request_", [{}, {"body": None}, {"body": ""}, {"body": "", "isBase64Encoded": True}])
def test_a_missing_body_is_an_empty_one(request_: dict[str, Any]) -> None:
    assert body_of(request_) == b""


@pytest.mark.parametrize("body", [7, {"id": "evt_1"}, ["x"], "\ud800"])
def test_a_value_that_is_no_text_is_no_body(body: object) -> None:
    assert body_of({"body": body}) is None


# --- Answered ---


def test_a_signed_event_is_queued() -> None:
    reply = reply_to(BODY)
    assert (reply.status, reply.outcome, reply.body) == (200, "queue", {"received": True})
    assert reply.event == EVENT


def test_without_a_signing_secret_stripe_is_asked_to_retry() -> None:
    reply = examine(BODY, sign(BODY, SECRET, NOW), SigningSecrets(), settings_from({}), NOW)
    assert (reply.status, reply.outcome, reply.reason) == (503, "unready", "no_secret")


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("sample", "the configured Stripe signing secret is the sample's, which everybody can read"),
        ("placeholder", "the configured Stripe signing secret is a placeholder"),
        (
            "malformed",
            "the configured Stripe signing secret is none of Stripe's, which begin with whsec_ and are longer",
        ),
    ],
)
def test_an_unusable_signing_secret_counts_as_missing_and_is_named(flaw: str, said: str) -> None:
    reply = examine(BODY, sign(BODY, SECRET, NOW), SigningSecrets(refused={flaw: 1}), settings_from({}), NOW)
    assert (reply.status, reply.outcome, reply.reason) == (503, "unready", "unusable_secret")
    assert reply.body == {"error": said}


# --- Each secret for its mode ---


@pytest.mark.parametrize(
    ("secrets", "signer", "livemode", "status"),
    [
        (BY_MODE, LIVE, True, 200),
        (BY_MODE, TEST, False, 200),
        (BY_MODE, TEST, True, 400),
        (BY_MODE, LIVE, False, 400),
        (SigningSecrets(test=(TEST,)), TEST, True, 400),
        (SigningSecrets(live=(SECRET,), test=(SECRET,)), SECRET, True, 200),
        (SigningSecrets(live=(SECRET,), test=(SECRET,)), SECRET, False, 200),
        (SECRETS, SECRET, True, 200),
        (SECRETS, SECRET, False, 200),
        (SigningSecrets(live=(LIVE,), unassigned=(SECRET,)), SECRET, False, 200),
    ],
)
def test_a_secret_signs_events_of_its_own_mode(
    secrets: SigningSecrets, signer: str, *, livemode: bool, status: int
) -> None:
    """Whoever had the test endpoint's secret, which more people see, could write revenue into the live source."""
    body = event_body(livemode=livemode)
    reply = examine(body, sign(body, signer, NOW), secrets, settings_from({}), NOW)
    assert reply.status == status
    if status == 400:
        assert (reply.outcome, reply.reason) == ("refused", "wrong_mode")
        assert (
            "stripe_live_signing_secrets" in reply.message
            if livemode
            else "stripe_test_signing_secrets" in reply.message
        )


def test_while_a_secret_is_replaced_either_signature_is_accepted() -> None:
    body = event_body(livemode=True)
    for signers in ([LIVE, "whsec_old"], ["whsec_old", LIVE], [TEST, LIVE]):
        assert examine(body, sign(body, signers, NOW), BY_MODE, settings_from({}), NOW).status == 200
    assert examine(body, sign(body, [TEST, "whsec_old"], NOW), BY_MODE, settings_from({}), NOW).status == 400


def test_the_live_endpoint_of_a_platform_gets_test_events_of_its_accounts_too() -> None:
    """Stripe sends both there: https://docs.stripe.com/connect/webhooks."""
    accepted = settings_from({"CONNECT_EVENTS": "accept"})
    test, live = (event_body(livemode=livemode, account="acct_1") for livemode in (False, True))
    assert examine(test, sign(test, LIVE, NOW), BY_MODE, accepted, NOW).status == 200
    assert examine(live, sign(live, TEST, NOW), BY_MODE, accepted, NOW).status == 400


def test_only_a_valid_signature_gets_an_answer_about_modes() -> None:
    body = event_body(livemode=True)
    said = {
        examine(body, sign(body, signer, NOW), secrets, settings_from({}), NOW).message
        for signer in ("whsec_forged", "whsec_other")
        for secrets in (BY_MODE, SigningSecrets(test=(TEST,)), SECRETS)
    }
    assert said == {"the signature matches no active signing secret"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "missing"),
        ("v0=1", "malformed"),
        (sign(BODY, "whsec_other", NOW), "wrong"),
        (sign(BODY, SECRET, NOW - 301), "stale"),
        (sign(BODY, SECRET, NOW + 301), "future"),
    ],
)
def test_a_request_that_stripe_did_not_sign_now_is_refused_with_a_line_of_json(header: str | None, reason: str) -> None:
    reply = examine(BODY, header, SECRETS, settings_from({}), NOW)
    assert (reply.status, reply.outcome, reply.reason, reply.event) == (400, "refused", reason, None)
    assert list(reply.body) == ["error"]
    assert "\n" not in json.dumps(reply.body)


def test_a_body_that_does_not_match_its_encoding_is_refused() -> None:
    assert (reply_to(None).status, reply_to(None).reason) == (400, "not_base64")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"id": NaN}', "not_json"),
        (b'{"id": -Infinity}', "not_json"),
        (b"[" * 200_000, "nested_too_deep"),
        (b"[]", "not_an_event"),
        (b"null", "not_an_event"),
        (b'"evt_1"', "not_an_event"),
        (b"7", "not_an_event"),
        (b"{}", "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":1,"data":[]}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":1,"data":{"object":"in_1"}}', "not_an_event"),
        (b'{"id":7,"type":"invoice.paid","created":1,"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"","created":1,"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":true,"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":1e400,"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":' + b"9" * 400 + b',"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":' + b"9" * 5000 + b',"data":{"object":{}}}', "not_json"),
        (b'{"id":"evt_1","id":7,"type":"invoice.paid","created":1,"data":{"object":{}}}', "not_an_event"),
        (BODY + b"}", "not_json"),
        (b"\xef\xbb\xbf" + BODY, "not_json"),
        (BODY.decode().encode("utf-16-le"), "not_json"),
        (b"\xff", "wrong"),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes, reason: str) -> None:
    reply = reply_to(body)
    assert (reply.status, reply.outcome, reply.reason) == ((400, "refused", reason))
    assert "evt_1" not in json.dumps(reply.body)


def test_of_duplicate_keys_the_last_one_counts_as_in_deliver() -> None:
    body = event_body(id="evt_first").replace(b'"type"', b'"id": "evt_last", "type"')
    reply = reply_to(body)
    assert reply.event is not None
    assert reply.event.id == parse_event(queueable(body)).id == "evt_last"


def test_a_lone_surrogate_in_an_event_stops_nothing() -> None:
    """A text cut in the middle of a surrogate pair could be neither logged nor sent, because UTF-8 cannot hold it."""
    body = event_body(id="evt_\ud83d", note="half \ud83d, whole \ud83e\udd8a", path="C:\\ud83d")
    reply = reply_to(body)
    assert (reply.status, reply.outcome) == (200, "queue")
    assert isinstance(reply.event, StripeEvent)
    assert reply.event.id == "evt_?"
    assert (reply.event.body["note"], reply.event.body["path"]) == ("half ?, whole 🦊", "C:\\ud83d")


@pytest.mark.parametrize(
    ("body", "given", "told"),
    [
        (event_body("account.updated"), {}, "no mapping for account.updated"),
        (event_body(account="acct_1"), {}, "CONNECT_EVENTS is refuse"),
        (event_body(), {"STRIPE_MODE": "live"}, "STRIPE_MODE is live"),
        (event_body(livemode=True), {"STRIPE_MODE": "test"}, "STRIPE_MODE is test"),
    ],
    ids=["type", "connected account", "test in live", "live in test"],
)
def test_an_unwanted_event_is_acknowledged_and_the_reason_names_the_setting(
    body: bytes, given: dict[str, str], told: str
) -> None:
    reply = reply_to(body, **given)
    assert (reply.status, reply.outcome) == (200, "ignored")
    assert told in str(reply.body["ignored"])


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (event_body(account="acct_1"), {"CONNECT_EVENTS": "accept"}),
        (event_body(livemode=True), {"STRIPE_MODE": "live"}),
        (event_body(), {"STRIPE_MODE": "test"}),
    ],
)
def test_an_event_that_the_settings_include_is_queued(body: bytes, given: dict[str, str]) -> None:
    assert reply_to(body, **given).outcome == "queue"


# --- Sizes ---


def test_an_event_that_no_queue_message_holds_is_refused() -> None:
    assert reply_to(padded(MAX_EVENT_BYTES)).outcome == "queue"
    reply = reply_to(padded(MAX_EVENT_BYTES + 1))
    assert (reply.status, reply.outcome, reply.reason) == (413, "refused", "too_large")
    assert reply_to(padded(1_048_577)).status == 413
    assert reply_to(padded(6_000_000)).status == 413


def test_the_signature_is_checked_before_the_size() -> None:
    assert examine(b"x" * 6_000_000, "t=1,v1=0", SECRETS, settings_from({}), NOW).status == 400


def test_an_event_is_measured_as_it_will_be_queued() -> None:
    """Letters that are queued as escapes are twice as long: SQS refused such an event, and Stripe sent it for days."""
    reply = reply_to(padded(1_000_000, "\uffff"))
    assert (reply.status, reply.reason) == (413, "too_large")


@given(st.text(), st.sampled_from(["\ufffe", "\uffff", ""]))
def test_the_queued_text_reads_the_same(text: str, letter: str) -> None:
    body = json.dumps({"text": text + letter}, ensure_ascii=False).encode()
    queued = queueable(body)
    assert json.loads(queued) == json.loads(body)
    assert not {"\ufffe", "\uffff"} & set(queued)


# --- Whatever comes ---


@MANY
@given(BODIES)
def test_no_signed_body_raises_an_error(body: bytes) -> None:
    reply = reply_to(body)
    assert reply.status in {200, 400, 413}
    assert json.dumps(reply.body, ensure_ascii=False).encode()
    if reply.outcome == "queue":
        assert parse_event(queueable(body)) == reply.event


@MANY
@given(BODIES, st.none() | st.text() | st.just(sign(BODY, SECRET, NOW)))
def test_no_body_is_accepted_with_another_bodys_signature(body: bytes, header: str | None) -> None:
    reply = examine(body, header, SECRETS, settings_from({}), NOW)
    assert (reply.status, reply.outcome, reply.event) == (400, "refused", None)
