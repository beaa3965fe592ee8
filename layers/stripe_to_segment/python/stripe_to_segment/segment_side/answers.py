"""The meaning of the endpoint's answer to a request. Pure, so tests try every status and body without a server."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.reasons import Reason, http_reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Answer", "Meaning", "classify", "retry_after_seconds"]

# Segment's own libraries retry these: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#errors
# 421 and 425 are about the connection and ask the client to retry:
# https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20 and https://www.rfc-editor.org/rfc/rfc8470#section-5.2
RETRYABLE = frozenset({408, 410, 421, 425, 429, 460})
PERMANENT_5XX = frozenset({501, 505})
# These are never about a call: the write key or the endpoint's address is wrong, or a proxy cannot reach its backend.
SETTINGS = (
    dict.fromkeys((401, 403), "the write key was rejected")
    | dict.fromkeys((404, 405), "nothing takes /v1/batch there; SEGMENT_ENDPOINT must be the address where it is")
    | {
        402: "the endpoint's plan does not cover more events; its account needs a larger one",
        407: "a proxy on the way asks for credentials",
    }
)
# The fixed error messages of endpoints, in lower case, and the code by which the logs name each.
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
# Jitsu takes the good events of a batch, answers 200, and lists the bad ones in this form.
NAMED = re.compile(r"Message ID: (?P<message_id>\S+): (?P<said>.*)", re.DOTALL)
NOT_OK = "the answer says it is not ok"
PAGE = "a page in HTML; SEGMENT_ENDPOINT must be the address of the API, and no proxy may answer in its place"
NOT_UNPACKED = "the endpoint does not read compressed requests; COMPRESS_REQUESTS must be off"
ERROR = "the answer has an error in it, and does not say that it is ok"
RETRY_AFTER_CAP = 300
CLIENT_ERROR, SERVER_ERROR, TOO_LARGE = 400, 500, 413
# The answer of a server that does not know the request's Content-Encoding. RudderStack before 1.4 and Jitsu before 2024
# took a compressed request for broken JSON. The JSON sent here is never broken, so that answer means the same.
# https://www.rfc-editor.org/rfc/rfc7694#section-3
UNSUPPORTED = 415
# The values that mean success, refusal and an error in JSON answers. https://github.com/omniti-labs/jsend
YES, NO, FAILED = {"true"}, {"false"}, {"error", "fail", "failed", "failure"}


class Meaning(StrEnum):
    """What to do with the calls of a request."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNWANTED = "unwanted"


# The meaning of these codes in an answer with status 200: an outage or a wrong setting. The others are about the event.
MEANING = {
    "rate_limited": Meaning.RETRY,
    "producer_error": Meaning.RETRY,
    "quota_exceeded": Meaning.MISCONFIGURED,
    "no_destinations": Meaning.MISCONFIGURED,
    "source_disabled": Meaning.MISCONFIGURED,
    "source_not_found": Meaning.MISCONFIGURED,
}


@frozen
class Answer:
    """The meaning of an answer, the seconds to wait, and the cause: a code in `reason`, more in `detail`.

    `tries` is the number of such answers in a row, where it is known. `named` holds the answers to single calls by
    messageId, where the endpoint names them.
    """

    meaning: Meaning
    reason: str = ""
    detail: str = ""
    retry_after: int | None = None
    tries: int | None = None
    named: Mapping[str, Answer] = field(default_factory=dict, hash=False)


ACCEPTED = Answer(Meaning.ACCEPTED)


