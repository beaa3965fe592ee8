"""Queue → Segment: map a batch of raw events, send it in bulk, say for each record what to do with it."""

from __future__ import annotations

import random
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import requests

from enrich import enrich
from stripe_to_segment.delivery import Delivery
from stripe_to_segment.observability import logger, metrics
from stripe_to_segment.queueing import Queues
from stripe_to_segment.reporting import report
from stripe_to_segment.retrying import delay
from stripe_to_segment.secrets import SecretSource
from stripe_to_segment.sending import sender
from stripe_to_segment.settings import settings_from_environment
from stripe_to_segment.store import DynamoStore
from stripe_to_segment.stripe_api import StripeReader
from stripe_to_segment.verdicts import Fate, Record

if TYPE_CHECKING:
    from stripe_to_segment.verdicts import Verdicts

# Left over for writing the records down and answering, in seconds.
RESERVE = 8.0

settings = settings_from_environment()
session = requests.Session()
secret = SecretSource(
    lambda: boto3.client("secretsmanager").get_secret_value(SecretId=settings.secret_arn)["SecretString"]
)
reader = StripeReader(lambda: secret.get().stripe_api_key, settings.stripe_api_base)


@cache
def store() -> DynamoStore:
    """The StateTable."""
    return DynamoStore(boto3.client("dynamodb"), settings.state_table)


@cache
def queues() -> Queues:
    """Both queues."""
    return Queues(boto3.client("sqs"), settings.events_queue_url, settings.dead_letter_queue_url)


@metrics.log_metrics
def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Deliver one SQS batch; names the records that are to come again."""
    handles = {message["messageId"]: message["receiptHandle"] for message in batch["Records"]}
    records = [
        Record(
            message["messageId"],
            message["body"],
            int(message["attributes"]["ApproximateReceiveCount"]),
            queued_at=int(message["attributes"]["SentTimestamp"]) / 1000,
        )
        for message in batch["Records"]
    ]

    def seconds_left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000 - RESERVE

    send = sender(settings, secret, session, seconds_left)
    remembers = settings.delivery_mode == "send"
    delivery = Delivery(settings, store(), send, enrich, reader, remembers=remembers)
    verdicts = delivery.deliver(records, time.time())
    again = _come_again(verdicts)
    queues().postpone({handles[verdict.record.id]: delay(verdict, settings, random.random) for verdict in again})
    report(verdicts, time.time())
    logger.info("batch done", extra={"records": len(records), "again": len(again)})
    return {"batchItemFailures": [{"itemIdentifier": verdict.record.id} for verdict in again]}


def _come_again(verdicts: list[Verdicts]) -> list[Verdicts]:
    """What waits or is retried, and what is hopeless but could not be put away."""
    buried = queues().bury(verdict for verdict in verdicts if verdict.fate is Fate.DEAD)
    return [
        verdict
        for verdict in verdicts
        if verdict.fate in {Fate.RETRY, Fate.WAITING} or (verdict.fate is Fate.DEAD and verdict.record.id not in buried)
    ]
