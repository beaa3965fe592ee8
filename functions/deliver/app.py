"""Queue → Segment: map a batch of raw events, send the calls in bulk, and report the outcome of each record."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from enrich import enrich
from stripe_to_segment import aws
from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.carry_out import carry_out
from stripe_to_segment.delivery.circuit_breaker import Breaker
from stripe_to_segment.delivery.deadline import Deadline
from stripe_to_segment.delivery.queues import Queues, records_of
from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.delivery.sender import sender
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.http_session import http_session
from stripe_to_segment.observability import observed
from stripe_to_segment.reasons import Reason
from stripe_to_segment.secrets import keys_source
from stripe_to_segment.settings import settings_from_environment
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.reader import StripeReader, usable_key
from stripe_to_segment.stripe_api.thin_events import ThinEventReader

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from aws_lambda_typing.events import SQSEvent

# What an environment keeps across invocations.
settings = settings_from_environment()
session = http_session()
secret = keys_source(settings, aws.secret_text)


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
def breaker() -> Breaker:
    """The circuit breaker, with the last state that it saw."""
    return Breaker(store(), time.time, settings.retry_base_seconds)


aws.snapshot_hooks(("secretsmanager", "dynamodb", "sqs"), (secret.forget, session.close, breaker.cache_clear))


@observed
def handler(batch: SQSEvent, context: LambdaContext) -> PartialItemFailureResponse:
    """Deliver one SQS batch; returns the records that SQS must deliver again."""
    records, queues = records_of(batch), Queues.of(batch, aws.client("sqs"), settings)
    deadline, sends = Deadline(context, time), settings.delivery_mode == "send"
    queues.part(records, deadline.lease, settings.retry_cap_seconds)
    try:
        # Without the reference key a user's id may be missed, so nothing is mapped before the secret is read.
        chosen = replace(settings, client_reference_key=secret.get().client_reference_key)
    except ConfigurationError as error:
        outcomes = [RecordOutcome(record, Status.RETRY, Reason.BAD_SECRET, str(error)) for record in records]
        return carry_out(outcomes, queues, settings, time.time())
    send, gate = sender(chosen, secret, session, deadline.left), breaker() if sends else None
    reader.leave_time(deadline.left)
    thin_reader.leave_time(deadline.left)
    delivery = Delivery(chosen, store(), send, enrich, reader, thin_reader, gate, sends, deadline.lease, deadline.wait)
    return carry_out(delivery.deliver(records, time.time()), queues, settings, time.time())
