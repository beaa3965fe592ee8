"""Checks of a batch request against the rules of Segment's HTTP Tracking API. Pure.

The rules are from https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ and, where Segment
states no rule, from the stricter of RudderStack and Jitsu. Limits are in bytes, not characters.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "MAX_CALLS",
    "MAX_CALL_BYTES",
    "MAX_MESSAGE_ID",
    "MAX_REQUEST_BYTES",
    "Consequence",
    "Keys",
    "Request",
    "Validation",
    "Violation",
    "check",
    "keys_of",
    "unpacked",
    "violations",
]

MAX_REQUEST_BYTES = 500_000
MAX_CALL_BYTES = 32_000
MAX_CALLS = 2_500
MAX_MESSAGE_ID = 100
WRITE_KEY_LENGTH = 32
CLOCK_TOLERANCE = timedelta(seconds=60)

REQUIRED_FIELDS = {
    "track": ("event",),
    "identify": (),
    "group": ("groupId",),
    "page": (),
    "screen": (),
    "alias": ("previousId",),
}
OBJECT_FIELDS = ("context", "integrations", "properties", "traits")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Consequence(StrEnum):
    """The consequence of a violation at Segment. Only the first is visible to the sender."""

    REFUSED = "refused"
    """The request is answered with status 400."""
    DROPPED_REQUEST = "dropped request"
    """The request is answered with status 200, and nothing of it is kept."""
    DROPPED_CALL = "dropped call"
    """The request is answered with status 200, and this call is not kept."""
    TOLERATED = "tolerated"
    """Segment keeps it, but another receiver refuses it, or the data is wrong."""


@dataclass(frozen=True, slots=True)
class Request:
    """A received request: header names in lower case, and the body as received, possibly compressed."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Keys:
    """The write keys in a request, by their place."""

    basic: str | None
    body: str | None

    @property
    def write_key(self) -> str | None:
        """The key that counts: the header's, if there is one, because RudderStack reads no other."""
        return self.basic if self.basic is not None else self.body


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `index` is the call's place in the batch, None when the request itself is wrong."""

    message: str
    consequence: Consequence
    index: int | None = None

    def __str__(self) -> str:
        """The violation as text, with the call's place in the batch."""
        return self.message if self.index is None else f"batch[{self.index}]: {self.message}"


@dataclass(frozen=True, slots=True)
class Validation:
    """The result of checking one request: its content, if it could be read, and its violations."""

    violations: tuple[Violation, ...]
    batch: tuple[Any, ...] = ()
    keys: Keys = field(default_factory=lambda: Keys(None, None))

    @property
    def refused(self) -> bool:
        """Whether the request is answered with status 400."""
        return any(violation.consequence is Consequence.REFUSED for violation in self.violations)

    @property
    def kept(self) -> tuple[dict[str, Any], ...]:
        """The calls that Segment keeps, in order."""
        if any(v.consequence in {Consequence.REFUSED, Consequence.DROPPED_REQUEST} for v in self.violations):
            return ()
        dropped = {v.index for v in self.violations if v.consequence is Consequence.DROPPED_CALL}
        return tuple(call for index, call in enumerate(self.batch) if index not in dropped)


def violations(request: Request) -> list[str]:
    """The violations of a request as texts; empty if there are none."""
    return [str(violation) for violation in check(request).violations]


def check(request: Request) -> Validation:
    """Check one `POST /v1/batch` against the contract."""
    found = list(_header_violations(request))
    try:
        body = unpacked(request.headers, request.body)
        message = _parse(body)
    except ValueError as error:
        found.append(Violation(f"the body is not JSON: {error}", Consequence.REFUSED))
        return Validation(tuple(found), keys=keys_of(request, None))
    if len(body) > MAX_REQUEST_BYTES:
        text = f"the request has {len(body)} bytes, the limit is {MAX_REQUEST_BYTES}"
        found.append(Violation(text, Consequence.REFUSED))
    keys = keys_of(request, message)
    if not isinstance(message, dict):
        found.append(Violation("the body is not a JSON object", Consequence.REFUSED))
        return Validation(tuple(found), keys=keys)
    found += _key_violations(keys)
    found += _sent_at_violations(message, request.received_at)
    batch = message.get("batch")
    if not isinstance(batch, list) or not batch:
        found.append(Violation("'batch' is not a list with at least one call", Consequence.REFUSED))
        return Validation(tuple(found), keys=keys)
    if len(batch) > MAX_CALLS:
        text = f"{len(batch)} calls in one request, the limit is {MAX_CALLS}"
        found.append(Violation(text, Consequence.DROPPED_REQUEST))
    seen: set[str] = set()
    for index, call in enumerate(batch):
        found += (Violation(text, consequence, index) for text, consequence in _call_violations(call, seen))
    return Validation(tuple(found), batch=tuple(batch), keys=keys)


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """The decompressed body of a request; `headers` have names in lower case.

    Raises
    ------
    ValueError
        If the body is not gzip although the headers say so, or is compressed in a way that Segment does not read.
    """
    coding = headers.get("content-encoding", "identity").lower()
    if coding == "identity":
        return body
    if coding != "gzip":
        raise ValueError(f"its Content-Encoding is {coding!r}, not gzip")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unpacking.decompress(body)
    except zlib.error as error:
        raise ValueError("it is not gzip, though Content-Encoding says so") from error
    if not unpacking.eof:
        raise ValueError("its gzip data is incomplete")
    return content


