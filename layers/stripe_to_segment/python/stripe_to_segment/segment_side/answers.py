"""What an answer to a batch means. Pure, so that every status and body can be tried without a server."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.reasons import Reason, http_reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Answer", "Meaning", "classify", "retry_after_seconds"]

# Segment's own libraries retry these: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#errors
# 421 and 425 are about the connection, and ask for another try:
# https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20 and https://www.rfc-editor.org/rfc/rfc8470#section-5.2
RETRYABLE = frozenset({408, 410, 421, 425, 429, 460})
PERMANENT_5XX = frozenset({501, 505})
# Never about a call: the key is wrong, or the address, or a proxy stands there whose backend is away.
SETTINGS = (
    dict.fromkeys((401, 403), "the write key was rejected")
    | dict.fromkeys((404, 405), "nothing takes /v1/batch there; SEGMENT_ENDPOINT must be the address where it is")
    | {402: "the endpoint's plan does not cover more events; its account needs a larger one"}
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
# Jitsu takes the good events of a batch, answers 200, and says of each bad one what this reads.
NAMED = re.compile(r"Message ID: (?P<message_id>\S+): (?P<said>.*)", re.DOTALL)
NOT_OK = "the answer says it is not ok"
PAGE = "a page in HTML; SEGMENT_ENDPOINT must be the address of the API, and no proxy may answer in its place"
NOT_UNPACKED = "the endpoint does not read compressed requests; COMPRESS_REQUESTS must be off"
ERROR = "the answer has an error in it, and does not say that it is ok"
RETRY_AFTER_CAP = 300
CLIENT_ERROR, SERVER_ERROR = 400, 500
# The answer to a coding that a server does not know. RudderStack before 1.4 and Jitsu before 2024 took a compressed
# request for broken JSON; what is sent here is JSON, so nothing else can be meant.
# https://www.rfc-editor.org/rfc/rfc7694#section-3
UNSUPPORTED = 415
# How JSON of some kind or other says yes, no, and that something went wrong. https://github.com/omniti-labs/jsend
YES, NO, FAILED = {"true"}, {"false"}, {"error", "fail", "failed", "failure"}


class Meaning(StrEnum):
    """What to do with the calls of a request."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNWANTED = "unwanted"


# What such a code means where the status is 200: an outage or a setting. The others are about the event.
MEANING = {
    "rate_limited": Meaning.RETRY,
    "producer_error": Meaning.RETRY,
    "quota_exceeded": Meaning.MISCONFIGURED,
    "no_destinations": Meaning.MISCONFIGURED,
    "source_disabled": Meaning.MISCONFIGURED,
    "source_not_found": Meaning.MISCONFIGURED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The meaning of an answer, the seconds to wait, and why: a code in `reason`, more in `detail`.

    `tries` is the number of such answers in a row, where that is known. `named` has the answers for single calls, by
    messageId, where the endpoint names them.
    """

    meaning: Meaning
    reason: str = ""
    detail: str = ""
    retry_after: int | None = None
    tries: int | None = None
    named: Mapping[str, Answer] = field(default_factory=dict, hash=False)


def classify(  # noqa: PLR0913 - what was asked and what was answered
    status: int,
    body: bytes,
    retry_after: str | None,
    now: datetime,
    message_ids: Collection[str] = (),
    *,
    compressed: bool = False,
) -> Answer:
    """Classify a complete answer to the calls with these messageIds; `now` is only for a `Retry-After` that is a date.

    `compressed` says whether the request was.

    Nothing of the answer's text is kept: an endpoint may quote the event, and what is kept reaches logs.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the 2xx range
        return _of_success(body, message_ids)
    wait, known = retry_after_seconds(retry_after, now), _known(body)
    if 300 <= status < 400:  # noqa: PLR2004 - the 3xx range
        # Following it would hand the write key to whoever is named there.
        return Answer(
            Meaning.MISCONFIGURED, http_reason(status), "a redirect; SEGMENT_ENDPOINT must be the final address"
        )
    if compressed and (status == UNSUPPORTED or (status == CLIENT_ERROR and known == "invalid_json")):
        return Answer(Meaning.MISCONFIGURED, http_reason(status), NOT_UNPACKED, wait)
    if status in SETTINGS:
        return Answer(Meaning.MISCONFIGURED, http_reason(status), known or SETTINGS[status], wait)
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
    """What a 2xx means, which may have taken nothing.

    Jitsu answers with `ok: false`, others with `success: false`; RudderStack's plain `ok` is a yes. A page is another
    server's, as a captive portal's. An error without a word of success is none.
    """
    if body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
        return Answer(Meaning.MISCONFIGURED, Reason.HTML_ANSWER, PAGE)
    answer = _json(body)
    if isinstance(answer, list) and answer:
        answer = answer[0]
    if not isinstance(answer, dict):
        return Answer(Meaning.ACCEPTED)
    fields = {name.lower(): value for name, value in answer.items()}
    said = {_word(fields.get(name)) for name in ("success", "ok")}
    if said & NO:
        named = _named(fields.get("errors"))
        whole = bool(named) and named.keys() <= {*message_ids}
        return Answer(Meaning.ACCEPTED, named=named) if whole else _not_ok(_known(body))
    if not said & YES and _has_error(fields):
        return Answer(Meaning.MISCONFIGURED, Reason.ERROR_ANSWER, _known(body) or ERROR)
    return Answer(Meaning.ACCEPTED)


def _has_error(fields: Mapping[str, object]) -> bool:
    """Whether the fields of an answer, by lower-case names, say that something went wrong, in words or as a status."""
    codes = [code for name in ("status", "statuscode", "code") if isinstance(code := fields.get(name), int)]
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
    """What these errors say of single calls, by messageId; empty where one of them names none."""
    if not isinstance(errors, list):
        return {}
    found = [NAMED.fullmatch(each) if isinstance(each, str) else None for each in errors]
    # The message stands at the beginning; behind it the event may be quoted.
    named = {each["message_id"]: _not_ok(_begins_with(each["said"])) for each in found if each}
    return {} if None in found else named


def _begins_with(said: str) -> str:
    """The code of the fixed message that a text begins with, be it behind Jitsu's number of the error."""
    message = re.sub(r"^error# \w+: ", "", said).lower()
    return next((code for fixed, code in KNOWN.items() if message.startswith(fixed)), "")


def _known(body: bytes) -> str:
    """The code of the first of the fixed messages that the answer holds; empty where it holds none."""
    said = body.decode(errors="replace").lower()
    return next((code for message, code in KNOWN.items() if message in said), "")


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
