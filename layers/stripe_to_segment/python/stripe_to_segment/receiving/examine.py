"""The webhook: verify a request and decide on the answer. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Literal

from stripe_to_segment.errors import MalformedEventError, SignatureRefusedError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.catalog import refusal
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.fields import hash_of
from stripe_to_segment.stripe_side.signature import verify
from stripe_to_segment.stripe_side.thin import read_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.secrets import SigningSecrets
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import EventHead

__all__ = ["WRONG_MODE", "Reply", "body_of", "examine", "header_of", "queueable"]

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_MESSAGE_BYTES = 1_048_576
# The rest is for the attributes of a dead letter, which count too.
MAX_EVENT_BYTES = MAX_MESSAGE_BYTES - 8_192

# By the event's livemode. Only a sender with a valid signature gets this answer.
WRONG_MODE = {
    True: "a live event, but signed with a secret that is noted as one of test mode: if it is the live endpoint's, "
    "move it to stripe_live_signing_secrets",
    False: "a test event, but signed with a secret that is noted as one of live mode: if it is the test endpoint's, "
    "move it to stripe_test_signing_secrets",
}
FLAWS = {
    "sample": "the sample's, which everybody can read",
    "placeholder": "a placeholder",
    "malformed": "none of Stripe's, which begin with whsec_ and are longer",
}


type RequestOutcome = Literal["queue", "ignored", "refused", "unready"]


@frozen
class Reply:
    """The answer to a request, and the event to log."""

    status: int
    outcome: RequestOutcome
    reason: str = ""
    message: str = ""
    event: EventHead | None = None

    @property
    def body(self) -> dict[str, object]:
        """The response body, which Stripe shows with the delivery attempt."""
        if self.outcome == "queue":
            return {"received": True}
        return {"ignored": self.message} if self.outcome == "ignored" else {"error": self.message}


def header_of(request: Mapping[str, object], name: str) -> str | None:
    """A header by its lower-case name, None where the request lacks it."""
    headers = hash_of(request.get("headers"))
    return next((value for key, value in headers.items() if key.lower() == name and isinstance(value, str)), None)


def body_of(request: Mapping[str, object]) -> bytes | None:
    """The exact bytes of the body, which API Gateway may encode as base64; None where the base64 is broken."""
    body = request.get("body") or ""
    if not isinstance(body, str):
        return None
    try:
        return base64.b64decode(body, validate=True) if request.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError):
        return None


def examine(  # noqa: PLR0911 - one return for each kind of answer
    body: bytes | None, signature: str | None, secrets: SigningSecrets, settings: Settings, now: float
) -> Reply:
    """Verify a request and decide on its answer; `now` is in epoch seconds."""
    if not secrets.every:
        return _unready(secrets)
    if body is None:
        return Reply(400, "refused", Reason.NOT_BASE64, "the body is not what its encoding says")
    try:
        signers = verify(body, signature, secrets.every, now)
        event = read_event(body)
    except (SignatureRefusedError, MalformedEventError) as error:
        return Reply(400, "refused", error.reason, str(error))
    if not _vouched(event, signers, secrets):
        return Reply(400, "refused", Reason.WRONG_MODE, WRONG_MODE[event.livemode], event)
    unwanted = refusal(event, settings)
    if unwanted:
        return Reply(200, "ignored", Reason.NOT_WANTED, unwanted, event)
    if len(queueable(body).encode()) > MAX_EVENT_BYTES:
        too_large = f"the event is over {MAX_EVENT_BYTES} bytes, which no queue takes"
        return Reply(413, "refused", Reason.TOO_LARGE, too_large, event)
    return Reply(200, "queue", event=event)


def _unready(secrets: SigningSecrets) -> Reply:
    if not secrets.refused:
        return Reply(
            503, "unready", Reason.NO_SECRET, "no Stripe signing secret is configured in this stack's SigningSecret yet"
        )
    said = " and ".join(FLAWS[flaw] for flaw in secrets.refused)
    return Reply(503, "unready", Reason.UNUSABLE_SECRET, f"the configured Stripe signing secret is {said}")


def _vouched(event: EventHead, signers: frozenset[str], secrets: SigningSecrets) -> bool:
    """Whether one of the secrets that signed the event may sign events of its mode."""
    vouching = {*secrets.vouching(livemode=event.livemode)}
    if event.account and not event.livemode:
        # The live endpoint also gets the test events of accounts that are connected in live mode.
        # https://docs.stripe.com/connect/webhooks
        vouching |= {*secrets.live}
    return not vouching.isdisjoint(signers)


def queueable(body: bytes) -> str:
    """The body as text for SQS, with two characters that SQS refuses written as JSON escapes of the same meaning."""
    return body.decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