def keys_of(request: Request, message: Any) -> Keys:
    """Find the write keys of a request. `message` is the parsed body, None if it could not be parsed."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    basic = None
    if scheme.lower() == "basic":
        try:
            user, colon, _ = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
        except ValueError:
            user, colon = "", ""
        # Without the colon it is not a Basic credential, and receivers do not read it.
        basic = user if colon else ""
    key = message.get("writeKey") if isinstance(message, dict) else None
    return Keys(basic, key if isinstance(key, str) else None)


def _header_violations(request: Request) -> Iterator[Violation]:
    headers = request.headers
    if not headers.get("content-type", "").lower().startswith("application/json"):
        text = f"Content-Type is {headers.get('content-type')!r}, not application/json"
        yield Violation(text, Consequence.TOLERATED)
    if "x-retry-count" in headers:
        # Above a limit of retries Segment answers 422, and the data is lost.
        yield Violation("X-Retry-Count is sent", Consequence.TOLERATED)


def _key_violations(keys: Keys) -> Iterator[Violation]:
    if keys.basic is None:
        yield Violation("no HTTP Basic write key: RudderStack reads no other", Consequence.TOLERATED)
    elif not keys.basic:
        yield Violation("the Authorization header is not Basic 'writeKey:' with the colon", Consequence.TOLERATED)
    if keys.body is None:
        yield Violation("no 'writeKey' text in the body", Consequence.TOLERATED)
    if keys.basic and keys.body is not None and keys.basic != keys.body:
        yield Violation("the write keys of header and body differ", Consequence.TOLERATED)
    if keys.write_key and len(keys.write_key) != WRITE_KEY_LENGTH:
        text = f"the write key has {len(keys.write_key)} characters, Segment's have {WRITE_KEY_LENGTH}"
        yield Violation(text, Consequence.TOLERATED)


def _sent_at_violations(message: dict[str, Any], received_at: datetime) -> Iterator[Violation]:
    if problem := _timestamp_problem("sentAt", message.get("sentAt")):
        yield Violation(problem, Consequence.TOLERATED)
        return
    # Segment corrects every timestamp by receivedAt - sentAt: the sentAt of an earlier attempt would shift the whole
    # batch.
    offset = received_at - datetime.fromisoformat(message["sentAt"])
    if abs(offset) > CLOCK_TOLERANCE:
        text = f"'sentAt' is {offset.total_seconds():.0f} s before its arrival: it is not this attempt's time"
        yield Violation(text, Consequence.TOLERATED)


def _call_violations(call: Any, seen: set[str]) -> Iterator[tuple[str, Consequence]]:
    if not isinstance(call, dict):
        yield "not a JSON object", Consequence.DROPPED_CALL
        return
    size = len(json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if size > MAX_CALL_BYTES:
        yield f"{size} bytes, the limit of a call is {MAX_CALL_BYTES}", Consequence.REFUSED
    kind = call.get("type")
    if not isinstance(kind, str) or kind not in REQUIRED_FIELDS:
        yield f"unknown type {kind!r}", Consequence.DROPPED_CALL
        return
    for name in REQUIRED_FIELDS[kind]:
        if not _is_text(call.get(name)):
            yield f"{kind} without a text {name!r}", Consequence.DROPPED_CALL
    yield from _identity_violations(call)
    yield from _message_id_violations(call, seen)
    if problem := _timestamp_problem("timestamp", call.get("timestamp")):
        yield problem, Consequence.TOLERATED
    for name in OBJECT_FIELDS:
        if name in call and not isinstance(call[name], dict):
            yield f"{name!r} is not an object", Consequence.DROPPED_CALL
    integrations = call.get("integrations")
    if isinstance(integrations, dict) and any(key != "All" and key.lower() == "all" for key in integrations):
        yield (
            "'integrations' has no 'All', but a name that differs in case: names are case-sensitive",
            Consequence.TOLERATED,
        )


def _identity_violations(call: dict[str, Any]) -> Iterator[tuple[str, Consequence]]:
    for name in ("userId", "anonymousId"):
        if name in call and not _is_text(call[name]):
            yield f"{name!r} is not a text: {call[name]!r}", Consequence.TOLERATED
    if not any(_is_text(call.get(name)) for name in ("userId", "anonymousId")):
        yield "neither 'userId' nor 'anonymousId'", Consequence.DROPPED_CALL


def _message_id_violations(call: dict[str, Any], seen: set[str]) -> Iterator[tuple[str, Consequence]]:
    message_id = call.get("messageId")
    if not _is_text(message_id):
        yield f"'messageId' is not a text: {message_id!r}", Consequence.TOLERATED
        return
    if len(message_id) > MAX_MESSAGE_ID:
        text = f"'messageId' has {len(message_id)} characters, the limit is {MAX_MESSAGE_ID}"
        yield text, Consequence.DROPPED_CALL
    if message_id in seen:
        yield f"'messageId' {message_id} occurs twice in one request", Consequence.DROPPED_CALL
    seen.add(message_id)


def _timestamp_problem(name: str, value: Any) -> str | None:
    if value is None:
        return f"no {name!r}"
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return f"{name!r} is not ISO 8601 UTC with milliseconds and Z: {value!r}"
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        return f"{name!r} is no point in time: {value!r} ({error})"
    return None


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_constant(name: str) -> NoReturn:
    # Python writes and reads NaN and Infinity, which are not JSON.
    raise ValueError(f"{name} is not a JSON value")
