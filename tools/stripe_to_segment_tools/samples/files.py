"""The sample events in events/, and the requests and batches in which the two functions receive an event."""

from __future__ import annotations

import difflib
import hashlib
import json
import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.project import EVENTS
from stripe_to_segment_tools.samples.freshen import freshen
from stripe_to_segment_tools.samples.inputs import dump
from stripe_to_segment_tools.samples.signing import sign

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["EVENTS", "Sample", "api_gateway_request", "body_of", "freshen", "sample", "samples", "sqs_batch"]

WEBHOOK_PATH = "/webhooks/stripe"
_ACCOUNT = "123456789012"
_API = "a1b2c3d4e5"
_STRIPE_ADDRESS = "203.0.113.7"
_USER_AGENT = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample event.

    Attributes
    ----------
    name
        The file's name without `.json`: the event type and the variant.
    path
        The file.
    body
        The exact bytes that Stripe would post.
    event
        The parsed body.
    """

    name: str
    path: Path
    body: bytes
    event: dict[str, Any]

    @property
    def type(self) -> str:
        """The Stripe event type."""
        return str(self.event["type"])


def samples(folder: Path = EVENTS) -> list[Sample]:
    """Return the sample events in the order in which they happened, as in the scenarios of events/README.md."""
    found = [_read(path) for path in folder.glob("*.json")]
    return sorted(found, key=lambda each: (each.event["created"], each.name))


def sample(name: str, folder: Path = EVENTS) -> Sample:
    """Return one sample by name.

    Raises
    ------
    LookupError
        If there is no sample of that name. The message suggests similar names.
    """
    path = folder / f"{name.removesuffix('.json')}.json"
    if path.is_file():
        return _read(path)
    near = difflib.get_close_matches(name, [each.stem for each in folder.glob("*.json")], n=3)
    raise LookupError(
        f"no sample event {name!r}"
        + (f"; did you mean {' or '.join(near)}?" if near else ": `stripe-to-segment sample list` names them")
    )


def body_of(event: dict[str, Any]) -> bytes:
    """Return the bytes of an event as Stripe posts it."""
    return dump(event).encode()


def api_gateway_request(body: bytes, secret: str | Iterable[str], now: int, *, base64: bool = False) -> dict[str, Any]:
    """Return the event with which an HTTP API invokes the receive function (payload version 2.0).

    Parameters
    ----------
    body
        What Stripe posts, to the byte.
    secret
        The signing secret, or several while Stripe replaces one.
    now
        Seconds since the epoch: the time of the request and of the signature.
    base64
        Encode the body, as API Gateway does with a binary body.
    """
    domain = f"{_API}.execute-api.us-east-1.amazonaws.com"
    moment = datetime.fromtimestamp(now, UTC)
    trace = hashlib.sha256(body).hexdigest()[:24]
    return {
        "version": "2.0",
        "routeKey": f"POST {WEBHOOK_PATH}",
        "rawPath": WEBHOOK_PATH,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*; q=0.5, application/xml",
            "cache-control": "no-cache",
            "content-length": str(len(body)),
            "content-type": "application/json; charset=utf-8",
            "host": domain,
            "stripe-signature": sign(body, secret, now),
            "user-agent": _USER_AGENT,
            "x-amzn-trace-id": f"Root=1-{now:08x}-{trace}",
            "x-forwarded-for": _STRIPE_ADDRESS,
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": _API,
            "domainName": domain,
            "domainPrefix": _API,
            "http": {
                "method": "POST",
                "path": WEBHOOK_PATH,
                "protocol": "HTTP/1.1",
                "sourceIp": _STRIPE_ADDRESS,
                "userAgent": _USER_AGENT,
            },
            "requestId": f"{trace[:15]}=",
            "routeKey": f"POST {WEBHOOK_PATH}",
            "stage": "$default",
            "time": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": now * 1000,
        },
        "body": b64encode(body).decode() if base64 else body.decode(),
        "isBase64Encoded": base64,
    }


def sqs_batch(bodies: Iterable[bytes], queue_arn: str, now: int) -> dict[str, Any]:
    """Return the event with which an SQS event source mapping invokes the deliver function.

    Parameters
    ----------
    bodies
        The bodies of the messages: raw Stripe events.
    queue_arn
        The queue they were read from.
    now
        Seconds since the epoch: when they were sent and first received.
    """
    return {"Records": [_record(body, queue_arn, now, place) for place, body in enumerate(bodies)]}


def _record(body: bytes, queue_arn: str, now: int, place: int) -> dict[str, Any]:
    message_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{queue_arn}/{now}/{place}/{hashlib.sha256(body).hexdigest()}")
    return {
        "messageId": str(message_id),
        "receiptHandle": b64encode(hashlib.sha512(message_id.bytes).digest()).decode(),
        "body": body.decode(),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "AWSTraceHeader": f"Root=1-{now:08x}-{message_id.hex[:24]};Parent={message_id.hex[:16]};Sampled=0",
            "SentTimestamp": str(now * 1000),
            "SenderId": "AROAEXAMPLEEXAMPLEEXA:stripe-to-segment-ReceiveFunction",
            "ApproximateFirstReceiveTimestamp": str(now * 1000 + 40),
        },
        "messageAttributes": {},
        # SQS's own checksum, which protects nothing.
        "md5OfBody": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _read(path: Path) -> Sample:
    body = path.read_bytes().strip()
    return Sample(path.stem, path, body, json.loads(body))
