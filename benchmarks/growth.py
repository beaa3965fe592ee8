"""Many events through one process: `python -m benchmarks.growth EVENTS` prints what each costs, and peak memory."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time

from benchmarks.functions import deliver_function, delivered
from benchmarks.receiver import receiving
from benchmarks.workload import SAMPLES, event_texts, sqs_batch
from stripe_to_segment.state.memory_store import MemoryStore

BATCH = 100


def main() -> None:
    """Deliver so many events in batches, each of other customers; the table is outside of the function."""
    events = int(sys.argv[1])
    spent: list[float] = []
    ratios: list[float] = []
    # The function's log lines are not of interest; the figures go to where they were going.
    figures = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with receiving() as receiver:
        app = deliver_function(receiver.url, MemoryStore)
        for first in range(0, events, BATCH):
            count = min(BATCH, events - first)
            batch = sqs_batch(event_texts(first, count))
            unit = _same_work()
            start = time.process_time()
            delivered(app, batch)
            spent.append((time.process_time() - start) / count)
            ratios.append(spent[-1] / unit)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    half = max(len(ratios) // 2, 1)
    drift = statistics.median(ratios[-half:]) / statistics.median(ratios[:half])
    found = {"seconds": statistics.median(spent), "ratio": statistics.median(ratios), "peak": peak, "drift": drift}
    os.write(figures, json.dumps(found).encode())


def _same_work() -> float:
    """Seconds for decoding and encoding an event, the same ones before each batch.

    A batch is held against it, because a machine may be twice as fast at one time of a run as at another.
    """
    start = time.process_time()
    for _, text in SAMPLES:
        json.dumps(json.loads(text))
    return (time.process_time() - start) / len(SAMPLES)


if __name__ == "__main__":
    main()
