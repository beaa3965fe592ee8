"""Queue raw events that did not come through the webhook, as many in a request as SQS takes; count what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment.delivery.queues import ENTRIES
from stripe_to_segment.errors import QueueUnavailableError, code_of
from stripe_to_segment.frozen import frozen
from stripe_to_segment.receiving.examine import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

__all__ = ["Enqueued", "enqueue", "waiting"]

WAITING: tuple[QueueAttributeNameType, ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@frozen
class Enqueued:
    """The result for one body: the id of its message, or the reason why SQS did not take it."""

    message_id: str = ""
    failure: str = ""


def enqueue(client: SQSClient, queue_url: str, bodies: Sequence[str]) -> list[Enqueued]:
    """Send each body as a message, in order; a body that fails gets its reason, and the others are sent.

    Parameters
    ----------
    client
        A low-level boto3 SQS client.
    queue_url
        The queue.
    bodies
        Raw events, each of a size that SQS takes.
    """
    return [result for batch in _batches(bodies) for result in _send(client, queue_url, batch)]


def waiting(client: SQSClient, queue_url: str) -> int:
    """The approximate number of records in the queue, with those under way and those to be tried again.

    Raises QueueUnavailableError.
    """
    try:
        found = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[*WAITING])["Attributes"]
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailableError(f"SQS does not count the waiting records: {code_of(error)}") from error
    return sum(int(found.get(name, 0)) for name in WAITING)


def _send(client: SQSClient, queue_url: str, bodies: list[str]) -> Iterator[Enqueued]:
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)
    ]
    try:
        answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
    except Exception as error:  # noqa: BLE001 - one request that fails must not hide what the others did
        yield from [Enqueued(failure=code_of(error))] * len(bodies)
        return
    sent = {entry["Id"]: entry["MessageId"] for entry in answer.get("Successful", [])}
    failed = {entry["Id"]: entry.get("Code", "") for entry in answer.get("Failed", [])}
    for entry in entries:
        message_id = sent.get(entry["Id"], "")
        yield Enqueued(message_id, "" if message_id else failed.get(entry["Id"]) or "NotAnswered")


def _batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    """Batches of at most ten bodies, whose total is no larger than one message may be.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
    """
    batch: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if batch and (len(batch) == ENTRIES or size + length > MAX_MESSAGE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        yield batch