def classify(  # noqa: PLR0913 - the request and the answer
    status: int,
    body: bytes,
    retry_after: str | None,
    now: datetime,
    message_ids: Collection[str] = (),
    *,
    compressed: bool = False,
) -> Answer:
    """Classify a complete answer to the calls with these messageIds; `now` is only for a `Retry-After` that is a date.

    `compressed` says whether the request was compressed.

    The Answer keeps none of the text: an endpoint may quote the event, and an Answer is logged.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the 2xx range
        return _of_success(body, message_ids)
    wait, known = retry_after_seconds(retry_after, now), _known(body)
    if 300 <= status < 400:  # noqa: PLR2004 - the 3xx range
        # A redirect is not followed: it would hand the write key to another server.
        return Answer(
            Meaning.MISCONFIGURED, http_reason(status), "a redirect; SEGMENT_ENDPOINT must be the final address"
        )
    if compressed and (status == UNSUPPORTED or (status == CLIENT_ERROR and known == "invalid_json")):
        return Answer(Meaning.MISCONFIGURED, http_reason(status), NOT_UNPACKED, wait)
    about_settings = SETTINGS.get(status)
    refused = status in PERMANENT_5XX or (CLIENT_ERROR <= status < SERVER_ERROR and status not in RETRYABLE)
    if refused and status != TOO_LARGE and _is_page(body):
        # A proxy's page says nothing of a call. Of a request that is too large its word is as good as the endpoint's.
        about_settings = PAGE
    if about_settings:
        return Answer(Meaning.MISCONFIGURED, http_reason(status), known or about_settings, wait)
    if status in RETRYABLE or (status >= SERVER_ERROR and status not in PERMANENT_5XX):
        return Answer(Meaning.RETRY, http_reason(status), known, wait)
    return Answer(Meaning.REFUSED, http_reason(status), known)


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


def _of_success(body: bytes, message_ids: Collection[str]) -> Answer:
    """The meaning of a 2xx, with which an endpoint may still have refused the calls.

    Jitsu refuses with `ok: false`, others with `success: false`; RudderStack accepts with a plain `ok`. An HTML page
    comes from another server, such as a captive portal. An error without a statement of success means refused.
    """
    if _is_page(body):
        return Answer(Meaning.MISCONFIGURED, Reason.HTML_ANSWER, PAGE)
    answer, code = _json(body), _known(body)
    listed = answer if isinstance(answer, list) else [answer]
    stated = [_of_object(each, code, message_ids) for each in listed if isinstance(each, dict)]
    if not stated and code:
        # In plain words.
        return _not_ok(code)
    return next((each for each in stated if each != ACCEPTED), ACCEPTED)


def _of_object(answer: Mapping[str, object], code: str, message_ids: Collection[str]) -> Answer:
    fields = {name.lower(): value for name, value in answer.items()}
    said = {_word(fields.get(name)) for name in ("success", "ok")}
    if said & NO:
        named = _named(fields.get("errors"))
        if named and named.keys() <= {*message_ids}:
            return Answer(Meaning.ACCEPTED, named=named)
        if code or not fields.get("error"):
            return _not_ok(code)
    if not said & YES and _has_error(fields):
        return Answer(Meaning.MISCONFIGURED, Reason.ERROR_ANSWER, code or ERROR)
    return ACCEPTED


def _is_page(body: bytes) -> bool:
    return body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")


def _has_error(fields: Mapping[str, object]) -> bool:
    """Whether an answer's fields, by lower-case names, report an error, in words or as a status."""
    codes = [float(word) for name in ("status", "statuscode", "code") if (word := _word(fields.get(name))).isdecimal()]
    return (
        any(fields.get(name) for name in ("error", "errors", "fault"))
        or _word(fields.get("status")) in FAILED
        or any(code >= CLIENT_ERROR for code in codes)
    )


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, str | int) else ""


def _not_ok(code: str) -> Answer:
    if code in MEANING:
        return Answer(MEANING[code], Reason.ERROR_ANSWER, code)
    return Answer(Meaning.REFUSED, Reason.NOT_OK, code or NOT_OK)


def _named(errors: object) -> dict[str, Answer]:
    """The answers to single calls in a list of errors, by messageId; empty where any error names no call."""
    if not isinstance(errors, list):
        return {}
    found = [NAMED.fullmatch(each) if isinstance(each, str) else None for each in errors]
    # The fixed message comes first; after it the endpoint may quote the event.
    named = {each["message_id"]: _not_ok(_begins_with(each["said"])) for each in found if each}
    return {} if None in found else named


def _begins_with(said: str) -> str:
    """The code of the fixed message at the beginning of a text, before which Jitsu may put the number of the error."""
    message = re.sub(r"^error# \w+: ", "", said).lower()
    return next((code for fixed, code in KNOWN.items() if message.startswith(fixed)), "")


def _known(body: bytes) -> str:
    """The code of the first fixed message in the answer; empty where there is none."""
    said = body.decode(errors="replace").lower()
    return next((code for message, code in KNOWN.items() if message in said), "")


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
