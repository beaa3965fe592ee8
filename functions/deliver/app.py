"""Queue → Segment: map a batch of raw events, send the calls in bulk, and report the outcome of each record."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from enrich import enrich
from stripe_to_segment import aws
from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.circuit_breaker import Breaker
from stripe_to_segment.delivery.queues import Queues, records_of
from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.delivery.report import report, summary
from stripe_to_segment.delivery.retry_delay import delay, given_up
from stripe_to_segment.delivery.sender import sender
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.observability import logger, observed
from stripe_to_segment.reasons import Reason
from stripe_to_segment.secrets import keys_source
from stripe_to_segment.segment_side.patience import patient_session
from stripe_to_segment.settings import settings_from_environment
from stripe_to_segment.snapshots import snapshot_hooks
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.reader import StripeReader, usable_key
from stripe_to_segment.stripe_api.thin_events import ThinEventReader

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from aws_lambda_typing.events import SQSEvent
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A dead record comes again where it could not be dead-lettered.
COMES_AGAIN = {Status.RETRY, Status.WAITING, Status.DEAD}
# The seconds kept for the receipt, the queues and the answer.
RESERVE = 8.0
# With fewer seconds than this left a batch does not wait for another: a slow Segment may take as long.
ENOUGH_TO_SEND = 20.0
# The seconds by which the clocks of two environments may differ.
CLOCKS_DIFFER = 2

settings = settings_from_environment()


@cache
def secrets_manager() -> SecretsManagerClient:
    """The client, created when the secret is first needed."""
    return aws.client("secretsmanager")


session = patient_session()
secret = keys_source(settings, lambda arn: aws.secret_text(secrets_manager(), arn))


def api_key() -> str:
    """The key with which Stripe is read."""
    return usable_key(secret.get(), settings)


reader = StripeReader(api_key, settings.stripe_api_base)
thin_reader = ThinEventReader(api_key, settings.stripe_api_base)


@cache
def store() -> DynamoStore:
    """The StateTable."""
    return DynamoStore(aws.client("dynamodb"), settings.state_table)


@cache
def queues() -> Queues:
    """Both queues."""
    return Queues(aws.client("sqs"), settings.events_queue_url, settings.dead_letter_queue_url)


def queues_of(batch: SQSEvent) -> Queues:
    """The queues of a batch: it came from that of an import, or else from that of the events."""
    source = batch["Records"][0]["eventSourceARN"].rpartition(":")[2]
    if source != settings.import_queue_url.rpartition("/")[2]:
        return queues()
    return replace(queues(), events_url=settings.import_queue_url)


@cache
def breaker() -> Breaker:
    """The circuit breaker, which keeps the last state that it saw across invocations."""
    return Breaker(store(), time.time, settings.retry_base_seconds)


snapshot_hooks(prepare=(secrets_manager, store, queues), renew=(secret.forget, session.close, breaker.cache_clear))


@observed
def handler(batch: SQSEvent, context: LambdaContext) -> PartialItemFailureResponse:
    """Deliver one SQS batch; returns the records that SQS must deliver again."""
    records = records_of(batch)
    try:
        # Without the reference key a user's id may be missed, so nothing is mapped before the secret is read.
        chosen = replace(settings, client_reference_key=secret.get().client_reference_key)
    except ConfigurationError as error:
        outcomes = [RecordOutcome(record, Status.RETRY, Reason.BAD_SECRET, str(error)) for record in records]
        return answered(outcomes, queues_of(batch))

    def seconds_left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000 - RESERVE

    def wait(seconds: float) -> float | None:
        if seconds_left() < ENOUGH_TO_SEND:
            return None
        # Batches that wait for the same customer must not all come back at the same moment.
        time.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311 - no secret depends on it
        return time.time()

    really = settings.delivery_mode == "send"
    delivery = Delivery(
        chosen,
        store(),
        sender(chosen, secret, session, seconds_left),
        enrich,
        reader,
        thin_reader,
        breaker() if really else None,
        remembers=really,
        lease=context.get_remaining_time_in_millis() // 1000 + CLOCKS_DIFFER,
        wait=wait,
    )
    return answered(delivery.deliver(records, time.time()), queues_of(batch))


def answered(outcomes: list[RecordOutcome], queues: Queues) -> PartialItemFailureResponse:
    """Carry out the outcomes of the records, and tell Lambda which records SQS must deliver again."""
    now = time.time()
    outcomes = [given_up(outcome, now) for outcome in outcomes]
    dead_lettered = queues.dead_letter(outcome for outcome in outcomes if outcome.status is Status.DEAD)
    again = [
        outcome for outcome in outcomes if outcome.status in COMES_AGAIN and outcome.record.id not in dead_lettered
    ]
    queues.change_visibility({outcome.record.handle: delay(outcome, settings, now, random.random) for outcome in again})
    report(outcomes, now)
    # If no record comes again, the lines of the records say everything.
    if (counts := summary(outcomes))["again"]:
        logger.info("batch done", extra=counts)
    return {"batchItemFailures": [{"itemIdentifier": outcome.record.id} for outcome in again]}
