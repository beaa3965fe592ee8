"""Stripe → queue: verify the signature, ignore events that are not mapped, queue the raw event, answer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from stripe_to_segment import aws
from stripe_to_segment.errors import ConfigurationError, code_of
from stripe_to_segment.observability import observed
from stripe_to_segment.reasons import Reason
from stripe_to_segment.receiving.examine import Reply, body_of, examine, header_of, queueable
from stripe_to_segment.receiving.report import report
from stripe_to_segment.secrets import signing_secrets_source
from stripe_to_segment.settings import settings_from_environment

if TYPE_CHECKING:
    from aws_lambda_typing.events import APIGatewayProxyEventV2
    from aws_lambda_typing.responses import APIGatewayProxyResponseV2

# Refusals that a refresh of the cached secret can mend, where it was filled, rotated or sorted by mode since.
MENDED_BY_A_REFRESH = frozenset({Reason.WRONG, Reason.WRONG_MODE, Reason.NO_SECRET, Reason.UNUSABLE_SECRET})

settings = settings_from_environment()
secret = signing_secrets_source(settings, aws.secret_text)

aws.snapshot_hooks(("secretsmanager", "sqs"), (secret.forget,))


@observed
def handler(request: APIGatewayProxyEventV2, _context: object) -> APIGatewayProxyResponseV2:
    """Answer one request of the HTTP API (payload format 2.0)."""
    body = body_of(request)
    reply = _examined(request, body)
    if reply.outcome == "queue" and body is not None:
        reply = _queued(body, reply)
    report(reply)
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
        aws.client("sqs").send_message(QueueUrl=settings.events_queue_url, MessageBody=queueable(body))
    except Exception as error:  # noqa: BLE001 - whatever went wrong, Stripe must come again
        return Reply(503, "unready", Reason.QUEUE_REFUSED, f"the event was not queued: {code_of(error)}", reply.event)
    return reply
