"""The command `import` at the level `state`: `python -m benchmarks.import_listing CUSTOMERS FILE` prints what it takes.

Its own code reads an imitation of Stripe's lists through the real client; its records go into the file. It runs in the
development environment, which has the command line.
"""

from __future__ import annotations

import itertools
import json
import resource
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from benchmarks.cost import SQS_ENTRIES
from benchmarks.stripe_lists import KEY, NOW, Clock, StripeLists
from stripe_to_segment.enqueuing import Enqueued
from stripe_to_segment.stripe_api.lists import FIRST, Lists
from stripe_to_segment.stripe_api.requests import Pace
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment_tools.commands.importing.progress import new_progress
from stripe_to_segment_tools.commands.importing.run import Run
from stripe_to_segment_tools.commands.importing.steps import steps
from stripe_to_segment_tools.commands.importing.walk import WORKERS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["list_all"]

SQS_CHUNK = 64 * 1024


def list_all(customers: int, spool: Path) -> dict[str, Any]:
    """Read all lists as the command does, and put the records into a file instead of a queue."""
    clock, every = Clock(), []
    with StripeLists(customers, clock) as stripe, spool.open("w", encoding="utf-8") as written:
        queue = Spool(written)
        lists = Lists(KEY, stripe.url, Pace(clock=clock, pause=clock.pause))
        progress = new_progress(spool.with_suffix(".json"), {}, NOW, FIRST)
        run = Run(lists, progress, None, livemode=False, more={}, queue=queue, left=lambda: 0, pause_seconds=0)
        for step in steps(Level.STATE):
            before = clock.now, stripe.waited, queue.records
            run.do(step, step.name)
            paced, waited = clock.now - before[0], stripe.waited - before[1]
            # The threads wait for pages side by side.
            every.append({"listing": max(paced, waited / WORKERS), "records": queue.records - before[2]})
    return {
        "steps": every,
        "requests": sum(stripe.requests.values()),
        "refused": stripe.refused,
        "objects": progress.listed.total(),
        "records": queue.records,
        "chunks": queue.chunks,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


class Spool:
    """A queue that is a file: a line for each record. `chunks` are the 64 KB that SQS bills, of requests of ten."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._lock = Lock()
        self.records = self.chunks = 0

    def __call__(self, bodies: Sequence[str]) -> list[Enqueued]:
        """Take them all."""
        with self._lock:
            self._file.writelines(f"{body}\n" for body in bodies)
            self.records += len(bodies)
            for ten in itertools.batched(bodies, SQS_ENTRIES, strict=False):
                self.chunks += -(-sum(len(body.encode()) for body in ten) // SQS_CHUNK)
        return [Enqueued("queued")] * len(bodies)


if __name__ == "__main__":
    print(json.dumps(list_all(int(sys.argv[1]), Path(sys.argv[2]))))
