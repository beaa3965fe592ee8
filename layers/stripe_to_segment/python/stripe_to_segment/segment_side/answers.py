"""What an answer to a batch means. Pure, so that every status and body can be tried without a server."""

from __future__ import annotations

import codecs
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
# The fixed messages by which endpoints say why, in lower case, and the code that is kept of each.
# https://github.com/rudderlabs/rudder-server/blob/master/gateway/response/response.go
# https://github.com/jitsucom/bulker/blob/main/ingest/router_batch_handler.go
KNOWN = {
    "request body is nil": "empty_body",
    "invalid json": "invalid_json",
    "error parsing message": "invalid_json",
    "max requests limit reached": "rate_limited",
    "request size exceeds max limit": "request_too_large",
    "request neither has anonymousid nor userid": "no_user_id",
    "event is not a valid rudder event": "invalid_event",
    "event error": "invalid_event",
    "source is disabled": "source_disabled",
    "stream not found": "source_not_found",
    "no destinations found": "no_destinations",
    "quota exceeded": "quota_exceeded",
    "producer error": "producer_error",
}
RETRY_AFTER_CAP = 300
SERVER_ERROR = 500


class Verdict(StrEnum):
    """What to do with the calls of a request."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, when to come again (seconds), and why: a code in `reason`, and what more is known in `detail`.

    `tries` says how often in a row anybody was told such, where that is known.
    """

    verdict: Verdict
    reason: str = ""
    detail: str = ""
    retry_after: int | None = None
    tries: int | None = None


def classify(status: int, body: bytes, retry_after: str | None, now: datetime) -> Answer:
    """Classify a complete answer; `now` is only for a `Retry-After` given as a date.

    Nothing of the answer's text is kept: an endpoint may quote the event, and what is kept reaches logs.
    """
    wait = retry_after_seconds(retry_after, now)
    known = _known(body)
    if 200 <= status < 300:  # noqa: PLR2004 - the 2xx range
        if _says_no(body):
            return Answer(Verdict.REFUSED, "not_ok", known or "the answer says it is not ok")
        return _no_delivery(body, known) or Answer(Verdict.ACCEPTED)
    if 300 <= status < 400:  # noqa: PLR2004 - the 3xx range
        # Following it would hand the write key to whoever is named there.
        return Answer(Verdict.MISCONFIGURED, f"http_{status}", "a redirect; SEGMENT_ENDPOINT must be the final address")
    if status in SETTINGS:
        return Answer(Verdict.MISCONFIGURED, f"http_{status}", known or SETTINGS[status], wait)
    if status in RETRYABLE or (status >= SERVER_ERROR and status not in PERMANENT_5XX):
        return Answer(Verdict.RETRY, f"http_{status}", known, wait)
    return Answer(Verdict.REFUSED, f"http_{status}", known)


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


def _no_delivery(body: bytes, known: str) -> Answer | None:
    """A 2xx that took nothing: another server's page, as of a captive portal, or an error without a word of success."""
    if body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
        page = "a page in HTML; SEGMENT_ENDPOINT must be the address of the API, and no proxy may answer in its place"
        return Answer(Verdict.MISCONFIGURED, "html_answer", page)
    answer = _json(body)
    if not isinstance(answer, dict) or answer.get("success") is True or answer.get("ok") is True:
        return None
    if answer.get("error") or answer.get("errors"):
        said = known or "the answer has an error in it, and does not say that it is ok"
        return Answer(Verdict.MISCONFIGURED, "error_answer", said)
    return None


def _known(body: bytes) -> str:
    """The code of the first of the fixed messages that the answer holds; empty where it holds none."""
    said = body.decode(errors="replace").lower()
    return next((code for message, code in KNOWN.items() if message in said), "")


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
