"""What an answer to a batch means. Pure, so that every status and body can be tried without a server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

__all__ = ["Answer", "Verdict", "classify", "retry_after_seconds"]

# Segment's own libraries retry these: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#errors
RETRYABLE = frozenset({408, 410, 429, 460})
PERMANENT_5XX = frozenset({501, 505})
# Never about a call: the key is wrong, or the address, or a proxy stands there whose backend is away.
SETTINGS = dict.fromkeys((401, 403), "the write key was rejected") | dict.fromkeys(
    (404, 405), "nothing takes /v1/batch there; SEGMENT_ENDPOINT must be the address where it is"
)
RETRY_AFTER_CAP = 300
SERVER_ERROR = 500
WORDS = 200


class Verdict(StrEnum):
    """What to do with the calls of a request."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, when to come again (seconds), and a reason code with the endpoint's own words.

    `tries` says how often in a row anybody was told such, where that is known.
    """

    verdict: Verdict
    reason: str = ""
    detail: str = ""
    retry_after: int | None = None
    tries: int | None = None


def classify(status: int, body: bytes, retry_after: str | None, now: datetime) -> Answer:
    """Classify a complete answer; `now` is only for a `Retry-After` given as a date."""
    wait = retry_after_seconds(retry_after, now)
    words = _words(body)
    if 200 <= status < 300:  # noqa: PLR2004 - the 2xx range
        if _says_no(body):
            return Answer(Verdict.REFUSED, "not_ok", words or "the answer says it is not ok")
        return Answer(Verdict.ACCEPTED)
    if 300 <= status < 400:  # noqa: PLR2004 - the 3xx range
        # Following it would hand the write key to whoever is named there.
        return Answer(Verdict.MISCONFIGURED, f"http_{status}", "a redirect; SEGMENT_ENDPOINT must be the final address")
    if status in SETTINGS:
        return Answer(Verdict.MISCONFIGURED, f"http_{status}", SETTINGS[status], wait)
    if status in RETRYABLE or (status >= SERVER_ERROR and status not in PERMANENT_5XX):
        return Answer(Verdict.RETRY, f"http_{status}", words, wait)
    return Answer(Verdict.REFUSED, f"http_{status}", words)


def retry_after_seconds(value: str | None, now: datetime) -> int | None:
    """Seconds from a `Retry-After` header, which is a number or a date, capped at five minutes."""
    if value is None:
        return None
    value = value.strip()
    if value.isdecimal():
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return int(min(max(seconds, 0), RETRY_AFTER_CAP))


def _says_no(body: bytes) -> bool:
    """Jitsu answers 200 with `ok: false`, others with `success: false`; RudderStack's plain `ok` is a yes."""
    answer = _json(body)
    return isinstance(answer, dict) and (answer.get("success") is False or answer.get("ok") is False)


def _words(body: bytes) -> str:
    """The endpoint's own short explanation; an address in it is cut, since an endpoint may quote the event."""
    answer = _json(body)
    said = ""
    if isinstance(answer, dict):
        errors = answer.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        for found in (answer.get("message"), answer.get("error"), first, answer.get("code")):
            if isinstance(found, dict):
                found = found.get("message") or found.get("error")  # noqa: PLW2901 - one level in
            if isinstance(found, str) and found:
                said = found
                break
    # Word by word: a pattern for addresses would take seconds over a long answer without one.
    return " ".join("…" if "@" in word else word for word in said.split())[:WORDS]


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
