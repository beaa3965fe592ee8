"""The door: what to answer to a request that says it comes from Stripe. Pure but for the signature's own check."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import MalformedEventError, SignatureRefusedError, ThinEventError
from stripe_to_segment.stripe_side.event import parse_event
from stripe_to_segment.stripe_side.signature import verify
from stripe_to_segment.translation import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.secrets import Secrets
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Reply", "body_of", "examine", "header_of", "queueable"]

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_MESSAGE_BYTES = 1_048_576
# A record that ends in the dead-letter queue needs room for the reason's attributes, which count too.
MAX_EVENT_BYTES = MAX_MESSAGE_BYTES - 8_192


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and what the log may say of the request. `outcome` is queue, ignored, refused or unready."""

    status: int
    outcome: str
    reason: str = ""
    message: str = ""
    event: StripeEvent | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What Stripe shows beside the delivery attempt."""
        if self.outcome == "queue":
            return {"received": True}
        return {"ignored": self.message} if self.outcome == "ignored" else {"error": self.message}


def header_of(request: Mapping[str, Any], name: str) -> str | None:
    """A header in whatever case it came."""
    headers = request.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name and isinstance(value, str)), None)


def body_of(request: Mapping[str, Any]) -> bytes | None:
    """The exact bytes of the body, which API Gateway may hand over as base64; None where that is broken."""
    body = request.get("body") or ""
    if not isinstance(body, str):
        return None
    try:
        return base64.b64decode(body, validate=True) if request.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError):
        return None


def examine(  # noqa: PLR0911 - one return for each kind of answer
    body: bytes | None, signature: str | None, secrets: Secrets, settings: Settings, now: float
) -> Reply:
    """Decide on a request; `now` is in epoch seconds."""
    if not secrets.stripe_signing_secrets:
        return Reply(503, "unready", "no_secret", "no Stripe signing secret is configured in this stack's secret yet")
    if body is None:
        return Reply(400, "refused", "not_base64", "the body is not what its encoding says")
    try:
        verify(body, signature, secrets.stripe_signing_secrets, now)
        event = parse_event(body)
    except ThinEventError as error:
        return Reply(200, "ignored", error.reason, str(error))
    except (SignatureRefusedError, MalformedEventError) as error:
        return Reply(400, "refused", error.reason, str(error))
    unwanted = refusal(event, settings)
    if unwanted:
        return Reply(200, "ignored", "not_wanted", unwanted, event)
    if len(queueable(body).encode()) > MAX_EVENT_BYTES:
        too_large = f"the event is over {MAX_EVENT_BYTES} bytes, which no queue takes"
        return Reply(413, "refused", "too_large", too_large, event)
    return Reply(200, "queue", event=event)


def queueable(body: bytes) -> str:
    """The body as SQS takes it: two characters that XML forbids are written as JSON escapes, which read the same."""
    return body.decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
