"""The warm measurements, in one process without output of its own: `python -m benchmarks.worker RESULT ROUNDS`."""

from __future__ import annotations

import io
import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3

from benchmarks.cost import LOADS
from benchmarks.functions import Context, deliver_function, delivered, receive_function
from benchmarks.measured import interleaved
from benchmarks.peers import naive_handler, queue_and_flush, signature, sync_calls, sync_mode
from benchmarks.receiver import receiving
from benchmarks.table import CountingTable
from benchmarks.workload import SAMPLES, customers_events, event_texts, large_event, sqs_batch
from stripe_to_segment.aws import CONFIG
from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.segment_side.client import batches
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.cost import Load
    from benchmarks.receiver import Receiver
    from stripe_to_segment.segment_side.calls import Call

BATCH = 100
DOOR_REQUESTS = 50
PASSES = 5
NOW = 2_000_000_000.0
CUSTOMERS = 200
# From an event to its delivery: longer than any is held for an identity, with as many digits as one in the log.
LATENCY_SECONDS = 45.2468013
# The receiver counts a moment after it has answered.
SETTLE_SECONDS = 0.1


def main() -> None:
    """Measure and write the values down, in seconds of processor time for each event."""
    result, rounds = Path(sys.argv[1]), int(sys.argv[2])
    with receiving() as receiver:
        app = deliver_function(receiver.url, MemoryStore)
        door = _door()
        texts = event_texts(0, BATCH)
        batch = sqs_batch(texts)
        signed = [(text, signature(text)) for text in texts]
        sync, queue = sync_mode(receiver.url), queue_and_flush(receiver.url)
        naive, yardstick = naive_handler(receiver.url), sync_calls(receiver.url)
        wall: list[float] = []

        def timed() -> float:
            start = time.perf_counter()
            spent = _spent(lambda: delivered(app, batch), BATCH)
            wall.append((time.perf_counter() - start) / BATCH)
            return spent

        subjects: dict[str, Callable[[], float]] = {
            "yardstick": lambda: _spent(lambda: yardstick(BATCH), BATCH),
            "deliver": timed,
            "sync": lambda: _spent(lambda: sync(texts), BATCH),
            "queue": lambda: _spent(lambda: queue(texts), BATCH),
            "naive": lambda: _spent(lambda: naive(signed), BATCH),
            "door": lambda: _spent(door, DOOR_REQUESTS),
            "mapped": _mapped,
            "json": _decoded_and_encoded,
            "sqs": _queue_call(receiver.url),
            "dynamodb": _table_call(receiver.url),
        }
        values = interleaved(subjects, rounds)
        values["deliver wall"] = tuple(wall[-rounds:])
        facts = _one_batch(receiver, batch) | {"loads": {load.batch: _load(receiver, load) for load in LOADS}}
        result.write_text(json.dumps({"values": values, **facts}), "utf-8")


def _spent(work: Callable[[], object], events: int) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) / events


def _door() -> Callable[[], None]:
    """The receive function, signature and all, for a large event."""
    app, text = receive_function(), large_event()
    request: dict[str, Any] = {"body": text, "isBase64Encoded": False, "headers": {}}

    def knock() -> None:
        request["headers"] = {"stripe-signature": signature(text)}
        for _ in range(DOOR_REQUESTS):
            answer = app.handler(request, Context())
            if answer["statusCode"] != 200:  # noqa: PLR2004 - accepted
                raise AssertionError(answer)

    return knock


def _mapped() -> float:
    """Parse, identity, map and pack: the median over the sample events, each alone and of a customer never seen."""
    return statistics.median(
        statistics.median(_spent(lambda record=record: _delivery().deliver([record], NOW), 1) for _ in range(PASSES))
        for record in RECORDS
    )


def _decoded_and_encoded() -> float:
    """What of that no Python program gets around: reading the event and writing as much JSON again."""
    return statistics.median(
        statistics.median(_spent(lambda text=text: json.dumps(json.loads(text)), 1) for _ in range(PASSES))
        for _, text in SAMPLES
    )


def _queue_call(url: str) -> Callable[[], float]:
    """The processor's part of one SendMessage of a large event through boto3."""
    client, text = boto3.client("sqs", endpoint_url=url, config=CONFIG), large_event()
    return lambda: _spent(lambda: client.send_message(QueueUrl=f"{url}/1/q", MessageBody=text), 1)


