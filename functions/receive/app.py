"""Stripe → queue: verify the signature, ignore events that are not mapped, queue the raw event, answer."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import TYPE_CHECKING

from stripe_to_segment import aws
from stripe_to_segment.errors import ConfigurationError, code_of
from stripe_to_segment.observability import about, count, logger, observed
from stripe_to_segment.reasons import Reason
from stripe_to_segment.receiving import Reply, body_of, examine, header_of, queueable
from stripe_to_segment.secrets import SecretSource, SigningSecrets, read_signing_secrets
from stripe_to_segment.settings import on_this_machine, settings_from_environment
from stripe_to_segment.snapshots import snapshot_hooks

if TYPE_CHECKING:
    from aws_lambda_typing.events import APIGatewayProxyEventV2
    from aws_lambda_typing.responses import APIGatewayProxyResponseV2
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# Queued events need no metric of their own: SQS counts them, also those from elsewhere (NumberOfMessagesSent).
METRIC_OF = {"ignored": "EventsIgnored", "refused": "RequestsRefused", "unready": "NotReady"}

# Refusals that a wrong signing secret or a wrong clock can explain. A request without a signature is not from Stripe.
DOUBTFUL = frozenset({Reason.WRONG, Reason.STALE, Reason.FUTURE, Reason.WRONG_MODE})
# Refusals that a refresh of the cached secret can mend, where it was filled, rotated or sorted by mode since.
MENDED_BY_A_REFRESH = frozenset({Reason.WRONG, Reason.WRONG_MODE, Reason.NO_SECRET, Reason.UNUSABLE_SECRET})

OK = 200

settings = settings_from_environment()


@cache
def secrets_manager() -> SecretsManagerClient:
    """The client, created when the secret is first needed."""
    return aws.client("secretsmanager")


def signing_secrets() -> SigningSecrets:
    """The current signing secrets; logs the number of texts in the secret that cannot be signing secrets."""
    text = aws.secret_text(secrets_manager(), settings.signing_secret_arn)
    found = read_signing_secrets(text, strict=not on_this_machine())
    if found.refused:
        logger.error(
            "configured signing secrets are not used: they cannot be Stripe's", extra={"refused": dict(found.refused)}
        )
    return found


secret = SecretSource(signing_secrets)


@cache
def sqs() -> SQSClient:
    """The client, created when the first event is queued."""
    return aws.client("sqs")


snapshot_hooks(prepare=(secrets_manager, sqs), renew=(secret.forget,))


@observed
def handler(request: APIGatewayProxyEventV2, _context: object) -> APIGatewayProxyResponseV2:
    """Answer one request of the HTTP API (payload format 2.0)."""
    body = body_of(request)
    reply = _examined(request, body)
    if reply.outcome == "queue" and body is not None:
        reply = _queued(body, reply)
    _note(reply)
    return {
        "statusCode": reply.status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(reply.body, ensure_ascii=False),
    }


def _examined(request: APIGatewayProxyEventV2, body: bytes | None) -> Reply:
    try:
        signature = header_of(request, "stripe-signature")
        reply = examine(body, signature, secret.get(), settings, time.time())
        if reply.reason in MENDED_BY_A_REFRESH and secret.refresh():
            reply = examine(body, signature, secret.get(), settings, time.time())
    except ConfigurationError as error:
        return Reply(503, "unready", Reason.BAD_SECRET, str(error))
    return reply


def _queued(body: bytes, reply: Reply) -> Reply:
    try:
        sqs().send_message(QueueUrl=settings.events_queue_url, MessageBody=queueable(body))
    except Exception as error:  # noqa: BLE001 - whatever went wrong, Stripe must come again
        return Reply(503, "unready", Reason.QUEUE_REFUSED, f"the event was not queued: {code_of(error)}", reply.event)
    return reply


def _note(reply: Reply) -> None:
    """Log one line for each request (ids and outcome, no body, no header), and count it unless it was queued."""
    event = reply.event
    fields: dict[str, object] = {"outcome": reply.outcome}
    if reply.status != OK:
        fields["status"] = reply.status
    if reply.reason:
        fields["reason"] = reply.reason
    if event is not None:
        fields |= about(event)
    log = logger.error if reply.outcome == "unready" else logger.warning if reply.outcome == "refused" else logger.info
    log(reply.message or "event queued", extra=fields)
    if reply.outcome in METRIC_OF:
        count(METRIC_OF[reply.outcome])
    if reply.outcome == "refused" and reply.reason in DOUBTFUL:
        count("SignaturesRefused")
    if reply.reason == Reason.WRONG_MODE:
        count("WrongMode")
