"""Carry out the outcomes of a batch: dead letters, pauses, log and metrics, and the answer to Lambda."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.delivery.report import report, summary
from stripe_to_segment.delivery.retry_delay import delay, given_up
from stripe_to_segment.observability import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

    from stripe_to_segment.delivery.queues import Queues
    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.settings import Settings

__all__ = ["carry_out"]

# A dead record comes again where it could not be dead-lettered.
COMES_AGAIN = {Status.RETRY, Status.WAITING, Status.DEAD}


def carry_out(
    outcomes: Iterable[RecordOutcome], queues: Queues, settings: Settings, now: float
) -> PartialItemFailureResponse:
    """Carry out the outcomes of the records, and tell Lambda which records SQS must deliver again.

    `now` is in epoch seconds.
    """
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
