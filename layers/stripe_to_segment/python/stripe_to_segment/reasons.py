"""The reasons in log lines, answers to Stripe and dead letters; docs/operations.md says what to do for each."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason", "http_reason"]


class Reason(StrEnum):
    """The reason why a request was refused or an event was not delivered. Other HTTP statuses are `http_<status>`."""

    # Refused by receive: the signature
    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG = "wrong"
    WRONG_MODE = "wrong_mode"
    STALE = "stale"
    FUTURE = "future"
    # Refused by receive: the stack's secret, queue or settings
    NO_SECRET = "no_secret"
    UNUSABLE_SECRET = "unusable_secret"
    QUEUE_REFUSED = "queue_refused"
    NOT_WANTED = "not_wanted"
    # The event cannot be mapped or sent
    NOT_BASE64 = "not_base64"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_EVENT = "not_an_event"
    NESTED_TOO_DEEP = "nested_too_deep"
    OVERSIZE_ID = "oversize_id"
    MAPPER_FAILED = "mapper_failed"
    ENRICH_FAILED = "enrich_failed"
    TOO_LARGE = "too_large"
    # A thin event, whose object has to be read from the Stripe API
    NO_STRIPE_API_KEY = "no_stripe_api_key"
    STRIPE_KEY_REFUSED = "stripe_key_refused"
    STRIPE_UNAVAILABLE = "stripe_unavailable"
    NOT_IN_STRIPE = "not_in_stripe"
    # The endpoint's answer
    NOT_OK = "not_ok"
    HTML_ANSWER = "html_answer"
    ERROR_ANSWER = "error_answer"
    NO_ANSWER = "no_answer"
    HTTP_401 = "http_401"
    HTTP_403 = "http_403"
    HTTP_429 = "http_429"
    # Not sent: a missing key, no time left, the circuit, another batch
    BAD_SECRET = "bad_secret"
    NO_WRITE_KEY = "no_write_key"
    BAD_WRITE_KEY = "bad_write_key"
    NO_TEST_WRITE_KEY = "no_test_write_key"
    OUT_OF_TIME = "out_of_time"
    CIRCUIT_OPEN = "circuit_open"
    UNDER_WAY = "under_way"
    # The StateTable
    STORE_UNAVAILABLE = "store_unavailable"
    CONTENDED = "contended"
    NEWER_RECORD = "newer_record"
    BROKEN_RECORD = "broken_record"
    # Nothing to send, or not yet
    ALREADY_DELIVERED = "already_delivered"
    LISTED = "listed"
    NOTHING_NEW = "nothing_new"
    WAITING_FOR_IDENTITY = "waiting_for_identity"
    WAITING_FOR_PAYMENT = "waiting_for_payment"
    OPTED_OUT = "opted_out"
    UNKNOWN_USER = "unknown_user"


def http_reason(status: int) -> str:
    """The reason for an answer with this status."""
    return f"http_{status}"
