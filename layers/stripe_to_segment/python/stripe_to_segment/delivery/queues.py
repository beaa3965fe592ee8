"""The EventsQueue and the DeadLetterQueue: change a record's visibility, and dead-letter it with its reason."""

from __future__ import annotations

import random
from itertools import batched
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Record
from stripe_to_segment.errors import code_of
from stripe_to_segment.frozen import frozen
from stripe_to_segment.observability import count, logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aws_lambda_typing.events import SQSEvent
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ChangeMessageVisibilityBatchRequestEntryTypeDef, MessageAttributeValueTypeDef

    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.settings import Settings

__all__ = ["Queues", "records_of"]

# SQS takes this many entries in one call.
ENTRIES = 10
ATTRIBUTE_LENGTH = 256
# A record that came so often may be one that ends the function, and its batch with it.
SUSPECT_RECEIVES = 10
# With more, the thousand receives of a record that ends the function each time would take longer than the queue keeps
# it: SQS would delete it unseen, or bury it too late for the alarm on dead letters that expire (tests/template).
SPREAD = 10


def records_of(batch: SQSEvent) -> list[Record]:
    """The records of an SQS batch as Lambda hands it over."""
    return [
        Record(
            message["messageId"],
            message["body"],
            int(message["attributes"]["ApproximateReceiveCount"]),
            queued_at=int(message["attributes"]["SentTimestamp"]) / 1000,
            handle=message["receiptHandle"],
        )
        for message in batch["Records"]
    ]


@frozen
class Queues:
    """The queues of this stack, through a low-level boto3 SQS client."""

    client: SQSClient
    events_url: str
    dead_letter_url: str

    @classmethod
    def of(cls, batch: SQSEvent, client: SQSClient, settings: Settings) -> Queues:
        """The queues of a batch: it came from the queue of an import, or else from that of the events."""
        source = batch["Records"][0]["eventSourceARN"].rpartition(":")[2]
        imported = source == settings.import_queue_url.rpartition("/")[2]
        url = settings.import_queue_url if imported else settings.events_queue_url
        return cls(client, url, settings.dead_letter_queue_url)

    def part(self, records: Sequence[Record], least: int, cap: int) -> None:
        """Let suspect records of a batch come back at different times, should the function not end well.

        They would all come back at once, and the one that ends the function would take the others along again. `least`
        and `cap`, the longest wait between two attempts, are in seconds; on average they come back no later than the
        queue's own timeout would bring them.
        """
        if len(records) > 1:
            span, suspect = min(SPREAD * least, cap), (each for each in records if each.received > SUSPECT_RECEIVES)
            self.change_visibility({each.handle: least + random.randint(0, span) for each in suspect})  # noqa: S311 - no secret depends on it

    def change_visibility(self, delays: Mapping[str, int]) -> None:
        """Hide records, by receipt handle, for a number of seconds; if that fails, the queue's own timeout applies."""
        for entries in batched(delays.items(), ENTRIES, strict=False):
            request: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                for number, (handle, seconds) in enumerate(entries)
            ]
            try:
                answer = self.client.change_message_visibility_batch(QueueUrl=self.events_url, Entries=request)
            except Exception as error:  # noqa: BLE001 - a missed delay costs a wait, never an event
                logger.warning("visibility not changed", extra={"reason": code_of(error), "records": len(request)})
                continue
            if answer.get("Failed"):
                logger.warning("visibility not changed", extra={"records": len(answer["Failed"])})

    def dead_letter(self, outcomes: Iterable[RecordOutcome]) -> set[str]:
        """Put records into the dead-letter queue with their reason; returns the ids of those that are there."""
        dead_lettered: set[str] = set()
        for outcome in outcomes:
            try:
                self.client.send_message(
                    QueueUrl=self.dead_letter_url,
                    MessageBody=outcome.record.body,
                    MessageAttributes=dict(_attributes(outcome)),
                )
            except Exception as error:  # noqa: BLE001 - it stays in the events queue and is tried again
                logger.error("not dead-lettered", extra={"reason": code_of(error), "message_id": outcome.record.id})
                count("DeadLetterFailed")
            else:
                dead_lettered.add(outcome.record.id)
        return dead_lettered


def _attributes(outcome: RecordOutcome) -> Iterator[tuple[str, MessageAttributeValueTypeDef]]:
    event = outcome.event
    values = {
        "reason": outcome.reason,
        "detail": outcome.detail,
        "event_id": event and event.id,
        "event_type": event and event.type,
        "account": event and event.account,
        "source_message_id": outcome.record.id,
    }
    for name, value in values.items():
        if value:
            yield name, {"DataType": "String", "StringValue": _attribute(value)}


def _attribute(value: str) -> str:
    """The text without control characters: SQS refuses them, and the record could not be dead-lettered."""
    return "".join(letter if letter.isprintable() else "…" for letter in value[:ATTRIBUTE_LENGTH])
