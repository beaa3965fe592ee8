"""The deliver function on records of an import: `python -m benchmarks.import_delivery FILE` prints what each takes."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

BATCH = 100
# As benchmarks/__main__.py has it: decoding and encoding an event where a call of the official client costs 360 µs.
JSON_SECONDS = 22e-6
TRIES = 200


def deliver_all(spool: Path) -> dict[str, Any]:
    """Deliver the records, and give what each takes: processor seconds, units of DynamoDB, bytes of log."""
    from benchmarks.cold_start import environment_beside

    os.environ |= environment_beside("DeliverFunction")
    from benchmarks.functions import deliver_function, delivered
    from benchmarks.growth import _same_work
    from benchmarks.receiver import receiving
    from benchmarks.table import CountingTable
    from benchmarks.worker import _log_of, _table_call
    from benchmarks.workload import sqs_batch
    from stripe_to_segment.state.dynamodb import DynamoStore

    table, ratios, records = CountingTable(), [], 0
    with receiving() as receiver, spool.open(encoding="utf-8") as lines:
        write = _table_call(receiver.url)
        written = sorted(write() / _same_work() for _ in range(TRIES))[TRIES // 2]
        before = receiver.requests
        app = deliver_function(receiver.url, lambda: DynamoStore(table, "state"))
        log = 0
        for batch in itertools.batched((line.rstrip("\n") for line in lines), BATCH, strict=False):
            work, unit = sqs_batch(list(batch)), _same_work()
            start = time.process_time()
            log += len(_log_of(lambda work=work: delivered(app, work)))
            ratios.append((time.process_time() - start) / len(batch) / unit)
            records += len(batch)
        sent = receiver.requests - before
    writes = sum(table.requests[name] for name in ("conditional PutItem", "tie", "update"))
    return {
        "delivered": records,
        "sent": sent,
        "processor": sorted(ratios)[len(ratios) // 2] * JSON_SECONDS,
        "write processor": written * JSON_SECONDS,
        "writes": writes / records,
        "requests": (table.requests["BatchGetItem"] + table.requests["receipt"]) / records,
        "written": table.units["written"] / records,
        "read": table.units["read"] / records,
        "log": log / records,
    }


if __name__ == "__main__":
    # The function's log lines are not of interest; the figures go to where they were going.
    figures = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.write(figures, json.dumps(deliver_all(Path(sys.argv[1]))).encode())