def _table_call(url: str) -> Callable[[], float]:
    """The same of one conditional PutItem of a customer's record."""
    client = boto3.client("dynamodb", endpoint_url=url, config=CONFIG)
    item = {"pk": {"S": "profile#own:live:cus_1"}, "version": {"N": "1"}, "record": {"S": "x" * 600}}
    condition = "attribute_not_exists(pk)"
    return lambda: _spent(lambda: client.put_item(TableName="state", Item=item, ConditionExpression=condition), 1)


def _delivery() -> Delivery:
    return Delivery(SETTINGS, MemoryStore(), _packed, _as_it_is)


SETTINGS = Settings()
ACCEPTED = Answer(Meaning.ACCEPTED)
RECORDS = [Record(name, text) for name, text in SAMPLES]


def _packed(calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
    del livemode
    for batch in batches(calls):
        b",".join(call.encoded for call in batch)
    return dict.fromkeys((call.message_id for call in calls), ACCEPTED)


def _as_it_is(call: dict[str, Any], _event: dict[str, Any]) -> object:
    return call


def _one_batch(receiver: Receiver, batch: dict[str, Any]) -> dict[str, Any]:
    """What one batch of events of as many customers asks of Segment and of DynamoDB, the most that it can."""
    table = CountingTable()
    app = deliver_function(receiver.url, lambda: DynamoStore(table, "state"))
    before = receiver.requests
    delivered(app, batch)
    time.sleep(SETTLE_SECONDS)
    return {
        "https requests": receiver.requests - before,
        "reads": table.requests["BatchGetItem"],
        "writes": table.requests["conditional PutItem"],
        "receipts": table.requests["receipt"],
        "ties": table.requests["tie"],
        "keys read": table.keys_read,
        "write units": table.units["written"],
    }


def _load(receiver: Receiver, load: Load) -> dict[str, float]:
    """What an event of simulated customers asks of everything behind the door, in steady traffic."""
    table, texts = CountingTable(), customers_events(CUSTOMERS)
    # One environment has what it caches for some minutes of this traffic, not of the customers' years.
    begun = itertools.count(step=load.batch / load.rate)
    store = DynamoStore(table, "state", clock=lambda: next(begun))
    app = deliver_function(receiver.url, lambda: store)
    before = receiver.bytes

    def deliver() -> None:
        for batch in itertools.batched(texts, load.batch, strict=False):
            # Years pass: what a record has no use for any more leaves it, as it would in time.
            now = json.loads(batch[-1])["created"] + LATENCY_SECONDS
            app.time = SimpleNamespace(time=lambda now=now: now)
            delivered(app, sqs_batch(list(batch)))

    log, door = _log_of(deliver), _log_of(_door())
    time.sleep(SETTLE_SECONDS)
    return {
        "written": table.units["written"] / len(texts),
        "writes": (table.requests["conditional PutItem"] + table.requests["tie"] + table.requests["update"])
        / len(texts),
        # What a batch asks for at once: reads, and its receipt.
        "requests": (table.requests["BatchGetItem"] + table.requests["receipt"]) / len(texts),
        "read": table.units["read"] / len(texts),
        "sent": (receiver.bytes - before) / len(texts),
        "log deliver": len(log) / len(texts),
        "lines deliver": log.count(b"\n") / len(texts),
        "log receive": len(door) / DOOR_REQUESTS,
        "lines receive": door.count(b"\n") / DOOR_REQUESTS,
    }


def _log_of(work: Callable[[], object]) -> bytes:
    """What a function prints; its logger wrote to this process's output before this and does again afterwards."""
    from stripe_to_segment.observability import logger

    written, before = io.StringIO(), sys.stdout
    handlers = [(handler, handler.stream) for handler in logger._logger.handlers]  # noqa: SLF001 - no public way
    sys.stdout = written
    for handler, _ in handlers:
        handler.stream = written
    try:
        work()
    finally:
        sys.stdout = before
        for handler, stream in handlers:
            handler.stream = stream
    return written.getvalue().encode()


if __name__ == "__main__":
    main()
