"""Many events through one process: `python -m benchmarks.growth EVENTS` prints seconds for each, and peak memory."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time

from benchmarks.functions import Context, deliver_function
from benchmarks.receiver import receiving
from benchmarks.workload import event_texts, sqs_batch
from stripe_to_segment.memory import MemoryStore

BATCH = 100


def main() -> None:
    """Deliver so many events in batches; each batch is of other customers, and the table lies outside the function."""
    events = int(sys.argv[1])
    spent: list[float] = []
    # The function's log lines are not of interest; the figures go to where they were going.
    figures = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with receiving() as receiver:
        app = deliver_function(receiver.url, MemoryStore)
        for first in range(0, events, BATCH):
            batch = sqs_batch(event_texts(first, min(BATCH, events - first)))
            start = time.process_time()
            app.handler(batch, Context())
            spent.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    # Of one process, so that a machine which is busier at one time than at another does not count.
    half = max(len(spent) // 2, 1)
    drift = statistics.median(spent[-half:]) / statistics.median(spent[:half])
    os.write(figures, json.dumps({"seconds": sum(spent) / events, "peak": peak, "drift": drift}).encode())


if __name__ == "__main__":
    main()
