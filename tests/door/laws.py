"""The laws for every request to `receive`, checked without the package's own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any

from tests.door.door import PRIVATE
from tests.door.requests import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.door.door import Door
    from tests.door.requests import Case

__all__ = ["checked"]

SQS_TAKES = 1_048_576
TOLERANCE = 300


def checked(door: Door, case: Case) -> tuple[str, list[str]]:
    """Send the request of a case; returns the answer and the broken laws."""
    door.sqs.sent.clear()
    door.sqs.broken = set() if case.queue_works else {"send_message"}
    door.spoken.out.seek(0)
    door.spoken.out.truncate()
    door.app.time = _Stopped()
    door.forget_secret()
    door.secrets.text = case.knew if case.knew is not None else case.holds
    if case.knew is not None:
        door.app.secret.get()
        door.now += case.ago
        door.secrets.text = case.holds
    try:
        status, answer = door.send(case.request)
    except Exception as error:  # noqa: BLE001 - any exception would be a 500 for Stripe
        return "raised", [f"it raised {type(error).__name__}: {error}"]
    return f"{status} {next(iter(answer))}", [*_broken(door, case, status, answer)]


class _Stopped:
    """A stopped clock, so that a slow machine does not make a request stale."""

    def time(self) -> float:
        return float(NOW)


def _broken(door: Door, case: Case, status: int, answer: dict[str, Any]) -> Iterator[str]:
    if status not in case.answers:
        yield f"answered {status}, not {' or '.join(map(str, sorted(case.answers)))}: {answer}"
    if status >= 500 and case.queue_works and _secrets(case.holds):
        yield f"answered {status} although the secret and the queue work"
    queued = door.queued
    if (answer == {"received": True}) != (len(queued) == 1) or len(queued) > 1:
        yield f"answered {answer} and queued {len(queued)}"
    if case.queues is not None and case.queues is not bool(queued):
        yield f"{'not ' if case.queues else ''}queued"
    for text in queued:
        yield from _badly_queued(case, text)
    yield from _private_data(door.spoken.text + json.dumps(answer, ensure_ascii=False), case)
    if len(door.spoken.lines) != 1:
        yield f"{len(door.spoken.lines)} lines in the log"


def _badly_queued(case: Case, text: str) -> Iterator[str]:
    body = _body(case.request)
    if body is None or not _proven(body, case):
        yield "queued without a signature over these bytes by a live secret at this time"
    elif text != body.decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff"):
        # SQS refuses these two characters, so `receive` queues their JSON escapes.
        yield "the queued body differs from the signed body"
    if len(text.encode()) > SQS_TAKES:
        yield "queued a body that is too large for SQS"


def _body(request: dict[str, Any]) -> bytes | None:
    body = request.get("body") or ""
    try:
        return base64.b64decode(body, validate=True) if request.get("isBase64Encoded") else bytes(body, "utf-8")
    except (ValueError, TypeError):
        return None


def _proven(body: bytes, case: Case) -> bool:
    """Whether the body has a current signature by one of the secrets.

    https://docs.stripe.com/webhooks#verify-manually
    """
    headers = (case.request.get("headers") or {}).items()
    for header in [value for name, value in headers if name.lower() == "stripe-signature" and isinstance(value, str)]:
        moment = re.search(r"(?:^|,)t=(\d+)(?=[,=]|$)", header)
        if moment is None or abs(int(moment[1]) - NOW) > TOLERANCE:
            continue
        given = set(re.findall(r"(?:^|,)v1=([0-9a-f]{64})(?=[,=]|$)", header))
        signed = f"{int(moment[1])}.".encode() + body
        secrets = [*_secrets(case.holds, body), *_secrets(case.knew, body)]
        if given & {hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets}:
            return True
    return False


def _secrets(text: str | None, body: bytes = b"") -> list[str]:
    """The signing secrets in a secret's text; with a body, without those of the mode that the event is not in."""
    try:
        content = {name: value for name, value in json.loads(text or "").items() if isinstance(value, list)}
    except (ValueError, AttributeError):
        return []
    fields = {"stripe_signing_secrets", "stripe_live_signing_secrets", "stripe_test_signing_secrets"}
    if body:
        fields.discard(f"stripe_{'test' if json.loads(body).get('livemode') is True else 'live'}_signing_secrets")
    return [each for name in fields for each in content.get(name, []) if isinstance(each, str) and each.strip()]


def _private_data(said: str, case: Case) -> Iterator[str]:
    if PRIVATE in said:
        yield "the log or the answer contains a secret, a header or a body"
    header = json.dumps(case.request.get("headers"))
    if any(digest in said for digest in re.findall(r"[0-9a-f]{64}", header)[:20]):
        yield "the log or the answer contains a signature"
    if len(said) > 4_000:
        yield f"the log and the answer have {len(said)} characters"
